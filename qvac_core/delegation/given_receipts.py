"""Receipts that a provider gives: where they are signed and kept, and how many travel at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qvac_core.delegation.messages import GuestWord, OfferedReceipt
from qvac_core.delegation.receipts import Receipt

FEATURE = "receipts"
AT_ONCE = 32  # receipts of one exchange
ENDING_SECONDS = 2.0  # for which a provider waits for the end of what it is asked about


class GivenReceipts(Protocol):
    """Where a provider signs and keeps them. Keys and ids in hex."""

    def give(self, receipt: Receipt) -> None:
        """Signed and kept behind what is served; raises nothing."""

    async def unsigned(self, guest: str, limit: int) -> Sequence[OfferedReceipt]:
        """Those of this guest that have no word of it yet, newest first."""

    async def hear(self, guest: str, word: GuestWord) -> bool:
        """Keep its signature, if it is one, or that it refused. False: there is no such receipt of this guest."""


class NoReceipts:
    """A provider that gives none."""

    def give(self, receipt: Receipt) -> None: ...

    async def unsigned(self, guest: str, limit: int) -> Sequence[OfferedReceipt]:
        return ()

    async def hear(self, guest: str, word: GuestWord) -> bool:
        return False
