"""A real core for tests of the model library: alone in its folder, with a hub on loopback, its events kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from qvac_core.core import Core, CoreConfig
from qvac_core.core.library_room import LibraryRoom
from qvac_core.core.library_state import DownloadChanged, DownloadState, ModelsFolderChanged, MoveState
from qvac_core.core.state import CoreEvent
from tests.gguf_files import llama_file

E = TypeVar("E")
NOBODY = (("127.0.0.1", 9),)


def address(name: str) -> str:
    """Of a model file on the hub, as it is asked for."""
    return f"registry://hf/owner/repo/resolve/abc/{name}"


def path_on_hub(name: str) -> str:
    return f"/owner/repo/resolve/abc/{name}"


def model_file(number: int = 0, size: int = 2_000_000) -> bytes:
    """A real model, another one for each number."""
    return llama_file() + number.to_bytes(4, "little") + bytes(size)


class Library:
    """`core.library`, and what was told."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.events: list[CoreEvent] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        core.subscribe(self._take)

    @property
    def room(self) -> LibraryRoom:
        return self.core.library

    def _take(self, event: CoreEvent) -> None:
        self.events.append(event)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, kind: type[E], test: Callable[[E], bool]) -> E:
        """The first event of this kind that passes; those that came already count."""

        def found() -> E | None:
            return next((event for event in self.events if isinstance(event, kind) and test(event)), None)

        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None
        return event

    async def state(self, model: str, state: DownloadState) -> DownloadChanged:
        """A download in this state, the newest event of it."""
        await self.until(DownloadChanged, lambda event: event.model == model and event.state is state)
        return [e for e in self.events if isinstance(e, DownloadChanged) and e.model == model and e.state is state][-1]

    async def moved(self, state: MoveState) -> ModelsFolderChanged:
        return await self.until(
            ModelsFolderChanged, lambda event: event.folder.move is not None and event.folder.move.state is state
        )


@asynccontextmanager
async def opened(folder: Path, *, go_on: bool = True) -> AsyncIterator[Library]:
    core = Core(CoreConfig(folder, bytes(32), bootstrap=NOBODY, local_network=False, go_on=go_on))
    library = Library(core)
    async with core:
        yield library
