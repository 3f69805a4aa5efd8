"""The stream as its driver sees it: two in-memory endpoints in virtual time."""

from __future__ import annotations

import random

import pytest

from qvac_core.errors import ConnectionClosed, LocalProtocolError
from qvac_core.udx import Closed, DataReceived, Drained, EndReceived, MessageReceived, RemoteChanged, Stream
from qvac_core.udx.packet import (
    TYPE_DATA,
    TYPE_DESTROY,
    TYPE_END,
    TYPE_HEARTBEAT,
    TYPE_SACK,
    Packet,
    decode_packet,
    encode_packet,
)
from qvac_core.udx.receive_buffer import OVERRUN, RECEIVE_WINDOW
from qvac_core.udx.stream import Stats
from tests.simulation.udx_link import Simulation, Weather

WINDOW = RECEIVE_WINDOW


def both_closed(sim: Simulation) -> bool:
    return sim.a.closed is not None and sim.b.closed is not None


def lone() -> Stream:
    stream = Stream(1, now=0.0)
    stream.connect(2, 0.0)
    return stream


def data(seq: int, payload: bytes = b"x", *, ack: int = 0, kind: int = TYPE_DATA, window: int = WINDOW) -> bytes:
    return encode_packet(Packet(kind, 1, window, seq, ack, payload=payload))


def test_bytes_arrive_intact_and_both_sides_close_without_error() -> None:
    sim = Simulation(Weather(delay=0.01))
    content = random.Random(1).randbytes(1_000_000)
    sim.a.send(content)
    sim.b.send(content[::-1])
    sim.run(10.0, lambda: both_closed(sim))
    assert bytes(sim.b.received) == content
    assert bytes(sim.a.received) == content[::-1]
    assert sim.a.closed == sim.b.closed == Closed(None)
    assert sim.a.stream.bytes_in_flight == 0


def test_small_writes_of_one_turn_share_packets() -> None:
    stream = lone()
    stream.write_many([b"ab", b"", b"cd"], 0.0)
    stream.write(b"ef", 0.0)
    out = stream.datagrams_to_send(0.0)
    assert [d[20:] for d in out] == [b"abcdef"]


def test_packets_of_a_large_write_are_of_equal_size() -> None:
    stream = lone()
    stream.write(bytes(11_000), 0.0)
    assert [len(d) for d in stream.datagrams_to_send(0.0)] == [1172] * 9 + [11_000 - 9 * 1152 + 20]


def test_a_write_may_be_changed_by_its_owner_afterwards() -> None:
    stream = lone()
    mine = bytearray(b"before")
    stream.write(mine, 0.0)
    mine[:] = b"after!"
    assert stream.datagrams_to_send(0.0)[0][20:] == b"before"


def test_an_end_rides_on_the_last_data_or_alone() -> None:
    stream = lone()
    stream.write(b"bye", 0.0)
    stream.end(0.0)
    assert [d[2] for d in stream.datagrams_to_send(0.0)] == [TYPE_DATA | TYPE_END]
    stream = lone()
    stream.end(0.0)
    assert [d[2] for d in stream.datagrams_to_send(0.0)] == [TYPE_END]


def test_nothing_can_be_written_after_the_end() -> None:
    stream = lone()
    stream.end(0.0)
    with pytest.raises(ConnectionClosed):
        stream.write(b"late", 0.0)


def test_one_side_may_end_long_before_the_other() -> None:
    sim = Simulation()
    sim.a.send(b"question")
    sim.run(5.0, lambda: sim.b.ended)
    assert sim.a.closed is None and sim.b.closed is None
    sim.b.send(b"a long answer" * 1000)
    sim.run(5.0, lambda: both_closed(sim))
    assert bytes(sim.a.received) == b"a long answer" * 1000
    assert sim.a.closed == sim.b.closed == Closed(None)


def test_the_last_acknowledgement_may_be_lost() -> None:
    sim = Simulation(Weather(delay=0.01))
    sim.a.end_on_end = sim.b.end_on_end = True
    sim.a.send(b"x")
    sim.run(5.0, lambda: sim.a.closed is not None)
    sim._wire.clear()
    sim.run(5.0, lambda: sim.b.closed is not None)
    assert sim.b.closed == Closed(None)


def test_destroy_is_seen_as_a_reset() -> None:
    sim = Simulation()
    sim.a.stream.write(b"x", sim.now)
    sim.run(0.1)
    sim.a.stream.destroy(sim.now)
    sim.run(1.0)
    assert sim.a.closed == Closed(None)
    assert sim.b.closed is not None and sim.b.closed.error is not None
    assert sim.b.closed.error.name == "ECONNRESET"
    assert sim.b.stream.get_timer() is None


def test_a_stream_that_never_connected_says_nothing_when_destroyed() -> None:
    stream = Stream(1, now=0.0)
    stream.write(b"x", 0.0)
    stream.destroy(0.0)
    assert stream.datagrams_to_send(0.0) == []
    assert stream.next_event() == Closed(None)


def test_an_old_destroy_is_ignored() -> None:
    stream = lone()
    stream.receive_datagrams([data(0), data(1)], 0.0)
    stream.receive_datagrams([data(0, b"", kind=TYPE_DESTROY)], 0.0)
    assert not stream.closed
    stream.receive_datagrams([data(2, b"", kind=TYPE_DESTROY)], 0.0)
    assert stream.closed


def test_data_before_the_connect_is_kept_and_acknowledged_later() -> None:
    stream = Stream(1, now=0.0)
    stream.receive_datagrams([data(0, b"early")], 0.0)
    assert stream.next_event() == DataReceived(b"early")
    assert stream.datagrams_to_send(0.0) == []
    stream.connect(2, 1.0)
    (ack,) = stream.datagrams_to_send(1.0)
    assert decode_packet(ack) == Packet(0, 2, WINDOW - 5, 0, 1)


def test_messages_need_a_connection_and_must_fit() -> None:
    stream = Stream(1, now=0.0)
    with pytest.raises(LocalProtocolError):
        stream.send_message(b"x", 0.0)
    stream.connect(2, 0.0)
    with pytest.raises(LocalProtocolError):
        stream.send_message(bytes(1453), 0.0)
    sim = Simulation()
    sim.a.stream.send_message(b"hello", sim.now)
    sim.run(0.1)
    assert MessageReceived(b"hello") in sim.b.events


def test_a_peer_that_vanishes_is_noticed_after_13_seconds() -> None:
    sim = Simulation(Weather(delay=0.01), timer_late=0.0)
    sim.a.stream.write(b"x", sim.now)
    sim.run(1.0)
    sim.links[0].drop = lambda index, datagram: True
    start = sim.now
    sim.a.stream.write(b"y", sim.now)
    sim.run(60.0, lambda: sim.a.closed is not None)
    assert sim.now - start == pytest.approx(13.0, abs=0.2)
    assert sim.a.closed is not None and sim.a.closed.error is not None
    assert sim.a.closed.error.name == "ETIMEDOUT"


def test_write_says_stop_and_drained_says_go() -> None:
    sim = Simulation(Weather(delay=0.02))
    stream = sim.a.stream
    room = True
    written = 0
    while room:
        room = stream.write(bytes(65536), sim.now)
        written += 65536
    assert written < 1_000_000
    assert Drained() not in sim.a.events
    sim.run(5.0, lambda: Drained() in sim.a.events)
    assert stream.bytes_unacked < written
    assert stream.write(b"more", sim.now)


def test_a_reader_that_stops_stops_the_sender_and_a_window_update_restarts_it() -> None:
    sim = Simulation(Weather(delay=0.005))
    sim.b.reading = False
    content = bytes(10_000_000)
    sim.a.send(content)
    sim.run(30.0)
    assert WINDOW - 1500 <= len(sim.b.received) <= WINDOW + OVERRUN
    assert sim.a.stream.bytes_in_flight == 0 and sim.a.closed is None
    sim.b.stream.consumed(len(sim.b.received))
    sim.b.reading = True
    took = sim.run(30.0, lambda: sim.b.ended)
    assert bytes(sim.b.received) == content
    assert took < 2.0


def test_a_closed_window_is_probed_by_heartbeats_until_the_update_gets_through() -> None:
    sim = Simulation(Weather(delay=0.005))
    sim.b.reading = False
    sim.a.keep_sent = True
    sim.a.send(bytes(6_000_000))
    sim.run(10.0)
    heartbeats = [d for d in sim.a.sent if d[2] == TYPE_HEARTBEAT]
    assert 3 <= len(heartbeats) <= 6
    sim.links[1].drop = lambda index, datagram: True  # the update is lost
    sim.b.stream.consumed(len(sim.b.received))
    sim.b.reading = True
    sim.run(0.1)
    sim.links[1].drop = None
    sim.run(10.0, lambda: sim.b.ended)
    assert len(sim.b.received) == 6_000_000


def test_paused_reading_holds_data_and_end_back_in_order() -> None:
    sim = Simulation()
    sim.b.stream.pause_reading()
    sim.a.send(b"data" * 1000)
    sim.run(1.0)
    assert not sim.b.received and not sim.b.ended
    sim.b.stream.resume_reading()
    sim.run(1.0)
    assert bytes(sim.b.received) == b"data" * 1000 and sim.b.ended


def test_a_clean_close_waits_for_a_paused_reader() -> None:
    sim = Simulation()
    sim.b.stream.pause_reading()
    sim.a.end_on_end = True
    sim.b.send(b"mine")
    sim.a.send(b"yours")
    sim.run(1.0, lambda: sim.b.stream.closed)
    assert sim.b.closed is None
    sim.b.stream.resume_reading()
    sim.flush()
    assert bytes(sim.b.received) == b"yours"
    assert sim.b.events[-2:] == [EndReceived(), Closed(None)]


def test_sequence_numbers_wrap() -> None:
    sim = Simulation(Weather(delay=0.01, loss=0.03), seed=5)
    start = (1 << 32) - 200
    for endpoint, peer in ((sim.a, sim.b), (sim.b, sim.a)):
        recovery = endpoint.stream._sender.recovery
        recovery.una = recovery.next_seq = recovery._fack = start
        peer.stream._receive.next_seq = start
        peer.stream._window_seq = start & 0xFFFFFFFF
    content = random.Random(2).randbytes(700_000)
    sim.a.send(content)
    sim.b.end_on_end = True
    sim.run(20.0, lambda: both_closed(sim))
    assert bytes(sim.b.received) == content
    assert sim.a.stream._sender.recovery.next_seq > 1 << 32


def test_an_mtu_black_hole_costs_three_probes_and_no_window() -> None:
    sim = Simulation(Weather(delay=0.01, mtu=1250))
    sim.a.send(bytes(2_000_000))
    sim.b.end_on_end = True
    sim.run(20.0, lambda: both_closed(sim))
    stats: Stats = sim.a.stream.stats
    assert stats.mtu == 1232
    assert stats.retransmits == 3 and stats.lost == 0 and stats.recoveries == 0
    assert len(sim.b.received) == 2_000_000


def test_a_retransmission_carries_todays_acknowledgement() -> None:
    stream = lone()
    stream.write(bytes(11_000), 0.0)
    first = stream.datagrams_to_send(0.0)
    sack = encode_packet(Packet(TYPE_SACK, 1, WINDOW, 3, 0, sacks=((1, 10),)))
    stream.receive_datagrams([data(0), data(1), data(2), sack], 0.05)
    out = [p for d in stream.datagrams_to_send(0.05) if (p := decode_packet(d)) is not None and p.seq == 0]
    assert [(p.ack, p.payload) for p in out] == [(3, first[0][20:])]


def test_change_remote_restarts_the_mtu_search_and_tells_when_the_old_path_is_done() -> None:
    sim = Simulation(Weather(delay=0.01, bandwidth=5e6))
    sim.a.send(bytes(3_000_000), end=False)
    sim.run(2.0)
    assert sim.a.stream.stats.mtu == 1500
    sim.a.stream.write(b"on the way", sim.now)
    sim.flush()
    sim.a.stream.change_remote(0x0B0B0B0B, sim.now)
    assert sim.a.stream.stats.mtu == 1200
    assert RemoteChanged() not in sim.a.events
    sim.run(1.0)
    assert RemoteChanged() in sim.a.events


@pytest.mark.parametrize(
    "hostile",
    [
        data(0, b"", kind=0, ack=11),  # acknowledges what was never sent
        data(0, b"", kind=0, ack=0x80000000),
        data(0, b"", kind=0, ack=0xFFFFFFFF),
        data(0, b"", kind=0, window=0xFFFFFFFF),
        data(0x7FFFFFFF),  # far ahead
        data(0xFFFFFFFF),  # before the start
        encode_packet(Packet(TYPE_SACK, 1, 0, 0, 0, sacks=((5, 2), (0, 0xFFFFFFFF), (9, 11), (0x80000000, 4)) * 12)),
        data(0, kind=0xFF),
        data(0, kind=TYPE_DATA | TYPE_END | TYPE_SACK),
        bytes(20),
        b"\xff\x01\x01\xff" + b"\x01\0\0\0" + bytes(12),
    ],
)
def test_hostile_packets_do_not_confuse_what_follows(hostile: bytes) -> None:
    stream = lone()
    stream.write(bytes(11_000), 0.0)
    stream.datagrams_to_send(0.0)
    stream.receive_datagrams([hostile], 0.01)
    stream.datagrams_to_send(0.01)
    if not stream.closed:  # one of them is a good DESTROY, too
        stream.receive_datagrams([data(1, b"", kind=0, ack=10)], 0.05)
        assert stream.bytes_in_flight == 0 and stream.bytes_unacked == 0


def test_an_offered_window_is_believed_only_so_far() -> None:
    stream = lone()
    stream.receive_datagrams([data(0, b"", kind=0, window=0xFFFFFFFF)], 0.0)
    assert stream._sender.window == 16 * 1024 * 1024
    stream.receive_datagrams([data(0, b"", kind=0, window=1)], 0.0)
    stream.write(bytes(11_000), 0.0)
    assert len(stream.datagrams_to_send(0.0)) == 1


def test_packets_for_another_stream_are_ignored() -> None:
    stream = lone()
    stream.receive_datagrams([encode_packet(Packet(TYPE_DATA, 99, WINDOW, 0, 0, payload=b"x"))], 0.0)
    assert stream.next_event() is None and stream.datagrams_to_send(0.0) == []


def test_a_closed_stream_that_changes_its_remote_says_no_more() -> None:
    sim = Simulation()
    sim.flush()
    sim.a.stream.destroy(sim.now)
    sim.a.stream.change_remote(0x0B0B0B0B, sim.now)
    sim.flush()
    assert sim.a.events[-1] == Closed(None)


def test_another_path_to_the_same_peer_is_measured_anew_and_everything_under_way_goes_again() -> None:
    sim = Simulation(Weather(delay=0.05, bandwidth=2e6))
    sim.a.send(bytes(3_000_000), end=True)
    sim.run(1.0)
    before = sim.a.stream.stats
    assert (before.mtu > 1200, before.srtt > 0, before.cwnd > 10, sim.a.stream.bytes_in_flight > 0) == (True,) * 4
    for link in sim.links:
        link.drop = lambda index, datagram: True  # the old path is gone
    sim.run(1.5)
    for link in sim.links:
        link.drop = None
    for side in (sim.a, sim.b):
        side.stream.change_path(sim.now)
    after = sim.a.stream.stats
    assert (after.mtu, after.srtt, after.cwnd, sim.a.stream.bytes_in_flight) == (1200, 0.0, 10, 0)
    assert after.lost <= before.lost + before.cwnd  # it is no loss: nothing was counted again by the change
    sim.flush()
    assert sim.a.stream.bytes_in_flight > 0
    sim.run(30.0)
    assert len(sim.b.received) == 3_000_000
    assert sim.a.stream.stats.mtu > 1200  # the search went on there


def test_silence_is_two_timeouts_without_a_word() -> None:
    stream = lone()
    stream.write(b"anybody?", 0.0)
    stream.datagrams_to_send(0.0)
    silent = []
    for now in (1.0, 3.1):
        stream.handle_timer(now)
        silent.append((stream.stats.timeouts, stream.silent))
    stream.receive_datagrams([data(0)], 3.2)
    assert (silent[-1], stream.silent) == ((2, True), False)


def in_conversation() -> Stream:
    """It has asked, and the answer came with the acknowledgement."""
    stream = lone()
    stream.write(b"question", 0.0)
    assert len(stream.datagrams_to_send(0.0)) == 1
    stream.receive_datagrams([data(0, b"answer", ack=1)], 0.1)
    assert stream.next_event() == DataReceived(b"answer")
    return stream


def test_an_answer_does_not_wait_for_the_acknowledgement_that_came_along() -> None:
    stream = in_conversation()
    stream.write(b"next question", 0.1)
    (datagram,) = stream.datagrams_to_send(0.1)
    packet = decode_packet(datagram)
    assert packet is not None
    assert (packet.seq, packet.ack, packet.payload) == (1, 1, b"next question")
    assert len(stream._sender.recovery.in_flight) == 2  # the first one is still to be taken off
    stream.get_timer()
    assert list(stream._sender.recovery.in_flight) == [1]
    assert stream.srtt == pytest.approx(0.1)


def test_whoever_asks_is_told_what_was_acknowledged() -> None:
    assert in_conversation().bytes_unacked == 0
    assert in_conversation().bytes_in_flight == 0
    assert in_conversation().srtt == pytest.approx(0.1)
    assert in_conversation().stats.srtt == pytest.approx(0.1)
    stream = in_conversation()
    stream.handle_timer(5.0)
    assert not stream.datagrams_to_send(5.0)[1:]  # an acknowledgement, and nothing again
    assert stream.stats.retransmits == 0


def test_an_end_after_an_answer_waits_for_no_timer() -> None:
    stream = in_conversation()
    stream.end(0.1)
    packet = decode_packet(stream.datagrams_to_send(0.1)[-1])
    assert packet is not None and packet.type & TYPE_END
    stream.receive_datagrams([data(1, b"", ack=2, kind=TYPE_END)], 0.2)
    assert [type(stream.next_event()) for _ in range(2)] == [EndReceived, Closed]


def test_more_than_a_packet_waits_for_the_acknowledgement() -> None:
    stream = in_conversation()
    stream.write(bytes(50_000), 0.1)
    sent = stream.datagrams_to_send(0.1)
    assert 0 not in stream._sender.recovery.in_flight
    assert len(sent) > 5
