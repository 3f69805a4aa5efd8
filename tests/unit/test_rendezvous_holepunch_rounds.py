"""The rounds of both sides, against each other and against peers that do not play along."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from qvac_core.codec import Address, blake2b
from qvac_core.errors import NetworkError
from qvac_core.rendezvous.constants import Firewall, PeerError
from qvac_core.rendezvous.holepunch_rounds import (
    Answered,
    Ask,
    Asked,
    ClaimRandomPunch,
    ClientRounds,
    Pause,
    Punch,
    Reopen,
    ServerRounds,
    Settle,
    Step,
)
from qvac_core.rendezvous.holepuncher import Holepuncher, Method, State
from qvac_core.rendezvous.messages import HolepunchPayload, RelayInfo

CLIENT, SERVER = ("1.1.1.1", 10), ("2.2.2.2", 20)
RELAY, OTHER_RELAY = ("8.8.8.8", 1), ("8.8.8.9", 1)
C, R, U = Firewall.CONSISTENT, Firewall.RANDOM, Firewall.UNKNOWN


def token_of(secret: str) -> Callable[[str], bytes]:
    return lambda host: blake2b(f"{secret} {host}".encode())


class Side:
    """A puncher whose sockets have the NATs named in `kinds`, one after the other when it reopens."""

    def __init__(self, initiator: bool, address: Address, *kinds: Firewall) -> None:
        self.address = address
        self.kinds = list(kinds)
        self.reopens = 0
        self.claims = 0
        self.may_claim = True
        self.pauses: list[Pause] = []
        self.puncher = Holepuncher(initiator=initiator, firewalled=True, remote_firewall=U, socket=2, random=Random(1))

    def settle(self) -> None:
        kind = self.kinds[min(self.reopens, len(self.kinds) - 1)]
        nat = self.puncher.nat
        for n in range(0 if kind is U else 4):
            nat.add((self.address[0], self.address[1] + (100 * n if kind is R else 0)), ("9.9.9.9", n))
        nat.exhausted()

    def step(self, step: Step) -> Any:
        match step:
            case Settle():
                self.settle()
            case Reopen():
                self.reopens += 1
                self.puncher.reopen(2 + self.reopens)
                self.settle()
            case Pause():
                self.pauses.append(step)
            case ClaimRandomPunch():
                self.claims += 1
                return self.may_claim
            case Punch():
                return self.puncher.punch(0.0)
        return None


class Meeting:
    """Client and server with honest relays between them."""

    def __init__(self, client: list[Firewall], server: list[Firewall], relay: Address = RELAY) -> None:
        self.client, self.server = Side(True, CLIENT, *client), Side(False, SERVER, *server)
        self.asked: list[Ask] = []
        self.answers: list[Answered] = []
        self.tamper: Callable[[HolepunchPayload], HolepunchPayload] = lambda payload: payload
        self.may_wait = False
        self.rounds = ServerRounds(self.server.puncher, token=token_of("server"))
        self.client_rounds = ClientRounds(
            self.client.puncher,
            relays=[RelayInfo(RELAY, SERVER)],
            relay_address=relay,
            server_address=SERVER,
            token=token_of("client"),
            random=Random(1),
            may_wait=lambda: self.may_wait,
        )

    def run(self) -> None:
        rounds = self.client_rounds.run()
        outcome: Any = None
        while True:
            try:
                step = rounds.send(outcome)
            except StopIteration:
                return
            outcome = self.ask(step) if isinstance(step, Ask) else self.client.step(step)

    def ask(self, ask: Ask) -> Asked:
        assert ask.peer_address == SERVER
        self.asked.append(ask)
        generator = self.rounds.answer(
            ask.payload,
            peer_address=CLIENT,
            to=SERVER,
            from_=ask.relay,
            socket=self.server.puncher.socket,
            trusted=True,
        )
        answered = self.serve(generator)
        self.answers.append(answered)
        return Asked(self.tamper(answered.payload), SERVER, CLIENT, ask.relay)

    def serve(self, generator: Generator[Step, Any, Answered]) -> Answered:
        outcome: Any = None
        while True:
            try:
                outcome = self.server.step(generator.send(outcome))
            except StopIteration as done:
                answered = done.value
                assert isinstance(answered, Answered)
                return answered

    def fails(self) -> str:
        with pytest.raises(NetworkError) as failed:
            self.run()
        return failed.value.name


@pytest.mark.parametrize(
    ("client", "server", "methods"),
    [
        (C, C, (Method.CONSISTENT, Method.CONSISTENT)),
        (C, R, (Method.RANDOM_PROBES, Method.BIRTHDAY)),
        (R, C, (Method.BIRTHDAY, Method.RANDOM_PROBES)),
    ],
)
@pytest.mark.parametrize("relay", [RELAY, OTHER_RELAY])
def test_two_rounds_and_both_sides_punch(
    client: Firewall, server: Firewall, methods: tuple[Method, Method], relay: Address
) -> None:
    meeting = Meeting([client], [server], relay)
    meeting.run()
    assert (meeting.client.puncher.method, meeting.server.puncher.method) == methods
    assert meeting.client.puncher.verified_address is not None
    assert meeting.server.puncher.verified_address is not None
    probe, punch = (ask for ask in meeting.asked if ask.payload.round in (0, meeting.asked[-1].payload.round))
    assert probe.relay == RELAY
    assert not probe.payload.punching
    assert probe.payload.remote_address == SERVER
    assert punch.relay == relay
    assert punch.payload.punching
    random = Firewall.RANDOM in (client, server)
    assert (meeting.client.claims, meeting.server.claims) == ((1, 1) if random else (0, 0))


def test_fast_open_and_fast_mode_probe_before_the_punch() -> None:
    meeting = Meeting([C], [C])
    client = meeting.client.puncher
    rounds = meeting.client_rounds.run()
    ask = next(rounds)
    assert isinstance(ask, Ask)
    (opening,) = client.transmissions()
    assert (opening.to, opening.low_ttl) == (SERVER, True)
    meeting.ask(ask)
    assert [(probe.to, probe.low_ttl) for probe in meeting.server.puncher.transmissions()] == [(CLIENT, False)]


def test_no_fast_mode_for_an_address_that_is_not_ours() -> None:
    meeting = Meeting([C], [C])
    ask = Ask(RELAY, SERVER, HolepunchPayload(firewall=C, remote_address=("5.5.5.5", 5)))
    meeting.ask(ask)
    assert not meeting.server.puncher.transmissions()


def test_two_random_nats_are_told_from_each_other_after_looking_for_better_sockets() -> None:
    meeting = Meeting([R], [R])
    assert meeting.fails() == "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"
    assert meeting.client.reopens == 3
    assert meeting.asked[-1].payload.error == PeerError.ABORTED
    assert meeting.answers[-1].over


@pytest.mark.parametrize("good_at", [1, 2, 3])
def test_a_fresh_socket_that_fares_better_is_used(good_at: int) -> None:
    meeting = Meeting([*[R] * good_at, C], [R])
    meeting.run()
    assert meeting.client.reopens == good_at
    assert meeting.client.puncher.method is Method.RANDOM_PROBES


def test_nobody_to_ask_ends_in_a_probe_timeout() -> None:
    assert Meeting([U], [C]).fails() == "HOLEPUNCH_PROBE_TIMEOUT"


def test_a_server_that_does_not_know_its_nat_gives_up_when_not_punching() -> None:
    meeting = Meeting([C], [U])
    assert meeting.fails() == "REMOTE_ABORTED"
    assert meeting.server.reopens == 3


@pytest.mark.parametrize(
    ("tamper", "name"),
    [
        (lambda payload: replace(payload, punching=False), "REMOTE_NOT_HOLEPUNCHING"),
        (lambda payload: replace(payload, error=PeerError.ABORTED), "REMOTE_ABORTED"),
        (lambda payload: replace(payload, addresses=None), "REMOTE_NOT_HOLEPUNCHABLE"),
        (lambda payload: replace(payload, firewall=R, remote_token=None), "REMOTE_NOT_HOLEPUNCHABLE"),
        (lambda payload: replace(payload, firewall=77), "HOLEPUNCH_PROBE_TIMEOUT"),
        (lambda payload: HolepunchPayload(error=PeerError.TRY_LATER), "REMOTE_ABORTED"),
    ],
)
def test_what_the_other_side_says_decides(tamper: Callable[[HolepunchPayload], HolepunchPayload], name: str) -> None:
    meeting = Meeting([C], [C])
    meeting.tamper = tamper
    assert meeting.fails() == name
    assert meeting.client.puncher.state is State.IDLE


def test_our_turn_has_not_come() -> None:
    meeting = Meeting([C], [R])
    meeting.client.may_claim = False
    assert meeting.fails() == "HOLEPUNCH_ABORTED"


def test_with_a_relay_our_turn_is_waited_for() -> None:
    meeting = Meeting([C], [R])
    meeting.client.may_claim = False
    meeting.may_wait = True
    rounds, outcome = meeting.client_rounds.run(), None
    while len(meeting.client.pauses) < 2:
        step = rounds.send(outcome)
        outcome = meeting.ask(step) if isinstance(step, Ask) else meeting.client.step(step)
    # Told once that it will take a while, with the proof of our address; the server keeps its socket.
    (waiting,) = [ask for ask in meeting.asked if ask.payload.token is not None]
    assert not waiting.payload.punching
    meeting.client.may_claim = True
    with pytest.raises(StopIteration):
        while True:
            step = rounds.send(outcome)
            outcome = meeting.ask(step) if isinstance(step, Ask) else meeting.client.step(step)
    assert meeting.client.puncher.state is State.PUNCHING
    assert all(pause.give_way for pause in meeting.client.pauses)


def test_the_original_says_try_later_without_its_view_and_is_waited_for_only_beside_a_relay() -> None:
    for may_wait in (False, True):
        meeting = Meeting([C], [R])
        meeting.may_wait = may_wait
        busy = iter((True, False))

        def tamper(payload: HolepunchPayload, busy: Iterator[bool] = busy) -> HolepunchPayload:
            later = payload.punching and next(busy, False)
            return HolepunchPayload(error=PeerError.TRY_LATER) if later else payload

        meeting.tamper = tamper
        if may_wait:
            meeting.run()
            assert len(meeting.client.pauses) == 1
            assert meeting.client.puncher.state is State.PUNCHING
        else:
            assert meeting.fails() == "REMOTE_ABORTED"


def test_a_server_that_is_busy_is_asked_again_later() -> None:
    meeting = Meeting([C], [R])
    meeting.server.may_claim = False

    def relent(payload: HolepunchPayload) -> HolepunchPayload:
        meeting.server.may_claim = payload.error == PeerError.TRY_LATER
        return payload

    meeting.tamper = relent
    meeting.run()
    (pause,) = meeting.client.pauses
    assert 10 <= pause.seconds <= 20
    assert pause.give_way
    assert meeting.client.puncher.state is State.PUNCHING


def test_an_old_round_does_not_change_what_is_known_of_the_client() -> None:
    meeting = Meeting([C], [C])
    meeting.run()
    before = meeting.server.puncher.remote_addresses
    meeting.ask(Ask(RELAY, SERVER, HolepunchPayload(firewall=R, round=0, addresses=(("7.7.7.7", 0),))))
    assert meeting.server.puncher.remote_addresses == before


def test_a_token_proves_nothing_through_a_relay_that_is_not_ours() -> None:
    meeting = Meeting([C], [C])
    token = token_of("server")(CLIENT[0])
    payload = HolepunchPayload(firewall=C, addresses=(CLIENT,), remote_token=token)
    answered = meeting.serve(
        meeting.rounds.answer(payload, peer_address=CLIENT, to=SERVER, from_=RELAY, socket=2, trusted=False)
    )
    assert answered.payload.token is None
    assert meeting.server.puncher.verified_address is None
