"""Receipts of both sides: those that this machine gave as a provider, and those of what it was served as a guest.

What they say and who signed is delegation/receipts.py's; here they are bytes with the columns by which they are found.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from qvac_core.store.database import Database
from qvac_core.store.receipt_records import KeptReceipt, ReceiptQuery, ReceiptSide, ReceiptState
from qvac_core.store.request_log import SECONDS_PER_DAY

_COLUMNS: Final = (
    "side, peer, request_id, id, method, model, started_at, ended_at, prompt_tokens, generated_tokens, amount, unit, "
    "outcome, state, reason, body, provider_signature, guest_signature, seen"
)
# A machine that is a guest without end keeps so many at most.
MOST_ROWS: Final = 200_000
# How long a guest asks its provider for a receipt that does not come.
AWAITED_SECONDS: Final = 7 * SECONDS_PER_DAY


class Receipts:
    """Kept receipts, found by side, peer, time and request. In the database's thread; StoreError on a full disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, receipt: KeptReceipt) -> None:
        """One more; in the place of the one that was awaited of the same request."""
        with self._database.transaction() as connection:
            if receipt.side is ReceiptSide.TAKEN:
                connection.execute(
                    "DELETE FROM receipts WHERE side = 'taken' AND peer = ? AND request_id = ? AND state = 'awaited'",
                    (receipt.peer, receipt.request_id),
                )
            connection.execute(
                f"INSERT INTO receipts ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})",
                _values(receipt),
            )

    def word(self, guest: str, id: str, state: ReceiptState, reason: str, signature: bytes) -> bool:
        """What the guest said of one that this machine gave it. A signature stays. False: there is no such receipt."""
        return bool(
            self._database.execute(
                "UPDATE receipts SET state = ?, reason = ?, guest_signature = ? "
                "WHERE side = 'given' AND peer = ? AND id = ? AND state <> 'signed'",
                (state.value, reason, signature, guest, id),
            )
        )

    def find(self, query: ReceiptQuery) -> tuple[KeptReceipt, ...]:
        """Newest first."""
        conditions, values = ["1"], list[str | int]()
        for column, value in (
            ("side", query.side.value if query.side else ""),
            ("peer", query.peer),
            ("request_id", query.request_id),
            ("id", query.id),
        ):
            if value:
                conditions.append(f"{column} = ?")
                values.append(value)
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM receipts WHERE {' AND '.join(conditions)} "
            "ORDER BY started_at DESC, number DESC LIMIT ?",
            (*values, query.limit or -1),
        )
        return tuple(map(_receipt, rows))

    def unsigned(self, guest: str, limit: int) -> tuple[KeptReceipt, ...]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM receipts WHERE side = 'given' AND peer = ? AND state = 'unsigned' "
            "ORDER BY started_at DESC, number DESC LIMIT ?",
            (guest, limit),
        )
        return tuple(map(_receipt, rows))

    def awaited(self, provider: str, now: float, limit: int) -> tuple[str, ...]:
        """Request ids."""
        rows = self._database.rows(
            "SELECT request_id FROM receipts WHERE side = 'taken' AND peer = ? AND state = 'awaited' "
            "AND ended_at > ? ORDER BY started_at DESC LIMIT ?",
            (provider, now - AWAITED_SECONDS, limit),
        )
        return tuple(row[0] for row in rows)

    def given_none(self, provider: str, request_id: str) -> None:
        self._database.execute(
            "UPDATE receipts SET state = 'none' "
            "WHERE side = 'taken' AND peer = ? AND request_id = ? AND state = 'awaited'",
            (provider, request_id),
        )

    def clear(self, side: ReceiptSide | None = None) -> None:
        """Forget them, overwritten in the file."""
        where = "" if side is None else f" WHERE side = '{side.value}'"
        self._database.erase(f"DELETE FROM receipts{where}")

    def prune(self, now: float, days: int) -> None:
        """Forget what is older than `days` (0 keeps all), and what is more than MOST_ROWS."""
        with self._database.transaction() as connection:
            if days > 0:
                connection.execute("DELETE FROM receipts WHERE started_at < ?", (now - days * SECONDS_PER_DAY,))
            connection.execute(
                "DELETE FROM receipts WHERE number <= "
                "(SELECT number FROM receipts ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (MOST_ROWS,),
            )


def _values(receipt: KeptReceipt) -> tuple[str | float | bytes, ...]:
    return (
        *(receipt.side.value, receipt.peer, receipt.request_id, receipt.id, receipt.method, receipt.model),
        *(receipt.started_at, receipt.ended_at, receipt.prompt_tokens, receipt.generated_tokens),
        *(receipt.amount, receipt.unit, receipt.outcome, receipt.state.value, receipt.reason),
        *(receipt.body, receipt.provider_signature, receipt.guest_signature, receipt.seen),
    )


def _receipt(row: sqlite3.Row) -> KeptReceipt:
    side, *rest = row
    values = [*rest]
    values[12] = ReceiptState(values[12])
    return KeptReceipt(ReceiptSide(side), *values)
