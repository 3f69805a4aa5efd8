"""Invites without a core: what FakeCore's `invites` does. Every intent is noted as FakeCore's are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qvac_core.codec.key_links import link_of
from qvac_core.core.invites_room import InviteRecord, InvitesChanged, InviteWish, Offer
from qvac_core.core.state import ProviderEntry
from qvac_core.errors import LocalProtocolError

if TYPE_CHECKING:
    from tests.gui.fake_core import FakeCore


class FakeInvites:
    """Implements InvitesInterface. offers: what `read` says of each link."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core
        self.kept: tuple[InviteRecord, ...] = ()
        self.offers: dict[str, Offer] = {}

    def set(self, *invites: InviteRecord) -> None:
        self.kept = invites
        self._core.emit(InvitesChanged(invites))

    async def list(self) -> tuple[InviteRecord, ...]:
        return self.kept

    async def make(self, wish: InviteWish) -> InviteRecord:
        await self._core._enter("make_invite", wish)
        made = InviteRecord(
            f"{len(self.kept) + 1:032x}",
            wish.name,
            self._core.clock(),
            wish.opens_until,
            wish.places,
            wish.access_seconds,
            "mfrggzdf" * 24,
            limits=wish.limits,
        )
        self.set(made, *self.kept)
        return made

    async def take_back(self, id: str) -> None:
        await self._core._enter("take_back", id)
        now = self._core.clock()
        self.set(*(replace(one, taken_back_at=now) if one.id == id else one for one in self.kept))

    async def remove(self, id: str) -> None:
        await self._core._enter("remove_invite", id)
        self.set(*(one for one in self.kept if one.id != id))

    def link(self, invite: InviteRecord) -> str:
        return link_of(bytes.fromhex(self._core.key), "Studio desktop", invite.grant)

    def read(self, link: str) -> Offer:
        if link not in self.offers:
            raise LocalProtocolError("This invite is damaged. Copy its link again, or ask for a new one.")
        return self.offers[link]

    async def accept(self, link: str, name: str = "") -> ProviderEntry:
        await self._core._enter("accept", link, name)
        offer = self.offers[link]
        await self._core.add_provider(offer.public_key, name or offer.machine)
        return await self._core.connect_provider(offer.public_key)
