"""Collects Python's cyclic garbage in the window's thread only.

Whichever thread allocates runs the collector. In the core's thread it would destroy widgets that were only waiting in a
cycle, and Qt objects must die in their own thread: "Timers cannot be stopped from another thread", then a crash.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QTimer

INTERVAL_MS = 500
# While there is nothing to do, each look waits twice as long as the last one: a window at rest is not woken for it.
LONGEST_INTERVAL_MS = 8000


class WindowThreadGarbage:
    """Shared by all core threads: automatic collection is off while at least one runs."""

    def __init__(self) -> None:
        self._holders = 0
        self._timer: QTimer | None = None

    def hold(self) -> None:
        """Call in the window's thread, before another one starts."""
        self._holders += 1
        if self._holders == 1:
            gc.disable()
            self._timer = QTimer()
            self._timer.setInterval(INTERVAL_MS)
            self._timer.timeout.connect(self._look)
            self._timer.start()

    def release(self) -> None:
        """Call in the window's thread, after the other one has ended."""
        self._holders -= 1
        if self._holders == 0 and self._timer is not None:
            self._timer.stop()
            self._timer = None
            gc.enable()

    def _look(self) -> None:
        timer = self._timer
        if timer is not None:
            timer.setInterval(INTERVAL_MS if collect() else min(2 * timer.interval(), LONGEST_INTERVAL_MS))


def collect() -> bool:
    """What the interpreter would have done by itself: each generation when its count is past its threshold.

    Returns whether there was anything to do.
    """
    counts, thresholds = gc.get_count(), gc.get_threshold()
    for generation in (2, 1, 0):
        if counts[generation] > thresholds[generation]:
            gc.collect(generation)
            return True
    return False


window_thread_garbage = WindowThreadGarbage()
