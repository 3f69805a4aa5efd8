"""Protomux and the relay's state under any bytes and any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qvac_core.blind_relay import Matched, Protomux, RelayClient, RelayLimits, RelaySession, RelayState
from qvac_core.blind_relay.messages import Pair, Unpair
from qvac_core.blind_relay.protomux import MAX_CHANNELS, ChannelMessage
from qvac_core.errors import RemoteProtocolError

TOKENS = st.binary(min_size=32, max_size=32)
# Mostly control frames: random first bytes would nearly all be messages for channels that are not there.
FRAMES = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda kind, rest: bytes([0, kind]) + rest, st.integers(0, 4), st.binary(max_size=48)),
    st.builds(
        lambda number, name: bytes([0, 1, number, len(name)]) + name + b"\0", st.integers(0, 8), st.binary(max_size=3)
    ),
)


@given(st.booleans(), TOKENS, st.integers(0, 0xFFFFFFFF))
def test_messages_round_trip(is_initiator: bool, token: bytes, stream_id: int) -> None:
    pair = Pair(is_initiator, token, stream_id)
    assert Pair.decode(pair.encode()) == pair
    assert Unpair.decode(Unpair(token).encode()) == Unpair(token)


@given(st.lists(FRAMES, max_size=30))
def test_a_multiplexer_survives_any_frames(frames: list[bytes]) -> None:
    mux = Protomux()
    mux.serve("a")
    mux.open("b")
    for frame in frames:
        try:
            mux.receive(frame)
        except RemoteProtocolError:
            break
    assert mux.channels <= MAX_CHANNELS + 1
    assert sum(map(len, mux.frames_to_send())) <= 16 * (1 + sum(map(len, frames)))


@given(st.lists(FRAMES, max_size=30))
def test_relay_and_client_survive_any_frames(frames: list[bytes]) -> None:
    state = RelayState(RelayLimits(pending=4))
    session, client = state.accept(b"k" * 32), RelayClient(b"k" * 32)
    session.receive(bytes.fromhex("0001010b") + b"blind-relay\x20" + b"k" * 32, 0)
    client.receive(bytes.fromhex("0001010b") + b"blind-relay\x20" + b"k" * 32, 0)
    for receive in (session.receive, client.receive):
        for frame in frames:
            try:
                receive(frame, 1.0)
            except RemoteProtocolError:
                break
    assert state.pending <= 4


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.binary(max_size=40)), min_size=1, max_size=20),
    st.booleans(),
)
def test_messages_arrive_as_they_were_sent(sent: list[tuple[int, int, bytes]], batched: bool) -> None:
    ours, theirs = Protomux(), Protomux()
    theirs.serve("x")
    channels = [ours.open("x", bytes([number])) for number in range(3)]
    if batched:
        ours.cork()
    for number, type, payload in sent:
        ours.send(channels[number], type, payload)
    if batched:
        ours.uncork()
    for frame in ours.frames_to_send():
        theirs.receive(frame)
    received = []
    while (event := theirs.next_event()) is not None:
        if isinstance(event, ChannelMessage):
            received.append((event.channel.id[0], event.type, event.payload))
    assert received == sent


class RelayMachine(RuleBasedStateMachine):
    """Sessions come, ask, give up and go in any order; the counts must always be those of what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = RelayLimits(pending=6, pending_per_key=3, links_per_key=2, pairing_life=10.0)
        self.state = RelayState(self.limits)
        self.sessions: list[RelaySession] = []
        self.now = 0.0

    @rule(key=st.integers(0, 2))
    def accept(self, key: int) -> None:
        if len(self.sessions) < 6:
            self.sessions.append(self.state.accept(bytes([key]) * 32))

    @rule(index=st.integers(0, 5), token=st.integers(0, 3), initiator=st.booleans())
    def pair(self, index: int, token: int, initiator: bool) -> None:
        if self.sessions:
            session = self.sessions[index % len(self.sessions)]
            self.state.on_pair(session, Pair(initiator, bytes([token]) * 32, 1), self.now)

    @rule(index=st.integers(0, 5), token=st.integers(0, 3))
    def unpair(self, index: int, token: int) -> None:
        if self.sessions:
            self.state.on_unpair(self.sessions[index % len(self.sessions)], bytes([token]) * 32)

    @rule(index=st.integers(0, 5))
    def leave(self, index: int) -> None:
        if self.sessions:
            self.sessions.pop(index % len(self.sessions)).close()

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.state.handle_timer(self.now)

    @invariant()
    def matched_sides_differ(self) -> None:
        while (event := self.state.next_event()) is not None:
            if isinstance(event, Matched):
                assert event.initiator.is_initiator
                assert not event.responder.is_initiator

    @invariant()
    def nothing_is_kept_for_those_who_left(self) -> None:
        assert self.state.pending == sum(len(session.pending) for session in self.sessions) <= self.limits.pending
        tokens = {token for session in self.sessions for token in session.links}
        assert self.state.links == len(tokens)
        timer = self.state.get_timer()
        assert (timer is None) == (self.state.pending == 0)
        assert timer is None or timer >= self.now


TestRelayMachine = RelayMachine.TestCase
