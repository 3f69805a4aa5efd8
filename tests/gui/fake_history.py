"""The log of a fake core, asked the way a screen does: the fake of `core.history`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from qvac_core.core.history_state import Contents, DayTotals, LogPage, LogQuery, LogTotals, PersonTotals
from qvac_core.core.state import LogEntry
from qvac_core.store.request_history import ENDINGS


@dataclass
class FakeHistory:
    """log, names: of the core that it belongs to, as they are now. kept: contents by request."""

    log: Callable[[], tuple[LogEntry, ...]] = lambda: ()
    names: Callable[[], dict[str, str]] = dict
    kept: dict[str, Contents] = field(default_factory=dict)
    exported: list[tuple[Path, LogQuery]] = field(default_factory=list)
    asked: list[tuple[LogQuery, int, int]] = field(default_factory=list)

    def found(self, query: LogQuery) -> list[LogEntry]:
        names = self.names()

        def fits(entry: LogEntry) -> bool:
            told = f"{entry.method} {entry.model} {entry.outcome} {names.get(entry.remote_public_key, '')}".lower()
            return (
                query.text.lower() in told
                and query.public_key in ("", entry.remote_public_key)
                and query.model in ("", entry.model)
                and query.method in ("", entry.method)
                and (not query.ending or entry.outcome in ENDINGS[query.ending])
                and entry.started_at >= (query.since or 0)
                and entry.started_at < (query.before or float("inf"))
            )

        return [entry for entry in self.log() if fits(entry)]

    async def page(self, query: LogQuery, offset: int = 0, limit: int = 200) -> LogPage:
        self.asked.append((query, offset, limit))
        found = self.found(query)
        return LogPage(offset, tuple(found[offset : offset + limit]), LogTotals() if offset else totals_of(found))

    async def totals(self, query: LogQuery) -> LogTotals:
        return totals_of(self.found(query))

    async def by_person(self, query: LogQuery) -> tuple[PersonTotals, ...]:
        found = self.found(query)
        people = [
            PersonTotals(key, totals_of([e for e in found if e.remote_public_key == key]), NEVER)
            for key in dict.fromkeys(entry.remote_public_key for entry in found)
        ]
        return tuple(sorted(people, key=lambda person: -person.totals.tokens))

    async def by_day(self, query: LogQuery) -> tuple[DayTotals, ...]:
        days: dict[str, list[LogEntry]] = {}
        for entry in self.found(query):
            days.setdefault(f"{datetime.fromtimestamp(entry.started_at):%Y-%m-%d}", []).append(entry)
        return tuple(DayTotals(day, totals_of(found)) for day, found in sorted(days.items(), reverse=True))

    async def by_hour(self, query: LogQuery) -> tuple[int, ...]:
        hours = [datetime.fromtimestamp(entry.started_at).hour for entry in self.found(query)]
        return tuple(hours.count(hour) for hour in range(24))

    async def models(self) -> tuple[str, ...]:
        return tuple(sorted({entry.model for entry in self.log()}))

    async def contents(self, id: str) -> Contents | None:
        return self.kept.get(id)

    async def has_contents(self) -> bool:
        return bool(self.kept)

    async def forget_contents(self) -> None:
        self.kept.clear()

    async def export(self, path: Path, query: LogQuery) -> int:
        self.exported.append((path, query))
        return len(self.found(query))


NEVER = 0.0


def totals_of(found: list[LogEntry]) -> LogTotals:
    return LogTotals(
        len(found),
        len({entry.remote_public_key for entry in found}),
        sum(entry.prompt_tokens for entry in found),
        sum(entry.generated_tokens for entry in found),
        sum(entry.ms for entry in found),
    )
