"""UDX under hypothesis: the codec round-trips, no bytes can raise, and the stream keeps its invariants."""

from __future__ import annotations

import random
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.errors import ConnectionClosed
from qvac_core.udx import Closed, Event, Stream, parse_stream_id
from qvac_core.udx.packet import SEQ_MASK, TYPE_SACK, Packet, decode_packet, encode_packet, unwrap
from tests.simulation.udx_invariants import check, well_ordered
from tests.simulation.udx_link import Simulation, Weather

uint32 = st.integers(0, 0xFFFFFFFF)
LOCAL = 7

plain_packets = st.builds(
    Packet,
    type=st.integers(0, 255).filter(lambda t: not t & TYPE_SACK),
    stream_id=uint32,
    window=uint32,
    seq=uint32,
    ack=uint32,
    padding=st.integers(0, 255),
    payload=st.binary(max_size=1500),
)
sack_packets = st.builds(
    Packet,
    type=st.just(TYPE_SACK),
    stream_id=uint32,
    window=uint32,
    seq=uint32,
    ack=uint32,
    sacks=st.lists(st.tuples(uint32, uint32), max_size=50).map(tuple),
)

# near the numbers that are in use, so that many get past the first checks
near = st.one_of(st.integers(0, 40), st.integers(0, 40).map(lambda n: (-n) & SEQ_MASK), uint32)
hostile = st.one_of(
    st.builds(
        lambda kind, padding, window, seq, ack, rest: (
            struct.pack("<HBBIIII", 0x01FF, kind, padding, LOCAL, window, seq, ack) + rest
        ),
        kind=st.integers(0, 255),
        padding=st.sampled_from([0, 0, 0, 1, 8, 32, 255]),
        window=st.sampled_from([0, 1, 1500, 4194304, 0xFFFFFFFF]),
        seq=near,
        ack=near,
        rest=st.one_of(
            st.binary(max_size=64), st.lists(near, max_size=20).map(lambda n: struct.pack(f"<{len(n)}I", *n))
        ),
    ),
    st.binary(max_size=80),
)


@given(st.one_of(plain_packets, sack_packets))
def test_packets_round_trip(packet: Packet) -> None:
    raw = encode_packet(packet)
    assert decode_packet(raw) == packet
    assert decode_packet(memoryview(raw)) == packet
    assert parse_stream_id(raw) == packet.stream_id


@given(st.binary(max_size=200))
def test_decoding_survives_any_bytes(raw: bytes) -> None:
    for candidate in (raw, b"\xff\x01" + raw):
        packet = decode_packet(candidate)
        assert packet is None or parse_stream_id(candidate) == packet.stream_id


@given(st.integers(0, 2**40), st.integers(-(2**31) + 1, 2**31 - 1))
def test_unwrapping_inverts_wrapping(near: int, distance: int) -> None:
    assert unwrap((near + distance) & SEQ_MASK, near) == near + distance


actions = st.one_of(
    st.tuples(st.just("receive"), st.lists(hostile, max_size=6)),
    st.tuples(st.just("write"), st.integers(0, 20_000)),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0)),
    st.tuples(st.just("pause"), st.booleans()),
    st.tuples(st.just("consume"), st.integers(0, 5000)),
    st.tuples(st.just("end"), st.none()),
    st.tuples(st.just("destroy"), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=30), st.booleans())
def test_no_peer_can_break_a_stream(script: list[tuple[str, object]], connected: bool) -> None:
    now = 1.0
    stream = Stream(LOCAL, now=now)
    if connected:
        stream.connect(9, now)
    events: list[Event] = []
    for verb, argument in script:
        if verb == "receive":
            assert isinstance(argument, list)
            stream.receive_datagrams(argument, now)
        elif verb == "write":
            assert isinstance(argument, int)
            try:
                stream.write(bytes(argument), now)
            except ConnectionClosed:
                assert stream.closed or stream._sender.ending
        elif verb == "wait":
            assert isinstance(argument, float)
            now += argument
            stream.handle_timer(now)
        elif verb == "pause":
            (stream.pause_reading if argument else stream.resume_reading)()
        elif verb == "consume":
            assert isinstance(argument, int)
            stream.consumed(argument)
        elif verb == "end":
            stream.end(now)
        else:
            stream.destroy(now)
        check(stream)
        for datagram in stream.datagrams_to_send(now):
            packet = decode_packet(datagram)
            assert packet is not None and packet.stream_id == 9 and len(datagram) <= 1472
        check(stream)
        while (event := stream.next_event()) is not None:
            events.append(event)
    assert well_ordered(events)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.02, 0.1]),
    reorder=st.sampled_from([0.0, 0.1, 0.5]),
    duplicate=st.sampled_from([0.0, 0.1]),
    writes=st.lists(st.integers(0, 30_000), max_size=12),
    train=st.sampled_from([0.0, 0.003]),
)
def test_any_writes_come_out_as_written(
    seed: int, loss: float, reorder: float, duplicate: float, writes: list[int], train: float
) -> None:
    weather = Weather(delay=0.01, loss=loss, reorder=reorder, reorder_by=0.02, duplicate=duplicate)
    sim = Simulation(weather, seed=seed, train=train)
    content = random.Random(seed).randbytes(sum(writes))
    offset = 0
    for size in writes:
        sim.a.stream.write(content[offset : offset + size], sim.now)
        offset += size
        sim.run(0.005)
        check(sim.a.stream)
    sim.a.stream.end(sim.now)
    sim.b.end_on_end = True
    sim.run(60.0, lambda: sim.a.closed is not None and sim.b.closed is not None)
    check(sim.a.stream)
    check(sim.b.stream)
    assert bytes(sim.b.received) == content
    assert sim.a.closed == sim.b.closed == Closed(None)
    assert well_ordered(sim.a.events) and well_ordered(sim.b.events)
