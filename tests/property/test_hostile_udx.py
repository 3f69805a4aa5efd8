"""UDX packets that nobody sane sends, for a stream in use: it may close, but never breaks, swells or stalls."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.udx import Closed, DataReceived, EndReceived, Event, Stream
from qvac_core.udx.packet import (
    SEQ_MASK,
    TYPE_DATA,
    TYPE_DESTROY,
    TYPE_END,
    TYPE_SACK,
    Packet,
    encode_packet,
)
from qvac_core.udx.receive_buffer import EARLY_FREE, MAX_AHEAD, OVERRUN, RECEIVE_WINDOW
from qvac_core.udx.recovery import Recovery

MEBIBYTE = 1024 * 1024

INTERESTING = st.sampled_from(
    [0, 1, 2, 3, 9, 10, 11, 19, 20, 50, 65535, 65536, 65537, 1 << 20, (1 << 31) - 1, 1 << 31, SEQ_MASK - 1, SEQ_MASK]
)
NUMBERS = st.one_of(INTERESTING, st.integers(0, 40), st.integers(0, SEQ_MASK))

PACKETS = st.builds(
    Packet,
    type=st.one_of(st.integers(0, 15), st.integers(0, 255)),
    stream_id=st.just(1),
    window=NUMBERS,
    seq=NUMBERS,
    ack=NUMBERS,
    padding=st.integers(0, 255),
    payload=st.binary(max_size=40),
    sacks=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=60).map(tuple),
)


def events_of(stream: Stream) -> list[Event]:
    found = []
    while (event := stream.next_event()) is not None:
        found.append(event)
    return found


def busy_stream(size: int = 20_000) -> Stream:
    stream = Stream(1, now=0.0, random=Random(1))
    stream.connect(2, 0.0)
    stream.write(bytes(size), 0.0)
    stream.datagrams_to_send(0.0)
    return stream


def check(stream: Stream, events: list[Event]) -> None:
    receive, sender = stream._receive, stream._sender
    assert stream.bytes_in_flight >= 0
    assert stream.bytes_unacked >= 0
    assert receive.early_bytes == sum(len(payload) for _, payload in receive.early.values())
    assert len(receive.early) <= MAX_AHEAD
    assert receive.backlog + receive.early_bytes <= RECEIVE_WINDOW + EARLY_FREE + OVERRUN
    assert receive._starts == sorted(receive._starts)
    assert all(start < end for start, end in zip(receive._starts, receive._ends, strict=True))
    assert sender.recovery.una <= sender.recovery.next_seq
    assert sum(isinstance(event, Closed) for event in events) <= 1
    assert sum(isinstance(event, EndReceived) for event in events) <= 1
    if stream.closed:
        assert stream.get_timer() is None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PACKETS, st.floats(0.0, 40.0), st.binary(max_size=60)), max_size=25), st.booleans())
def test_any_packets_at_any_time(steps: list[Packet | float | bytes], together: bool) -> None:
    stream = busy_stream()
    now = 0.0
    events: list[Event] = []
    if together:
        stream.receive_datagrams([encode_packet(step) for step in steps if isinstance(step, Packet)], now)
    for step in steps:
        if isinstance(step, Packet):
            stream.receive_datagrams([encode_packet(step)], now)
        elif isinstance(step, bytes):
            stream.receive_datagrams([b"\xff\x01" + step], now)
        else:
            now += step
            stream.handle_timer(now)
        assert len(stream.datagrams_to_send(now)) < 200
        events += events_of(stream)
        check(stream, events)
    received = sum(len(event.data) for event in events if isinstance(event, DataReceived))
    assert received <= 40 * len(steps) * 2


@settings(max_examples=60, deadline=None)
@given(st.lists(PACKETS, max_size=20), st.integers(0, 1 << 30))
def test_what_an_honest_peer_sends_afterwards_still_arrives(packets: list[Packet], seed: int) -> None:
    """Junk without DATA, END and DESTROY (those are the peer's own word) costs the stream nothing."""
    honest = Stream(2, now=0.0, random=Random(seed))
    honest.connect(1, 0.0)
    stream = busy_stream(0)
    message = Random(seed).randbytes(5000)
    honest.write(message, 0.0)
    honest.end(0.0)
    stream.end(0.0)
    junk = [
        encode_packet(
            Packet(p.type & ~(TYPE_DATA | TYPE_END | TYPE_DESTROY), 1, p.window, p.seq, p.ack, 0, p.payload, p.sacks)
        )
        for p in packets
    ]
    now = 0.0
    events: list[Event] = []
    for turn in range(400):
        now += 0.05
        for one, other in ((honest, stream), (stream, honest)):
            one.handle_timer(now)
            other.receive_datagrams(one.datagrams_to_send(now), now)
        if turn < len(junk):
            stream.receive_datagrams([junk[turn]], now)
        events += events_of(stream)
        if stream.closed:
            break
    assert b"".join(event.data for event in events if isinstance(event, DataReceived)) == message
    assert events[-1] == Closed(None)


def test_sacks_that_overlap_cost_no_more_than_what_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = 0
    acknowledge = Recovery._acknowledge

    def count(self: Recovery, seqs: range, *args: object, **options: object) -> None:
        nonlocal walked
        walked += len(seqs)
        acknowledge(self, seqs, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Recovery, "_acknowledge", count)
    stream = busy_stream(0)
    stream._sender.bbr.cwnd = 4000
    stream.write(bytes(6 * MEBIBYTE), 0.0)
    now = 0.0
    for _ in range(200):
        now += 0.001
        stream._sender.bbr.cwnd = 4000
        stream._sender._pacer.tokens = 1e9
        stream.datagrams_to_send(now)
    in_flight = stream._sender.recovery.next_seq
    assert in_flight > 2000
    train = []
    for first in range(1, 2000, 50):
        blocks = tuple((first + n, in_flight - n % 3) for n in range(50))
        train.append(encode_packet(Packet(TYPE_SACK, 1, RECEIVE_WINDOW, 0, 0, sacks=blocks)))
    stream.receive_datagrams(train, now)
    assert walked <= 2 * in_flight
    for _ in range(3):
        stream.receive_datagrams(train, now)
    assert walked <= 6 * in_flight
    recovery = stream._sender.recovery
    assert [*recovery.in_flight, *recovery.lost] == [0]


def test_the_smallest_packets_far_ahead_take_bounded_memory() -> None:
    stream = busy_stream(0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for start in range(MAX_AHEAD - 10_000, MAX_AHEAD + 10_000, 512):
            train = [
                encode_packet(Packet(TYPE_DATA, 1, 0, seq, 0, payload=b"x")) for seq in range(start, start + 512, 2)
            ]
            stream.receive_datagrams(train, 0.0)
            assert len(stream.datagrams_to_send(0.0)) == 1
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(stream._receive.early) <= 5200
    assert held - before < 400 * 5200


@pytest.mark.parametrize("window", [0, 1, 1151, SEQ_MASK])
def test_any_offered_window_bounds_what_leaves(window: int) -> None:
    stream = busy_stream(0)
    stream.receive_datagrams([encode_packet(Packet(0, 1, window, 0, 0))], 0.0)
    stream.write(bytes(40 * MEBIBYTE), 0.0)
    sent, now = 0, 0.0
    for _ in range(300):
        now += 0.01
        stream.handle_timer(now)
        sent += sum(map(len, stream.datagrams_to_send(now)))
    assert sent < max(20_000, min(window, 16 * MEBIBYTE) + 20_000)


def test_a_clock_that_jumps_back_or_far_ahead_is_survived() -> None:
    stream = busy_stream()
    for now in (1.0, -500.0, 1e9, 0.0, 1e9 + 1):
        stream.handle_timer(now)
        stream.datagrams_to_send(now)
        stream.receive_datagrams([encode_packet(Packet(0, 1, RECEIVE_WINDOW, 0, 3))], now)
        check(stream, events_of(stream))
