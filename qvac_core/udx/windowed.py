"""A running extreme over a window, in three samples of memory.

Kathleen Nichols' algorithm, as libudx `src/win_filter.c` and Linux `lib/win_minmax.c` have it.
"""

from __future__ import annotations


class WindowedMax:
    """Largest value of the last `window` units of `at`. For a minimum, store negated values."""

    __slots__ = ("_best", "_second", "_third", "_window")

    def __init__(self, window: float) -> None:
        self._window = window
        self._best = self._second = self._third = (float("-inf"), float("-inf"))  # (at, value)

    @property
    def value(self) -> float:
        return self._best[1]

    def update(self, at: float, value: float) -> None:
        entry = (at, value)
        if value >= self._best[1] or at - self._third[0] > self._window:
            self._best = self._second = self._third = entry
            return
        if value >= self._second[1]:
            self._second = self._third = entry
        elif value >= self._third[1]:
            self._third = entry
        age = at - self._best[0]
        if age > self._window:
            self._best, self._second, self._third = self._second, self._third, entry
            if at - self._best[0] > self._window:
                self._best, self._second, self._third = self._second, self._third, entry
        elif self._second[0] == self._best[0] and age > self._window / 4:
            self._second = self._third = entry
        elif self._third[0] == self._second[0] and age > self._window / 2:
            self._third = entry
