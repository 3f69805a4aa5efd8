"""The hole puncher and the rounds under any peer: whom they probe, how often, and that they end.

docs/wire/hyperdht.md sections 6.4 and 6.5. A peer chooses addresses, tokens and answers as it likes; what it must
never get is a flood of probes at somebody who has not asked for them.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qvac_core.codec import Address, blake2b
from qvac_core.errors import NetworkError
from qvac_core.rendezvous.addresses import is_dialable
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
)
from qvac_core.rendezvous.holepuncher import BIRTHDAY_SOCKETS, RANDOM_TRIES, Holepuncher, Method, Probe, State
from qvac_core.rendezvous.messages import HolepunchPayload, RelayInfo

HOSTS = ("5.5.5.5", "6.6.6.6", "7.7.7.7", "0.1.2.3", "224.0.0.1", "192.168.1.9")
OWN = ("1.1.1.1", 10)
addresses = st.tuples(st.sampled_from(HOSTS), st.sampled_from([0, 1, 80, 5000, 65535]))
firewalls = st.sampled_from(Firewall)
CONSISTENT_TRIES, UNVERIFIED_ROUNDS, MAX_ADDRESSES = 10, 2, 8


class PuncherMachine(RuleBasedStateMachine):
    """One puncher and everything that may happen to it. The model knows which hosts have proved themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.initiator = True
        self.puncher = self.make()
        self.verified: set[str] = set()
        self.asked_for: list[Address] = []
        """Where a probe was asked for by name, or that sent one itself."""
        self.probes: list[Probe] = []
        self.next_socket = 100

    def make(self) -> Holepuncher:
        return Holepuncher(
            initiator=self.initiator, firewalled=True, remote_firewall=Firewall.UNKNOWN, socket=2, random=Random(1)
        )

    @initialize(initiator=st.booleans())
    def choose_side(self, initiator: bool) -> None:
        self.initiator = initiator
        self.puncher = self.make()

    @rule(consistent=st.booleans(), count=st.integers(1, 6))
    def sample(self, consistent: bool, count: int) -> None:
        for n in range(count):
            self.puncher.nat.add((OWN[0], OWN[1] + (0 if consistent else n)), ("9.9.9.9", n))

    @initialize(
        random=st.booleans(),
        firewall=st.sampled_from([Firewall.CONSISTENT, Firewall.RANDOM]),
        host=st.sampled_from(HOSTS[:3]),
        port=st.sampled_from([0, 5000]),
        proved=st.booleans(),
        ready=st.booleans(),
    )
    def meet(self, random: bool, firewall: Firewall, host: str, port: int, proved: bool, ready: bool) -> None:
        """Views of two NATs as rounds would have brought them about, and the punch."""
        if not ready:
            return
        self.sample(not random, 4)
        self.update(firewall, [(host, port)], host if proved else None, True)
        self.punch()
        if self.puncher.sockets_wanted:
            self.open_sockets(2)

    @rule()
    def freeze(self) -> None:
        self.puncher.nat.exhausted()
        self.puncher.nat.freeze()

    @rule(
        firewall=firewalls,
        told=st.none() | st.lists(addresses, max_size=12),
        verified=st.none() | st.sampled_from(HOSTS),
        punching=st.booleans(),
    )
    def update(self, firewall: Firewall, told: list[Address] | None, verified: str | None, punching: bool) -> None:
        self.puncher.update_remote(punching=punching, firewall=firewall, addresses=told, verified_host=verified)
        named = {host for host, _ in told or ()}
        self.verified = named & (self.verified | {verified}) if verified else named & self.verified

    @rule(to=addresses, low_ttl=st.booleans())
    def ask_for_a_probe(self, to: Address, low_ttl: bool) -> None:
        if self.puncher.state is not State.ENDED:
            self.asked_for.append(to)
            self.puncher.probe(to, low_ttl=low_ttl)

    @rule()
    def punch(self) -> None:
        before = self.puncher.state
        began = self.puncher.punch(self.now)
        if began and before is State.IDLE:
            assert self.puncher.remote_addresses
            if self.puncher.method is not Method.CONSISTENT:
                assert self.puncher.verified_address is not None

    @precondition(lambda self: self.puncher.state is State.IDLE)
    @rule()
    def reopen(self) -> None:
        old, self.next_socket = self.puncher.socket, self.next_socket + 1
        assert self.puncher.reopen(self.next_socket) == old

    @precondition(lambda self: self.puncher.sockets_wanted)
    @rule(count=st.integers(1, 300))
    def open_sockets(self, count: int) -> None:
        for _ in range(min(count, self.puncher.sockets_wanted)):
            self.next_socket += 1
            self.puncher.add_socket(self.next_socket)

    @rule(ours=st.booleans(), source=addresses)
    def receive_probe(self, ours: bool, source: Address) -> None:
        socket = self.puncher.sockets[-1] if ours else 1
        if ours:
            self.asked_for.append(source)
        self.puncher.receive_probe(socket, source)
        if self.puncher.state is State.CONNECTED:
            assert self.puncher.initiator and self.puncher.path is not None and is_dialable(self.puncher.path[1])

    @rule(seconds=st.sampled_from([0.02, 0.5, 1.0, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (when := self.puncher.get_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.puncher.handle_timer(self.now)
            self.check_probes()
        self.now = end

    @rule()
    def end(self) -> None:
        self.puncher.end()
        assert self.puncher.state in (State.CONNECTED, State.ENDED)
        assert not self.puncher.transmissions() or self.puncher.state is State.CONNECTED

    @invariant()
    def check_probes(self) -> None:
        puncher = self.puncher
        for probe in puncher.transmissions():
            self.probes.append(probe)
            assert is_dialable(probe.to)
            if probe.to in self.asked_for:
                continue
            assert puncher.state is not State.IDLE, "no probe before it is permitted"
            if puncher.method is not Method.CONSISTENT:
                assert probe.to[0] in self.verified, "random probes go to a host that proved itself"

    @invariant()
    def the_work_is_bounded(self) -> None:
        puncher = self.puncher
        own = [probe for probe in self.probes if probe.to not in self.asked_for]
        assert len(puncher.sockets) <= BIRTHDAY_SOCKETS
        if puncher.method is Method.CONSISTENT:
            assert len(own) <= CONSISTENT_TRIES * MAX_ADDRESSES
        else:
            assert len(own) <= RANDOM_TRIES + BIRTHDAY_SOCKETS
        assert puncher.get_timer() is None or puncher.state is State.PUNCHING

    def teardown(self) -> None:
        began = self.now
        while (when := self.puncher.get_timer()) is not None:
            self.now = max(self.now, when)
            self.puncher.handle_timer(self.now)
        assert self.now - began <= 60, "every punch ends by itself"
        assert self.puncher.state is not State.PUNCHING
        self.check_probes()
        self.the_work_is_bounded()


TestPuncherMachine = PuncherMachine.TestCase
TestPuncherMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@given(st.lists(addresses, min_size=1, max_size=30), st.integers(0, 8))
def test_unverified_addresses_are_probed_at_most_twice_in_a_punch(told: list[Address], changes: int) -> None:
    """A peer that names new addresses in each round, none of which is its own."""
    puncher = Holepuncher(
        initiator=True, firewalled=False, remote_firewall=Firewall.CONSISTENT, socket=2, random=Random(1)
    )
    now, probes = 0.0, 0

    def tell(turn: int) -> None:
        moved = [(host, (port + turn) % 65536) for host, port in told]
        puncher.update_remote(punching=True, firewall=Firewall.CONSISTENT, addresses=moved, verified_host=None)

    tell(0)
    puncher.punch(now)
    while (when := puncher.get_timer()) is not None:
        now = when
        puncher.handle_timer(now)
        probes += len(puncher.transmissions())
        if changes:
            tell(changes)
    assert probes <= UNVERIFIED_ROUNDS * MAX_ADDRESSES
    assert puncher.state is not State.PUNCHING


RELAYS = [RelayInfo(("8.8.8.8", 1), ("5.5.5.5", 20)), RelayInfo(("8.8.4.4", 1), ("5.5.5.5", 20))]
SERVER = ("5.5.5.5", 20)


def token(host: str) -> bytes:
    return blake2b(host.encode())


tokens = st.none() | st.sampled_from([*map(token, HOSTS), bytes(32)])
payloads = st.builds(
    HolepunchPayload,
    error=st.sampled_from([0, 0, 0, 0, 1, 2, 3, 9]),
    firewall=st.integers(0, 4),
    round=st.integers(0, 5),
    connected=st.booleans(),
    punching=st.booleans(),
    addresses=st.none() | st.lists(addresses, max_size=10).map(tuple),
    remote_address=st.none() | addresses | st.just(OWN),
    token=tokens,
    remote_token=tokens,
)


def _settle(puncher: Holepuncher, consistent: bool | None) -> None:
    for n in range(0 if consistent is None else 4):
        puncher.nat.add((OWN[0], OWN[1] + (0 if consistent else n)), ("9.9.9.9", n))
    puncher.nat.exhausted()


@settings(deadline=None)
@given(
    st.lists(st.tuples(payloads, addresses), max_size=12),
    st.sampled_from([True, False, None]),
    st.booleans(),
    st.booleans(),
)
def test_the_clients_rounds_end_whatever_is_answered(
    answers: list[tuple[HolepunchPayload, Address]], consistent: bool | None, may_wait: bool, may_claim: bool
) -> None:
    puncher = Holepuncher(initiator=True, firewalled=True, remote_firewall=Firewall.UNKNOWN, socket=2, random=Random(1))
    rounds = ClientRounds(
        puncher,
        relays=RELAYS,
        relay_address=RELAYS[0].relay_address,
        server_address=SERVER,
        token=token,
        random=Random(1),
        may_wait=lambda: may_wait and pauses < 20,  # the way by the relay ends some day
    ).run()
    waiting = iter(answers)
    outcome: Any = None
    asks, reopens, pauses, told = 0, 0, 0, {SERVER}
    try:
        for _ in range(200):
            step = rounds.send(outcome)
            outcome = None
            match step:
                case Ask():
                    asks += 1
                    assert step.relay in [relay.relay_address for relay in RELAYS]
                    assert step.payload.token in (None, token(step.peer_address[0]))
                    answer, peer = next(waiting, (HolepunchPayload(error=PeerError.ABORTED), SERVER))
                    told.add(peer)
                    outcome = Asked(answer, peer, to=OWN, from_=step.relay)
                    punching, before = puncher.state is State.PUNCHING, puncher.verified_address
                    assert not punching and (before is None or before[0] in {host for host, _ in told})
                case Reopen():
                    reopens += 1
                    puncher.reopen(2 + reopens)
                    _settle(puncher, consistent)
                case ClaimRandomPunch():
                    outcome = may_claim
                case Punch():
                    outcome = puncher.punch(0.0)
                case Pause():
                    pauses += 1
                    assert step.seconds <= 20
                case _:
                    _settle(puncher, consistent)
        raise AssertionError("the rounds go on for ever")
    except StopIteration:
        assert puncher.state is State.PUNCHING and puncher.remote_punching
    except NetworkError as error:
        assert error.name and puncher.state is State.IDLE
    assert asks <= 2 * len(answers) + 6 and reopens <= 12
    if puncher.state is State.IDLE:
        assert all(probe.low_ttl and probe.to in told for probe in puncher.transmissions())


@settings(deadline=None)
@given(
    st.lists(st.tuples(payloads, addresses.filter(is_dialable), st.booleans(), st.booleans()), max_size=8),
    st.sampled_from([True, True, False, None]),
    st.booleans(),
)
def test_the_server_probes_nobody_who_did_not_ask(
    asked: list[tuple[HolepunchPayload, Address, bool, bool]], consistent: bool | None, may_claim: bool
) -> None:
    puncher = Holepuncher(
        initiator=False, firewalled=True, remote_firewall=Firewall.UNKNOWN, socket=2, random=Random(1)
    )
    rounds = ServerRounds(puncher, token=token)
    proved: set[str] = set()
    for given_payload, peer, trusted, echoes in asked:
        payload = given_payload
        if echoes:
            payload = replace(given_payload, error=0, remote_token=token(peer[0]), addresses=(peer,), round=5)
        turn = rounds.answer(
            payload, peer_address=peer, to=OWN, from_=RELAYS[0].relay_address, socket=2, trusted=trusted
        )
        if trusted and payload.remote_token == token(peer[0]):
            proved.add(peer[0])
        answered = _answer(turn, puncher, consistent, may_claim)
        said = answered.payload
        assert said.token in (None, token(peer[0])) and (trusted or said.token is None)
        assert said.remote_token in (None, payload.token)
        verified = puncher.verified_address
        assert verified is None or verified[0] in proved
        probes = puncher.transmissions()
        fast = [probe for probe in probes if probe.to == peer]
        assert len(fast) <= 1, "one probe at most to whoever asks"
        assert len(probes) == len(fast) or (puncher.state is State.PUNCHING and probes[-1].to[0] in proved)
        assert puncher.state is State.IDLE or puncher.remote_addresses or said.punching
        assert not answered.later or puncher.remote_punching
        if answered.over:
            break


def _answer(turn: Any, puncher: Holepuncher, consistent: bool | None, may_claim: bool) -> Answered:
    outcome: Any = None
    try:
        for number in range(50):
            step = turn.send(outcome)
            outcome = None
            match step:
                case Reopen():
                    puncher.reopen(10 + number)
                    _settle(puncher, consistent)
                case ClaimRandomPunch():
                    outcome = may_claim
                case Punch():
                    outcome = puncher.punch(0.0)
                case _:
                    _settle(puncher, consistent)
    except StopIteration as stop:
        answered: Answered = stop.value
        return answered
    raise AssertionError("the server thinks for ever")
