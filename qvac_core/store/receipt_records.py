"""What is kept of a receipt, and what may be asked of those that are kept. Times are Unix seconds."""

from __future__ import annotations

from enum import StrEnum

from qvac_core.late_dataclass import dataclass


class ReceiptSide(StrEnum):
    GIVEN = "given"  # this machine was the provider
    TAKEN = "taken"  # it was the guest


class ReceiptState(StrEnum):
    AWAITED = "awaited"  # taken: the provider has not given it yet
    UNSIGNED = "unsigned"  # given: the guest has said nothing of it yet
    SIGNED = "signed"  # by both
    REFUSED = "refused"  # by the guest, for `reason`
    NONE = "none"  # taken: the provider gives none


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """peer: the other side's key. request_id: the guest's, id: the provider's ("" while awaited). Times: Unix seconds.

    body: as it is signed, b"" while awaited. amount: in `unit`. seen: what a guest knows of it itself, as JSON.
    """

    side: ReceiptSide
    peer: str
    request_id: str
    id: str = ""
    method: str = ""
    model: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    amount: float = 0.0
    unit: str = ""
    outcome: str = ""
    state: ReceiptState = ReceiptState.AWAITED
    reason: str = ""
    body: bytes = b""
    provider_signature: bytes = b""
    guest_signature: bytes = b""
    seen: str = ""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.generated_tokens


@dataclass(frozen=True, slots=True)
class ReceiptQuery:
    """side: None = both. "" = any. request_id, id: of one. limit: newest first, 0 = all."""

    side: ReceiptSide | None = None
    peer: str = ""
    request_id: str = ""
    id: str = ""
    limit: int = 0
