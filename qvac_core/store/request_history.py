"""The log as its owner looks at it: filtered pages, totals, by person, by day; all of it asked of SQLite.

A hundred thousand requests are ordinary for a machine that is kept on for months: nothing here reads them all at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from qvac_core.store.database import Database
from qvac_core.store.log_records import Contents, DayTotals, LogQuery, LogTotals, ModelTotals, PersonTotals
from qvac_core.store.records import LogEntry
from qvac_core.store.request_log import COLUMNS

CHUNK: Final = 500  # rows that an export reads at once
# What a person calls an ending, in the outcomes of the log.
ENDINGS: Final = {
    "done": ("eos", "stopSequence", "length"),
    "stopped": ("stopped", "cancelled"),
    "left": ("disconnected",),
    "failed": ("error",),
}
_WORDS: Final = ("method", "model", "outcome", "error")
_SUMS: Final = "count(*), count(DISTINCT remote_public_key), TOTAL(prompt_tokens), TOTAL(generated_tokens), TOTAL(ms)"


class RequestHistory:
    """Read only, in the database's thread. offset and limit count rows; times are seconds since 1970, days local."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, query: LogQuery, offset: int, limit: int) -> tuple[LogEntry, ...]:
        """Newest first."""
        where, parameters = _conditions(query)
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM requests WHERE {where} ORDER BY started_at DESC, number DESC LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return tuple(LogEntry(*row) for row in rows)

    def totals(self, query: LogQuery) -> LogTotals:
        where, parameters = _conditions(query)
        (row,) = self._database.rows(f"SELECT {_SUMS} FROM requests WHERE {where}", parameters)
        return _totals(row)

    def by_person(self, query: LogQuery) -> tuple[PersonTotals, ...]:
        """Who used most comes first."""
        where, parameters = _conditions(query)
        rows = self._database.rows(
            # "+": in the order of the index every row would be fetched from another place of the file.
            "SELECT count(*), 1, TOTAL(prompt_tokens), TOTAL(generated_tokens), TOTAL(ms), remote_public_key, "
            f"max(started_at) FROM requests WHERE {where} "
            "GROUP BY +remote_public_key ORDER BY TOTAL(prompt_tokens) + TOTAL(generated_tokens) DESC, TOTAL(ms) DESC",
            parameters,
        )
        return tuple(PersonTotals(row[5], _totals(row), row[6]) for row in rows)

    def by_day(self, query: LogQuery) -> tuple[DayTotals, ...]:
        """Newest first; days without a request are not there."""
        where, parameters = _conditions(query)
        rows = self._database.rows(
            f"SELECT {_SUMS}, date(started_at, 'unixepoch', 'localtime') AS day FROM requests WHERE {where} "
            "GROUP BY day ORDER BY day DESC",
            parameters,
        )
        return tuple(DayTotals(row[5], _totals(row)) for row in rows)

    def by_hour(self, query: LogQuery) -> tuple[int, ...]:
        """How many requests began in each of the 24 hours by the clock on the wall, whichever day."""
        where, parameters = _conditions(query)
        rows = self._database.rows(
            "SELECT CAST(strftime('%H', started_at, 'unixepoch', 'localtime') AS INTEGER) AS hour, count(*) "
            f"FROM requests WHERE {where} GROUP BY hour",
            parameters,
        )
        counts = {int(hour): int(count) for hour, count in rows}
        return tuple(counts.get(hour, 0) for hour in range(24))

    def by_model(self, query: LogQuery) -> tuple[ModelTotals, ...]:
        """What was used most comes first; one model once for each unit."""
        where, parameters = _conditions(query)
        rows = self._database.rows(
            f"SELECT {_SUMS}, model, TOTAL(amount), unit FROM requests WHERE {where} AND model <> '' "
            "GROUP BY model, unit ORDER BY TOTAL(prompt_tokens) + TOTAL(generated_tokens) DESC, TOTAL(ms) DESC",
            parameters,
        )
        return tuple(ModelTotals(row[5], _totals(row), row[6], row[7]) for row in rows)

    def models(self) -> tuple[str, ...]:
        """Those that any request of the log was for."""
        rows = self._database.rows("SELECT DISTINCT model FROM requests WHERE outcome <> '' AND model <> '' ORDER BY 1")
        return tuple(row[0] for row in rows)

    def entries(self, query: LogQuery) -> Iterator[LogEntry]:
        """All of them, newest first, read in pieces."""
        where, parameters = _conditions(query)
        last: tuple[float, int] = (float("inf"), 0)
        while rows := self._database.rows(
            f"SELECT {COLUMNS}, number FROM requests WHERE {where} AND (started_at, number) < (?, ?) "
            "ORDER BY started_at DESC, number DESC LIMIT ?",
            (*parameters, *last, CHUNK),
        ):
            for row in rows:
                *values, number = row
                yield LogEntry(*values)
            last = (rows[-1]["started_at"], number)

    def keep_contents(self, id: str, question: str, answer: str) -> None:
        """Beside the newest request of this id; nothing where that is gone."""
        self._database.execute(
            "INSERT OR REPLACE INTO request_contents (number, question, answer) "
            "SELECT max(number), ?2, ?3 FROM requests WHERE id = ?1 HAVING max(number) IS NOT NULL",
            (id, question, answer),
        )

    def contents(self, id: str) -> Contents | None:
        rows = self._database.rows(
            "SELECT question, answer FROM request_contents JOIN requests USING (number) WHERE id = ? "
            "ORDER BY number DESC LIMIT 1",
            (id,),
        )
        return Contents(rows[0][0], rows[0][1]) if rows else None

    def has_contents(self) -> bool:
        return bool(self._database.rows("SELECT 1 FROM request_contents LIMIT 1"))

    def forget_contents(self) -> None:
        """What was said, and not that it was; overwritten in the file."""
        self._database.erase("DELETE FROM request_contents")


def _conditions(query: LogQuery) -> tuple[str, tuple[str | int | float, ...]]:
    conditions, parameters = ["outcome <> ''"], list[str | int | float]()

    def add(condition: str, *values: str | float) -> None:
        conditions.append(condition)
        parameters.extend(values)

    if query.since is not None:
        add("started_at >= ?", query.since)
    if query.before is not None:
        add("started_at < ?", query.before)
    if query.public_key:
        add("remote_public_key = ?", query.public_key)
    if query.model:
        add("model = ?", query.model)
    if query.method:
        add("method = ?", query.method)
    if query.ending:
        outcomes = ENDINGS.get(query.ending, (query.ending,))
        add(f"outcome IN ({', '.join('?' * len(outcomes))})", *outcomes)
    if needle := query.text.strip().casefold():
        # A hundred thousand requests have few different words: each of them is looked at once.
        words = " OR ".join(
            f"{column} IN (SELECT word FROM (SELECT DISTINCT {column} AS word FROM requests LIMIT -1) "
            "WHERE instr(casefolded(word), ?))"
            for column in _WORDS
        )
        add(
            f"({words} OR instr(remote_public_key, ?) OR remote_public_key IN "
            "(SELECT public_key FROM access_keys WHERE instr(casefolded(name), ?)))",
            *[needle] * len(_WORDS),
            "".join(needle.split()),
            needle,
        )
    return " AND ".join(conditions), tuple(parameters)


def _totals(row: sqlite3.Row) -> LogTotals:
    return LogTotals(row[0], row[1], int(row[2]), int(row[3]), row[4])
