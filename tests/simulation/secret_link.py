"""Two secret streams over two UDX streams, and a network between them that does to each datagram what it is told.

Nothing here decides by itself: a fuzzer or hypothesis says which datagram arrives, when, how often and how damaged.
"""

from __future__ import annotations

from random import Random

from qvac_core.errors import ConnectionClosed, RemoteProtocolError
from qvac_core.secret_stream import SecretStream
from qvac_core.udx import Closed, DataReceived, EndReceived, Event, Stream
from tests.simulation.udx_invariants import check, well_ordered

_KEYS = bytes([1]) * 32, bytes([2]) * 32
_MAX_WAITING = 400
"""Datagrams on the way in one direction; more are lost, as in a queue of a router."""


class Side:
    """One peer as an application sees it: messages out, messages in, an end that is good or has a reason."""

    def __init__(self, index: int, now: float) -> None:
        self.stream = Stream(7 + index, now=now, random=Random(index))
        self.stream.connect(8 - index, now)
        self.secret = SecretStream(
            initiator=index == 0, tx=_KEYS[index], rx=_KEYS[1 - index], handshake_hash=bytes(64), header=bytes(24)
        )
        self.stream.write(self.secret.start(), now)
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.events: list[Event] = []
        self.ended = False
        self.broken: RemoteProtocolError | None = None

    def write(self, message: bytes, now: float) -> None:
        if self.ended or self.stream.closed:
            return
        self.stream.write(self.secret.encrypt(message), now)
        if message:
            self.sent.append(message)

    def end(self, now: float) -> None:
        self.ended = True
        self.stream.end(now)

    def handle_events(self, now: float) -> None:
        while (event := self.stream.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, EndReceived) and self.secret.buffered:
                self.broken = RemoteProtocolError("the stream ended in the middle of a message")
                self.stream.destroy(now)
            if not isinstance(event, DataReceived) or self.broken is not None:
                continue
            self.stream.consumed(len(event.data))
            try:
                self.received += self.secret.receive(event.data)
            except RemoteProtocolError as error:
                self.broken = error
                self.stream.destroy(now)

    @property
    def closed(self) -> Closed | None:
        return next((event for event in self.events if isinstance(event, Closed)), None)

    @property
    def ended_well(self) -> bool:
        return self.closed == Closed(None) and self.broken is None and EndReceived() in self.events


class SecretLink:
    def __init__(self) -> None:
        self.now = 1000.0
        self.sides = Side(0, self.now), Side(1, self.now)
        self.waiting: tuple[list[bytes], list[bytes]] = ([], [])
        """Datagrams on the way to each side."""
        self.forged = False
        self.flush()

    def flush(self) -> None:
        for index, side in enumerate(self.sides):
            side.handle_events(self.now)
            out = side.stream.datagrams_to_send(self.now)
            queue = self.waiting[1 - index]
            queue += out[: max(0, _MAX_WAITING - len(queue))]

    def deliver(self, to: int, at: int, count: int = 1, *, keep: bool = False) -> None:
        """A train of datagrams from place `at` of the queue; they stay there as well when `keep` (duplicates)."""
        queue = self.waiting[to]
        if not queue:
            return
        at %= len(queue)
        train = queue[at : at + count]
        if not keep:
            del queue[at : at + count]
        self.sides[to].stream.receive_datagrams(train, self.now)
        self.flush()

    def drop(self, to: int, at: int, count: int = 1) -> None:
        queue = self.waiting[to]
        if queue:
            at %= len(queue)
            del queue[at : at + count]

    def corrupt(self, to: int, at: int, position: int, bit: int) -> None:
        """One bit of a datagram, as a forger on the way would: UDP's checksum catches what happens by chance."""
        queue = self.waiting[to]
        if not queue:
            return
        damaged = bytearray(queue[at % len(queue)])
        damaged[position % len(damaged)] ^= 1 << bit % 8
        queue[at % len(queue)] = bytes(damaged)
        self.forged = True

    def wait(self, seconds: float) -> None:
        """Let time pass; each timer runs when it is due."""
        end = self.now + seconds
        for _ in range(200):
            due = [when for side in self.sides if (when := side.stream.get_timer()) is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            for side in self.sides:
                when = side.stream.get_timer()
                if when is not None and when <= self.now:
                    side.stream.handle_timer(self.now)
            self.flush()
        self.now = max(self.now, end)

    def heal(self, seconds: float = 60.0) -> None:
        """From now on the network is good; both sides end."""
        for side in self.sides:
            if not side.ended and not side.stream.closed:
                side.end(self.now)
        end = self.now + seconds
        self.flush()
        while self.now < end and not all(side.stream.closed for side in self.sides):
            for to in (0, 1):
                self.deliver(to, 0, len(self.waiting[to]))
            if not any(self.waiting):
                self.wait(0.1)

    def check(self) -> None:
        for side, other in (self.sides, self.sides[::-1]):
            check(side.stream)
            assert well_ordered(side.events)
            assert side.received == other.sent[: len(side.received)], "what arrives is what was written, in order"
            assert self.forged or side.broken is None

    def check_end(self) -> None:
        """Bytes intact, or an end with a reason on the side that misses some.

        Of a link with a forger on it less can be said: acknowledgements and ends are not encrypted, so that he can make
        a side believe that all has arrived, or that no more will come. He cannot change what does.
        """
        self.check()
        if self.forged:
            return
        assert all(side.stream.closed for side in self.sides)
        for side, other in (self.sides, self.sides[::-1]):
            if side.ended_well:
                assert side.received == other.sent
            else:
                assert side.closed is not None and isinstance(side.closed.error, ConnectionClosed)
