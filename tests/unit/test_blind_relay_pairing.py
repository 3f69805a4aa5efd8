"""The relay's messages byte for byte, and who is paired with whom, when not, and for how long.

tests/vectors/vectors.json: blindRelay.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.blind_relay import (
    PAIRING_LIMIT,
    ClientEvent,
    Matched,
    Paired,
    PairingCancelled,
    PairingExpired,
    PairingFailed,
    PairingRequested,
    PairingSide,
    Protomux,
    RelayClient,
    RelayLimits,
    RelaySession,
    RelayState,
    ServerEvent,
    Unpaired,
)
from qvac_core.blind_relay.messages import Pair, Unpair
from qvac_core.errors import LocalProtocolError, RemoteProtocolError

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))[
    "blindRelay"
]
ALICE, BOB, EVE = b"a" * 32, b"b" * 32, b"e" * 32
TOKEN = b"t" * 32


@pytest.mark.parametrize("vector", VECTORS)
def test_messages_are_byte_for_byte_javascripts(vector: dict[str, Any]) -> None:
    token, wire = bytes.fromhex(vector["token"]), bytes.fromhex(vector["hex"])
    if vector["type"] == "unpair":
        assert Unpair(token).encode() == wire
        assert Unpair.decode(wire) == Unpair(token)
    else:
        pair = Pair(vector["isInitiator"], token, vector["id"], vector["seq"])
        assert pair.encode() == wire
        assert Pair.decode(wire) == pair


def test_a_stream_id_of_more_than_32_bits_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        Pair.decode(Pair(True, TOKEN, 1 << 32).encode())


class Room:
    """A relay and its clients, whose messages arrive at once."""

    def __init__(self, **limits: Any) -> None:
        self.state = RelayState(RelayLimits(**limits))
        self.sessions: dict[RelayClient, RelaySession] = {}
        self.told: list[ServerEvent] = []
        self.ids = iter(range(1000, 2000))

    def client(self, key: bytes) -> RelayClient:
        client = RelayClient(key)
        self.sessions[client] = self.state.accept(key)
        return client

    def settle(self, now: float = 0.0) -> None:
        moved = True
        while moved:
            moved = False
            for client, session in self.sessions.items():
                for frame in client.frames_to_send():
                    session.receive(frame, now)
                    moved = True
                for frame in session.frames_to_send():
                    client.receive(frame, now)
                    moved = True
            while (event := self.state.next_event()) is not None:
                self.told.append(event)
                if isinstance(event, Matched):
                    for side in (event.initiator, event.responder):
                        side.session.answer(side, event.token, next(self.ids))
                moved = True


def heard(client: RelayClient) -> list[ClientEvent]:
    found = []
    while (event := client.next_event()) is not None:
        found.append(event)
    return found


def both(room: Room) -> tuple[RelayClient, RelayClient]:
    alice, bob = room.client(ALICE), room.client(BOB)
    alice.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    bob.pair(is_initiator=False, token=TOKEN, stream_id=22, now=0)
    room.settle()
    return alice, bob


def test_both_sides_of_a_token_are_paired() -> None:
    room = Room()
    alice, bob = both(room)
    matched = next(event for event in room.told if isinstance(event, Matched))
    assert (matched.initiator.stream_id, matched.responder.stream_id) == (11, 22)
    assert (matched.initiator.session.public_key, matched.responder.session.public_key) == (ALICE, BOB)
    assert heard(alice) == [Paired(TOKEN, 1000)]
    assert heard(bob) == [Paired(TOKEN, 1001)]
    assert alice.get_timer() is None
    assert (room.state.pending, room.state.links) == (0, 1)


def test_two_of_the_same_role_are_not_paired_and_the_first_keeps_its_place() -> None:
    room = Room()
    alice, eve, bob = room.client(ALICE), room.client(EVE), room.client(BOB)
    alice.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    eve.pair(is_initiator=True, token=TOKEN, stream_id=33, now=0)
    room.settle()
    assert room.state.links == 0
    bob.pair(is_initiator=False, token=TOKEN, stream_id=22, now=0)
    room.settle()
    assert heard(alice) == [Paired(TOKEN, 1000)]
    assert heard(eve) == []


def test_a_token_in_use_cannot_be_taken_by_a_third() -> None:
    room = Room()
    both(room)
    eve = room.client(EVE)
    eve.pair(is_initiator=True, token=TOKEN, stream_id=33, now=0)
    room.settle()
    assert heard(eve) == []
    assert (room.state.pending, room.state.links) == (0, 1)


def test_nobody_comes() -> None:
    room = Room()
    alice = room.client(ALICE)
    alice.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    room.settle()
    assert alice.get_timer() == PAIRING_LIMIT
    alice.handle_timer(PAIRING_LIMIT - 0.1)
    assert heard(alice) == []
    alice.handle_timer(PAIRING_LIMIT)
    (failed,) = heard(alice)
    assert isinstance(failed, PairingFailed)
    room.settle()  # the relay is told: nothing waits there
    assert room.state.pending == 0


def test_a_pairing_that_waits_too_long_is_forgotten_by_the_relay() -> None:
    room = Room(pairing_life=30.0)
    alice = room.client(ALICE)
    alice.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    room.settle(now=5.0)
    assert room.state.get_timer() == 35.0
    room.state.handle_timer(34.0)
    assert room.state.pending == 1
    room.state.handle_timer(35.0)
    assert (room.state.pending, room.state.get_timer()) == (0, None)
    room.settle()
    assert isinstance(room.told[-1], PairingExpired)


def test_who_leaves_takes_its_links_and_requests_along() -> None:
    room = Room()
    alice, bob = both(room)
    alice.pair(is_initiator=True, token=b"u" * 32, stream_id=12, now=0)
    room.settle()
    assert (room.state.pending, room.state.links) == (1, 1)
    alice.close()
    room.settle()
    assert (room.state.pending, room.state.links) == (0, 0)
    cancelled = room.told[-1]
    assert isinstance(cancelled, PairingCancelled)
    assert cancelled.token == TOKEN
    assert heard(bob)[-1] == Unpaired(TOKEN)


def test_unpair_ends_what_is_waiting_or_matched_but_only_ones_own() -> None:
    room = Room()
    _, bob = both(room)
    eve = room.client(EVE)
    eve.unpair(TOKEN)
    room.settle()
    assert room.state.links == 1
    bob.unpair(TOKEN)
    room.settle()
    assert room.state.links == 0


def test_waiting_requests_are_bounded_by_key_and_in_all() -> None:
    room = Room(pending=5, pending_per_key=3)
    clients = [room.client(ALICE), room.client(ALICE), room.client(BOB)]
    for number, client in enumerate(clients):
        for token in range(3):
            client.pair(is_initiator=True, token=bytes([number, token]) * 16, stream_id=1, now=0)
    room.settle()
    assert room.state.pending == 5
    assert [len(room.sessions[client].pending) for client in clients] == [3, 0, 2]
    clients[0].close()
    room.settle()
    assert room.state.pending == 2


def test_links_are_bounded_by_key() -> None:
    room = Room(links_per_key=1)
    alice, bob = both(room)
    alice.pair(is_initiator=True, token=b"u" * 32, stream_id=12, now=0)
    bob.pair(is_initiator=False, token=b"u" * 32, stream_id=23, now=0)
    room.settle()
    assert (room.state.pending, room.state.links) == (0, 1)
    alice.unpair(TOKEN)
    room.settle()
    alice.pair(is_initiator=True, token=b"v" * 32, stream_id=12, now=0)
    bob.pair(is_initiator=False, token=b"v" * 32, stream_id=23, now=0)
    room.settle()
    assert room.state.links == 1


def test_a_peer_that_is_no_relay_fails_the_pairing_at_once() -> None:
    client, other = RelayClient(ALICE), Protomux()
    client.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    for frame in client.frames_to_send():
        other.receive(frame)
    for frame in other.frames_to_send():
        client.receive(frame, 0.1)
    (failed,) = heard(client)
    assert isinstance(failed, PairingFailed)
    assert client.closed
    client.pair(is_initiator=True, token=TOKEN, stream_id=11, now=1)
    assert isinstance(heard(client)[0], PairingFailed)


def test_a_lost_connection_fails_what_waits() -> None:
    client = RelayClient(ALICE)
    client.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    with pytest.raises(LocalProtocolError):
        client.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    client.connection_lost()
    assert isinstance(heard(client)[0], PairingFailed)
    assert client.frames_to_send() == []


def test_what_was_not_asked_for_is_not_paired() -> None:
    room = Room()
    alice = room.client(ALICE)
    room.settle()
    session = room.sessions[alice]
    alice.pair(is_initiator=True, token=TOKEN, stream_id=11, now=0)
    room.settle()
    assert [type(event) for event in room.told] == [PairingRequested]
    session.answer(PairingSide(session, False, 11), TOKEN, 7)
    session.answer(PairingSide(session, True, 11), b"x" * 32, 7)
    room.settle()
    assert heard(alice) == []
