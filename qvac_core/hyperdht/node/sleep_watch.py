"""Notices that the machine slept, where the event loop's clock sleeps with it (Linux, macOS).

Ours; dht_rpc notices by its own ticks only where that clock runs on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
INTERVAL = 5.0
GAP = 15.0
"""Seconds that must be missing (as in dht-rpc's own tick); a clock that was set by less is none of our business."""


def clock_that_never_sleeps() -> float:
    """Seconds. On Linux nobody can set it; elsewhere it is the wall clock, and setting that passes for a sleep."""
    return time.time() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


class SleepWatch:
    """Calls `on_wake` within 5 s of waking. `stop` it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_wake: Callable[[], None],
        clock: Callable[[], float] = clock_that_never_sleeps,
    ) -> None:
        self._loop = loop
        self._on_wake = on_wake
        self._clock = clock
        self._offset = clock() - loop.time()
        self._timer = loop.call_later(INTERVAL, self._look)

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        offset = self._clock() - self._loop.time()
        missing, self._offset = offset - self._offset, offset
        self._timer = self._loop.call_later(INTERVAL, self._look)
        if missing > GAP:
            self._on_wake()
