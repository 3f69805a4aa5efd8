"""Bringing back what was connected, or is to be: again and again with growing pauses, until it is there.

Ours; the original tells people to restart the consumer. A pause ends early when the machine woke up or its network
changed, because what failed before says nothing about now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random, SystemRandom

from qvac_core.errors import QvacError
from qvac_core.tasks import TaskOwner

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
JITTER = 0.2
"""Share by which a pause is longer or shorter: the guests of one provider must not all come back at the same moment."""


class Reconnecting:
    """`connect(key)` tries once and raises QvacError; `gives_up(error)` says whether trying again is of no use.

    least_pause: the seconds that must pass after an error at least. A door that counts knocks must not be hammered at.
    """

    def __init__(
        self,
        connect: Callable[[str], Awaitable[object]],
        gives_up: Callable[[QvacError], bool],
        *,
        least_pause: Callable[[QvacError], float] = lambda _: 0.0,
        chance: Random | None = None,
    ) -> None:
        self._connect = connect
        self._gives_up = gives_up
        self._least_pause = least_pause
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

    def pause(self, key: str, error: QvacError | None = None) -> float:
        """About the seconds until the next try after one that fails now with `error`; 0 when nobody tries."""
        least = 0.0 if error is None else self._least_pause(error)
        return max(self._pauses[key], least) if key in self._pauses else 0.0

    def lost(self, key: str, error: QvacError | None = None) -> None:
        """The connection is gone: bring it back. Nothing happens if that is under way.

        error: why a try that somebody made just now failed; the next one has time then.
        """
        if key in self._tasks or self._closed:
            return
        self._hurry[key] = asyncio.Event()
        self._pauses[key] = FIRST_PAUSE
        task = self._tasks[key] = self._owner.start(self._bring_back(key, error), "reconnecting")
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

    async def _bring_back(self, key: str, error: QvacError | None) -> None:
        hurry = self._hurry[key]
        while True:
            if error is not None:
                if self._gives_up(error):
                    return
                await self._wait(key, hurry, error)
            hurry.clear()
            try:
                await self._connect(key)
                return
            except QvacError as failure:
                error = failure

    async def _wait(self, key: str, hurry: asyncio.Event, error: QvacError) -> None:
        pause = self.pause(key, error)
        self._pauses[key] = min(2 * pause, LONGEST_PAUSE)
        try:
            async with asyncio.timeout(pause * self._chance.uniform(1 - JITTER, 1 + JITTER)):
                await hurry.wait()
        except TimeoutError:
            pass  # the next try
