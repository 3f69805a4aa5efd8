"""The log as others see it: a page of it, its totals, `core.history`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from qvac_core.late_dataclass import dataclass
from qvac_core.store.log_records import Contents as Contents
from qvac_core.store.log_records import DayTotals as DayTotals
from qvac_core.store.log_records import LogQuery as LogQuery
from qvac_core.store.log_records import LogTotals as LogTotals
from qvac_core.store.log_records import PersonTotals as PersonTotals
from qvac_core.store.records import LogEntry


@dataclass(frozen=True, slots=True)
class LogPage:
    """entries: from `offset` on. totals: of all that the query finds, with its first page alone."""

    offset: int
    entries: tuple[LogEntry, ...]
    totals: LogTotals


@dataclass(frozen=True, slots=True)
class HistoryCleared:
    """The log, or only what it kept of contents, was forgotten."""


class HistoryInterface(Protocol):
    """`core.history`. Raises StoreError."""

    async def page(self, query: LogQuery, offset: int = 0, limit: int = 200) -> LogPage: ...
    async def totals(self, query: LogQuery) -> LogTotals: ...
    async def by_person(self, query: LogQuery) -> tuple[PersonTotals, ...]: ...
    async def by_day(self, query: LogQuery) -> tuple[DayTotals, ...]: ...
    async def by_hour(self, query: LogQuery) -> tuple[int, ...]:
        """How many requests began in each of the 24 hours of this machine's clock."""

    async def models(self) -> tuple[str, ...]: ...
    async def contents(self, id: str) -> Contents | None: ...
    async def has_contents(self) -> bool: ...
    async def forget_contents(self) -> None:
        """What was said; the log itself stays."""

    async def export(self, path: Path, query: LogQuery) -> int:
        """Write what the query finds: JSON for a name that ends so, else CSV. How many requests that were.

        A file of that name is replaced once all is written; only this user can read it. Without contents.
        """
