"""Receipts as others see them: `core.receipts`, and what a third person finds out about a file of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qvac_core.late_dataclass import dataclass
from qvac_core.store.receipt_records import KeptReceipt as KeptReceipt
from qvac_core.store.receipt_records import ReceiptQuery as ReceiptQuery
from qvac_core.store.receipt_records import ReceiptSide as ReceiptSide
from qvac_core.store.receipt_records import ReceiptState as ReceiptState

if TYPE_CHECKING:
    from qvac_core.delegation.receipts import Receipt


@dataclass(frozen=True, slots=True)
class ReceiptsChanged:
    """One came, was signed or refused, or they were forgotten."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One receipt of a file. receipt: None where the line is none. wrong: a sentence, "" = nothing is."""

    line: int
    receipt: Receipt | None
    by_provider: bool = False
    by_guest: bool = False
    wrong: str = ""

    @property
    def good(self) -> bool:
        """Both have signed just this."""
        return not self.wrong and self.by_provider and self.by_guest


class ReceiptsInterface(Protocol):
    """`core.receipts`. Raises StoreError."""

    async def find(self, query: ReceiptQuery) -> Sequence[KeptReceipt]:
        """Newest first."""

    async def export(self, path: Path, query: ReceiptQuery) -> int:
        """Write those that have a text and a signature, a line of JSON each; how many. Only this user can read it."""

    async def clear(self) -> None:
        """Forget them all, of both sides."""
