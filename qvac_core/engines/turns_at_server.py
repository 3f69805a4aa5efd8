"""Who asks a server next: as many at once as it takes, its owner first, then whoever has the fewest running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from qvac_core.engines.slots import WAITING_LIMIT, next_in_turn, queue_full


@dataclass(eq=False, slots=True)
class _Turn:
    owner: str
    given: asyncio.Event = field(default_factory=asyncio.Event)


class TurnsAtServer:
    """parallel: may be changed while it is used; what runs goes on."""

    def __init__(self, parallel: int = 1) -> None:
        self._parallel = parallel
        self._waiting: list[_Turn] = []
        self._running: list[_Turn] = []

    @property
    def parallel(self) -> int:
        return self._parallel

    @parallel.setter
    def parallel(self, parallel: int) -> None:
        self._parallel = max(1, parallel)
        self._give()

    @property
    def running(self) -> int:
        return len(self._running)

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Raises ModelError (52420) when too many wait."""
        if len(self._waiting) >= WAITING_LIMIT:
            raise queue_full()
        mine = _Turn(owner)
        self._waiting.append(mine)
        self._give()
        try:
            await mine.given.wait()
            yield
        finally:
            (self._running if mine in self._running else self._waiting).remove(mine)
            self._give()

    def _give(self) -> None:
        while self._waiting and len(self._running) < self._parallel:
            chosen = next_in_turn(self._waiting, self._running)
            self._waiting.remove(chosen)
            self._running.append(chosen)
            chosen.given.set()
