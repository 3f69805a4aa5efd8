"""Receipt books of a guest and a provider beside each other, on a database each, where the disk takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from qvac_core.core.receipts import ReceiptBook
from qvac_core.core.receipts_room import KeptReceipt, ReceiptQuery
from qvac_core.hyperdht import KeyPair
from qvac_core.store.database import Database
from qvac_core.store.receipts import Receipts

NOW = 1_790_000_000.0
PROVIDER, GUEST, OTHER = (KeyPair.from_seed(bytes([number]) * 32) for number in (1, 2, 3))


class AtOnce:
    """A database whose thread is the caller's: for loops whose time jumps. Others have their turn between two calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, act: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return act(*arguments)


class Book(ReceiptBook):
    def __init__(self, folder: Path, key_pair: KeyPair) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.database = Database.open(folder / "a.db", now=NOW)
        self.receipts = Receipts(self.database)
        self.changes = 0
        store = SimpleNamespace(
            receipts=self.receipts, database=AtOnce(self.database), folder=SimpleNamespace(root=folder)
        )
        super().__init__(cast(Any, store), key_pair, lambda _event: self._count())

    def _count(self) -> None:
        self.changes += 1

    @property
    def all(self) -> tuple[KeptReceipt, ...]:
        return self.receipts.find(ReceiptQuery())


@contextmanager
def book(folder: Path, key_pair: KeyPair) -> Any:
    kept = Book(folder, key_pair)
    try:
        yield kept
    finally:
        kept.database.close()
