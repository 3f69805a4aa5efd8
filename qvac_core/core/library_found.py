"""The models of other programs as the library shows them, and which of them it uses where they lie."""

from __future__ import annotations

import asyncio
from pathlib import Path

from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_state import FoundChanged, FoundModel, FoundProgram
from qvac_core.engines.found_models import Home, Program, find_programs, program_of
from qvac_core.engines.library import Library
from qvac_core.tasks import TaskOwner


class FoundPrograms:
    """Used on the core's loop; looks in a thread, at first when somebody asks."""

    def __init__(self, events: EventHub, library: Library, home: Home | None = None) -> None:
        self._events = events
        self._library = library
        self._home = home
        self._programs: tuple[Program, ...] = ()
        self._looked = False
        self._owners: dict[Path, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._told: tuple[FoundProgram, ...] = ()
        self._tasks = TaskOwner()

    async def close(self) -> None:
        await self._tasks.close()

    async def all(self) -> tuple[FoundProgram, ...]:
        return await self.look() if not self._looked else self._shown()

    async def look(self) -> tuple[FoundProgram, ...]:
        """Who asks while a look goes on waits for that one."""
        if self._looking is None:
            self._looking = self._tasks.start(self._look(), "look for models of other programs")
        await asyncio.wait({self._looking})
        return self._shown()

    async def _look(self) -> None:
        try:
            home = self._home or Home.of_this_user()
            self._programs = tuple(await asyncio.to_thread(find_programs, home))
            self._looked = True
            self.judge_again()
        finally:
            self._looking = None

    def judge_again(self) -> None:
        """What the library uses is another thing now, perhaps."""
        shown = self._shown()
        if shown != self._told:
            self._told = shown
            self._events.emit(FoundChanged(shown))

    def _shown(self) -> tuple[FoundProgram, ...]:
        own = self._library.folder
        used = {model.path for model in self._library.models()}
        programs = []
        for program in self._programs:
            models = tuple(
                FoundModel(found.path, found.title, found.quantization, found.size_bytes, found.path in used)
                for found in program.models
                if found.path.parent != own  # the models folder may be that of another program
            )
            if models:
                programs.append(FoundProgram(program.id, program.name, program.folder, models))
        return tuple(programs)

    def program_of(self, path: Path) -> str:
        """The name of the program whose model this is; "" = of none that is known."""
        if path not in self._owners:
            self._owners[path] = program_of(self._home or Home.of_this_user(), path)
        return self._owners[path]

    def title_of(self, path: Path) -> str:
        """What its program calls it, where the file's name does not say it; else ""."""
        if path.suffix in (".gguf", ".bin") and path.stem.lower() != "model":
            return ""
        found = (model.title for program in self._programs for model in program.models if model.path == path)
        return next(found, "")
