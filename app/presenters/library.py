"""The Library page's presenter: what can be had, what is on its way, what is here and near, and what a click means.

Every list is asked for once at the start; afterwards the core's events keep it true. It never asks the internet by
itself: only somebody who searches Hugging Face, or looks an address up, does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.interface import CoreInterface
from qvac_core.core.library_room import LibraryRoom
from qvac_core.core.library_state import (
    CatalogEntry,
    DownloadChanged,
    DownloadState,
    Fit,
    FoundChanged,
    FoundProgram,
    Kind,
    LibraryChanged,
    MachineMemory,
    ModelHere,
    ModelsFolder,
    ModelsFolderChanged,
    ModelVersion,
    MoveState,
    Query,
    Removal,
    SearchResult,
    Source,
    SourceKind,
    SourcesChanged,
    Verdict,
)
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import QvacError

T = TypeVar("T")

CONTEXTS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)  # tokens: what the combo offers
FIRST_CONTEXT = 8192
FINEST_CONTEXT = 512  # where not even the smallest choice fits
DONE_MS = 10_000  # how long a download that is done keeps its place
# Places of an error: where on the page it happened.
FIND, DOWNLOADS, HERE, NEAR, FOLDER = "find", "downloads", "here", "near", "folder"

Ask = Callable[[LibraryRoom], Coroutine[Any, Any, T]]


class Shown(Enum):
    """Where the rows of the table come from."""

    CATALOG = "catalog"
    HUB = "hub"  # Hugging Face was searched
    ADDRESS = "address"  # it was asked about one address


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A provider that lets this machine copy models, by what the catalog's entries say of it."""

    id: str
    name: str
    models: int


def kept_context(largest: int) -> int:
    """The largest context to speak of that is not above `largest`; 0 = none."""
    fitting = [tokens for tokens in CONTEXTS if tokens <= largest]
    return fitting[-1] if fitting else largest // FINEST_CONTEXT * FINEST_CONTEXT


class LibraryPresenter(QObject):
    """Attributes are the state to render; each has its `…_changed`. `failed(place, ErrorInfo)` says what went wrong
    where, `cleared(place)` that it does not stand any more."""

    found_changed = Signal()  # what the table shows: results, fits, what is chosen
    chosen_changed = Signal()  # what the detail shows
    downloads_changed = Signal()
    models_changed = Signal()
    near_changed = Signal()
    folder_changed = Signal()
    failed = Signal(str, object)
    cleared = Signal(str)
    said = Signal(str)  # for whoever cannot see it
    chat_wanted = Signal(str)

    def __init__(
        self, core: CoreProxy, *, clock: Callable[[], float] = time.time, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._core = core
        self.clock = clock
        self.tasks = Tasks()
        self.machine = MachineMemory(0, 0)
        self.query = Query(context_tokens=FIRST_CONTEXT)
        self.result = SearchResult((), 0)
        self.shown = Shown.CATALOG
        self.neighbour: Neighbour | None = None
        self.searching = False
        self.chosen_id = ""
        self.downloads: dict[str, DownloadChanged] = {}
        self.models: tuple[ModelHere, ...] = ()
        self.programs: tuple[FoundProgram, ...] = ()
        self.neighbours: tuple[Neighbour, ...] = ()
        self.folder: ModelsFolder | None = None
        self.busy_programs: set[str] = set()
        self.models_known = False
        self.loaded = False  # the catalog, and what this machine has
        self.done_ms = DONE_MS
        self._exact: dict[str, CatalogEntry] = {}  # what `look_up` said, by entry
        self._versions: dict[str, str] = {}  # the version that was chosen, by entry
        self._shorter: dict[tuple[str, int], Fit] = {}  # with the largest context that fits
        self._asked = 0
        self._all: tuple[CatalogEntry, ...] = ()
        core.core_event.connect(self._take)

    # --- Life

    async def load(self) -> None:
        """What is on its way and what is here. The rest waits until somebody looks."""
        await self._try(DOWNLOADS, tr("The downloads could not be read."), self._load_downloads())
        await self._try(HERE, tr("The models here could not be read."), self._load_models())
        self.models_known = True
        self.models_changed.emit()

    def opened(self) -> None:
        """The page came to the front: look around for what other programs have."""
        self.tasks.start(self._open(), self._not_opened)

    async def _open(self) -> None:
        first = not self.loaded
        if first:
            await self._try(FOLDER, tr("The models folder could not be read."), self._load_folder())
        await self._try(NEAR, tr("Other programs' models could not be read."), self._look_around())
        if first:
            # This may take a second: the engine is asked for its devices.
            await self._try(FIND, tr("What fits this machine is not known."), self._load_machine())
            await self._try(FIND, tr("The catalog could not be read."), self._search())
            self.loaded = True
            self.found_changed.emit()

    def _not_opened(self, error: QvacError) -> None:
        self._fail(FIND, tr("The library could not be read."), error)

    async def close(self) -> None:
        await self.tasks.close()

    async def _try(self, place: str, title: str, work: Awaitable[None]) -> None:
        try:
            await work
        except QvacError as error:
            self._fail(place, title, error)

    async def _load_machine(self) -> None:
        self.machine = await self._library(lambda library: library.memory())
        self.found_changed.emit()

    async def _load_downloads(self) -> None:
        listed = await self._library(lambda library: library.downloads())
        for row in listed:
            if row.done:  # before this start: it stands among the models
                await self._library(lambda library, name=row.model: library.dismiss(name))  # type: ignore[misc]
        self.downloads = {row.model: row for row in listed if not row.done}
        self.downloads_changed.emit()

    async def _load_models(self) -> None:
        self.models = await self._library(lambda library: library.models())
        self.models_changed.emit()

    async def _load_folder(self) -> None:
        self.folder = await self._library(lambda library: library.folder())
        self.folder_changed.emit()

    async def _look_around(self) -> None:
        self.programs = await self._library(lambda library: library.look_around())
        self.near_changed.emit()

    # --- Finding

    def search(self, text: str) -> None:
        """In the catalog; results of Hugging Face and of a neighbour are left."""
        self._ask_anew(text=text)

    def choose_kind(self, kind: Kind | None) -> None:
        self._ask_anew(kind=kind, keep=True)

    def choose_only_fits(self, on: bool) -> None:
        self._ask_anew(only_fits=on, keep=True)

    def choose_context(self, tokens: int) -> None:
        if self.shown is Shown.CATALOG:
            self._ask_anew(context_tokens=tokens, keep=True)
        else:
            # Hugging Face need not be asked again.
            self.query = replace(self.query, context_tokens=tokens)
            self._do(FIND, tr("What fits this machine is not known."), self._fit_again())

    def back_to_catalog(self) -> None:
        self._ask_anew()

    def show_neighbour(self, neighbour_id: str) -> None:
        """The table shows what can be copied from there."""
        self.neighbour = next((one for one in self.neighbours if one.id == neighbour_id), None)
        self._ask_anew(text="", kind=None, only_fits=False, keep=True)

    def search_hub(self) -> None:
        """On Hugging Face, for what the field says."""
        self.neighbour = None
        self.shown = Shown.HUB
        self.searching = True
        self.found_changed.emit()
        self._find()

    def look_up(self, address: str) -> None:
        """Ask the source of an address, or of OWNER/REPOSITORY, what is there."""
        self.searching = True
        self.found_changed.emit()
        self._do(FIND, tr("Nothing was found at this address."), self._look_up(address.strip()), self._found_nothing)

    def choose(self, entry_id: str) -> None:
        self.chosen_id = entry_id
        self.found_changed.emit()
        self.chosen_changed.emit()
        if self.shown is Shown.HUB and entry_id and entry_id not in self._exact:
            # Its sizes and checksums: who shows results of Hugging Face has asked there already.
            self._do(FIND, tr("Hugging Face did not say more about this model."), self._look_closer(entry_id))

    def look_closer(self, entry_id: str) -> None:
        """Ask the source of a model of the catalog for what it says of itself: licence, exact needs."""
        self._do(FIND, tr("Hugging Face did not say more about this model."), self._look_closer(entry_id))

    def choose_version(self, version_id: str) -> None:
        if (entry := self.chosen) is not None:
            self._versions[entry.id] = version_id
            self.found_changed.emit()
            self.chosen_changed.emit()
            self._do(FIND, tr("What fits this machine is not known."), self._ask_shorter())

    @property
    def entries(self) -> tuple[CatalogEntry, ...]:
        """Those to show, with the exact facts where they are known."""
        shown = tuple(self._exact.get(entry.id, entry) for entry in self.result.entries)
        if self.neighbour is None:
            return shown
        return tuple(entry for entry in shown if _offers(entry, self.neighbour.id))

    @property
    def chosen(self) -> CatalogEntry | None:
        return next((entry for entry in self.entries if entry.id == self.chosen_id), None)

    def version(self, entry: CatalogEntry) -> ModelVersion:
        """The one chosen in this row, else the one to offer first."""
        wanted = self._versions.get(entry.id, "")
        return next((version for version in entry.versions if version.id == wanted), entry.offered)

    def here(self, version: ModelVersion) -> ModelHere | None:
        """This version, if it is on this machine. What Hugging Face listed a while ago may have come or gone since."""
        for model in self.models:
            known = bool(version.sha256 and model.sha256)
            same = model.sha256 == version.sha256 if known else model.ours and model.path.name == version.file
            if same or model.name == version.here:
                return model
        return None

    def shorter(self, version: ModelVersion) -> Fit | None:
        """With the largest context that fits, of a version that needs less of it; None until it is known."""
        return self._shorter.get((version.id, kept_context(version.fit.largest_context)))

    def download_of(self, entry: CatalogEntry) -> DownloadChanged | None:
        """A download of any version of it, that of the chosen one first."""
        chosen = self.downloads.get(self.version(entry).id)
        others = (self.downloads.get(version.id) for version in entry.versions)
        return chosen or next((row for row in others if row is not None), None)

    def _ask_anew(self, *, keep: bool = False, **change: Any) -> None:
        """`keep`: what is searched (Hugging Face, a neighbour) stays; another text goes back to the catalog."""
        if not keep:
            self.shown = Shown.CATALOG
            self.neighbour = None
        self.query = replace(self.query, **change)
        if self.shown is not Shown.ADDRESS:
            self._find()

    def _find(self) -> None:
        self._do(FIND, tr("The search came to nothing."), self._search(), self._found_nothing)

    def _found_nothing(self) -> None:
        self.searching = False
        self.found_changed.emit()

    async def _search(self) -> None:
        """The newest question wins: an answer to an older one is thrown away."""
        self._asked += 1
        asked, query, of_hub = self._asked, self.query, self.shown is Shown.HUB
        if of_hub:
            result = await self._library(lambda library: library.search_hub(query))
        else:
            result = await self._library(lambda library: library.search(query))
        if asked != self._asked:
            return
        self.result = result
        self.searching = False
        if not of_hub:
            self._exact.clear()
        if self.chosen is None:
            self.chosen_id = ""
        self.found_changed.emit()
        self.chosen_changed.emit()
        if query.text or query.kind or query.only_fits or of_hub:
            self._all = await self._all_entries()
        else:
            self._all = result.entries
        self._find_neighbours()
        await self._ask_shorter()

    async def _all_entries(self) -> tuple[CatalogEntry, ...]:
        tokens = self.query.context_tokens
        return (await self._library(lambda library: library.search(Query(context_tokens=tokens)))).entries

    def _find_neighbours(self) -> None:
        counted: dict[str, list[str]] = {}
        for entry in self._all:
            for source in {s.id: s for version in entry.versions for s in version.sources}.values():
                if source.kind is SourceKind.NEIGHBOUR:
                    counted.setdefault(source.id, []).append(source.name)
        found = tuple(Neighbour(key, names[0], len(names)) for key, names in counted.items())
        if found != self.neighbours:
            self.neighbours = found
            self.near_changed.emit()

    async def _look_up(self, address: str) -> None:
        self._asked += 1
        asked, tokens = self._asked, self.query.context_tokens
        entry = await self._library(lambda library: library.look_up(address, tokens))
        if asked != self._asked:
            return
        self.shown, self.neighbour, self.searching = Shown.ADDRESS, None, False
        self.result = SearchResult((entry,), 1)
        self._exact[entry.id] = entry
        named = next((version for version in entry.versions if version.id == address), None)
        if named is not None:
            self._versions[entry.id] = named.id
        self.choose(entry.id)

    async def _look_closer(self, entry_id: str) -> None:
        tokens = self.query.context_tokens
        entry = await self._library(lambda library: library.look_up(entry_id, tokens))
        if self.shown is Shown.CATALOG:
            await self._search()  # the core remembers what it heard
        elif tokens == self.query.context_tokens:
            self._exact[entry_id] = entry
            self.found_changed.emit()
            self.chosen_changed.emit()

    async def _fit_again(self) -> None:
        """With another context, for what is not of the catalog."""
        tokens, asked = self.query.context_tokens, self._asked
        fitted = []
        for entry in self.entries:
            fits = [await self._fit(version.id, tokens) for version in entry.versions]
            versions = (replace(version, fit=fit) for version, fit in zip(entry.versions, fits, strict=True))
            fitted.append(replace(entry, versions=tuple(versions)))
        if (tokens, asked) != (self.query.context_tokens, self._asked):
            return
        self._exact.update((entry.id, entry) for entry in fitted if entry.id in self._exact)
        self.result = replace(self.result, entries=tuple(fitted))
        self.found_changed.emit()
        self.chosen_changed.emit()
        await self._ask_shorter()

    async def _ask_shorter(self) -> None:
        """What models that need less context take with it: nothing is asked of anybody for it."""
        changed = False
        for entry in self.entries:
            version = self.version(entry)
            tokens = kept_context(version.fit.largest_context)
            key = (version.id, tokens)
            if version.fit.verdict is Verdict.LESS_CONTEXT and tokens and key not in self._shorter:
                self._shorter[key] = await self._fit(*key)
                changed = True
        if changed:
            self.found_changed.emit()
            self.chosen_changed.emit()

    async def _fit(self, version_id: str, tokens: int) -> Fit:
        return await self._library(lambda library: library.fit(version_id, tokens))

    # --- Downloads

    def get(self, version_id: str, source_id: str = "") -> None:
        """From this source: "" is the internet."""
        self._do(
            DOWNLOADS,
            tr("The download did not begin."),
            self._library(lambda library: library.download(version_id, source=source_id)),
        )

    def get_fastest(self, entry_id: str) -> None:
        entry = next((entry for entry in self.entries if entry.id == entry_id), None)
        if entry is not None:
            version = self.version(entry)
            self.get(version.id, version.sources[0].id if version.sources else "")

    def sources_of(self, model: str) -> tuple[Source, ...]:
        """Who else has what is being downloaded, as far as the catalog tells."""
        for entry in (*self._all, *self.entries):
            for version in entry.versions:
                if version.id == model:
                    return version.sources
        return ()

    def pause(self, model: str) -> None:
        work = self._library(lambda library: library.pause(model))
        self._do(DOWNLOADS, tr("The download was not paused."), work)

    def resume(self, model: str, source_id: str | None = None) -> None:
        work = self._library(lambda library: library.resume(model, source=source_id))
        self._do(DOWNLOADS, tr("The download did not go on."), work)

    def pause_all(self) -> None:
        work = self._library(lambda library: library.pause_all())
        self._do(DOWNLOADS, tr("The downloads were not paused."), work)

    def resume_all(self) -> None:
        work = self._library(lambda library: library.resume_all())
        self._do(DOWNLOADS, tr("The downloads did not go on."), work)

    def cancel(self, model: str) -> None:
        work = self._library(lambda library: library.cancel(model))
        self._do(DOWNLOADS, tr("The download was not taken away."), work)

    @property
    def rate(self) -> float:
        """Of all downloads together, bytes per second."""
        return sum(row.rate for row in self.downloads.values() if row.state is DownloadState.RUNNING)

    @property
    def progress(self) -> float | None:
        """Of all that moves, 0 to 1; None while nothing does."""
        moving = [row for row in self.downloads.values() if row.moves]
        total = sum(row.total for row in moving)
        if not moving:
            return None
        return sum(row.downloaded for row in moving) / total if total else 0.0

    @property
    def any_moves(self) -> bool:
        return any(row.moves or row.state is DownloadState.QUEUED for row in self.downloads.values())

    @property
    def any_paused(self) -> bool:
        return any(row.state is DownloadState.PAUSED for row in self.downloads.values())

    # --- Models here

    def ask_removal(self, name: str, then: Callable[[Removal], object]) -> None:
        """What removing would do, handed to `then`."""

        async def ask() -> None:
            then(await self._library(lambda library: library.removal(name)))

        self._do(HERE, tr("The model was not removed."), ask())

    def ask_to_free_up(self, then: Callable[[tuple[ModelHere, ...]], object]) -> None:
        async def ask() -> None:
            then(await self._library(lambda library: library.free_up()))

        self._do(HERE, tr("What could be removed is not known."), ask())

    def remove(self, names: Sequence[str]) -> None:
        """One after the other; what could not be removed does not keep the others."""
        for name in names:
            work = self._library(lambda library, name=name: library.remove(name))  # type: ignore[misc]
            title = tr("{model} was not removed.", model=self.title_of(name))
            self._do(HERE, title, work)

    def set_shared(self, name: str, shared: bool) -> None:
        work = self._core.call(lambda core: core.set_model_shared(name, shared))
        self._do(HERE, tr("What is shared was not changed."), work)

    def add_file(self, path: Path) -> None:
        work = self._core.call(lambda core: core.add_model_file(path))
        self._do(HERE, tr("{file} was not added.", file=path.name), work)

    def chat_with(self, name: str) -> None:
        self.chat_wanted.emit(name)

    def model(self, name: str) -> ModelHere | None:
        return next((model for model in self.models if model.name == name), None)

    def title_of(self, name: str) -> str:
        model = self.model(name)
        return model.title if model is not None else name

    # --- Near

    def use_found(self, program_ids: Sequence[str]) -> None:
        """All models of these programs that are not used yet, where they lie."""
        paths = [m.path for program in self.programs if program.id in program_ids for m in program.unused]
        names = set(program_ids)

        async def use() -> None:
            self.busy_programs |= names
            self.near_changed.emit()
            try:
                await self._library(lambda library: library.use_found(paths))
            finally:
                self.busy_programs -= names
                self.near_changed.emit()

        if paths:
            self._do(NEAR, tr("Not all of them can be used."), use())

    @property
    def usable_near(self) -> tuple[FoundProgram, ...]:
        return tuple(program for program in self.programs if program.unused)

    # --- The folder

    def change_folder(self, path: Path) -> None:
        work = self._library(lambda library: library.change_folder(path))
        self._do(FOLDER, tr("The models stay where they are."), work)

    def cancel_move(self) -> None:
        work = self._library(lambda library: library.cancel_move())
        self._do(FOLDER, tr("The models are still being moved."), work)

    # --- The core

    async def _library(self, ask: Ask[T]) -> T:
        async def on_core(core: CoreInterface) -> T:
            return await ask(core.library)

        return await self._core.call(on_core)

    def _do(
        self, place: str, title: str, work: Coroutine[Any, Any, object], otherwise: Callable[[], None] | None = None
    ) -> None:
        self.cleared.emit(place)

        def failed(error: QvacError) -> None:
            if otherwise is not None:
                otherwise()
            self._fail(place, title, error)

        self.tasks.start(work, failed)

    def _fail(self, place: str, title: str, error: QvacError) -> None:
        self.failed.emit(place, ErrorInfo(error.name, error.code, title, error.message))

    def _take(self, event: object) -> None:
        match event:
            case DownloadChanged():
                self._take_download(event)
            case LibraryChanged():
                self.models = event.models
                self.models_changed.emit()
                self._again()
            case FoundChanged():
                self.programs = event.programs
                self.near_changed.emit()
            case ModelsFolderChanged():
                self._take_folder(event.folder)
            case SourcesChanged():
                self._again()

    def _again(self) -> None:
        """What is here or near decides what the rows say; results of Hugging Face are not asked for again."""
        if not self.loaded:
            return
        if self.shown is not Shown.CATALOG:
            self.found_changed.emit()
            self.chosen_changed.emit()
        else:
            self.tasks.start(self._search(), lambda error: self._fail(FIND, tr("The search came to nothing."), error))

    def _take_download(self, event: DownloadChanged) -> None:
        if event.state is DownloadState.CANCELLED:
            self.downloads.pop(event.model, None)
        else:
            self.downloads[event.model] = event
        if event.done:
            QTimer.singleShot(self.done_ms, self, lambda: self._dismiss(event.model))
        self.downloads_changed.emit()
        self.found_changed.emit()
        if (chosen := self.chosen) is not None and any(version.id == event.model for version in chosen.versions):
            self.chosen_changed.emit()

    def _dismiss(self, model: str) -> None:
        row = self.downloads.get(model)
        if row is None or not row.done:
            return
        del self.downloads[model]
        self.downloads_changed.emit()
        self.found_changed.emit()
        work = self._library(lambda library: library.dismiss(model))
        self.tasks.start(work, lambda _error: None)  # it is off the screen; the next start takes it off the list

    def _take_folder(self, folder: ModelsFolder) -> None:
        self.folder = folder
        self.folder_changed.emit()
        move = folder.move
        if move is not None and move.state is MoveState.FAILED and move.error is not None:
            self.failed.emit(FOLDER, move.error)


def _offers(entry: CatalogEntry, source_id: str) -> bool:
    return any(source.id == source_id for version in entry.versions for source in version.sources)
