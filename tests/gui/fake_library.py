"""The model library of `FakeCore`: the design's models, downloads that a test moves, a folder that a test fills.

Intents are noted in `FakeCore.calls` as "library.NAME", and `FakeCore.fail` and `slow` take those names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from qvac_core.core.library_state import (
    DEFAULT_CONTEXT,
    Ability,
    CatalogEntry,
    DownloadChanged,
    DownloadState,
    Fit,
    FoundChanged,
    FoundModel,
    FoundProgram,
    Kind,
    LibraryChanged,
    LibraryEvent,
    MachineMemory,
    ModelHere,
    ModelsFolder,
    ModelsFolderChanged,
    ModelVersion,
    Move,
    MoveState,
    Place,
    Query,
    Removal,
    SearchResult,
    Source,
    SourceKind,
    SourcesChanged,
    Verdict,
)
from qvac_core.core.state import ErrorInfo
from qvac_core.errors import ModelError

GB = 1_000_000_000
RATE = 38_000_000.0  # bytes per second of a download that `advance` moves
HUB = Source("", "Hugging Face", SourceKind.HUGGING_FACE)
WORKSHOP = Source("ab" * 32, "Workshop PC", SourceKind.NEIGHBOUR, 90.0)
NVIDIA = MachineMemory(64 * GB, 48 * GB, "GeForce RTX 4090", 24 * GB, 22_400_000_000)
CACHE = 131_072  # bytes of one token's keys and values, in every model here

_CHAT, _THINKS, _TOOLS = (), (Ability.THINKS,), (Ability.THINKS, Ability.TOOLS)


class _Enter(Protocol):
    def __call__(self, name: str, /, *arguments: object) -> Awaitable[None]: ...


def entry(
    title: str,
    size: float,
    *,
    quantization: str = "Q4_K_M",
    kind: Kind = Kind.CHAT,
    abilities: tuple[Ability, ...] = _TOOLS,
    publisher: str = "Qwen",
    licence: str = "Apache-2.0",
    other: tuple[tuple[str, float], ...] = (),
    neighbour: bool = False,
) -> CatalogEntry:
    """size: GB. other: further versions, (quantization, GB)."""
    name = title.upper().replace(" ", "_").replace(".", "_")
    seconds = replace(HUB, seconds=size * GB / RATE)
    versions = sorted(
        (
            ModelVersion(
                f"{name}_{quant}",
                f"{title.replace(' ', '-')}-{quant}.gguf",
                quant,
                int(giga * GB),
                NO_FIT,
                (WORKSHOP, seconds) if neighbour else (seconds,),
                sha256=hashlib.sha256(f"{title} {quant}".encode()).hexdigest(),
            )
            for quant, giga in ((quantization, size), *other)
        ),
        key=lambda version: version.size_bytes,
    )
    return CatalogEntry(
        id=name,
        title=title,
        publisher=publisher,
        kind=kind,
        parameters=title.split()[-1],
        licence=licence,
        abilities=abilities,
        native_context=40_960 if kind is Kind.CHAT else 2048,
        page=f"https://huggingface.co/{publisher}/{title.replace(' ', '-')}-GGUF",
        versions=tuple(versions),
        best=next(place for place, version in enumerate(versions) if version.quantization == quantization),
    )


NO_FIT = Fit(Verdict.FITS, DEFAULT_CONTEXT, 0, Place.GPU, 0, 0, 0)

CATALOG = (
    entry("Qwen3 0.6B", 0.6, quantization="Q8_0", abilities=_THINKS),
    entry("Qwen3 1.7B", 1.1, abilities=_THINKS),
    entry("Qwen3 4B", 2.5),
    entry("Qwen3 8B", 5.0, other=(("Q8_0", 8.7),)),
    entry("Qwen3 14B", 9.0, other=(("Q6_K", 12.1), ("Q8_0", 15.7)), neighbour=True),
    entry("Qwen3 30B A3B", 18.6),
    entry("Qwen3 32B", 19.8),
    entry("Qwen3 235B A22B", 142.0),
    entry("Qwen3 VL 8B", 6.2, abilities=(Ability.VISION,)),
    entry("Qwen3 Embedding 0.6B", 0.6, quantization="Q8_0", kind=Kind.EMBED, abilities=()),
    entry("Gemma 3 12B", 7.3, publisher="Google", licence="Gemma", abilities=(Ability.VISION,)),
    entry("Gemma 3 27B", 16.5, publisher="Google", licence="Gemma", abilities=(Ability.VISION,)),
    entry("Whisper large v3", 3.1, quantization="F16", kind=Kind.TRANSCRIBE, publisher="OpenAI", licence="MIT"),
)


def here(
    title: str,
    size: float,
    *,
    name: str = "",
    quantization: str = "Q4_K_M",
    kind: Kind = Kind.CHAT,
    ours: bool = True,
    program: str = "",
    last_used: float | None = None,
    shared: bool = False,
    loaded: bool = False,
    stands_in: bool = False,
) -> ModelHere:
    """size: GB."""
    file = f"{title.replace(' ', '-')}-{quantization}.gguf"
    return ModelHere(
        name=name or title,
        title=title,
        kind=kind,
        quantization=quantization,
        parameters=title.split()[-1],
        size_bytes=int(size * GB),
        path=Path("D:/Models" if ours else "C:/Users/me/.lmstudio/models") / file,
        ours=ours,
        program=program,
        last_used=last_used,
        shared=shared,
        loaded=loaded,
        stands_in=stands_in,
        licence="Apache-2.0",
        native_context=40_960,
    )


LM_STUDIO = FoundProgram(
    "lm-studio",
    "LM Studio",
    Path("C:/Users/me/.lmstudio/models"),
    tuple(
        FoundModel(Path(f"C:/Users/me/.lmstudio/models/{title}.gguf"), title, "Q4_K_M", int(size * GB))
        for title, size in (("Mistral Small 24B", 14.3), ("Phi 4 mini", 2.5), ("Llama 3.2 1B", 1.6))
    ),
)
OLLAMA = FoundProgram(
    "ollama",
    "Ollama",
    Path("C:/Users/me/.ollama/models"),
    tuple(
        FoundModel(Path(f"C:/Users/me/.ollama/models/blobs/sha256-{number}"), title, "Q4_K_M", int(size * GB))
        for number, (title, size) in enumerate((("llama3.1:8b", 4.9), ("gemma2:9b", 4.7)))
    ),
)
FOLDER = ModelsFolder(Path("D:/Models"), int(42.6 * GB), 0, 498 * GB, 459 * GB)


class FakeLibrary:
    """Implements LibraryRoom. All attributes may be set before (or while) the window runs."""

    def __init__(self, emit: Callable[[LibraryEvent], None], enter: _Enter) -> None:
        self.emit = emit
        self._call = enter
        self.catalog: tuple[CatalogEntry, ...] = CATALOG
        self.hub: tuple[CatalogEntry, ...] = ()
        self.hub_as_of: float | None = None
        self.hub_error: ErrorInfo | None = None
        self.machine = NVIDIA
        self.rows: tuple[DownloadChanged, ...] = ()
        self.here: tuple[ModelHere, ...] = ()
        self.programs: tuple[FoundProgram, ...] = ()
        self.models_folder = FOLDER
        self.answers: dict[str, int] = {}  # answers that run now, by model
        self.talks: dict[str, tuple[str, ...]] = {}  # titles of conversations, by model
        self.at_once = 2

    async def _enter(self, name: str, *arguments: object) -> None:
        await self._call(f"library.{name}", *arguments)

    # --- For tests

    def advance(self, model: str, downloaded: int, *, rate: float = RATE) -> None:
        """As many bytes of a download have come now."""
        row = self._row(model)
        left = (row.total - downloaded) / rate if rate else None
        self._put(replace(row, downloaded=downloaded, rate=rate, left_seconds=left, state=DownloadState.RUNNING))

    def check(self, model: str) -> None:
        """The last byte of it came."""
        row = self._row(model)
        self._put(replace(row, downloaded=row.total, rate=0.0, left_seconds=9.0, state=DownloadState.CHECKING))

    def finish(self, model: str) -> None:
        row = self._row(model)
        done = replace(row, downloaded=row.total, rate=0.0, left_seconds=None, state=DownloadState.DONE)
        self.here = (*self.here, here(row.title, row.total / GB, name=model, shared=row.share))
        self._put(done)
        self.emit(LibraryChanged(self.here))
        self._next()

    def fail(self, model: str, error: ErrorInfo, *, needed_bytes: int = 0) -> None:
        row = replace(self._row(model), state=DownloadState.FAILED, error=error, needed_bytes=needed_bytes)
        self._put(replace(row, rate=0.0, left_seconds=None))
        self._next()

    def move_on(self, done_bytes: int, *, state: MoveState = MoveState.RUNNING, error: ErrorInfo | None = None) -> None:
        move = self.models_folder.move
        assert move is not None, "nothing is being moved"
        ended = replace(move, done_bytes=done_bytes, state=state, error=error, rate=120_000_000.0)
        path = move.to if state is MoveState.DONE else self.models_folder.path
        self._set_folder(replace(self.models_folder, path=path, move=ended))
        if state is not MoveState.RUNNING:
            self.models_folder = replace(self.models_folder, move=None)

    def offer(self, entries: Sequence[CatalogEntry]) -> None:
        """What neighbours offer changed."""
        self.catalog = tuple(entries)
        self.emit(SourcesChanged())

    def set_here(self, models: Sequence[ModelHere]) -> None:
        self.here = tuple(models)
        self.emit(LibraryChanged(self.here))

    def _row(self, model: str) -> DownloadChanged:
        found = next((row for row in self.rows if row.model == model), None)
        if found is None:
            raise ModelError("There is no such download.", name="DOWNLOAD_NOT_FOUND")
        return found

    def _put(self, row: DownloadChanged) -> None:
        known = any(old.model == row.model for old in self.rows)
        rows = tuple(row if old.model == row.model else old for old in self.rows) if known else (*self.rows, row)
        self.rows = tuple(old for old in rows if old.state is not DownloadState.CANCELLED)
        self.emit(row)

    def _next(self) -> None:
        """As many as may run at once run."""
        while sum(row.moves for row in self.rows) < self.at_once:
            waiting = next((row for row in self.rows if row.state is DownloadState.QUEUED), None)
            if waiting is None:
                return
            self._put(replace(waiting, state=DownloadState.RUNNING))

    def _set_folder(self, folder: ModelsFolder) -> None:
        self.models_folder = folder
        self.emit(ModelsFolderChanged(folder))

    # --- What can be had

    async def memory(self) -> MachineMemory:
        return self.machine

    async def search(self, query: Query) -> SearchResult:
        await self._enter("search", query)
        return self._found(self.catalog, query, len(self.catalog))

    async def search_hub(self, query: Query) -> SearchResult:
        await self._enter("search_hub", query)
        found = self._found(self.hub, query, len(self.hub))
        return replace(found, as_of=self.hub_as_of, error=self.hub_error)

    def _found(self, entries: Sequence[CatalogEntry], query: Query, in_all: int) -> SearchResult:
        words = query.text.lower().split()
        fitted = [self._fitted(entry, query.context_tokens) for entry in entries]
        return SearchResult(
            tuple(
                entry
                for entry in fitted
                if all(word in f"{entry.title} {entry.publisher} {entry.kind}".lower() for word in words)
                and (query.kind is None or entry.kind is query.kind)
                and not (query.only_fits and entry.offered.fit.verdict is not Verdict.FITS)
            ),
            in_all,
        )

    def _fitted(self, entry: CatalogEntry, context_tokens: int) -> CatalogEntry:
        names = {model.name for model in self.here}
        versions = (
            replace(
                version,
                fit=self._fit_of(version, context_tokens),
                here=version.id if version.id in names else entry.title if entry.title in names else "",
                speed=430 * GB / version.size_bytes if version.size_bytes < self.machine.gpu_bytes else None,
            )
            for version in entry.versions
        )
        return replace(entry, versions=tuple(versions))

    def _fit_of(self, version: ModelVersion, context_tokens: int) -> Fit:
        machine = self.machine
        total, free = (
            (machine.gpu_bytes, machine.gpu_free) if machine.gpu else (machine.memory_bytes, machine.memory_free)
        )
        weights = version.size_bytes + 300_000_000
        needed, most = weights + CACHE * context_tokens, max(0, total - weights) // CACHE
        verdict = Verdict.FITS if needed <= total else Verdict.LESS_CONTEXT if most >= 512 else Verdict.TOO_LARGE
        place = Place.GPU if machine.gpu else Place.MEMORY
        return Fit(verdict, context_tokens, needed, place, total, free, min(most, 40_960), now=needed <= free)

    async def look_up(self, model: str, context_tokens: int = DEFAULT_CONTEXT) -> CatalogEntry:
        await self._enter("look_up", model, context_tokens)
        for entry in (*self.catalog, *self.hub):
            if model in (entry.id, entry.page, *(version.id for version in entry.versions)):
                return replace(self._fitted(entry, context_tokens), exact=True)
        raise ModelError("Hugging Face has no such model (any more).", name="MODEL_NOT_FOUND", code=52002)

    async def fit(self, version: str, context_tokens: int) -> Fit:
        return self._fit_of(self._version(version)[1], context_tokens)

    def _version(self, name: str) -> tuple[CatalogEntry, ModelVersion]:
        for entry in (*self.catalog, *self.hub):
            for version in entry.versions:
                if version.id == name:
                    return entry, version
        raise ModelError("There is no model of this name.", name="MODEL_NOT_FOUND", code=52002)

    # --- Downloads

    async def downloads(self) -> tuple[DownloadChanged, ...]:
        return self.rows

    async def download(self, version: str, *, source: str = "", share: bool = False) -> None:
        await self._enter("download", version, source, share)
        entry, found = self._version(version)
        name = next((known.name for known in found.sources if known.id == source), HUB.name)
        row = next((row for row in self.rows if row.model == version), None)
        self._put(
            replace(row, source=name, state=DownloadState.QUEUED, error=None)
            if row is not None
            else DownloadChanged(
                version,
                0,
                found.size_bytes,
                0.0,
                DownloadState.QUEUED,
                title=entry.title,
                source=name,
                share=share,
            )
        )
        self._next()

    async def pause(self, model: str) -> None:
        await self._enter("pause", model)
        self._pause(self._row(model))
        self._next()

    def _pause(self, row: DownloadChanged) -> None:
        self._put(replace(row, state=DownloadState.PAUSED, rate=0.0, left_seconds=None))

    async def resume(self, model: str, *, source: str | None = None) -> None:
        await self._enter("resume", model, source)
        self._put(replace(self._row(model), state=DownloadState.QUEUED, error=None, needed_bytes=0))
        self._next()

    async def pause_all(self) -> None:
        await self._enter("pause_all")
        for row in self.rows:
            if row.moves or row.state is DownloadState.QUEUED:
                self._pause(row)

    async def resume_all(self) -> None:
        await self._enter("resume_all")
        for row in self.rows:
            if row.state is DownloadState.PAUSED:
                self._put(replace(row, state=DownloadState.QUEUED))
        self._next()

    async def cancel(self, model: str) -> None:
        await self._enter("cancel", model)
        self._put(replace(self._row(model), state=DownloadState.CANCELLED, rate=0.0, left_seconds=None))
        self._next()

    async def dismiss(self, model: str) -> None:
        await self._enter("dismiss", model)
        self.rows = tuple(row for row in self.rows if row.model != model or not row.done)

    # --- Models here

    async def models(self) -> tuple[ModelHere, ...]:
        return self.here

    async def free_up(self) -> tuple[ModelHere, ...]:
        return tuple(sorted((model for model in self.here if model.ours), key=lambda model: model.last_used or 0.0))

    async def removal(self, name: str) -> Removal:
        await self._enter("removal", name)
        model = self._here(name)
        return Removal(
            model,
            model.size_bytes if model.ours else 0,
            (model.path,) if model.ours else (),
            self.answers.get(name, 0),
            self.talks.get(name, ()),
        )

    async def remove(self, name: str) -> None:
        await self._enter("remove", name)
        gone = self._here(name)
        self.set_here([model for model in self.here if model is not gone])
        if gone.ours:
            folder = self.models_folder
            left, free = folder.models_bytes - gone.size_bytes, folder.free_bytes + gone.size_bytes
            self._set_folder(replace(folder, models_bytes=left, free_bytes=free))

    def _here(self, name: str) -> ModelHere:
        found = next((model for model in self.here if model.name == name), None)
        if found is None:
            raise ModelError("There is no such model in the library.", name="MODEL_NOT_FOUND", code=52002)
        return found

    # --- Models of other programs

    async def found(self) -> tuple[FoundProgram, ...]:
        return self.programs

    async def look_around(self) -> tuple[FoundProgram, ...]:
        await self._enter("look_around")
        return self.programs

    async def use_found(self, paths: Sequence[Path]) -> None:
        await self._enter("use_found", tuple(paths))
        for program in self.programs:
            for model in program.models:
                if model.path in paths:
                    size = model.size_bytes / GB
                    used = here(model.title, size, ours=False, program=program.name, quantization=model.quantization)
                    self.set_here([*self.here, replace(used, path=model.path)])
        self.programs = tuple(
            replace(
                program,
                models=tuple(replace(model, used=model.used or model.path in paths) for model in program.models),
            )
            for program in self.programs
        )
        self.emit(FoundChanged(self.programs))

    # --- The folder

    async def folder(self) -> ModelsFolder:
        return self.models_folder

    async def change_folder(self, path: Path) -> None:
        await self._enter("change_folder", path)
        move = Move(path, 0, self.models_folder.models_bytes, file="Qwen3-4B-Q4_K_M.gguf")
        self._set_folder(replace(self.models_folder, move=move))

    async def cancel_move(self) -> None:
        await self._enter("cancel_move")
        if (move := self.models_folder.move) is not None:
            self.move_on(move.done_bytes, state=MoveState.CANCELLED)
