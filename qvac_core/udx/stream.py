"""A UDX stream without I/O: datagrams and the time in; datagrams, events and the next timer out.

HYPERDHT.md section 5; behaviour of libudx `src/udx.c`.

A driver does three things after each call that it makes: send `datagrams_to_send(now)`, handle every
`next_event()`, set one timer to `get_timer()`. Datagrams may still be waiting after the Closed event (the last ACK, a
DESTROY): take them once more before the stream is forgotten.

Reading has back-pressure: each DataReceived counts against the 4 MiB receive window until `consumed(len(data))`
is called. A reader that never calls it stops the peer after 4 MiB.
"""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import Sequence

from qvac_core.errors import ConnectionClosed, LocalProtocolError

from .events import Closed, DataReceived, Drained, EndReceived, Event, MessageReceived
from .packet import (
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_DATA_OR_END,
    TYPE_DESTROY,
    TYPE_END,
    TYPE_HEARTBEAT,
    TYPE_MESSAGE,
    decode_packet,
    encode_header,
    unwrap,
)

RECEIVE_WINDOW = 4 * 1024 * 1024
WATERMARK = 262144
PAYLOAD = 1152
WINDOW_PACKETS = 64


class Stream:
    def __init__(self, local_id: int, *, now: float, random: random_module.Random | None = None) -> None:
        self.local_id = local_id
        self.remote_id = 0
        self.connected = False
        self.closed = False
        self.bytes_in_flight = 0
        self.srtt = 0.0
        self._events: deque[Event] = deque()
        self._out: list[bytes] = []
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._next_seq = 0
        self._acked = 0
        self._ack = 0
        self._sizes: deque[int] = deque()
        self._ack_due = False
        self._ending = self._end_sent = self._ended = self._remote_ended = False
        self._above = False
        self._backlog = 0

    def connect(self, remote_id: int, now: float) -> None:
        self.remote_id = remote_id
        self.connected = True

    def _header(self, packet_type: int) -> bytes:
        window = max(0, RECEIVE_WINDOW - self._backlog)
        return encode_header(packet_type, self.remote_id, window, self._next_seq, self._ack)

    def write(self, data: bytes, now: float) -> bool:
        """False when more is queued than the watermark: wait for Drained. The data is taken in any case."""
        return self.write_many([data], now)

    def write_many(self, datas: Sequence[bytes], now: float) -> bool:
        if self.closed or self._ending:
            raise ConnectionClosed("the stream is closed for writing", name="ECLOSED")
        for data in datas:
            if data:
                self._queue.append(bytes(data))
                self._queued += len(data)
        self._above = self._queued + self.bytes_in_flight > WATERMARK
        return not self._above

    def end(self, now: float) -> None:
        self._ending = True

    def destroy(self, now: float) -> None:
        if self.closed:
            return
        if self.connected:
            self._out.append(self._header(TYPE_DESTROY))
        self._close(None)

    def send_message(self, data: bytes, now: float) -> None:
        if not self.connected:
            raise LocalProtocolError("an unordered message needs a connected stream")
        if not self.closed:
            self._out.append(self._header(TYPE_MESSAGE) + data)

    def pause_reading(self) -> None:
        """Hold DataReceived events back."""

    def resume_reading(self) -> None:
        """Hand them out again."""

    def consumed(self, n: int) -> None:
        self._backlog = max(0, self._backlog - n)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> None:
        return None

    def receive_datagrams(self, datagrams: Sequence[bytes | memoryview], now: float) -> None:
        for datagram in datagrams:
            packet = decode_packet(datagram)
            if packet is None or packet.stream_id != self.local_id or self.closed:
                continue
            if packet.type & TYPE_HEARTBEAT:
                self._ack_due = True
                continue
            if packet.type & TYPE_MESSAGE:
                self._events.append(MessageReceived(packet.payload))
            seq = unwrap(packet.seq, self._ack)
            if packet.type & TYPE_DESTROY and seq >= self._ack:
                self._close(ConnectionClosed("the peer destroyed the stream"))
                return
            if packet.type & TYPE_DATA_OR_END:
                self._ack_due = True
                if seq == self._ack:
                    self._ack += 1
                    if packet.payload:
                        self._backlog += len(packet.payload)
                        self._events.append(DataReceived(packet.payload))
                    if packet.type & TYPE_END:
                        self._remote_ended = True
                        self._events.append(EndReceived())
            self._on_ack(unwrap(packet.ack, self._acked))
        if self._remote_ended and self._ended:
            self._out.append(self._header(0))
            self._ack_due = False
            self._close(None)

    def _on_ack(self, ack: int) -> None:
        while self._acked < min(ack, self._next_seq):
            self._acked += 1
            self.bytes_in_flight -= self._sizes.popleft()
        if self._above and self._queued + self.bytes_in_flight < WATERMARK:
            self._above = False
            self._events.append(Drained())
        if self._end_sent and not self._ended and self._acked == self._next_seq:
            self._ended = True
            self._ack_due = True

    def _close(self, error: ConnectionClosed | None) -> None:
        self.closed = True
        self._events.append(Closed(error))

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Everything that may leave now. Take it after each call that is made on the stream."""
        if not self.connected:
            return []
        out, self._out = self._out, []
        if self._ack_due:
            out.append(self._header(0))
            self._ack_due = False
        while not self.closed and len(self._sizes) < WINDOW_PACKETS and (self._queue or self._ending):
            if self._end_sent:
                break
            payload = b""
            while self._queue and len(payload) < PAYLOAD:
                head = self._queue.popleft()
                room = PAYLOAD - len(payload)
                payload += head[:room]
                if len(head) > room:
                    self._queue.appendleft(head[room:])
            last = self._ending and not self._queue
            self._end_sent = last
            packet_type = (TYPE_DATA if payload else 0) | (TYPE_END if last else 0)
            out.append(self._header(packet_type) + payload)
            self._next_seq += 1
            self._queued -= len(payload)
            self._sizes.append(HEADER_SIZE + len(payload))
            self.bytes_in_flight += HEADER_SIZE + len(payload)
        return out
