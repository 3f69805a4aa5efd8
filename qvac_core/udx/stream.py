"""A UDX stream without I/O: datagrams and the time in; datagrams, events and the next timer out.

docs/wire/hyperdht.md section 5; behaviour of libudx `src/udx.c`.

A driver does three things after each call that it makes: send `datagrams_to_send(now)`, handle every
`next_event()`, set one timer to `get_timer()`. Datagrams may still be waiting after the Closed event (the last ACK, a
DESTROY): take them once more. There is no TIME_WAIT on the wire, but a stream that ended well still answers a
repeated END if it is kept for a few seconds: a lost last ACK otherwise costs the peer 13 s and an error.

Reading has back-pressure: each DataReceived counts against the 4 MiB receive window until `consumed(len(data))`
is called. A reader that never calls it stops the peer after 4 MiB, or twice as much where packets came out of order.

All times are float seconds of one monotonic clock. Inside, sequence numbers never wrap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from qvac_core.errors import ConnectionClosed, LocalProtocolError

from .events import Closed, DataReceived, EndReceived, Event, MessageReceived
from .mtu import MTU_MAX, OVERHEAD_IPV4, MtuSearch
from .packet import (
    HEADER,
    HEADER_SIZE,
    MAGIC_AND_VERSION,
    SEQ_MASK,
    TYPE_DATA,
    TYPE_DATA_OR_END,
    TYPE_DESTROY,
    TYPE_HEARTBEAT,
    TYPE_MESSAGE,
    TYPE_SACK,
    decode_sacks,
    encode_sacks,
    unwrap,
)
from .receive_buffer import MAX_AHEAD, ReceiveBuffer
from .sender import Sender

SEQ_HALF = 0x80000000


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the start; sizes in bytes, times in seconds, bandwidth in payload bytes per second."""

    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    retransmits: int
    lost: int
    timeouts: int
    recoveries: int
    mtu: int
    cwnd: int
    srtt: float
    min_rtt: float
    bandwidth: float


class Stream:
    """One stream of two ends. Times are seconds of any clock that does not go back, sizes are bytes.

    local_id: the number that the peer writes into its datagrams. Wrong datagrams of a peer are dropped and raise
    nothing. ConnectionClosed for writing behind the end, LocalProtocolError for a second `connect` and for an unordered
    message that fits into no packet.
    """

    def __init__(
        self,
        local_id: int,
        *,
        now: float,
        random: Random | None = None,
        ipv6: bool = False,
        mtu_limit: int = MTU_MAX,
    ) -> None:
        """`random` spreads BBR's probing phases; `mtu_limit` is the link's, IP and UDP headers included."""
        self.local_id = local_id
        self.connected = False
        self.closed = False
        self._events: deque[Event] = deque()
        self._held: deque[Event] = deque()  # events of the reader while it pauses
        self._paused = False
        self._control: list[bytes] = []  # packets without a sequence number of their own, ready to go
        self._ack_due = False
        self._acked_later: tuple[int, float] | None = None  # (acknowledgement, when it came)
        self._receive = ReceiveBuffer()
        self._eof_told = False
        self._window_seq = self._window_ack = 0  # of the packet that the send window came from
        self._sender = Sender(self._receive, self._events, now, random, MtuSearch(mtu_limit, ipv6=ipv6))
        self._packets_sent = self._packets_received = 0
        self._bytes_sent = self._bytes_received = 0

    # what the application does

    def connect(self, remote_id: int, now: float) -> None:
        if self.connected or self.closed:
            raise LocalProtocolError("a stream is connected once")
        self._sender.remote_id = remote_id
        self.connected = True

    @property
    def remote_id(self) -> int:
        return self._sender.remote_id

    def change_remote(self, remote_id: int, now: float) -> None:
        """New packets go to another place (the driver knows where); RemoteChanged says when the old one is done."""
        if not self.connected:
            raise LocalProtocolError("only a connected stream can change its remote")
        self._settle()
        if not self.closed:  # a closed one has no more events
            self._sender.change_remote(remote_id)

    def change_path(self, now: float) -> None:
        """The way to the same remote is another one: what is under way is sent again, and all estimates start anew."""
        self._settle()
        if self.connected and not self.closed:
            self._sender.change_path(now)
            self._ack_due = True  # the last one may have gone the old way

    def mark_path(self) -> None:
        """`remote_confirmed` counts from now on."""
        self._settle()
        self._sender.mark_path()

    @property
    def silent(self) -> bool:
        """Whether nothing at all came between the last two timeouts: the peer or the way to it is gone."""
        return self._sender.silent_timeouts > 0 and not self._sender.heard

    @property
    def remote_confirmed(self) -> bool:
        """Whether the peer has acknowledged anything that was first sent after `change_remote` or `mark_path`."""
        self._settle()
        return self._sender.remote_confirmed

    def write(self, data: bytes | bytearray | memoryview, now: float) -> bool:
        """False when more is queued than the watermark: wait for Drained. The data is taken in any case.

        Raises ConnectionClosed after `end`, `destroy` or Closed.
        """
        if self.closed or self._sender.ending:
            raise ConnectionClosed("the stream is closed for writing", name="ECLOSED")
        return self._sender.write(data if type(data) is bytes else bytes(data))

    def write_many(self, datas: Sequence[bytes | bytearray | memoryview], now: float) -> bool:
        room = True
        for data in datas:
            room = self.write(data, now)
        return room

    def end(self, now: float) -> None:
        """No more will be written; the peer reads an end after all that was."""
        if not self.closed:
            self._sender.ending = True

    def destroy(self, now: float) -> None:
        """Close at once; what is queued is dropped and the peer sees ECONNRESET."""
        if self.closed:
            return
        self._control.clear()
        self._ack_due = False
        if self.connected:
            self._control.append(self._sender.header(TYPE_DESTROY))
        self._close(None)

    def send_message(self, data: bytes, now: float) -> None:
        """An unordered, unreliable message; it must fit into one packet."""
        if not self.connected:
            raise LocalProtocolError("an unordered message needs a connected stream")
        if len(data) > MTU_MAX - OVERHEAD_IPV4 - HEADER_SIZE:
            raise LocalProtocolError(f"{len(data)} bytes do not fit into one packet")
        if not self.closed:
            self._control.append(self._sender.header(TYPE_MESSAGE) + data)

    def message_packet(self, data: bytes) -> bytes:
        """A datagram with an unordered message, for a driver that sends it elsewhere than the stream goes."""
        return self._sender.header(TYPE_MESSAGE) + data

    def pause_reading(self) -> None:
        """Hold DataReceived and EndReceived back until `resume_reading`; they stay within the receive window."""
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._events.extend(self._held)
        self._held.clear()

    def consumed(self, n: int) -> bool:
        """The reader is done with `n` bytes of its DataReceived events. True: a window update is due."""
        if not self._receive.consumed(n) or self.closed:
            return False
        self._ack_due = True
        return True

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    @property
    def only_ack_due(self) -> bool:
        """Whether an acknowledgement is all that waits to be sent: whatever is written next could carry it."""
        sender = self._sender
        return self._ack_due and not (self.closed or self._control or sender.urgent or sender.has_work)

    @property
    def bytes_in_flight(self) -> int:
        self._settle()
        return self._sender.recovery.bytes_in_flight

    @property
    def bytes_unacked(self) -> int:
        """Written bytes that the peer has not acknowledged, queued ones included."""
        self._settle()
        return self._sender.unacked

    @property
    def srtt(self) -> float:
        """Smoothed round trip time, 0.0 while unknown."""
        self._settle()
        return self._sender.recovery.rtt.smoothed

    @property
    def payload_size(self) -> int:
        """Bytes of the stream that one full packet carries now."""
        return self._sender.mtu.payload

    @property
    def stats(self) -> Stats:
        self._settle()
        sender, recovery = self._sender, self._sender.recovery
        return Stats(
            packets_sent=self._packets_sent,
            packets_received=self._packets_received,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
            retransmits=sender.retransmits,
            lost=recovery.lost_total,
            timeouts=recovery.timeout_count,
            recoveries=recovery.recovery_count,
            mtu=sender.mtu.mtu,
            cwnd=sender.bbr.cwnd,
            srtt=recovery.rtt.smoothed,
            min_rtt=recovery.rtt.min,
            bandwidth=sender.bbr.bandwidth * sender.mtu.payload,
        )

    # receiving

    def receive_datagrams(self, datagrams: Sequence[bytes | memoryview], now: float) -> None:
        """A train that arrived together. It is acknowledged once, by the next `datagrams_to_send`.

        The hot loop of a download (next DATA packet) and of an upload (plain ACK): no calls in either.
        """
        if self.closed:
            self._receive_closed(datagrams)
            return
        if self._acked_later is not None:
            self._settle()
        recovery, receive = self._sender.recovery, self._receive
        local_id, unpack = self.local_id, HEADER.unpack_from
        una = recovery.una & SEQ_MASK
        span = recovery.next_seq - recovery.una
        expected = receive.next_seq & SEQ_MASK
        room = 0 if receive.early or receive.end_seq is not None else receive.room
        parts: list[bytes | memoryview] = []
        best = 0  # acknowledged beyond una
        total = 0
        last_ack = last_window = -1
        sacked: dict[int, int] = {}
        for datagram in datagrams:
            size = len(datagram)
            if size < HEADER_SIZE:
                continue
            magic, kind, padding, stream_id, window, seq, ack = unpack(datagram)
            if stream_id != local_id or magic != MAGIC_AND_VERSION:
                continue
            total += size
            if kind == TYPE_DATA and seq == expected and not padding and size <= room:
                parts.append(datagram[HEADER_SIZE:])
                room -= size
                expected = (expected + 1) & SEQ_MASK
            elif kind:
                if kind & TYPE_HEARTBEAT:
                    self._ack_due = True
                    continue
                if padding > size - HEADER_SIZE:
                    continue
                if parts:
                    self._take_in_order(parts)
                    parts = []
                if kind & TYPE_SACK:
                    edges = decode_sacks(datagram, padding)
                    sacked.update(zip(edges[::2], edges[1::2], strict=True))
                elif not self._receive_slowly(kind, seq, datagram[HEADER_SIZE + padding :]):
                    return
                expected = receive.next_seq & SEQ_MASK
                room = 0 if receive.early or receive.end_seq is not None else receive.room
            if ack != last_ack or window != last_window:
                beyond = (ack - una) & SEQ_MASK
                if beyond <= span:
                    last_ack, last_window = ack, window
                    if beyond > best:
                        best = beyond
                    newer = (seq - self._window_seq) & SEQ_MASK
                    if (newer and newer < SEQ_HALF) or (not newer and (ack - self._window_ack) & SEQ_MASK < SEQ_HALF):
                        self._sender.set_window(window)
                        self._window_seq, self._window_ack = seq, ack
        if total:
            self._packets_received += len(datagrams)
            self._bytes_received += total
            if parts:
                self._take_in_order(parts)
                if best and not (sacked or self._receive.ended) and self._sender.is_calm:
                    self._acked_later = recovery.una + best, now
                    return
            self._after_train(recovery.una + best, sacked, now)

    def _settle(self) -> None:
        """Work an acknowledgement through that came with a message: whoever answers that has not waited for it.

        It takes as long as everything else between two messages of a conversation. Whatever depends on it calls this
        first; the driver does so, too, by asking for the timer after it has sent.
        """
        if (later := self._acked_later) is not None:
            self._acked_later = None
            self._after_train(later[0], {}, later[1])

    def receive_foreign(self, datagrams: Sequence[bytes | memoryview], now: float) -> None:
        """Datagrams from where the peer has never been seen: it may have moved there, or they may be forged.

        Taken is what comes next in order, and messages. What ends the stream, acknowledges, or waits for others to
        come first is not: a peer that moved sends it again, and who only saw or guessed the ids cannot do harm by it.
        """
        for datagram in datagrams:
            if self.closed or len(datagram) < HEADER_SIZE:
                continue
            magic, kind, padding, stream_id, _, seq, _ = HEADER.unpack_from(datagram)
            if magic != MAGIC_AND_VERSION or stream_id != self.local_id or padding > len(datagram) - HEADER_SIZE:
                continue
            if kind == TYPE_MESSAGE or (kind == TYPE_DATA and seq == self._receive.next_seq & SEQ_MASK):
                self._packets_received += 1
                self._bytes_received += len(datagram)
                self._receive_slowly(kind, seq, datagram[HEADER_SIZE + padding :])

    def _take_in_order(self, parts: list[bytes | memoryview]) -> None:
        self._receive.next_seq += len(parts)
        self._ack_due = True
        data = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
        if data:
            self._receive.backlog += len(data)
            self._tell_reader(DataReceived(data))

    def _receive_slowly(self, kind: int, seq32: int, payload: bytes | memoryview) -> bool:
        """Everything but the next expected DATA packet while nothing is missing. False: the stream is closed."""
        seq = unwrap(seq32, self._receive.next_seq)
        if kind & TYPE_DATA_OR_END:
            self._ack_due = True
            parts = self._receive.accept(seq, kind, payload)
            if parts:
                self._tell_reader(DataReceived(b"".join(parts) if len(parts) > 1 else parts[0]))
        if kind & TYPE_MESSAGE:
            self._events.append(MessageReceived(bytes(payload)))
        # Narrower than the original, which takes half of all numbers: whoever only guesses must not hit so easily.
        if kind & TYPE_DESTROY and 0 <= seq - self._receive.next_seq <= MAX_AHEAD:
            self._close(ConnectionClosed("the peer destroyed the stream", name="ECONNRESET"))
            return False
        return True

    def _after_train(self, ack: int, sacked: dict[int, int], now: float) -> None:
        if self._receive.ended and not self._eof_told:
            self._eof_told = True
            self._tell_reader(EndReceived())
        self._sender.heard = True
        had_ended = self._sender.ended
        self._sender.on_ack(ack, sacked, now)
        if self._sender.ended:
            if not had_ended:
                self._ack_due = True  # a last word, so that the peer knows that we know
            if self._eof_told:
                self._close(None)

    def _receive_closed(self, datagrams: Sequence[bytes | memoryview]) -> None:
        """After a good end only a repeated END matters: our last ACK was lost."""
        if not (self._sender.ended and self._eof_told):
            return
        for datagram in datagrams:
            if len(datagram) >= HEADER_SIZE and datagram[2] & TYPE_DATA_OR_END:
                self._ack_due = True

    def _tell_reader(self, event: DataReceived | EndReceived) -> None:
        (self._held if self._paused else self._events).append(event)

    def _close(self, error: ConnectionClosed | None) -> None:
        self.closed = True
        self._acked_later = None
        if error is None and self._held:
            self._held.append(Closed(None))
        else:
            self._held.clear()
            self._events.append(Closed(error))
        if error is not None:
            self._ack_due = False
            self._control.clear()
        self._sender.clear()
        self._receive.clear()

    # timers

    def get_timer(self) -> float | None:
        if (later := self._acked_later) is not None:
            self._settle()
            if self._sender.recovery.lost:
                return later[1]  # there is more to be sent
        return None if self.closed else self._sender.get_timer()

    def handle_timer(self, now: float) -> None:
        """Call it when the timer is due, or any time later or earlier; then send and read events."""
        self._settle()
        if not self.closed and not self._sender.handle_timer(now):
            self._close(ConnectionClosed("the peer stopped answering", name="ETIMEDOUT"))

    # sending

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Everything that may leave now, equal sizes together. Take it after each call that is made on the stream."""
        if not self.connected:
            return []
        sender = self._sender
        if self._acked_later is not None and not sender.has_room_for_one:
            self._settle()
        data = sender.send(now) if not self.closed and sender.has_work else []
        out, self._control = self._control, []
        if sender.urgent:
            out += sender.urgent
            sender.urgent = []
        if self._ack_due:
            self._ack_due = False
            if not data or self._receive.early or data[-1][3] or not data[-1][2] & TYPE_DATA:
                out.append(self._ack_packet())
        out += data
        self._packets_sent += len(out)
        self._bytes_sent += sum(map(len, out))
        return out

    def _ack_packet(self) -> bytes:
        blocks = self._receive.sack_blocks()
        return self._sender.header(TYPE_SACK) + encode_sacks(blocks) if blocks else self._sender.header(0)
