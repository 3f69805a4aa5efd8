"""The unknown keys that asked to be let in and wait for the owner's word, over a restart too.

docs/architecture.md "Safe by default": keys cost nothing, so only the newest ones are kept, and no text of a stranger.
"""

from __future__ import annotations

from typing import Final

from qvac_core.store.database import Database
from qvac_core.store.records import Knock

MAX_KNOCKS: Final = 64
MAX_DENIED: Final = 1024


class Knocks:
    """Keys of 64 hexadecimal digits with the time of the newest knock (seconds since 1970)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> tuple[Knock, ...]:
        """Oldest first; keys that the owner decided about in another way are left out."""
        rows = self._database.rows(
            "SELECT public_key, at FROM knocks WHERE public_key NOT IN (SELECT public_key FROM access_keys) "
            "ORDER BY at, public_key"
        )
        return tuple(Knock(row["public_key"], row["at"]) for row in rows)

    def put(self, public_key: str, at: float, instead_of: str = "") -> None:
        """Keep a knock, or the newer time of one that is kept, in the place of another; too many: the oldest goes."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM knocks WHERE public_key = ?", (instead_of,))
            connection.execute(
                "INSERT INTO knocks (public_key, at) VALUES (?, ?) "
                "ON CONFLICT (public_key) DO UPDATE SET at = excluded.at",
                (public_key, at),
            )
            connection.execute(
                "DELETE FROM knocks WHERE public_key NOT IN "
                "(SELECT public_key FROM knocks ORDER BY at DESC, public_key LIMIT ?)",
                (MAX_KNOCKS,),
            )

    def deny(self, public_key: str, now: float, seconds: float) -> None:
        """Remember that the owner said no to it; only the newest MAX_DENIED are."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM denials WHERE until <= ?", (now,))
            connection.execute(
                "INSERT INTO denials (public_key, until) VALUES (?, ?) "
                "ON CONFLICT (public_key) DO UPDATE SET until = excluded.until",
                (public_key, now + seconds),
            )
            connection.execute(
                "DELETE FROM denials WHERE public_key NOT IN "
                "(SELECT public_key FROM denials ORDER BY until DESC, public_key LIMIT ?)",
                (MAX_DENIED,),
            )

    def lift(self, public_key: str) -> None:
        self._database.execute("DELETE FROM denials WHERE public_key = ?", (public_key,))

    def denials(self, now: float) -> dict[str, float]:
        """Until when each is denied that still is, in Unix seconds."""
        rows = self._database.rows("SELECT public_key, until FROM denials WHERE until > ?", (now,))
        return {row["public_key"]: row["until"] for row in rows}

    def remove(self, public_key: str) -> None:
        """Forget it; one that is not there is fine."""
        self._database.execute("DELETE FROM knocks WHERE public_key = ?", (public_key,))
