"""Invites, on both sides: the owner makes them, sees what became of them and takes them back; a guest opens one.

A link carries the provider's key and a signed grant (delegation/grants.py): its guest needs no key exchange back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from qvac_core.codec.key_links import link_of
from qvac_core.codec.key_text import KeyCheck, read_key
from qvac_core.core.invites_room import InvitesChanged, InviteWish, Offer
from qvac_core.delegation.claims import refused
from qvac_core.delegation.grants import ID_BYTES, Grant, read_grant, signed
from qvac_core.delegation.owner_stops import BLOCKED
from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.invites import Claim
from qvac_core.store.records import InviteRecord

if TYPE_CHECKING:
    from qvac_core.core.state import ProviderEntry
    from qvac_core.store.store import Store

_REFUSALS = {
    Claim.UNKNOWN: "This invite is not known here any more. Ask its owner for a new one.",
    Claim.TAKEN_BACK: "The owner took this invite back. Ask for a new one.",
    Claim.RUN_OUT: "This invite has run out. Ask its owner for a new one.",
    Claim.FULL: "All places of this invite are taken. Ask its owner for a new one.",
    Claim.ENDED: "Your time with this invite is over. Ask its owner for more.",
}
RUN_OUT = _REFUSALS[Claim.RUN_OUT]
NO_INVITE = "There is no invite in this link."


def read_offer(link: str, now: float) -> Offer:
    """As InvitesInterface.read."""
    found = read_key(link)
    if found.check is not KeyCheck.KEY or not found.invite:
        raise LocalProtocolError(NO_INVITE, name="INVITE_NOT_VALID")
    grant = read_grant(found.invite, found.key)
    return Offer(
        found.key.hex(),
        found.name,
        grant.opens_until,
        grant.access_seconds,
        grant.limits,
        grant.models,
        run_out=grant.opens_until is not None and grant.opens_until <= now,
    )


def new_invite(wish: InviteWish, key_pair: KeyPair, now: float) -> InviteRecord:
    """Signed, not kept."""
    id = secrets.token_bytes(ID_BYTES)
    models = None if wish.limits.models is None else len(wish.limits.models)
    grant = Grant(key_pair.public_key, id, wish.opens_until, wish.access_seconds, wish.places, wish.limits, models)
    return InviteRecord(
        id.hex(),
        wish.name.strip() or "Guest",
        now,
        wish.opens_until,
        wish.places,
        wish.access_seconds,
        signed(grant, key_pair.secret_key),
        limits=wish.limits,
    )


class Invites:
    """Implements delegation's Claims as well. changed: applies the rules of the store, and tells everybody.

    take: a guest's way to a provider with a grant; join: into its list.
    """

    def __init__(
        self,
        store: Store,
        key_pair: KeyPair,
        emit: Callable[[InvitesChanged], None],
        changed: Callable[[], Awaitable[None]],
        machine_name: Callable[[], str],
        take: Callable[[bytes, str], Awaitable[None]],
        join: Callable[[str, str], Awaitable[ProviderEntry]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._run = store.database.run
        self._key_pair = key_pair
        self._emit = emit
        self._changed = changed
        self._machine_name = machine_name
        self._take = take
        self._join = join
        self._now = now

    # --- The owner's

    async def list(self) -> tuple[InviteRecord, ...]:
        return await self._run(self._store.invites.records)

    async def make(self, wish: InviteWish) -> InviteRecord:
        if wish.opens_until is not None and wish.opens_until <= self._now():
            raise StoreError("This invite would have run out already. Choose a later time.")
        invite = new_invite(wish, self._key_pair, self._now())
        await self._run(self._store.invites.put, invite)
        await self._tell()
        return invite

    async def take_back(self, id: str) -> None:
        await self._run(self._store.invites.take_back, id, self._now())
        await self._tell()

    async def remove(self, id: str) -> None:
        await self._run(self._store.invites.remove, id)
        await self._tell()

    def link(self, invite: InviteRecord) -> str:
        return link_of(self._key_pair.public_key, self._machine_name(), invite.grant)

    async def tell(self) -> None:
        """Another program of ours may have changed them."""
        self._emit(InvitesChanged(await self.list()))

    async def _tell(self) -> None:
        await self._changed()
        await self.tell()

    # --- The provider's

    async def claim(self, public_key: bytes, grant: str) -> None:
        try:
            genuine = read_grant(grant, self._key_pair.public_key)
        except LocalProtocolError as error:
            raise refused(error.message) from None
        outcome, _ = await self._run(self._store.invites.claim, genuine.id.hex(), public_key.hex(), self._now())
        if outcome in (Claim.TAKEN, Claim.FULL):
            await self._tell()
        if outcome is Claim.BLOCKED:
            raise BLOCKED.rejection()
        if outcome in _REFUSALS:
            raise refused(_REFUSALS[outcome])

    # --- The guest's

    def read(self, link: str) -> Offer:
        return read_offer(link, self._now())

    async def accept(self, link: str, name: str = "") -> ProviderEntry:
        offer = self.read(link)
        if offer.run_out:
            raise LocalProtocolError(RUN_OUT, name="INVITE_NOT_VALID")
        found = read_key(link)
        await self._take(found.key, found.invite)
        return await self._join(offer.public_key, name.strip() or offer.machine)
