"""The providers that somebody added in Chat, and what helps to reach them again.

docs/wire/traps.md: known relays save a whole walk at the next connect.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from qvac_core.codec import Address
from qvac_core.store.database import Database
from qvac_core.store.records import KnownProvider

_COLUMNS: Final = "public_key, name, added_at, last_connected, last_model, relays"


class Providers:
    """By key, 64 hexadecimal digits; times are seconds since 1970. In the database's thread. Who is not known is no
    error: what is said about them is dropped.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> tuple[KnownProvider, ...]:
        """All providers, in the order in which they were added."""
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM providers ORDER BY added_at, public_key")
        return tuple(map(_record, rows))

    def get(self, public_key: str) -> KnownProvider | None:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM providers WHERE public_key = ?", (public_key,))
        return _record(rows[0]) if rows else None

    def add(self, public_key: str, name: str, now: float) -> KnownProvider:
        """Remember a provider. Adding it again only changes the name, and "" not even that."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "INSERT INTO providers (public_key, name, added_at) VALUES (?, ?, ?) "
                "ON CONFLICT (public_key) DO UPDATE SET "
                "name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END "
                f"RETURNING {_COLUMNS}",
                (public_key, name, now),
            ).fetchall()
        return _record(rows[0])

    def rename(self, public_key: str, name: str) -> None:
        self._database.execute("UPDATE providers SET name = ? WHERE public_key = ?", (name, public_key))

    def remove(self, public_key: str) -> None:
        """Forget a provider; one that is not there is fine."""
        self._database.execute("DELETE FROM providers WHERE public_key = ?", (public_key,))

    def connected(self, public_key: str, now: float, relays: Sequence[Address] = ()) -> None:
        """It answered just now, found through these nodes (none given: the ones known so far stay)."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE providers SET last_connected = ? WHERE public_key = ?", (now, public_key))
            if relays:
                connection.execute(
                    "UPDATE providers SET relays = ? WHERE public_key = ?",
                    (msgspec.json.encode(list(relays)).decode(), public_key),
                )

    def used_model(self, public_key: str, model: str) -> None:
        """The model that the picker shows first the next time."""
        self._database.execute("UPDATE providers SET last_model = ? WHERE public_key = ?", (model, public_key))


def _record(row: sqlite3.Row) -> KnownProvider:
    public_key, name, added_at, last_connected, last_model, relays = row
    return KnownProvider(
        public_key, name, added_at, last_connected, last_model, msgspec.json.decode(relays, type=tuple[Address, ...])
    )
