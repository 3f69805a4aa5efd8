"""A token bucket that spreads packets over time.

docs/wire/hyperdht.md 5.7. Unlike libudx's, whose clock ticks in milliseconds, it credits the time that really passed,
because an event loop's timers come late.
"""

from __future__ import annotations

INITIAL_TOKENS = 25000.0  # bytes (UDX_INIT_PACING_RATE)
BURST_TIME = 0.010  # seconds of the rate that may leave at once after a late timer
MIN_BURST = 16 * 1500  # bytes
TIMER_RESOLUTION = 0.001  # seconds; shorter waits only cost wake-ups


class Pacer:
    __slots__ = ("_updated", "rate", "tokens")

    def __init__(self, now: float) -> None:
        self.rate = 0.0  # bytes per second
        self.tokens = INITIAL_TOKENS
        self._updated = now

    def refill(self, now: float) -> None:
        elapsed = now - self._updated
        if elapsed > 0:
            self._updated = now
            if self.tokens < (burst := max(self.rate * BURST_TIME, MIN_BURST)):
                self.tokens = min(self.tokens + elapsed * self.rate, burst)

    def packets(self, size: int) -> int:
        """How many packets of `size` bytes may leave now; the last one may overdraw the bucket."""
        return max(0, int(-(-self.tokens // size)))

    def spend(self, size: int) -> None:
        self.tokens -= size

    def next_release(self, now: float) -> float:
        deficit = -self.tokens
        wait = deficit / self.rate if deficit > 0 and self.rate > 0 else 0.0
        return now + max(wait, TIMER_RESOLUTION)
