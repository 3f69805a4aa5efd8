"""The receive buffer: order, SACK ranges, the end, and what a hostile peer may make it hold."""

from __future__ import annotations

import random
from itertools import pairwise

from qvac_core.udx.packet import TYPE_DATA, TYPE_END
from qvac_core.udx.receive_buffer import EARLY_FREE, MAX_AHEAD, OVERRUN, RECEIVE_WINDOW, ReceiveBuffer


def test_early_packets_wait_for_the_missing_one() -> None:
    buffer = ReceiveBuffer()
    assert buffer.accept(2, TYPE_DATA, b"c") == []
    assert buffer.accept(1, TYPE_DATA, b"b") == []
    assert buffer.sack_blocks() == [(1, 3)]
    assert buffer.accept(0, TYPE_DATA, b"a") == [b"a", b"b", b"c"]
    assert (buffer.next_seq, buffer.sack_blocks(), buffer.early_bytes) == (3, [], 0)


def test_ranges_are_those_of_a_plain_set_for_any_order() -> None:
    rng = random.Random(7)
    for _ in range(50):
        seqs = list(range(1, 60))
        rng.shuffle(seqs)
        buffer = ReceiveBuffer()
        held: set[int] = set()
        for seq in seqs[: rng.randrange(60)]:
            buffer.accept(seq, TYPE_DATA, b"x")
            held.add(seq)
            covered = {n for start, end in buffer.sack_blocks() for n in range(start, end)}
            assert covered == held
            blocks = buffer.sack_blocks()
            assert all(end < start for (_, end), (start, _) in pairwise(blocks))


def test_duplicates_and_old_packets_change_nothing() -> None:
    buffer = ReceiveBuffer()
    assert buffer.accept(0, TYPE_DATA, b"a") == [b"a"]
    assert buffer.accept(0, TYPE_DATA, b"z") == []
    buffer.accept(2, TYPE_DATA, b"c")
    assert buffer.accept(2, TYPE_DATA, b"z") == []
    assert buffer.accept(1, TYPE_DATA, b"b") == [b"b", b"c"]


def test_an_end_counts_once_everything_before_it_is_there() -> None:
    buffer = ReceiveBuffer()
    ended = []
    for seq, kind, payload in ((1, TYPE_END, b""), (0, TYPE_DATA, b"a")):
        buffer.accept(seq, kind, payload)
        ended.append(buffer.ended)
    assert ended == [False, True] and buffer.next_seq == 2
    assert buffer.accept(2, TYPE_DATA, b"after the end") == []


def test_data_and_end_in_one_packet() -> None:
    buffer = ReceiveBuffer()
    assert buffer.accept(0, TYPE_DATA | TYPE_END, b"bye") == [b"bye"]
    assert buffer.ended


def test_packets_beyond_an_end_are_forgotten() -> None:
    buffer = ReceiveBuffer()
    buffer.accept(5, TYPE_DATA, b"x")
    buffer.accept(6, TYPE_DATA, b"x")
    buffer.accept(3, TYPE_END, b"")
    assert buffer.sack_blocks() == [(3, 4)]
    assert buffer.early_bytes == 0


def test_far_ahead_is_dropped() -> None:
    buffer = ReceiveBuffer()
    assert buffer.accept(MAX_AHEAD + 1, TYPE_DATA, b"x") == []
    assert not buffer.early and not buffer.sack_blocks()


def test_a_peer_that_ignores_the_window_fills_only_so_much() -> None:
    buffer = ReceiveBuffer()
    payload = bytes(1400)
    for seq in range(1, 9000):
        buffer.accept(seq, TYPE_DATA, payload)
    assert buffer.early_bytes <= RECEIVE_WINDOW + EARLY_FREE + OVERRUN


def test_a_full_reorder_buffer_narrows_the_window() -> None:
    buffer = ReceiveBuffer()
    for seq in range(1, EARLY_FREE // 1400):
        buffer.accept(seq, TYPE_DATA, bytes(1400))
    assert buffer.window == RECEIVE_WINDOW
    for seq in range(EARLY_FREE // 1400, 6000):
        buffer.accept(seq, TYPE_DATA, bytes(1400))
    assert buffer.window == max(0, RECEIVE_WINDOW - (buffer.early_bytes - EARLY_FREE)) < RECEIVE_WINDOW


def test_a_reader_that_stops_closes_the_window_and_reopens_it() -> None:
    buffer = ReceiveBuffer()
    payload = bytes(1400)
    accepted = 0
    for seq in range(6000):
        accepted += sum(map(len, buffer.accept(seq, TYPE_DATA, payload)))
    assert buffer.advertise() == 0
    assert RECEIVE_WINDOW <= accepted <= RECEIVE_WINDOW + OVERRUN
    assert not buffer.consumed(OVERRUN + 10_000)
    assert buffer.consumed(RECEIVE_WINDOW // 4)


def test_the_missing_packet_gets_in_when_early_ones_fill_the_buffer() -> None:
    """Else a full reorder buffer and its gap would wait for each other for ever."""
    buffer = ReceiveBuffer()
    seq = 1
    while buffer.room >= 1400:
        buffer.accept(seq, TYPE_DATA, bytes(1400))
        seq += 1
    assert buffer.accept(0, TYPE_DATA, bytes(1400)) == [bytes(1400)]
    assert buffer.next_seq == 1
