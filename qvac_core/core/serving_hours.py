"""Serving hours: when a machine serves, by the clock on its wall; over midnight, on some days, through clock changes.

Instants are compared, never readings of the clock: in the hour that a clock change repeats, 02:30 comes twice, and what
ended at the first one does not begin again before the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

A_WEEK = 8  # days to look ahead: the same weekday, whose hours of today may be over


@dataclass(frozen=True, slots=True)
class ServingHours:
    """begins later than or at `ends`: over midnight. days: ISO weekdays (1 = Monday) on which the hours begin."""

    begins: time
    ends: time
    days: frozenset[int]

    @classmethod
    def of_text(cls, begins: str, ends: str, days: str) -> ServingHours | None:
        """As the settings keep them, which a person may edit; None for what is no time, or no day at all."""
        try:
            wanted = frozenset(int(day) for day in days)
            hours = cls(time.fromisoformat(begins), time.fromisoformat(ends), wanted & frozenset(range(1, 8)))
        except ValueError:
            return None
        return hours if hours.days else None

    def opens_again(self, now: float) -> float | None:
        """Unix seconds at which they begin next; None while they last."""
        for begin, end in self._around(now):
            if end > now:
                return None if begin <= now else begin
        return None

    def closes(self, now: float) -> float | None:
        """Unix seconds at which those that last now end; None outside of them, and where no night comes between."""
        found: float | None = None
        for begin, end in self._around(now):
            if begin <= (now if found is None else found) < end:
                found = end
        return None if found is None or found > now + 7 * 86400 else found

    def _around(self, now: float) -> Iterator[tuple[float, float]]:
        """Begin and end of each day's hours, from those that may last since yesterday on."""
        today = datetime.fromtimestamp(now).date()
        for ahead in range(-1, A_WEEK + 1):
            day = today + timedelta(days=ahead)
            if day.isoweekday() in self.days:
                later = self.ends <= self.begins
                yield _instant(day, self.begins), _instant(day + timedelta(days=later), self.ends)


def _instant(day: date, clock: time) -> float:
    """In the time of this machine. A time that a clock change leaves out is as long after the one before it."""
    return datetime.combine(day, clock).timestamp()
