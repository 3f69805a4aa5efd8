"""The request log for its owner: pages, totals, export to a file, and what is kept of it and for how long."""

from __future__ import annotations

import asyncio
import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from qvac_core.core.history_state import Contents, DayTotals, HistoryCleared, LogPage, LogQuery, LogTotals, PersonTotals
from qvac_core.store.disk import replaced_text
from qvac_core.store.folders import keep_from_own_files
from qvac_core.store.records import LogEntry

if TYPE_CHECKING:
    from qvac_core.store.store import Store

FIELDS = (
    *("time", "who", "key", "kind", "model", "prompt_tokens", "generated_tokens", "amount", "unit"),
    *("seconds", "outcome", "error"),
)
# A cell that begins so is a formula to a spreadsheet: one that runs when the file is opened.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the wide ones: East Asian


class History:
    """The log by queries; `core.history`. offset and limit count rows, newest first; times are seconds since 1970."""

    def __init__(self, store: Store, emit: Callable[[HistoryCleared], None]) -> None:
        self._store = store
        self._run = store.database.run
        self._emit = emit

    async def page(self, query: LogQuery, offset: int = 0, limit: int = 200) -> LogPage:
        history = self._store.history
        entries = await self._run(history.page, query, offset, limit)
        return LogPage(offset, entries, LogTotals() if offset else await self._run(history.totals, query))

    async def totals(self, query: LogQuery) -> LogTotals:
        return await self._run(self._store.history.totals, query)

    async def by_person(self, query: LogQuery) -> tuple[PersonTotals, ...]:
        return await self._run(self._store.history.by_person, query)

    async def by_day(self, query: LogQuery) -> tuple[DayTotals, ...]:
        return await self._run(self._store.history.by_day, query)

    async def by_hour(self, query: LogQuery) -> tuple[int, ...]:
        return await self._run(self._store.history.by_hour, query)

    async def models(self) -> tuple[str, ...]:
        return await self._run(self._store.history.models)

    async def contents(self, id: str) -> Contents | None:
        return await self._run(self._store.history.contents, id)

    async def has_contents(self) -> bool:
        return await self._run(self._store.history.has_contents)

    async def forget_contents(self) -> None:
        await self._run(self._store.history.forget_contents)
        self._emit(HistoryCleared())

    async def prune(self) -> None:
        """Forget what the settings do not want kept."""
        sharing = self._store.settings.settings.sharing
        await self._run(self._store.request_log.prune, time.time(), sharing.log_days, sharing.log_rows)
        await self._run(self._store.receipts.prune, time.time(), sharing.log_days)
        self._emit(HistoryCleared())

    async def export(self, path: Path, query: LogQuery) -> int:
        await asyncio.to_thread(keep_from_own_files, self._store.folder.root, path)
        # What comes while it is written is not in it: pages would shift.
        query = replace(query, before=min(time.time(), query.before or float("inf")))
        names = {record.public_key: record.name for record in await self._run(self._store.access_list.records)}
        # In a thread of its own: the log goes on being written meanwhile.
        return await asyncio.to_thread(write_export, path, self._store.history.entries(query), names)


def write_export(path: Path, entries: Iterator[LogEntry], names: Mapping[str, str]) -> int:
    """Raises StoreError; a file that was there is then as it was."""
    is_json = path.suffix.lower() == ".json"
    with replaced_text(path) as file:
        return _write_json(file, entries, names) if is_json else _write_csv(file, entries, names)


def _write_csv(file: IO[str], entries: Iterator[LogEntry], names: Mapping[str, str]) -> int:
    file.write("\ufeff")  # spreadsheets take a file without it for one of an old code page
    writer = csv.writer(file)
    writer.writerow(FIELDS)
    count = 0
    for count, entry in enumerate(entries, start=1):  # noqa: B007
        writer.writerow([unharmed(value) for value in _fields(entry, names).values()])
    return count


def _write_json(file: IO[str], entries: Iterator[LogEntry], names: Mapping[str, str]) -> int:
    file.write("[")
    count = 0
    for count, entry in enumerate(entries, start=1):
        file.write("\n " if count == 1 else ",\n ")
        json.dump(_fields(entry, names), file, ensure_ascii=False)
    file.write("\n]\n")
    return count


def unharmed(value: str | float) -> str | float:
    """A text as no spreadsheet takes it for a formula; numbers as they are."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_BEGINS) else value


def _fields(entry: LogEntry, names: Mapping[str, str]) -> dict[str, str | float]:
    at = datetime.fromtimestamp(entry.started_at).astimezone()
    values: tuple[str | float, ...] = (
        at.isoformat(timespec="seconds"),
        names.get(entry.remote_public_key, ""),
        entry.remote_public_key,
        entry.method,
        entry.model,
        entry.prompt_tokens,
        entry.generated_tokens,
        entry.amount,
        entry.unit,
        round(entry.ms / 1000, 3),
        entry.outcome,
        entry.error,
    )
    return dict(zip(FIELDS, values, strict=True))
