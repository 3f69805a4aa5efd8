"""How many requests may be on their way: four slots of 750 ms, 80 in one, 160 in all.

docs/wire/hyperdht.md section 1.7; dht-rpc 6.27.0 `lib/io.js` CongestionWindow. One thing differs, and only here: an
answer frees the slot in which its request was sent, not the one that happens to be current. The original's rule makes a
burst advance in steps of 750 ms although every answer is there within milliseconds.
"""

from __future__ import annotations

SLOT = 0.75
"""Seconds."""

_SLOTS = 4
MAX_WINDOW = 80

_ROUNDING = 1e-9
"""A slot's own start time must count as inside it."""


class RequestWindow:
    """Sends that are not answered are forgotten when their slot comes around again, after three seconds."""

    __slots__ = ("_counts", "_max", "_origin", "_slot", "_total")

    def __init__(self, now: float, max_window: int = MAX_WINDOW) -> None:
        self._origin = now
        self._max = max_window
        self._slot = 0
        self._counts = [0] * _SLOTS
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    def _advance(self, now: float) -> None:
        slot = int((now - self._origin) / SLOT + _ROUNDING)
        passed = slot - self._slot
        if passed <= 0:
            return
        for step in range(1, min(passed, _SLOTS) + 1):
            index = (self._slot + step) % _SLOTS
            self._total -= self._counts[index]
            self._counts[index] = 0
        self._slot = slot

    def is_full(self, now: float) -> bool:
        self._advance(now)
        return self._total >= 2 * self._max or self._counts[self._slot % _SLOTS] >= self._max

    def send(self, now: float) -> int:
        """Counts one send; the slot to hand to `release` when the request is over."""
        self._advance(now)
        self._counts[self._slot % _SLOTS] += 1
        self._total += 1
        return self._slot

    def release(self, slot: int, now: float) -> None:
        """A slot that has been cleared meanwhile has nothing left to give back."""
        self._advance(now)
        if slot > self._slot - _SLOTS and self._counts[slot % _SLOTS] > 0:
            self._counts[slot % _SLOTS] -= 1
            self._total -= 1

    def next_slot(self) -> float:
        """When the next slot begins: the time to look again after `is_full`."""
        return self._origin + (self._slot + 1) * SLOT

    def clear(self) -> None:
        self._counts = [0] * _SLOTS
        self._total = 0
