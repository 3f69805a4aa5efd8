"""Invites as the front doors see them: what is asked of `core.invites`, and what it tells. Light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from qvac_core.late_dataclass import dataclass
from qvac_core.store.records import InviteRecord as InviteRecord
from qvac_core.store.records import KeyLimits

if TYPE_CHECKING:
    from qvac_core.core.state import ProviderEntry

NO_LIMITS: Final = KeyLimits()


@dataclass(frozen=True, slots=True)
class InviteWish:
    """What an owner wants to give. Times in Unix seconds and seconds; None = no end. places: for how many keys."""

    name: str
    limits: KeyLimits = NO_LIMITS
    opens_until: float | None = None
    access_seconds: float | None = None
    places: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """What a guest's link promises, as its provider signed it. models: how many; None = all that are shared."""

    public_key: str
    machine: str
    opens_until: float | None
    access_seconds: float | None
    limits: KeyLimits
    models: int | None
    run_out: bool = False


@dataclass(frozen=True, slots=True)
class InvitesChanged:
    """Newest first."""

    invites: tuple[InviteRecord, ...]


class InvitesInterface(Protocol):
    """`core.invites`. Raises StoreError."""

    async def list(self) -> tuple[InviteRecord, ...]:
        """Newest first."""

    async def make(self, wish: InviteWish) -> InviteRecord: ...

    async def take_back(self, id: str) -> None:
        """Nobody more comes with it; who came stays."""

    async def remove(self, id: str) -> None:
        """Forget it, and what became of it."""

    def link(self, invite: InviteRecord) -> str:
        """To send, or to show as a QR code."""

    def read(self, link: str) -> Offer:
        """What somebody else's link promises; nothing is asked for it. Raises LocalProtocolError for one of no use."""

    async def accept(self, link: str, name: str = "") -> ProviderEntry:
        """Take a place, and connect. Raises ProviderError with its owner's reason, LocalProtocolError,
        DelegationError."""
