"""Notices that a process says nothing while something is expected of it: a hung driver, a loop without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class StallWatch:
    """timeout: seconds without a word. on_stall is called on the loop, at most once per `restart`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float, on_stall: Callable[[], None]) -> None:
        self._loop = loop
        self._timeout = timeout
        self._on_stall = on_stall
        self._timer: asyncio.TimerHandle | None = None

    @property
    def timeout(self) -> float:
        return self._timeout

    def restart(self, *, expecting: bool) -> None:
        """It said something, or is asked for something. Not expecting = it may be silent."""
        self.stop()
        if expecting:
            self._timer = self._loop.call_later(self._timeout, self._on_stall)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
