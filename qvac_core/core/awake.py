"""No sleep while a guest is served or a download runs, and not a moment longer; on battery only if the owner says so.

How a system is asked for that is wakepy's business. What it did is bound to a thread of its own: wakepy keeps the
present mode in a context variable, and Windows keeps the wish with the thread that had it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from qvac_core.core.state import (
    CoreEvent,
    DownloadChanged,
    DownloadState,
    RequestEnded,
    RequestStarted,
)
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

# The cable may be pulled while work goes on: seconds between two looks.
LOOK_EVERY = 30.0
# A desktop that does not answer is given up (seconds); its thread ends by itself.
ANSWER_LIMIT = 15.0
MOVING = (DownloadState.RUNNING, DownloadState.CHECKING)


@dataclass(frozen=True, slots=True)
class AwakeSettings:
    wanted: bool
    on_battery: bool


class Hold(Protocol):
    """One time of being awake."""

    def release(self) -> None:
        """At once; may block for a moment."""


def hold() -> Hold | None:
    """Keep the machine from sleeping by itself; None where the system cannot be asked. Blocks for a moment."""
    held = _WakepyHold()
    return held if held.begin() else None


class _WakepyHold:
    def __init__(self) -> None:
        self._begun, self._over = threading.Event(), threading.Event()
        self._active = False
        # A daemon: a desktop that hangs may not keep the program from ending; the system forgets the wish with it.
        self._thread = threading.Thread(target=self._run, name="awake", daemon=True)

    def begin(self) -> bool:
        self._thread.start()
        self._begun.wait(ANSWER_LIMIT)
        if not self._active:
            self._over.set()
        return self._active

    def release(self) -> None:
        self._over.set()
        self._thread.join(ANSWER_LIMIT)

    def _run(self) -> None:
        from wakepy import keep

        try:
            with keep.running(on_fail="pass") as mode:
                self._active = bool(mode.active)
                self._begun.set()
                if self._active:
                    self._over.wait()
        except Exception as error:  # noqa: BLE001  a desktop's answer may be anything, and nothing hangs on this
            logger.warning("the machine may sleep: %s", error)
        finally:
            self._begun.set()


class Awake:
    """`take` is a listener of the core's events. `refused`: the system was asked, and could not be kept awake."""

    def __init__(
        self,
        settings: Callable[[], AwakeSettings],
        battery: Callable[[], bool | None],
        hold: Callable[[], Hold | None] = hold,
    ) -> None:
        """battery: as `machine_use.on_battery`. hold, battery: may block; called in a thread."""
        self._settings = settings
        self._battery = battery
        self._hold = hold
        self._requests: set[str] = set()
        self._downloads: set[str] = set()
        self._held: Hold | None = None
        self.refused = False
        self._changed = asyncio.Event()
        self._tasks = TaskOwner()

    def open(self) -> None:
        self._tasks.start(self._run(), "awake")

    async def close(self) -> None:
        await self._tasks.close()
        await self._release()

    @property
    def held(self) -> bool:
        return self._held is not None

    @property
    def work(self) -> bool:
        return bool(self._requests or self._downloads)

    def take(self, event: CoreEvent) -> None:
        before = self.work
        match event:
            case RequestStarted():
                self._requests.add(event.request.id)
            case RequestEnded():
                self._requests.discard(event.entry.id)
            case DownloadChanged() if event.state in MOVING:
                self._downloads.add(event.model)
            case DownloadChanged():
                self._downloads.discard(event.model)
            case _:
                pass
        if self.work is not before:
            self._changed.set()

    def look(self) -> None:
        """The settings changed."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()  # before: what changes while the system is asked is looked at again
            await self._keep_to_it()
            if self.work:
                try:
                    await asyncio.wait_for(self._changed.wait(), LOOK_EVERY)
                except TimeoutError:
                    continue
            else:
                await self._changed.wait()

    async def _keep_to_it(self) -> None:
        """Until what is held is what is wanted: both may change while the system is asked."""
        while (wanted := self.work and await self._allowed()) is not self.held:
            if not wanted:
                await self._release()
                continue
            self._held = await asyncio.to_thread(self._hold)
            self.refused = self._held is None
            if self.refused:
                logger.info("this system cannot be asked not to sleep")
                return

    async def _allowed(self) -> bool:
        settings = self._settings()
        if not settings.wanted:
            return False
        return settings.on_battery or not await asyncio.to_thread(self._battery)

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await asyncio.to_thread(held.release)
