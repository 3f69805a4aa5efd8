"""A small real-socket driver for one UDX stream: drain the socket, feed, flush, one timer.

Ours; the shape that the asyncio driver of qvac_core.hyperdht has, without the loop.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

from qvac_core.udx import Closed, DataReceived, Drained, Event, Stream

CHUNK = 65536
TRAIN = 128  # datagrams read before the stream hears of them
RECEIVE_BUFFER = 1024 * 1024  # bytes, what libudx asks for
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2  # Linux


def pattern(size: int) -> Iterator[bytes]:
    """Chunks that differ from each other; udx_peer.mjs makes the same."""
    index = 0
    while size > 0:
        base = index * 2654435761
        numbers = [(base + i) & 0xFFFFFFFF for i in range(0, CHUNK, 4)]
        yield struct.pack(f"<{len(numbers)}I", *numbers)[:size]
        size -= CHUNK
        index += 1


class SocketDriver:
    def __init__(self, local_id: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        self.port: int = self.socket.getsockname()[1]
        self.stream = Stream(local_id, now=time.monotonic())
        self.remote = ("127.0.0.1", 0)
        self.events: list[Event] = []
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.to_write: Iterator[bytes] | None = None
        self.unsent: list[bytes] = []
        self.loss = 0.0  # share of datagrams thrown away, in each direction
        self.chance = random.Random(1).random

    def connect(self, remote_id: int, port: int) -> None:
        self.remote = ("127.0.0.1", port)
        self.stream.connect(remote_id, time.monotonic())

    def send(self, chunks: Iterator[bytes]) -> None:
        """Write all of them as room allows, then end."""
        self.to_write = chunks
        self._write()

    def saw(self, kind: type[Event]) -> bool:
        return any(isinstance(e, kind) for e in self.events)

    @property
    def closed(self) -> Closed | None:
        return next((e for e in self.events if isinstance(e, Closed)), None)

    def _write(self) -> None:
        now = time.monotonic()
        while self.to_write is not None:
            chunk = next(self.to_write, None)
            if chunk is None:
                self.to_write = None
                self.stream.end(now)
            elif not self.stream.write(chunk, now):
                return

    def _read(self) -> bool:
        """One train; True when the socket may hold more."""
        receive = self.socket.recv
        train = []
        more = True
        try:
            for _ in range(TRAIN):
                train.append(receive(2048))
        except BlockingIOError:
            more = False
        if self.loss:
            train = [datagram for datagram in train if self.chance() >= self.loss]
        if train:
            self.stream.receive_datagrams(train, time.monotonic())
        return more

    def _handle_events(self) -> None:
        stream = self.stream
        while (event := stream.next_event()) is not None:
            if isinstance(event, DataReceived):
                self.on_data(event.data)
                stream.consumed(len(event.data))
            elif isinstance(event, Drained):
                self._write()
            else:
                self.events.append(event)

    def _flush(self) -> None:
        send, remote = self.socket.sendto, self.remote
        pending = self.unsent or self.stream.datagrams_to_send(time.monotonic())
        for index, datagram in enumerate(pending):
            if self.loss and self.chance() < self.loss:
                continue
            try:
                send(datagram, remote)
            except BlockingIOError:
                self.unsent = pending[index:]
                return
            except OSError:  # EMSGSIZE: a probe above the interface's MTU
                continue
        self.unsent = []

    def run(self, seconds: float, done: Callable[[], bool]) -> float:
        """Drive until `done`; the seconds it took. Raises TimeoutError after `seconds`."""
        start = time.monotonic()
        readable = [self.socket]
        while not done():
            now = time.monotonic()
            if now - start > seconds:
                raise TimeoutError(f"nothing for {seconds} s: {self.stream.stats}")
            timer = self.stream.get_timer()
            wait = 1.0 if timer is None else max(0.0, timer - now)
            self._flush()
            writable = readable if self.unsent else []
            select.select(readable, writable, [], min(wait, 1.0))
            more = True
            while more:
                more = self._read()
                self._handle_events()
                self._flush()
            if timer is not None and timer <= time.monotonic():
                self.stream.handle_timer(time.monotonic())
                self._handle_events()
                self._flush()
        self._flush()
        return time.monotonic() - start

    def close(self) -> None:
        self.socket.close()
