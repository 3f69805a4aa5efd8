"""Two UDX streams and a terrible network between them, in virtual time.

After trio's `_fake_net` and aioquic's shuttled datagrams: everything follows from a seed, nothing sleeps.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from qvac_core.udx import Closed, DataReceived, Drained, EndReceived, Event, MessageReceived, Stream

UDP_IP_HEADERS = 28


@dataclass(frozen=True, slots=True)
class Weather:
    """One direction of a path. Times in seconds, bandwidth in bytes per second, queue in packets."""

    delay: float = 0.0005
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # share of packets that are held back by `reorder_by`
    reorder_by: float = 0.0
    bandwidth: float = 0.0  # 0: no limit
    queue: int = 1000
    mtu: int = 1500  # larger packets vanish, as with DF set and ICMP filtered


class Link:
    def __init__(self, weather: Weather, rng: random.Random) -> None:
        self.weather = weather
        self.rng = rng
        self.free_at = 0.0
        self.last_arrival = 0.0
        self.dropped = 0
        self.carried = 0
        self.drop: Callable[[int, bytes], bool] | None = None

    def arrivals(self, datagram: bytes, now: float) -> list[float]:
        """When copies of it arrive; none, one or two."""
        weather, rng = self.weather, self.rng
        index = self.carried
        self.carried += 1
        if len(datagram) + UDP_IP_HEADERS > weather.mtu:
            return []
        if self.drop is not None and self.drop(index, datagram):
            return []
        if rng.random() < weather.loss:
            self.dropped += 1
            return []
        start = now
        if weather.bandwidth:
            wire = (len(datagram) + UDP_IP_HEADERS) / weather.bandwidth
            if self.free_at - now > weather.queue * 1500 / weather.bandwidth:
                self.dropped += 1
                return []
            start = self.free_at = max(self.free_at, now) + wire
        arrival = start + weather.delay + rng.random() * weather.jitter
        if rng.random() < weather.reorder:
            arrival += weather.reorder_by
        elif not weather.jitter:
            # a plain path keeps the order
            arrival = self.last_arrival = max(arrival, self.last_arrival)
        return [arrival, arrival + weather.delay] if rng.random() < weather.duplicate else [arrival]


class Endpoint:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.received = bytearray()
        self.events: list[Event] = []  # all but data
        self.messages: list[bytes] = []
        self.reading = True  # False: never says `consumed`
        self.to_write = memoryview(b"")
        self.end_after_writing = False
        self.end_on_end = False
        self.sent: list[bytes] = []
        self.keep_sent = False
        self.chunk = 65536
        self.room = True  # what `write` said last, or Drained since

    @property
    def closed(self) -> Closed | None:
        return next((e for e in self.events if isinstance(e, Closed)), None)

    @property
    def ended(self) -> bool:
        return any(isinstance(e, EndReceived) for e in self.events)

    def send(self, data: bytes, *, end: bool = True) -> None:
        self.to_write = memoryview(data)
        self.end_after_writing = end

    def turn(self, now: float) -> list[bytes]:
        """Handle events, write what there is room for, hand out datagrams."""
        stream = self.stream
        while (event := stream.next_event()) is not None:
            if isinstance(event, DataReceived):
                self.received += event.data
                if self.reading:
                    stream.consumed(len(event.data))
                continue
            self.events.append(event)
            if isinstance(event, Drained):
                self.room = True
            if isinstance(event, MessageReceived):
                self.messages.append(event.data)
            if isinstance(event, EndReceived) and self.end_on_end:
                stream.end(now)
        while self.to_write and self.room and not stream.closed:
            self.room = stream.write(self.to_write[: self.chunk], now)
            self.to_write = self.to_write[self.chunk :]
        if self.end_after_writing and not self.to_write:
            self.end_after_writing = False
            stream.end(now)
        out = stream.datagrams_to_send(now)
        if self.keep_sent:
            self.sent += out
        return out


class Simulation:
    """`a` talks to `b`. Datagrams that arrive within `train` seconds reach a stream together."""

    def __init__(
        self,
        there: Weather = Weather(),
        back: Weather | None = None,
        *,
        seed: int = 1,
        timer_late: float = 0.001,
        train: float = 0.0,
    ) -> None:
        self.now = 1000.0
        rng = random.Random(seed)
        self.a = Endpoint(Stream(0x0A0A0A0A, now=self.now, random=random.Random(seed)))
        self.b = Endpoint(Stream(0x0B0B0B0B, now=self.now, random=random.Random(seed + 1)))
        self.a.stream.connect(0x0B0B0B0B, self.now)
        self.b.stream.connect(0x0A0A0A0A, self.now)
        self.links = (Link(there, rng), Link(back or there, rng))
        self.timer_late = timer_late
        self.train = train
        self.steps = 0
        self.elapsed = 0.0
        self._wire: list[tuple[float, int, int, bytes]] = []
        self._serial = 0

    def flush(self) -> None:
        for index, endpoint in enumerate((self.a, self.b)):
            for datagram in endpoint.turn(self.now):
                for at in self.links[index].arrivals(datagram, self.now):
                    self._serial += 1
                    heapq.heappush(self._wire, (at, self._serial, 1 - index, datagram))
            self._check(endpoint.stream)

    def _check(self, stream: Stream) -> None:
        assert stream.bytes_in_flight >= 0
        assert stream.bytes_unacked >= 0 or stream.closed

    def step(self, until: float) -> bool:
        """Advance to the next datagram or timer; False when there is none before `until`."""
        times = [t + self.timer_late for e in (self.a, self.b) if (t := e.stream.get_timer()) is not None]
        if self._wire:
            times.append(self._wire[0][0] + self.train)
        if not times or min(times) > until:
            self.now = max(self.now, until)
            return False
        self.now = max(self.now, min(times))
        self.steps += 1
        trains: tuple[list[bytes], list[bytes]] = ([], [])
        while self._wire and self._wire[0][0] <= self.now:
            _, _, index, datagram = heapq.heappop(self._wire)
            trains[index].append(datagram)
        for endpoint, train in zip((self.a, self.b), trains, strict=True):
            if train:
                endpoint.stream.receive_datagrams(train, self.now)
            timer = endpoint.stream.get_timer()
            if timer is not None and timer <= self.now:
                endpoint.stream.handle_timer(self.now)
        self.flush()
        return True

    def run(self, seconds: float, done: Callable[[], bool] | None = None) -> float:
        """Run for at most that long, or until `done`; the virtual seconds it took."""
        start = self.now
        self.flush()
        while not (done is not None and done()) and self.step(start + seconds):
            assert self.steps < 3_000_000, "a busy loop"
        return self.now - start
