"""Hosts that exchange datagrams in memory, behind the same wall as real sockets (hyperdht.Network).

Ours. Delay, loss, duplication, reordering, NATs, partitions, crashes and machines that sleep, all drawn from one seed;
it needs a running event loop, which may well be a VirtualLoop.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any, Protocol, TypeVar

from qvac_core.codec import Address

from .virtual_loop import CLOCK, MachineClock, VirtualLoop, world_time

T = TypeVar("T")
Receive = Callable[[list[tuple[bytes, Address]]], None]
Filter = Callable[[Address, Address, bytes], bool]

_FIRST_PORT = 49152
MAPPING_LIFE = 60.0
DEFAULT_TTL = 64
HOPS = 8
"""Routers between any two on the internet: a datagram with a smaller TTL opens the sender's own NAT, and no more."""


def on_the_way(seconds: float, arrive: Callable[..., None], *args: Any) -> None:
    """What has left a machine goes by no machine's clock."""
    contextvars.Context().run(asyncio.get_running_loop().call_later, seconds, arrive, *args)


class Port(Protocol):
    """What can be bound to an address: a socket, or a NAT box's mapping."""

    outside: Address

    def lets_in(self, source: Address) -> bool: ...

    def receive(self, batch: list[tuple[bytes, Address]], /) -> None: ...


class Wire(Protocol):
    """What hosts and boxes are plugged into."""

    def bind(self, port: Port) -> None: ...

    def unbind(self, port: Port) -> None: ...

    def is_free(self, address: Address) -> bool: ...

    def send(self, source: Address, datagrams: Sequence[bytes], to: Address, ttl: int) -> None: ...


@dataclass(slots=True)
class Link:
    """Seconds of one-way delay (from, to), and shares of datagrams lost, doubled or overtaken by later ones."""

    delay: tuple[float, float] = (0.01, 0.02)
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.03
    """Seconds by which those come later that are overtaken."""


class Internet:
    """Everybody's switch. `trace` is a hash over all that was delivered: equal seeds give equal traces."""

    def __init__(self, seed: int, link: Link | None = None) -> None:
        self.random = Random(seed)
        self.link = link or Link()
        self.delivered = 0
        self.drops: list[Filter] = []
        self._island: frozenset[str] = frozenset()
        self._sockets: dict[Address, Port] = {}
        self._trace = blake2b()
        self._hosts = 0

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def next_address(self) -> str:
        self._hosts += 1
        n = self._hosts
        return f"{20 + (n >> 16)}.{(n >> 8) & 255}.{n & 255}.1"

    def host(self, *, nat: bool = False) -> Host:
        """A new host with an address of its own; behind a NAT only those it wrote to get in."""
        return Host(self, self.next_address(), nat=nat)

    def part(self, island: Iterable[str]) -> None:
        """From now on these addresses hear only each other, and the rest of the world itself."""
        self._island = frozenset(island)

    def heal(self) -> None:
        self._island = frozenset()

    def bind(self, port: Port) -> None:
        self._sockets[port.outside] = port

    def unbind(self, port: Port) -> None:
        self._sockets.pop(port.outside, None)

    def is_free(self, address: Address) -> bool:
        return address not in self._sockets

    def send(self, source: Address, datagrams: Sequence[bytes], to: Address, ttl: int = DEFAULT_TTL) -> None:
        if ttl <= HOPS or (source[0] in self._island) != (to[0] in self._island):
            return
        chance, link = self.random, self.link
        train: list[bytes] = []
        late: list[bytes] = []
        for datagram in datagrams:
            if link.loss and chance.random() < link.loss:
                continue
            if any(drop(source, to, datagram) for drop in self.drops):
                continue
            (late if link.reorder and chance.random() < link.reorder else train).append(datagram)
            if link.duplicate and chance.random() < link.duplicate:
                train.append(datagram)
        for group, more in ((train, 0.0), (late, link.late)):
            if group:
                on_the_way(chance.uniform(*link.delay) + more, self._deliver, source, group, to)

    def _deliver(self, source: Address, train: list[bytes], to: Address) -> None:
        sock = self._sockets.get(to)
        if sock is None or not sock.lets_in(source):
            return
        for datagram in train:
            self._trace.update(f"{source}{to}".encode() + datagram)
        self.delivered += len(train)
        sock.receive([(datagram, source) for datagram in train])


class Host:
    """One machine: a hyperdht.Network."""

    def __init__(self, wire: Wire, address: str, *, nat: bool = False) -> None:
        self.wire = wire
        self.address = address
        self.nat = nat
        self.online = True
        self.clock = MachineClock()
        self._sockets: list[SimulatedSocket] = []
        self._next_port = _FIRST_PORT

    def open(self, host: str, port: int, receive: Receive) -> SimulatedSocket:
        if not port:
            self._next_port += 1
            port = self._next_port
        if not self.wire.is_free((self.address, port)):
            raise OSError("address in use")
        sock = SimulatedSocket(self, host, port, receive)
        self._sockets.append(sock)
        return sock

    def local_hosts(self) -> list[str]:
        if not self.online:
            return []
        return [self.address] if not self.nat else ["192.168.1.2"]

    def source_host(self, to: str) -> str | None:
        return self.address if self.online else None

    def move(self, wire: Wire, address: str) -> None:
        """Into another network: sockets stay open and have the new address from now on."""
        for sock in self._sockets:
            self.wire.unbind(sock)
        self.wire, self.address, self.online = wire, address, True
        for sock in self._sockets:
            sock.moved()

    def unplug(self) -> None:
        """No network at all, until `move`."""
        self.online = False
        for sock in self._sockets:
            self.wire.unbind(sock)

    def remap(self) -> None:
        """The NAT forgets all mappings and gives every socket a new outside port."""
        for sock in self._sockets:
            sock.remap()

    def crash(self) -> None:
        """Everything that runs here is gone without a word; what is started afterwards is a new beginning."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it on this machine, by its clock: only that can `sleep`."""
        context = contextvars.copy_context()
        context.run(CLOCK.set, self.clock)
        return await asyncio.create_task(work, context=context)

    def sleep(self, seconds: float) -> None:
        """The lid is closed: for so long nothing runs here and nothing arrives, and its clock stands still."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.stop_clock(self.clock, seconds)


class SimulatedSocket:
    def __init__(self, host: Host, bound: str, port: int, receive: Receive) -> None:
        self.address: Address = (bound, port)
        self.outside: Address = (host.address, port)
        self._receive = receive
        self._host = host
        self._context = contextvars.copy_context()
        self._closed = False
        self._contacted: dict[Address, float] = {}
        host.wire.bind(self)

    def remap(self) -> None:
        wire = self._host.wire
        wire.unbind(self)
        self.outside = (self._host.address, self.outside[1] + 1000)
        self._contacted.clear()
        wire.bind(self)

    def moved(self) -> None:
        self.outside = (self._host.address, self.outside[1])
        self._contacted.clear()
        if not self._closed:
            self._host.wire.bind(self)

    @property
    def broken(self) -> bool:
        return False

    def lets_in(self, source: Address) -> bool:
        if not self._host.nat:
            return True
        last = self._contacted.get(source)
        return last is not None and world_time() - last < MAPPING_LIFE

    def receive(self, batch: list[tuple[bytes, Address]]) -> None:
        if not self._host.clock.stands_still:
            self._context.copy().run(self._receive, batch)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        for datagram, to in datagrams:
            self.send_train([datagram], to)

    def send_train(self, datagrams: Sequence[bytes], to: Address) -> None:
        self._send(datagrams, to, DEFAULT_TTL)

    def send_with_ttl(self, datagram: bytes, to: Address, ttl: int) -> None:
        self._send([datagram], to, ttl)

    def _send(self, datagrams: Sequence[bytes], to: Address, ttl: int) -> None:
        if self._closed or not self._host.online:
            return
        self._contacted[to] = world_time()
        self._host.wire.send(self.outside, datagrams, to, ttl)

    def close(self) -> None:
        self._closed = True
        self._host.wire.unbind(self)
