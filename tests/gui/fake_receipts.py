"""The receipts of a fake core: the fake of `core.receipts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qvac_core.core.receipts_room import KeptReceipt, ReceiptQuery


@dataclass
class FakeReceipts:
    """kept: newest first."""

    kept: list[KeptReceipt] = field(default_factory=list)
    exported: list[tuple[Path, ReceiptQuery]] = field(default_factory=list)

    async def find(self, query: ReceiptQuery) -> Sequence[KeptReceipt]:
        found = [
            one
            for one in self.kept
            if query.side in (None, one.side)
            and query.peer in ("", one.peer)
            and query.request_id in ("", one.request_id)
            and query.id in ("", one.id)
        ]
        return found[: query.limit or None]

    async def export(self, path: Path, query: ReceiptQuery) -> int:
        self.exported.append((path, query))
        return len(await self.find(query))

    async def clear(self) -> None:
        self.kept.clear()
