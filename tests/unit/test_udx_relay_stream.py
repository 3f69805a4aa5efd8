"""A relaying stream: what it changes, what it learns, when it ends; and two real streams through it."""

from __future__ import annotations

from random import Random

from qvac_core.errors import ConnectionClosed
from qvac_core.udx import Closed, DataReceived, MessageReceived, RelayStream, Stream
from qvac_core.udx.packet import TYPE_DATA, TYPE_DESTROY, Packet, decode_packet, encode_packet

Half = RelayStream[str]
ALICE_AT, BOB_AT = "alice's address", "bob's address"


def pair(*, alice: str | None = None, bob: str | None = None) -> tuple[Half, Half]:
    """The relay's two halves: ids 1 and 2 here, 101 and 102 at the peers."""
    first, second = Half(1, 101, alice), Half(2, 102, bob)
    first.relay_to(second)
    second.relay_to(first)
    return first, second


def packet(stream_id: int, kind: int = TYPE_DATA, payload: bytes = b"hello") -> bytes:
    return encode_packet(Packet(kind, stream_id, window=4096, seq=7, ack=3, payload=payload))


def test_only_the_id_changes() -> None:
    first, _ = pair(bob=BOB_AT)
    original = packet(1)
    (forwarded,) = first.receive_datagrams([original], ALICE_AT)
    assert forwarded[:4] + forwarded[8:] == original[:4] + original[8:]
    decoded = decode_packet(forwarded)
    assert decoded is not None
    assert decoded.stream_id == 102
    assert first.forwarded == len(original)


def test_addresses_come_from_first_packets_and_stay() -> None:
    first, second = pair()
    assert first.receive_datagrams([packet(1)], ALICE_AT) == []  # nobody knows where Bob is
    assert first.path == ALICE_AT
    assert len(second.receive_datagrams([packet(2)], BOB_AT)) == 1
    assert len(first.receive_datagrams([packet(1)], "a stranger's address")) == 1
    assert first.path == ALICE_AT


def test_a_believed_address_is_corrected_by_the_first_packet() -> None:
    first, _ = pair(alice="somewhere")
    first.receive_datagrams([packet(1)], ALICE_AT)
    assert first.path == ALICE_AT


def test_what_is_no_packet_of_the_stream_is_dropped() -> None:
    first, _ = pair(bob=BOB_AT)
    assert first.receive_datagrams([b"", b"\xff\x01", packet(9), b"\x00" * 40], ALICE_AT) == []
    assert first.forwarded == 0


def test_destroy_is_handed_on_and_closes_this_half() -> None:
    first, second = pair(alice=ALICE_AT, bob=BOB_AT)
    (forwarded,) = first.receive_datagrams([packet(1, TYPE_DESTROY, b""), packet(1)], ALICE_AT)
    decoded = decode_packet(forwarded)
    assert decoded is not None
    assert decoded.type == TYPE_DESTROY
    assert (first.closed, second.closed) == (True, False)
    assert second.receive_datagrams([packet(2)], BOB_AT) == []
    assert first.destroy() is None


def test_destroy_tells_the_peer_if_there_is_a_way_to_it() -> None:
    first, second = pair(alice=ALICE_AT)
    word = first.destroy()
    assert word is not None
    decoded = decode_packet(word)
    assert decoded is not None
    assert (decoded.type, decoded.stream_id) == (TYPE_DESTROY, 101)
    assert second.destroy() is None
    assert second.receive_datagrams([packet(2)], BOB_AT) == []


class Line:
    """Two streams that meet only at the relay."""

    def __init__(self) -> None:
        self.alice = Stream(101, now=0.0, random=Random(1))
        self.bob = Stream(102, now=0.0, random=Random(2))
        self.alice.connect(1, 0.0)
        self.bob.connect(2, 0.0)
        self.at_relay = pair()
        self.now = 0.0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        first, second = self.at_relay
        while self.now < end:
            self.now += 0.001
            for stream in (self.alice, self.bob):
                stream.handle_timer(self.now)
            up, down = self.alice.datagrams_to_send(self.now), self.bob.datagrams_to_send(self.now)
            self.bob.receive_datagrams(first.receive_datagrams(up, ALICE_AT), self.now)
            self.alice.receive_datagrams(second.receive_datagrams(down, BOB_AT), self.now)

    def read(self, stream: Stream) -> bytes:
        data = b""
        while (event := stream.next_event()) is not None:
            if isinstance(event, DataReceived):
                data += event.data
                stream.consumed(len(event.data))
        return data


def test_two_streams_talk_through_a_relay_and_then_directly() -> None:
    line = Line()
    sent = Random(3).randbytes(300_000)
    line.alice.write(sent[:200_000], 0.0)
    line.bob.write(b"hello", 0.0)
    line.run(2.0)
    received = line.read(line.bob)
    assert line.read(line.alice) == b"hello"
    assert received
    # The direct path: other ids, the same sequence numbers.
    line.alice.change_remote(102, line.now)
    line.bob.change_remote(101, line.now)
    line.alice.write(sent[200_000:], line.now)
    for _ in range(2000):
        line.now += 0.001
        for stream in (line.alice, line.bob):
            stream.handle_timer(line.now)
        line.bob.receive_datagrams(line.alice.datagrams_to_send(line.now), line.now)
        line.alice.receive_datagrams(line.bob.datagrams_to_send(line.now), line.now)
        received += line.read(line.bob)
    assert received == sent


def test_messages_pass_and_a_destroyed_peer_is_noticed_through_the_relay() -> None:
    line = Line()
    line.bob.send_message(b"", line.now)
    line.run(0.01)
    line.alice.send_message(b"unordered", line.now)
    line.run(0.01)
    assert line.bob.next_event() == MessageReceived(b"unordered")
    line.alice.destroy(line.now)
    line.run(0.01)
    closed = line.bob.next_event()
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, ConnectionClosed)
    assert closed.error.name == "ECONNRESET"


def test_a_relay_that_goes_away_does_not_end_a_stream_that_moved() -> None:
    """Its DESTROY carries number 0, which a stream that received anything has passed."""
    line = Line()
    line.alice.write(b"one", 0.0)
    line.bob.write(b"two", 0.0)
    line.run(1.5)
    word = line.at_relay[0].destroy()
    assert word is not None
    line.alice.receive_datagrams([word], line.now)
    assert not line.alice.closed


def test_a_relay_that_stops_ends_the_streams_that_use_it() -> None:
    line = Line()
    line.alice.write(b"one", 0.0)
    line.bob.write(b"two", 0.0)
    line.run(1.5)
    first, second = line.at_relay
    for stream, half in ((line.alice, first), (line.bob, second)):
        line.read(stream)
        word = half.destroy(abort=True)
        assert word is not None
        stream.receive_datagrams([word], line.now)
        closed = stream.next_event()
        assert isinstance(closed, Closed)
        assert closed.error is not None
