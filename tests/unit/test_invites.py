"""Invites: what their letters say, who can make them, whom they let in, and what became of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.codec.key_links import link_of, qr_text
from qvac_core.codec.key_text import KeyCheck, read_key
from qvac_core.core.invites import new_invite, read_offer
from qvac_core.core.invites_room import InviteRecord, InviteWish
from qvac_core.delegation.admission import AccessMode, AccessRules, Limits, Rate
from qvac_core.delegation.claims import refused
from qvac_core.delegation.events import ConnectionChanged, ConnectionState
from qvac_core.delegation.grants import DAMAGED, FORGED, LATEST, NEWER, OF_ANOTHER, Grant, read_grant, signed
from qvac_core.errors import LocalProtocolError, ProviderError, QvacError, StoreError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.access_list import AccessList
from qvac_core.store.database import Database
from qvac_core.store.invites import Claim, Invites
from qvac_core.store.knocks import Knocks
from qvac_core.store.records import KeyLimits
from tests.unit.delegation_room import ASK, CONSUMER_KEY, DELEGATE, STRANGER_KEY, Room, admitting, provider_room
from tests.unit.memory_stream import run, settle

RUNNER = run

NOW = 1_750_000_000.0
OWNER, OTHER = KeyPair.from_seed(b"\x01" * 32), KeyPair.from_seed(b"\x02" * 32)
ALICE, BOB, EVE = "a1" * 32, "b2" * 32, "e3" * 32
LIMITS = KeyLimits(50_000, 1, 4096, 512, ("Qwen3 8B", "Whisper large v3 turbo"), "08:00-20:00")
WISH = InviteWish("Reading group", LIMITS, NOW + 3600, 30 * 86_400.0, 2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "a.db", now=NOW)
    yield database
    database.close()


# --- The letters


def test_a_link_says_what_the_invite_is_for_and_an_old_program_reads_the_key() -> None:
    invite = new_invite(WISH, OWNER, NOW)
    for link in (
        link_of(OWNER.public_key, "Studio & Co.", invite.grant),
        qr_text(OWNER.public_key, invite.grant),
        f"Come in: {link_of(OWNER.public_key, 'Studio', invite.grant)}.",
        f'"{link_of(OWNER.public_key, "", invite.grant)}"',
    ):
        found = read_key(link)
        assert found.check is KeyCheck.KEY and found.key == OWNER.public_key
        offer = read_offer(link, NOW)
        assert offer.public_key == OWNER.public_key.hex() and not offer.run_out
        assert offer.limits == LIMITS and offer.models == 2
        assert (offer.opens_until, offer.access_seconds) == (NOW + 3600, 30 * 86_400.0)
        assert read_offer(link, NOW + 3600).run_out
    assert read_offer(link_of(OWNER.public_key, "Studio & Co.", invite.grant), NOW).machine == "Studio & Co."
    with pytest.raises(LocalProtocolError, match="no invite"):
        read_offer(link_of(OWNER.public_key, "Studio"), NOW)


limits = st.builds(
    KeyLimits,
    tokens_per_day=st.none() | st.integers(0, 10**12),
    parallel=st.none() | st.integers(1, 100),
    context_tokens=st.none() | st.integers(1, 10**6),
    answer_tokens=st.none() | st.integers(1, 10**6),
    models=st.none() | st.lists(st.text(max_size=60), max_size=6).map(tuple),
    hours=st.sampled_from(["", "08:00-20:00"]),
)


@given(limits, st.none() | st.integers(1, LATEST), st.none() | st.integers(1, LATEST), st.integers(1, 1000))
def test_a_grant_comes_back_whole(given: KeyLimits, until: int | None, access: int | None, places: int) -> None:
    count = None if given.models is None else len(given.models)
    grant = Grant(OWNER.public_key, b"i" * 16, until, access, places, given, count)
    letters = signed(grant, OWNER.secret_key)
    names = None if given.models is None else tuple(name[:40] for name in given.models[:3])
    assert read_grant(letters, OWNER.public_key) == replace(grant, limits=replace(given, models=names))
    assert letters.isalnum() and len(letters) < 1000


@given(st.integers(0, 10_000), st.text(max_size=300))
def test_nothing_but_what_the_owner_signed_is_a_grant(place: int, text: str) -> None:
    letters = new_invite(WISH, OWNER, NOW).grant
    index = place % (len(letters) - 1)  # the last letter has bits to spare
    changed = letters[:index] + ("a" if letters[index] != "a" else "b") + letters[index + 1 :]
    for bad in (changed, letters[:-8], letters + "a" * 8, text):
        with pytest.raises(LocalProtocolError):
            read_grant(bad, OWNER.public_key)


def test_what_is_wrong_with_a_grant_is_named() -> None:
    letters = new_invite(WISH, OWNER, NOW).grant
    forger = replace_signer(letters)
    for bad, key, sentence in (
        (letters, OTHER.public_key, OF_ANOTHER),
        (forger, OWNER.public_key, FORGED),
        ("", OWNER.public_key, DAMAGED),
        ("a" * 5000, OWNER.public_key, DAMAGED),
        ("ai" + letters[2:], OWNER.public_key, NEWER),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            read_grant(bad, key)
        assert caught.value.message == sentence


@pytest.mark.parametrize("moment", [LATEST + 1, 10**15, 2**63])
def test_no_provider_signs_a_day_that_no_calendar_has(moment: int) -> None:
    """Whoever opens the link is shown that day."""
    for until, access in ((moment, None), (None, moment)):
        letters = signed(Grant(OWNER.public_key, b"i" * 16, until, access, 1, KeyLimits()), OWNER.secret_key)
        with pytest.raises(LocalProtocolError, match="damaged"):
            read_grant(letters, OWNER.public_key)


def replace_signer(letters: str) -> str:
    """As somebody would who knows the owner's public key alone."""
    grant = read_grant(letters, OWNER.public_key)
    return signed(grant, OTHER.secret_key)


# --- What is kept


def made(database: Database, wish: InviteWish = WISH) -> InviteRecord:
    invite = new_invite(wish, OWNER, NOW)
    Invites(database).put(invite)
    return invite


def test_a_place_is_taken_once_by_the_first_key_that_asks(database: Database) -> None:
    invites, access, invite = Invites(database), AccessList(database), made(database)
    Knocks(database).put(ALICE, NOW)
    assert invites.claim(invite.id, ALICE, NOW + 5)[0] is Claim.TAKEN
    record = access.get(ALICE)
    assert record is not None and (record.name, record.limits, record.invite) == ("Reading group 1", LIMITS, invite.id)
    assert record.expires_at == NOW + 5 + 30 * 86_400 and Knocks(database).records() == ()
    assert invites.claim(invite.id, ALICE, NOW + 6)[0] is Claim.KNOWN  # a reply that was lost
    assert invites.claim(invite.id, BOB, NOW + 7)[0] is Claim.TAKEN
    assert invites.claim(invite.id, EVE, NOW + 8)[0] is Claim.FULL and access.get(EVE) is None
    (kept,) = invites.records()
    assert kept.claims == ((ALICE, NOW + 5), (BOB, NOW + 7)) and kept.turned_away_at == NOW + 8
    assert not kept.open_at(NOW + 9)


def test_every_other_end_is_named_and_lets_nobody_in(database: Database) -> None:
    invites, access, invite = Invites(database), AccessList(database), made(database)
    assert invites.claim("0" * 32, ALICE, NOW)[0] is Claim.UNKNOWN
    assert invites.claim(invite.id, ALICE, NOW + 3600)[0] is Claim.RUN_OUT
    access.block(EVE, "", NOW)
    assert invites.claim(invite.id, EVE, NOW)[0] is Claim.BLOCKED
    assert invites.claim(invite.id, ALICE, NOW)[0] is Claim.TAKEN
    assert invites.claim(invite.id, ALICE, NOW + 31 * 86_400)[0] is Claim.ENDED
    access.remove(ALICE)  # whom the owner removed does not come back with the same invite
    assert invites.claim(invite.id, ALICE, NOW + 1)[0] is Claim.ENDED
    assert invites.take_back(invite.id, NOW) and not invites.take_back(invite.id, NOW)
    assert invites.claim(invite.id, BOB, NOW)[0] is Claim.TAKEN_BACK
    invites.remove(invite.id)
    assert invites.claim(invite.id, BOB, NOW)[0] is Claim.UNKNOWN
    assert access.get(BOB) is None and not invites.any_open(NOW)


def test_an_invite_takes_nothing_from_somebody_whom_the_owner_allowed(database: Database) -> None:
    invites, access, invite = Invites(database), AccessList(database), made(database)
    access.allow(ALICE, "Alice", NOW)
    assert invites.claim(invite.id, ALICE, NOW)[0] is Claim.KNOWN
    record = access.get(ALICE)
    assert record is not None and record.limits == KeyLimits() and invites.records()[0].claims == ()


def test_two_programs_cannot_give_the_same_place_away(tmp_path: Path, database: Database) -> None:
    invite = made(database, replace(WISH, places=1))
    keys = [f"{n:064x}" for n in range(8)]
    outcomes: dict[str, Claim] = {}

    def claim(key: str) -> None:
        other = Database.open(tmp_path / "a.db", now=NOW)
        outcomes[key] = Invites(other).claim(invite.id, key, NOW)[0]
        other.close()

    threads = [threading.Thread(target=claim, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.value for outcome in outcomes.values()) == ["full"] * 7 + ["taken"]
    assert len(AccessList(database).records()) == 1


def test_a_power_cut_in_a_claim_leaves_all_of_it_or_nothing(tmp_path: Path, database: Database) -> None:
    invite = made(database)
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute("INSERT INTO invite_claims VALUES (?, ?, ?)", (invite.id, ALICE, NOW))
        raise RuntimeError("the power is cut")
    other = Database.open(tmp_path / "a.db", now=NOW)
    assert Invites(other).records()[0].claims == () and AccessList(other).get(ALICE) is None
    assert Invites(other).claim(invite.id, ALICE, NOW)[0] is Claim.TAKEN
    other.close()


def test_an_invite_that_cannot_be_is_not_made(database: Database) -> None:
    for wish in (replace(WISH, places=0), replace(WISH, limits=KeyLimits(parallel=0))):
        with pytest.raises(StoreError):
            made(database, wish)
    assert Invites(database).records() == ()


# --- At the door


@dataclass
class Tickets:
    """Lets in who shows one of `good`, once each."""

    room: Room | None = None
    good: set[str] = field(default_factory=lambda: {"good"})

    async def claim(self, public_key: bytes, grant: str) -> None:
        await asyncio.sleep(0)
        if grant not in self.good:
            raise refused("All places of this invite are taken. Ask its owner for a new one.")
        self.good.remove(grant)
        assert self.room is not None
        self.room.policy.set_rules(admitting(public_key))


def knocks(room: Room) -> list[str]:
    changes = [event for event in room.events if isinstance(event, ConnectionChanged)]
    return [event.remote_public_key for event in changes if event.state is ConnectionState.KNOCK]


@pytest.mark.parametrize("knock", [False, True])
async def test_a_stranger_with_an_invite_comes_in_and_the_owner_hears_no_knock(knock: bool) -> None:
    rules = AccessRules(AccessMode.ALLOW, knock=knock, invites=True)
    async with provider_room(rules) as room:
        tickets = Tickets(room)
        room.provider._claims = tickets
        consumer = room.consumer(STRANGER_KEY)
        await consumer.claim(DELEGATE, "good")
        loaded = await consumer.load_model("SMOLLM2_135M_INST_Q4_1", delegate=DELEGATE)
        assert await (await consumer.completion(loaded.model_id, ASK)).text
        assert knocks(room) == []
        await consumer.close()
        late = room.consumer(CONSUMER_KEY)
        room.policy.set_rules(rules)
        with pytest.raises(ProviderError, match="places of this invite are taken") as caught:
            await late.claim(DELEGATE, "good")
        assert caught.value.typed_fields == {"reason": "grant"}
        assert knocks(room) == []
        await late.close()


async def test_without_knocks_an_invite_opens_the_door_to_nothing_else() -> None:
    async with provider_room(AccessRules(AccessMode.ALLOW, invites=True)) as room:
        consumer = room.consumer(STRANGER_KEY)
        with pytest.raises(ProviderError, match="does not admit you yet"):
            await consumer.heartbeat(DELEGATE)
        await settle()
        assert knocks(room) == []  # the owner wants to hear of none
        await consumer.close()


async def test_fresh_keys_cannot_go_round_the_rate_of_an_address() -> None:
    rules = AccessRules(AccessMode.ALLOW, knock=True, invites=True)
    async with provider_room(rules, Limits()) as room:
        room.provider._claims = Tickets(room, set())
        heard = 0
        for n in range(30):
            consumer = room.consumer(bytes([n]) * 32)
            try:
                await consumer.claim(DELEGATE, "guess")
            except ProviderError:
                heard += 1
            except QvacError:
                pass
            await consumer.close()
        assert heard == Limits().knocks_per_address.events


async def test_an_invite_is_heard_while_the_owner_is_told_of_no_more_knocks() -> None:
    rules = AccessRules(AccessMode.ALLOW, knock=True, invites=True)
    many = Rate(1000, 60.0)
    limits = Limits(knocks=Rate(3, 60.0), knocks_per_address=many, knocks_per_network=many)
    async with provider_room(rules, limits) as room:
        room.provider._claims = Tickets(room)
        for n in range(10):
            stranger = room.consumer(bytes([n]) * 32)
            with pytest.raises(ProviderError, match="does not admit you yet"):
                await stranger.heartbeat(DELEGATE)
            await stranger.close()
        assert len(knocks(room)) == 3
        friend = room.consumer(STRANGER_KEY)
        await friend.claim(DELEGATE, "good")
        await friend.close()


async def test_an_admitted_guest_may_show_one_as_well() -> None:
    async with provider_room() as room:
        claimed: list[Any] = []

        class Kept:
            async def claim(self, public_key: bytes, grant: str) -> None:
                claimed.append((public_key, grant))

        room.provider._service = replace(room.provider._service, claims=Kept())
        consumer = room.consumer()
        await consumer.hello(DELEGATE)
        await consumer.claim(DELEGATE, "again")
        assert claimed == [(CONSUMER_KEY, "again")] and room.connects == 1
        await consumer.close()
