"""Targets: protomux between honest and with dishonest peers, and the relay's pairing."""

from __future__ import annotations

from collections.abc import Iterator

from qvac_core.blind_relay import Matched, Protomux, RelayClient, RelayLimits, RelaySession, RelayState
from qvac_core.blind_relay.messages import PROTOCOL, Pair, Unpair
from qvac_core.blind_relay.protomux import MAX_CHANNELS, Channel, ChannelClosed, ChannelMessage, ChannelOpened
from qvac_core.codec import Writer
from qvac_core.errors import RemoteProtocolError
from tests.fuzz.known_answers import vectors
from tests.fuzz.script import Script, chunk
from tests.fuzz.target import Target

_MAX_STEPS = 80
_PROTOCOLS = ("a", "b", PROTOCOL)
_OPEN_RELAY = bytes.fromhex("0001010b") + PROTOCOL.encode() + b"\x20"


def protomux(data: bytes) -> None:
    """One multiplexer and a peer that says anything, whatever the application does meanwhile."""
    script = Script(data)
    mux, channels, sent, owed = Protomux(), list[Channel](), 0, 0
    mux.serve("a")
    for _ in range(_MAX_STEPS):
        if script.done:
            break
        match script.byte() % 8:
            case 0:
                channels.append(mux.open(script.choice(_PROTOCOLS), script.fixed(script.byte() % 3)))
                owed += 64
            case 1 if channels:
                mux.close(script.choice(channels))
                owed += 16
            case 2 if channels:
                payload = script.chunk()
                mux.send(script.choice(channels), script.uint16(), payload)
                owed += len(payload) + 32
            case 3:
                mux.cork()
                mux.send(Channel("x", b"", 5), 1, b"y")
                mux.uncork()
                owed += 16
            case _:
                frame = script.chunk()
                owed += 16 * len(frame)
                try:
                    mux.receive(frame)
                except RemoteProtocolError:
                    return
        while (event := mux.next_event()) is not None:
            if isinstance(event, ChannelOpened):
                assert event.channel.opened
            if isinstance(event, ChannelClosed):
                assert event.channel.closed and event.channel.local_id == 0
        assert mux.channels <= MAX_CHANNELS + len(channels)
        sent += sum(map(len, mux.frames_to_send()))
        assert sent <= owed, "a peer cannot make us say much more than it says"
        open_channels = [channel.local_id for channel in channels if not channel.closed]
        assert len(set(open_channels)) == len(open_channels) and 0 not in open_channels


def protomux_pair(data: bytes) -> None:
    """Two honest sides whose frames cross: neither ever thinks the other broke the rules, and nothing is left open."""
    script = Script(data)
    sides, wires = (Protomux(), Protomux()), ([], [])  # type: tuple[Protomux, Protomux], tuple[list[bytes], list[bytes]]
    channels: tuple[list[Channel], list[Channel]] = ([], [])
    for side in sides:
        side.serve("a")

    def take(at: int, count: int) -> None:
        frames, wires[at][:count] = wires[at][:count], []
        for frame in frames:
            sides[at].receive(frame)
        while (event := sides[at].next_event()) is not None:
            if isinstance(event, ChannelOpened) and event.channel not in channels[at]:
                channels[at].append(event.channel)
            if isinstance(event, ChannelMessage):
                assert event.payload.decode() == f"{event.type}", "a message arrives on a channel of its name"
                assert event.type == _PROTOCOLS.index(event.channel.protocol)

    for _ in range(2 * _MAX_STEPS):
        if script.done:
            break
        verb = script.byte()
        at = verb >> 7
        mux, own = sides[at], channels[at]
        match verb % 5:
            case 0:
                own.append(mux.open(script.choice(_PROTOCOLS), script.fixed(script.byte() % 2)))
            case 1 if own:
                mux.close(script.choice(own))
            case 2 if own:
                channel = script.choice(own)
                number = _PROTOCOLS.index(channel.protocol)
                mux.send(channel, number, f"{number}".encode())
            case _:
                take(at, 1 + script.byte() % 4)
        wires[1 - at].extend(mux.frames_to_send())
    for at in (0, 1):
        for channel in channels[at]:
            sides[at].close(channel)
    for _ in range(2 * _MAX_STEPS):
        for at in (0, 1):
            wires[1 - at].extend(sides[at].frames_to_send())
            take(at, len(wires[at]))
            for channel in channels[at]:
                sides[at].close(channel)
        if not any(wires):
            break
    assert not any(wires) and [side.channels for side in sides] == [0, 0]


def relay_pairing(data: bytes) -> None:
    """Sessions that say anything, in true messages or raw frames: what the relay holds is what its sessions hold."""
    script = Script(data)
    limits = RelayLimits(pending=6, pending_per_key=3, links_per_key=2, pairing_life=10.0)
    state, sessions, now = RelayState(limits), list[RelaySession](), 0.0
    matched = 0
    for _ in range(_MAX_STEPS):
        if script.done:
            break
        verb = script.byte()
        session = sessions[(verb >> 3) % len(sessions)] if sessions else None
        token = bytes([verb >> 6]) * 32
        if session is None or verb % 8 == 0:
            if len(sessions) < 6:
                key = bytes([script.byte() % 3]) * 32
                sessions.append(state.accept(key))
                sessions[-1].receive(_OPEN_RELAY + key, now)
            continue
        try:
            match verb % 8:
                case 1:
                    session.receive(b"\1\0" + Pair(True, token, 1).encode(), now)
                case 2:
                    session.receive(b"\1\0" + Pair(False, token, 2).encode(), now)
                case 3:
                    session.receive(b"\1\1" + Unpair(token).encode(), now)
                case 4:
                    now += script.byte() / 10
                    state.handle_timer(now)
                case 5:
                    sessions.remove(session)
                    session.close()
                case _:
                    session.receive(script.chunk(), now)
        except RemoteProtocolError:
            sessions.remove(session)
            session.close()
        matched = _check_relay(state, sessions, limits, matched)
        for one in sessions:
            assert sum(map(len, one.frames_to_send())) <= 100 + 20 * len(data)
    for session in sessions:
        session.close()
    assert (state.pending, state.links, state.get_timer()) == (0, 0, None)


def _check_relay(state: RelayState, sessions: list[RelaySession], limits: RelayLimits, matched: int) -> int:
    while (event := state.next_event()) is not None:
        if isinstance(event, Matched):
            matched += 1
            assert event.initiator.is_initiator and not event.responder.is_initiator
            event.initiator.session.answer(event.initiator, event.token, matched)
            event.responder.session.answer(event.responder, event.token, matched)
    assert state.pending == sum(len(session.pending) for session in sessions) <= limits.pending
    tokens = {token for session in sessions for token in session.links}
    assert state.links == len(tokens)
    for key in {session.public_key for session in sessions}:
        own = [session for session in sessions if session.public_key == key]
        assert sum(len(session.pending) for session in own) <= limits.pending_per_key
    assert (state.get_timer() is None) == (state.pending == 0)
    return matched


def relay_client(data: bytes) -> None:
    """A client of a relay that says anything: each request ends once, in time."""
    script = Script(data)
    client, now, asked, ended = RelayClient(b"k" * 32), 0.0, set[bytes](), list[bytes]()
    client.receive(_OPEN_RELAY + b"k" * 32, now)
    try:
        for _ in range(_MAX_STEPS):
            if script.done:
                break
            token = bytes([script.byte() % 4]) * 32
            match script.byte() % 6:
                case 0 if token not in asked:
                    asked.add(token)
                    client.pair(is_initiator=script.flag(), token=token, stream_id=1, now=now)
                case 1:
                    client.receive(b"\1\0" + Pair(script.flag(), token, script.uint32()).encode(), now)
                case 2:
                    client.receive(b"\1\1" + Unpair(token).encode(), now)
                case 3:
                    now += script.byte() / 10
                    client.handle_timer(now)
                case 4 if script.flag():
                    client.connection_lost()
                case _:
                    client.receive(script.chunk(), now)
            ended += _ends(client)
    except RemoteProtocolError:
        client.connection_lost()
    now += 60
    client.handle_timer(now)
    ended += _ends(client)
    assert sorted(ended) == sorted(asked)
    assert client.get_timer() is None


def _ends(client: RelayClient) -> Iterator[bytes]:
    while (event := client.next_event()) is not None:
        if type(event).__name__ != "Unpaired":
            yield event.token


def _mux_seeds() -> Iterator[bytes]:
    for case in vectors()["protomux"]:
        writes = [bytes.fromhex(frame) for frame in case["writes"]]
        yield b"".join(b"\4" + chunk(frame) for frame in writes)
        yield b"\0\0\0" + b"\0\2\0" + b"".join(b"\4" + chunk(frame) for frame in writes) + b"\2\3abc\0\5\0\1\1"
    yield b"\0\0\0" + b"\4" + chunk(bytes.fromhex("0002") + b"\1") + b"\0\1\0\3"
    yield b"\4" + chunk(bytes.fromhex("000101016100")) * 1 + b"\1\0" + b"\4" + chunk(bytes.fromhex("000301"))


def _pair_seeds() -> Iterator[bytes]:
    yield b"\0\0\0\x80\0\0\3\3\x83\3\2\0\x82\0\3\3\x83\3"
    yield b"\0\1\0\0\0\0\x83\3\1\1\0\0\0\x83\3\3\3\x81\0"


def _relay_seeds() -> Iterator[bytes]:
    frames = [bytes.fromhex(frame) for frame in vectors()["protomux"][0]["writes"]]
    yield b"\0\0\0\1\1\x0a\3\4\xff"
    yield b"\0\0" + b"".join(b"\6" + chunk(frame) for frame in frames)
    batch = Writer().uint(0).uint(0).uint(1).buffer(b"\0" + Pair(True, b"t" * 32, 3).encode()).finish()
    yield b"\0\0\0\1\6" + chunk(batch) + b"\x0a\5"


def _client_seeds() -> Iterator[bytes]:
    yield b"\0\0\1\0\1\1\7\0\0\0\0\2"
    yield b"\0\0\0\1\0\0\0\3\xff\2\4\1"
    yield b"\0\0\0\0\5" + chunk(bytes.fromhex("000301")) + b"\1\0\1"


_ROOM = ("qvac_core.blind_relay",)

TARGETS = [
    Target("protomux", protomux, ("qvac_core.blind_relay.protomux",), _mux_seeds, 512),
    Target("protomux_pair", protomux_pair, ("qvac_core.blind_relay.protomux",), _pair_seeds, 256),
    Target("relay_pairing", relay_pairing, _ROOM, _relay_seeds, 512),
    Target("relay_client", relay_client, _ROOM, _client_seeds, 512),
]
