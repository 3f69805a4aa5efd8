"""The model library of the core: its parts put together behind `LibraryRoom`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_catalog import Catalog
from qvac_core.core.library_downloads import Downloads
from qvac_core.core.library_facts import RememberedModels
from qvac_core.core.library_folder import Folder
from qvac_core.core.library_found import FoundPrograms
from qvac_core.core.library_memory import MemoryOfMachine
from qvac_core.core.library_models import ModelsHere
from qvac_core.core.library_sources import Neighbours
from qvac_core.core.library_state import (
    DEFAULT_CONTEXT,
    CatalogEntry,
    DownloadChanged,
    Fit,
    FoundProgram,
    LibraryChanged,
    MachineMemory,
    ModelHere,
    ModelsFolder,
    ModelsFolderChanged,
    MoveState,
    Query,
    Removal,
    SearchResult,
    SourcesChanged,
)
from qvac_core.core.machine import Machine
from qvac_core.core.state import AnswerFinished, CoreEvent, Message, SettingChanged, SharedModelsChanged
from qvac_core.engines.interface import Device, LibraryModel
from qvac_core.engines.library import Library
from qvac_core.errors import ModelError
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

ENOUGH_TOKENS = 16  # of an answer whose speed says something


class ModelsRoom:
    """Implements LibraryRoom. `open` once the machine is there."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        library: Library,
        devices: Callable[[], Awaitable[tuple[Device, ...]]],
        *,
        given_folder: bool = False,
    ) -> None:
        """devices: what the engine can compute on. given_folder: the models folder is that of this run alone."""
        self._events = events
        self._library = library
        self._machine: Machine | None = None
        self.neighbours = Neighbours(lambda: events.emit(SourcesChanged()))
        self.downloads_queue = Downloads(
            store,
            events,
            library,
            self.neighbours,
            share=self._share,
            ready=lambda: self._folder.ready(),
            projector_of=lambda model: self._catalog.projector_of(model),
        )
        self._folder = Folder(
            store,
            events,
            library,
            given_folder,
            self.downloads_queue.hold,
            self.downloads_queue.let_go,
            self._look_again,
        )
        self._found = FoundPrograms(events, library)
        self._models = ModelsHere(store, events, library, self._found.program_of)
        self._memory = MemoryOfMachine(devices)
        self._remembered = RememberedModels(store.folder.root / "models-known.json")
        self.downloads_queue.rates.update(self._remembered.rates)
        self._catalog = Catalog(
            library,
            self.neighbours,
            self._remembered,
            lambda: self._memory.now,
            self.downloads_queue.rates,
            self._remembered.speed_of,
        )
        self._tasks = TaskOwner()
        self._unsubscribe = events.subscribe(self._on_event)

    async def open(self, machine: Machine, *, go_on: bool) -> None:
        """go_on: what an earlier run left unfinished goes on by itself."""
        self._machine = machine
        self._models.open(machine)
        await self._folder.open(go_on=go_on)
        await self.downloads_queue.open(go_on=go_on)

    async def close(self) -> None:
        self._unsubscribe()
        for part in (self.downloads_queue, self._folder, self._found, self._models):
            await part.close()
        await self._tasks.close()

    def network_changed(self) -> None:
        """It is back, or another one."""
        self._tasks.start(self.downloads_queue.network_changed(), "go on with downloads")

    def used(self, model: LibraryModel) -> None:
        """Somebody uses it now."""
        self._models.used(model)

    def _look_again(self) -> None:
        """The models lie elsewhere now."""
        if self._machine is not None:
            self._machine.open()

    async def _share(self, name: str) -> None:
        assert self._machine is not None
        await self._machine.set_shared(name, True)

    def _on_event(self, event: CoreEvent) -> None:
        if isinstance(event, SharedModelsChanged):
            self._models.changed()
        elif isinstance(event, SettingChanged) and event.name == "library.downloads_at_once":
            self.downloads_queue.more_at_once()
        elif isinstance(event, AnswerFinished):
            self._learn_speed(event.message)
        elif isinstance(event, DownloadChanged) and event.done:
            self._remembered.rates.update(self.downloads_queue.rates)
            self._tasks.start(asyncio.to_thread(self._remembered.save), "remember what downloads make")
            if self._machine is not None:
                self._machine.announce()  # the model is there now, for the other pages too
        elif isinstance(event, ModelsFolderChanged):
            if event.folder.move is not None and event.folder.move.state is MoveState.DONE:
                self._models.changed()  # they lie elsewhere now
        elif isinstance(event, LibraryChanged):
            self._found.judge_again()
            self._tasks.start(self._folder.announce(), "tell the models folder")

    def _learn_speed(self, message: Message) -> None:
        """What this machine makes of a model's size: another one's speed is told by it before it is here."""
        stats = message.stats
        if stats is None or stats.where != "local" or stats.generated_tokens < ENOUGH_TOKENS:
            return
        model = self._library.find(message.model_sha256) if message.model_sha256 else None
        if model is not None and self._remembered.learn_speed(
            model.size_bytes, stats.tokens_per_second, model.parameters
        ):
            self._tasks.start(asyncio.to_thread(self._remembered.save), "remember how fast answers are")

    # --- Machines that let this one copy ---------------------------------------------------------------------------

    def sources_changed(self) -> None:
        """Offers came or went."""
        self.neighbours.changed()

    async def source_is_back(self, provider_key: str) -> None:
        """What was broken off when it went away goes on."""
        await self.downloads_queue.source_is_back(provider_key)

    # --- What can be had ------------------------------------------------------------------------------------------

    async def memory(self) -> MachineMemory:
        return await self._memory.read()

    async def search(self, query: Query) -> SearchResult:
        await self._memory.read()
        return self._catalog.search(query)

    async def search_hub(self, query: Query) -> SearchResult:
        await self._memory.read()
        return await self._catalog.search_hub(query)

    async def look_up(self, model: str, context_tokens: int = DEFAULT_CONTEXT) -> CatalogEntry:
        await self._memory.read()
        return await self._catalog.look_up(model, context_tokens)

    async def fit(self, version: str, context_tokens: int) -> Fit:
        await self._memory.read()
        return self._catalog.fit(version, context_tokens)

    # --- Downloads ------------------------------------------------------------------------------------------------

    async def downloads(self) -> tuple[DownloadChanged, ...]:
        return self.downloads_queue.rows()

    async def download(self, version: str, *, source: str = "", share: bool = False) -> None:
        size, title = self._catalog.size_and_title(version)
        await self.downloads_queue.add(version, source=source, share=share, total=size, title=title)

    async def pause(self, model: str) -> None:
        await self.downloads_queue.pause(model)

    async def resume(self, model: str, *, source: str | None = None) -> None:
        await self.downloads_queue.resume(model, source=source)

    async def pause_all(self) -> None:
        await self.downloads_queue.pause_all()

    async def resume_all(self) -> None:
        await self.downloads_queue.resume_all()

    async def cancel(self, model: str) -> None:
        await self.downloads_queue.cancel(model)
        await self._folder.announce()

    async def dismiss(self, model: str) -> None:
        await self.downloads_queue.dismiss(model)

    # --- Models here ----------------------------------------------------------------------------------------------

    async def models(self) -> tuple[ModelHere, ...]:
        return await self._models.all()

    async def free_up(self) -> tuple[ModelHere, ...]:
        return await self._models.free_up()

    async def removal(self, name: str) -> Removal:
        return await self._models.removal(name)

    async def remove(self, name: str) -> None:
        self._folder.check_rest()  # or it would be gone here, and come again there
        await self._models.remove(name)
        await self._folder.announce()

    # --- Models of other programs ---------------------------------------------------------------------------------

    async def found(self) -> tuple[FoundProgram, ...]:
        return await self._found.all()

    async def look_around(self) -> tuple[FoundProgram, ...]:
        return await self._found.look()

    async def use_found(self, paths: Sequence[Path]) -> None:
        assert self._machine is not None
        failed: ModelError | None = None
        for path in paths:
            try:
                await self._library.add_file(path, name=self._found.title_of(path))
            except ModelError as error:
                failed = failed or error
            else:
                self._machine.announce()
        self._found.judge_again()
        if failed is not None:
            raise failed

    # --- The folder -----------------------------------------------------------------------------------------------

    async def folder(self) -> ModelsFolder:
        return await self._folder.state()

    async def change_folder(self, path: Path) -> None:
        await self._folder.change(path)

    async def cancel_move(self) -> None:
        await self._folder.cancel()
