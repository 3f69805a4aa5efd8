"""Who asked for what, when, how long and how it ended: never what was said.

docs/architecture.md "Safe by default"; tokens per key and day feed the quotas.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from qvac_core.store.database import Database
from qvac_core.store.days import begin_of_day, day_of
from qvac_core.store.records import LogEntry

SECONDS_PER_DAY: Final = 86_400
# Yesterday's usage is kept for a look back; older days decide nothing.
USAGE_DAYS_KEPT: Final = 2
COLUMNS: Final = (
    "id, remote_public_key, method, model, started_at, ms, prompt_tokens, generated_tokens, outcome, error, "
    "amount, unit"
)

_COUNT: Final = (
    "INSERT INTO token_usage (remote_public_key, day, tokens) VALUES (?, ?, ?) "
    "ON CONFLICT (remote_public_key, day) DO UPDATE SET tokens = tokens + excluded.tokens"
)


class RequestLog:
    """The log of one provider. A request is visible once it has ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, id: str, remote_public_key: str, method: str, model: str, started_at: float) -> None:
        self._database.execute(
            "INSERT INTO requests (id, remote_public_key, method, model, started_at) VALUES (?, ?, ?, ?, ?)",
            (id, remote_public_key, method, model, started_at),
        )

    def finish(
        self,
        id: str,
        outcome: str,
        *,
        prompt_tokens: int = 0,
        generated_tokens: int = 0,
        ms: float = 0.0,
        error: str = "",
        amount: float = 0.0,
        unit: str = "",
        ended_at: float | None = None,
    ) -> LogEntry | None:
        """End the newest unfinished request of this id, and count its tokens; None if there is none.

        ended_at: on whose day they count; None = by its begin and duration.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "UPDATE requests SET outcome = ?, prompt_tokens = ?, generated_tokens = ?, ms = ?, error = ?, "
                "amount = ?, unit = ? "
                "WHERE number = (SELECT max(number) FROM requests WHERE id = ? AND outcome = '') "
                f"RETURNING {COLUMNS}",
                (outcome, prompt_tokens, generated_tokens, ms, error, amount, unit, id),
            ).fetchall()
            if not rows:
                return None
            entry = _entry(rows[0])
            connection.execute(
                _COUNT,
                (
                    entry.remote_public_key,
                    day_of(entry.started_at + ms / 1000 if ended_at is None else ended_at),
                    prompt_tokens + generated_tokens,
                ),
            )
        return entry

    def close_unfinished(self) -> int:
        """At start: requests that a crash or a power cut left open end as errors; how many there were.

        What is known of their tokens counts for the day on which they began.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "UPDATE requests SET outcome = 'error', error = 'QVAC Desktop ended before the request did.' "
                "WHERE outcome = '' RETURNING remote_public_key, started_at, prompt_tokens + generated_tokens"
            ).fetchall()
            for key, started_at, tokens in rows:
                if tokens:
                    connection.execute(_COUNT, (key, day_of(started_at), tokens))
        return len(rows)

    def advance(self, id: str, generated_tokens: int) -> None:
        """How far a request has come: counted if its end is never written."""
        self._database.execute(
            "UPDATE requests SET generated_tokens = ? WHERE id = ? AND outcome = ''", (generated_tokens, id)
        )

    def tokens_by_day(self) -> dict[str, dict[str, int]]:
        """By day and key, as far back as is kept."""
        found: dict[str, dict[str, int]] = {}
        for row in self._database.rows("SELECT day, remote_public_key, tokens FROM token_usage"):
            found.setdefault(row["day"], {})[row["remote_public_key"]] = row["tokens"]
        return found

    def entries(self, limit: int = 200, before: float | None = None, search: str = "") -> tuple[LogEntry, ...]:
        """Finished requests, newest first; `before` (a `started_at`) goes on where the last page ended.

        `search` looks in key, key's name, method, model, outcome and error, in any case; a key may be typed in groups.
        """
        conditions, parameters = ["outcome <> ''"], list[str | int | float]()
        if before is not None:
            conditions.append("started_at < ?")
            parameters.append(before)
        if needle := search.strip().casefold():
            conditions.append(
                "(instr(casefolded(method || ' ' || model || ' ' || outcome || ' ' || error), ?) "
                "OR instr(remote_public_key, ?) OR remote_public_key IN "
                "(SELECT public_key FROM access_keys WHERE instr(casefolded(name), ?)))"
            )
            parameters += [needle, "".join(needle.split()), needle]
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM requests WHERE {' AND '.join(conditions)} "
            "ORDER BY started_at DESC, number DESC LIMIT ?",
            (*parameters, limit),
        )
        return tuple(map(_entry, rows))

    def tokens_today(self, remote_public_key: str, now: float) -> int:
        """Prompt and generated tokens of requests that ended since local midnight."""
        rows = self._database.rows(
            "SELECT tokens FROM token_usage WHERE remote_public_key = ? AND day = ?", (remote_public_key, day_of(now))
        )
        return int(rows[0]["tokens"]) if rows else 0

    def amounts_today(self, now: float) -> dict[tuple[str, str], float]:
        """By key and unit ("seconds" of sound): what requests came to since local midnight, where they are kept."""
        rows = self._database.rows(
            "SELECT remote_public_key, unit, TOTAL(amount) AS amount FROM requests "
            "WHERE unit <> '' AND started_at >= ? GROUP BY remote_public_key, unit",
            (begin_of_day(now),),
        )
        return {(row["remote_public_key"], row["unit"]): row["amount"] for row in rows}

    def tokens_today_by_key(self, now: float) -> dict[str, int]:
        rows = self._database.rows("SELECT remote_public_key, tokens FROM token_usage WHERE day = ?", (day_of(now),))
        return {row["remote_public_key"]: row["tokens"] for row in rows}

    def clear(self) -> None:
        """Forget all finished requests, overwritten in the file; what was used today still counts."""
        self._database.erase("DELETE FROM requests WHERE outcome <> ''")

    def prune(self, now: float, days: int, rows: int = 0) -> int:
        """Forget what is older than `days`, and all but the newest `rows` (0 keeps all); how many those were."""
        with self._database.transaction() as connection:
            oldest_day = day_of(now - USAGE_DAYS_KEPT * SECONDS_PER_DAY)
            connection.execute("DELETE FROM token_usage WHERE day < ?", (oldest_day,))
            gone = 0
            if days > 0:
                gone += connection.execute(
                    "DELETE FROM requests WHERE outcome <> '' AND started_at < ?", (now - days * SECONDS_PER_DAY,)
                ).rowcount
            if rows > 0:
                gone += connection.execute(
                    "DELETE FROM requests WHERE outcome <> '' AND number <= "
                    "(SELECT number FROM requests WHERE outcome <> '' ORDER BY number DESC LIMIT 1 OFFSET ?)",
                    (rows,),
                ).rowcount
            return gone


def _entry(row: sqlite3.Row) -> LogEntry:
    return LogEntry(*row)
