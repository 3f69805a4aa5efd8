"""So much per second, of which one source gets only a part: what keeps strangers from using up what all have."""

from __future__ import annotations


class Budget:
    def __init__(self, per_second: int, per_source: int | None = None) -> None:
        self._per_second = per_second
        self._per_source = per_source or per_second
        self._used = 0
        self._used_by: dict[str, int] = {}
        self._since = 0.0

    def allows(self, now: float, source: str = "") -> bool:
        if now - self._since >= 1:
            self._used, self._since = 0, now
            self._used_by.clear()
        used = self._used_by.get(source, 0)
        if self._used >= self._per_second or used >= self._per_source:
            return False
        self._used += 1
        self._used_by[source] = used + 1
        return True

    def give_back(self, source: str) -> None:
        """The source has shown that it used one well: its own part, not that of all, is as large as before."""
        if used := self._used_by.get(source):
            self._used_by[source] = used - 1
