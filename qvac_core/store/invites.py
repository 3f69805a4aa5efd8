"""Invites that the owner made, and who came with them. A place is taken in the transaction that lets its key in.

The rules of a claim are `claim`'s, line by line; what a grant says and whether it is genuine is delegation/grants.py's.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from enum import Enum
from typing import Final

from qvac_core.errors import StoreError
from qvac_core.store.access_list import LIMIT_COLUMNS, check_limits, limit_values, limits_of
from qvac_core.store.database import Database
from qvac_core.store.records import InviteRecord

_COLUMNS: Final = (
    "id, name, made_at, opens_until, places, access_seconds, grant_text, taken_back_at, turned_away_at, "
    f"{LIMIT_COLUMNS}"
)
MOST_PLACES: Final = 1000
MOST_INVITES: Final = 2000


class Claim(Enum):
    """What became of somebody who showed an invite."""

    TAKEN = "taken"  # a place, just now
    KNOWN = "known"  # this key has its place, or is allowed anyway: nothing is spent
    UNKNOWN = "unknown"  # it was never made here, or is forgotten
    TAKEN_BACK = "taken_back"
    RUN_OUT = "run_out"
    FULL = "full"  # all its places are taken
    ENDED = "ended"  # this key had a place, and its time is over
    BLOCKED = "blocked"


class Invites:
    """Invites by id. Times are seconds since 1970. In the database's thread; each claim is one transaction, so that two
    guests never take one place.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> tuple[InviteRecord, ...]:
        """Newest first."""
        claims: dict[str, list[tuple[str, float]]] = {}
        for row in self._database.rows("SELECT invite, public_key, at FROM invite_claims ORDER BY at, public_key"):
            claims.setdefault(row["invite"], []).append((row["public_key"], row["at"]))
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM invites ORDER BY made_at DESC, id")
        return tuple(_record(row, tuple(claims.get(row["id"], ()))) for row in rows)

    def names(self) -> dict[str, str]:
        return {row["id"]: row["name"] for row in self._database.rows("SELECT id, name FROM invites")}

    def any_open(self, now: float) -> bool:
        rows = self._database.rows(
            "SELECT 1 FROM invites WHERE taken_back_at IS NULL AND (opens_until IS NULL OR opens_until > ?) LIMIT 1",
            (now,),
        )
        return bool(rows)

    def put(self, record: InviteRecord) -> None:
        """Raises StoreError for what cannot be."""
        check_limits(record.limits)
        if not 1 <= record.places <= MOST_PLACES:
            raise StoreError(f"An invite is for 1 to {MOST_PLACES} people.")
        with self._database.transaction() as connection:
            if connection.execute("SELECT count(*) FROM invites").fetchone()[0] >= MOST_INVITES:
                raise StoreError("There are too many invites. Remove some that are closed.")
            connection.execute(
                f"INSERT INTO invites ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id,
                    record.name,
                    record.made_at,
                    record.opens_until,
                    record.places,
                    record.access_seconds,
                    record.grant,
                    record.taken_back_at,
                    record.turned_away_at,
                    *limit_values(record.limits),
                ),
            )

    def take_back(self, id: str, now: float) -> bool:
        """Nobody more comes with it; who came stays. False: there is no such open invite."""
        return bool(
            self._database.execute(
                "UPDATE invites SET taken_back_at = ? WHERE id = ? AND taken_back_at IS NULL", (now, id)
            )
        )

    def remove(self, id: str) -> None:
        """Forget it: a link of it is unknown from now on; who came stays."""
        self._database.execute("DELETE FROM invites WHERE id = ?", (id,))

    def claim(self, id: str, public_key: str, now: float) -> tuple[Claim, InviteRecord | None]:
        """Let the key in on a place of this invite, or say why not: all of it is on the disk, or nothing.

        A key that has its place hears the same again, however often it asks: an answer that got lost costs nobody one.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM invites WHERE id = ?", (id,)).fetchall()
            if not rows:
                return Claim.UNKNOWN, None
            invite = _record(rows[0], ())
            taken = [
                row["public_key"]
                for row in connection.execute("SELECT public_key FROM invite_claims WHERE invite = ?", (id,))
            ]
            key = connection.execute(
                "SELECT blocked, expires_at, invite, mine FROM access_keys WHERE public_key = ?", (public_key,)
            ).fetchone()
            outcome = _judge(invite, taken, public_key, key, now)
            if outcome is Claim.FULL:
                connection.execute("UPDATE invites SET turned_away_at = ? WHERE id = ?", (now, id))
            elif outcome is Claim.TAKEN:
                connection.execute("INSERT INTO invite_claims VALUES (?, ?, ?)", (id, public_key, now))
                _let_in(connection, invite, len(taken), public_key, now)
        return outcome, invite


def _judge(invite: InviteRecord, taken: list[str], public_key: str, key: sqlite3.Row | None, now: float) -> Claim:
    in_force = key is not None and (key["expires_at"] is None or key["expires_at"] > now)
    if key is not None and key["blocked"]:
        return Claim.BLOCKED
    if public_key in taken:
        return Claim.KNOWN if in_force else Claim.ENDED
    if invite.taken_back_at is not None:
        return Claim.TAKEN_BACK
    if invite.opens_until is not None and invite.opens_until <= now:
        return Claim.RUN_OUT
    if key is not None and in_force and (not key["invite"] or key["mine"]):
        return Claim.KNOWN  # the owner allowed it by hand: an invite takes nothing from it
    return Claim.FULL if len(taken) >= invite.places else Claim.TAKEN


def _let_in(connection: sqlite3.Connection, invite: InviteRecord, before: int, public_key: str, now: float) -> None:
    expires_at = None if invite.access_seconds is None else now + invite.access_seconds
    name = invite.name if invite.places == 1 else f"{invite.name} {before + 1}"
    connection.execute(
        f"INSERT INTO access_keys (public_key, name, blocked, added_at, expires_at, invite, {LIMIT_COLUMNS}) "
        "VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (public_key) DO UPDATE SET expires_at = excluded.expires_at, invite = excluded.invite, "
        "name = CASE name WHEN '' THEN excluded.name ELSE name END, "
        + ", ".join(f"{column} = excluded.{column}" for column in LIMIT_COLUMNS.split(", ")),
        (public_key, name, now, expires_at, invite.id, *limit_values(invite.limits)),
    )
    connection.execute("DELETE FROM knocks WHERE public_key = ?", (public_key,))
    connection.execute("DELETE FROM denials WHERE public_key = ?", (public_key,))


def _record(row: sqlite3.Row, claims: tuple[tuple[str, float], ...]) -> InviteRecord:
    values = list(row)
    return replace(InviteRecord(*values[:9]), limits=limits_of(values[9:]), claims=claims)
