"""The keys that the owner allowed or blocked, with name, expiry and limits.

docs/architecture.md "Safe by default": which of them are admitted is the provider's policy, not the store's.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from qvac_core.errors import StoreError
from qvac_core.store.database import Database
from qvac_core.store.records import AccessRecord, KeyLimits

LIMIT_COLUMNS: Final = "tokens_per_day, parallel, context_tokens, answer_tokens, models, hours"
_COLUMNS: Final = (
    "public_key, name, blocked, added_at, expires_at, last_seen, "
    f"{LIMIT_COLUMNS}, mine, invite, extra_day, extra_tokens"
)
MOST_TOKENS: Final = 10**12
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")


class AccessList:
    """Keys are 64 hexadecimal digits, times seconds since 1970; expires_at None = for good."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> tuple[AccessRecord, ...]:
        """All keys, in the order in which they were added."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM access_keys ORDER BY added_at, public_key")
        return tuple(map(_record, rows))

    def get(self, public_key: str) -> AccessRecord | None:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM access_keys WHERE public_key = ?", (public_key,))
        return _record(rows[0]) if rows else None

    def allow(self, public_key: str, name: str, now: float, *, expires_at: float | None = None) -> AccessRecord:
        """Allow a key, also one that was blocked or has expired. "" as name keeps the name it has."""
        return self._decide(public_key, name, now, blocked=False, expires_at=expires_at)

    def block(self, public_key: str, name: str, now: float) -> AccessRecord:
        """Block a key, also one that was allowed."""
        return self._decide(public_key, name, now, blocked=True, expires_at=None)

    def remove(self, public_key: str) -> None:
        """Forget the key; one that is not there is fine."""
        self._database.execute("DELETE FROM access_keys WHERE public_key = ?", (public_key,))

    def rename(self, public_key: str, name: str) -> None:
        self._database.execute("UPDATE access_keys SET name = ? WHERE public_key = ?", (name, public_key))

    def set_limits(self, public_key: str, limits: KeyLimits) -> None:
        """Limits of this key, in the place of those it had. Raises StoreError for one that cannot be."""
        check_limits(limits)
        self._database.execute(
            "UPDATE access_keys SET tokens_per_day = ?, parallel = ?, context_tokens = ?, answer_tokens = ?, "
            "models = ?, hours = ? WHERE public_key = ?",
            (*limit_values(limits), public_key),
        )

    def set_expiry(self, public_key: str, expires_at: float | None) -> None:
        self._database.execute("UPDATE access_keys SET expires_at = ? WHERE public_key = ?", (expires_at, public_key))

    def set_mine(self, public_key: str, mine: bool) -> None:
        """Whether it is one of the owner's own machines; then its time does not end."""
        self._database.execute(
            "UPDATE access_keys SET mine = ?1, expires_at = CASE ?1 WHEN 1 THEN NULL ELSE expires_at END "
            "WHERE public_key = ?2 AND NOT blocked",
            (int(mine), public_key),
        )

    def give_extra(self, public_key: str, day: str, tokens: int) -> None:
        """So many tokens more, on that day alone."""
        self._database.execute(
            "UPDATE access_keys SET extra_tokens = CASE extra_day WHEN ?1 THEN extra_tokens ELSE 0 END + ?2, "
            "extra_day = ?1 WHERE public_key = ?3",
            (day, tokens, public_key),
        )

    def seen(self, public_key: str, now: float) -> None:
        """Remember that the key was here; keys that nobody decided about are not remembered."""
        self._database.execute("UPDATE access_keys SET last_seen = ? WHERE public_key = ?", (now, public_key))

    def allowed_keys(self, now: float) -> frozenset[str]:
        """The keys that are allowed and have not expired."""
        rows = self._database.rows(
            "SELECT public_key FROM access_keys WHERE NOT blocked AND (expires_at IS NULL OR expires_at > ?)", (now,)
        )
        return frozenset(row["public_key"] for row in rows)

    def blocked_keys(self) -> frozenset[str]:
        return frozenset(
            row["public_key"] for row in self._database.rows("SELECT public_key FROM access_keys WHERE blocked")
        )

    def _decide(
        self, public_key: str, name: str, now: float, *, blocked: bool, expires_at: float | None
    ) -> AccessRecord:
        with self._database.transaction() as connection:
            rows = connection.execute(
                "INSERT INTO access_keys (public_key, name, blocked, added_at, expires_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (public_key) DO UPDATE SET blocked = excluded.blocked, expires_at = excluded.expires_at, "
                "mine = CASE excluded.blocked WHEN 1 THEN 0 ELSE mine END, "
                "name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END "
                f"RETURNING {_COLUMNS}",
                (public_key, name, int(blocked), now, expires_at),
            ).fetchall()
        return _record(rows[0])


def check_limits(limits: KeyLimits) -> None:
    """Raises StoreError for a limit that cannot be."""
    numbers = (limits.tokens_per_day, limits.parallel, limits.context_tokens, limits.answer_tokens)
    if any(number is not None and not 0 <= number <= MOST_TOKENS for number in numbers):
        raise StoreError("A limit cannot be negative, or larger than a million millions.")
    if limits.parallel == 0 or limits.context_tokens == 0 or limits.answer_tokens == 0:
        raise StoreError("At least one: to let a key use nothing, set its tokens a day to 0, or block it.")
    if limits.hours and not _HOURS.fullmatch(limits.hours):
        raise StoreError("Hours are written as 08:00-20:00.")


def limit_values(limits: KeyLimits) -> tuple[int | str | None, ...]:
    """In the order of LIMIT_COLUMNS."""
    models = None if limits.models is None else json.dumps(sorted(limits.models))
    numbers = (limits.tokens_per_day, limits.parallel, limits.context_tokens, limits.answer_tokens)
    return (*numbers, models, limits.hours)


def limits_of(values: Sequence[Any]) -> KeyLimits:
    """From what `limit_values` made."""
    tokens_per_day, parallel, context_tokens, answer_tokens, models, hours = values
    names = None if models is None else tuple(json.loads(models))
    return KeyLimits(tokens_per_day, parallel, context_tokens, answer_tokens, names, hours)


def _record(row: sqlite3.Row) -> AccessRecord:
    public_key, name, blocked, added_at, expires_at, last_seen, *rest = row
    mine, invite, extra_day, extra_tokens = rest[6:]
    return AccessRecord(
        public_key,
        name,
        bool(blocked),
        added_at,
        expires_at,
        last_seen,
        limits_of(rest[:6]),
        bool(mine),
        invite,
        extra_day,
        extra_tokens,
    )
