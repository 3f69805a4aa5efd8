"""One queue of timers for a whole node, so that its owner needs to set only one.

Time is given from outside; a timer that comes late is run once, with the time that it really is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Callback = Callable[[float], None]


class Timer:
    """One appointment. Cancelling is cheap; the queue forgets it later."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Timers:
    """Callbacks ordered by time; equal times keep the order in which they were set."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = count()

    def __len__(self) -> int:
        """Appointments, with those that were cancelled and lie at their place yet."""
        return len(self._heap)

    def at(self, when: float, callback: Callback) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._heap, (when, next(self._count), timer))
        return timer

    def next(self) -> float | None:
        """When `run` wants to be called, or None."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def run(self, now: float) -> None:
        """Runs what is due. What a callback sets for this same moment waits for the next call: no endless loops."""
        heap = self._heap
        set_later = next(self._count)
        while heap and heap[0][0] <= now and heap[0][1] < set_later:
            timer = heapq.heappop(heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback(now)

    def clear(self) -> None:
        for _, _, timer in self._heap:
            timer.cancel()
        self._heap.clear()
