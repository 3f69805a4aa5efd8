"""Bringing back what was connected: again and again with growing pauses, until it is back or refuses.

Ours; the original tells people to restart the consumer. A pause ends early when the machine woke up or its network
changed, because what failed before says nothing about now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random, SystemRandom

from qvac_core.core.tasks import TaskOwner
from qvac_core.errors import QvacError

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
JITTER = 0.2
"""Share by which a pause is longer or shorter: the guests of one provider must not all come back at the same moment."""


class Reconnecting:
    """`connect(key)` tries once and raises QvacError; `gives_up(error)` says whether trying again is of no use."""

    def __init__(
        self,
        connect: Callable[[str], Awaitable[object]],
        gives_up: Callable[[QvacError], bool],
        *,
        chance: Random | None = None,
    ) -> None:
        self._connect = connect
        self._gives_up = gives_up
        self._chance = chance or SystemRandom()
        self._owner = TaskOwner()
        self._closed = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._hurry: dict[str, asyncio.Event] = {}
        self._pauses: dict[str, float] = {}

    @property
    def keys(self) -> frozenset[str]:
        """Providers that are being brought back now."""
        return frozenset(self._tasks)

    def pause(self, key: str) -> float:
        """Seconds until the next try after one that fails now; 0 when nobody tries."""
        return self._pauses.get(key, 0.0)

    def lost(self, key: str) -> None:
        """The connection is gone: bring it back. Nothing happens if that is under way."""
        if key in self._tasks or self._closed:
            return
        self._hurry[key] = asyncio.Event()
        self._pauses[key] = FIRST_PAUSE
        task = self._tasks[key] = self._owner.start(self._bring_back(key), "reconnecting")
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._tasks.pop(key, None)
        self._hurry.pop(key, None)
        self._pauses.pop(key, None)

    def stop(self, key: str) -> None:
        """It is not wanted any more, or it is back in another way."""
        task = self._tasks.get(key)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            self._drop(key)

    def hurry(self) -> None:
        """The network is another one now, or the machine was away: try at once, with small pauses again."""
        for key, event in self._hurry.items():
            self._pauses[key] = FIRST_PAUSE
            event.set()

    async def close(self) -> None:
        self._closed = True
        await self._owner.close()

    async def _bring_back(self, key: str) -> None:
        hurry = self._hurry[key]
        while True:
            hurry.clear()
            try:
                await self._connect(key)
                return
            except QvacError as error:
                if self._gives_up(error):
                    return
            pause = self._pauses[key]
            self._pauses[key] = min(2 * pause, LONGEST_PAUSE)
            try:
                async with asyncio.timeout(pause * self._chance.uniform(1 - JITTER, 1 + JITTER)):
                    await hurry.wait()
            except TimeoutError:
                continue
