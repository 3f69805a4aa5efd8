"""The keys that the owner allowed or blocked, with name, expiry and limits.

ARCHITECTURE.md "Safe by default": which of them are admitted is the provider's policy, not the store's.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from qvac_core.errors import StoreError
from qvac_core.store.database import Database
from qvac_core.store.records import AccessRecord

_COLUMNS: Final = "public_key, name, blocked, added_at, expires_at, last_seen, tokens_per_day, parallel"


class AccessList:
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

    def set_limits(self, public_key: str, *, tokens_per_day: int | None, parallel: int | None) -> None:
        """Limits of this key; None leaves it to the general ones. Raises StoreError for a negative one."""
        if min(tokens_per_day or 0, parallel or 0) < 0:
            raise StoreError("A limit cannot be negative.")
        self._database.execute(
            "UPDATE access_keys SET tokens_per_day = ?, parallel = ? WHERE public_key = ?",
            (tokens_per_day, parallel, public_key),
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
                "name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END "
                f"RETURNING {_COLUMNS}",
                (public_key, name, int(blocked), now, expires_at),
            ).fetchall()
        return _record(rows[0])


def _record(row: sqlite3.Row) -> AccessRecord:
    public_key, name, blocked, *rest = row
    return AccessRecord(public_key, name, bool(blocked), *rest)
