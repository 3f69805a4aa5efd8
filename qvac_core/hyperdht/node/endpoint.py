"""The driver of one node: its sockets, its dht-rpc state machine and its UDX streams on one event loop.

Ours; the demultiplexing is that of docs/wire/hyperdht.md section 1.1. Everything that arrives in one wake-up is handed
over at once, and everything that this makes us want to send leaves before the loop turns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from qvac_core.codec import Address
from qvac_core.dht_rpc import Event, Node, SocketId
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.node.network import DatagramSocket, Network
from qvac_core.rendezvous.addresses import usable_hosts6
from qvac_core.rendezvous.holepuncher import LOW_TTL, PROBE, Probe
from qvac_core.rendezvous.socket_pool import FIRST_POOL_SOCKET, SocketPool

logger = logging.getLogger(__name__)

_PORTS_TRIED = 5
_UDX_HEADER = 20
_UDX_MAGIC = b"\xff\x01"
IPV6_SOCKET = -1
"""Takes streams and greetings only: the network of nodes speaks IPv4."""
_ANY6 = "::"
_MAX_IPV6_ADDRESSES = 3

OnProbe = Callable[[int, Address], None]
"""Hears of datagrams of at most one byte on a socket that punches: (socket, source)."""


class StreamDriver(Protocol):
    """What the endpoint needs of a stream; RawStream is one."""

    def feed(self, datagrams: list[bytes], socket: int, source: Address, now: float) -> None: ...

    def flush(self, now: float) -> None: ...


class Endpoint:
    """Opens sockets at once; `start` begins to speak. `on_event` gets the node's events."""

    def __init__(
        self,
        node: Node,
        network: Network,
        *,
        host: str,
        port: int,
        chance: Random,
        on_event: Callable[[Event], None],
        any_port: bool = True,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.node = node
        self.network = network
        self.chance = chance
        self.closed = False
        self._on_event = on_event
        self._streams: dict[int, StreamDriver] = {}
        self._dirty: dict[StreamDriver, None] = {}
        self._flush_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.pool = SocketPool()
        self._host = host
        self._on_probe: dict[int, OnProbe] = {}
        self._pool_timer: asyncio.TimerHandle | None = None
        self._sockets: dict[int, DatagramSocket] = {}
        self._greetings: dict[bytes, Callable[[Address], None]] = {}
        ports = (*range(port, port + _PORTS_TRIED), 0) if port and any_port else (port,)
        self._sockets[SocketId.SERVER] = self._open_on(SocketId.SERVER, host, ports)
        try:
            self._sockets[SocketId.CLIENT] = self._open(SocketId.CLIENT, host, 0)
        except OSError:
            self._sockets[SocketId.SERVER].close()
            raise
        node.set_server_port(self.server_address[1])

    @property
    def server_address(self) -> Address:
        return self._sockets[SocketId.SERVER].address

    @property
    def request_socket(self) -> int:
        """The socket from which requests leave now (docs/wire/hyperdht.md 1.1)."""
        return SocketId.CLIENT if self.node.firewalled else SocketId.SERVER

    def start(self) -> None:
        self.node.bootstrap(self.loop.time())
        self.flush_node()

    def close(self) -> None:
        """Release sockets and timers. Streams must have been destroyed before."""
        if self.closed:
            return
        self.flush_node()
        self.closed = True
        self.node.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._pool_timer is not None:
            self._pool_timer.cancel()
        for sock in self._sockets.values():
            sock.close()
        self.pool.clear()
        self._on_probe.clear()
        self._greetings.clear()
        self._streams.clear()
        self._dirty.clear()

    def local_addresses(self) -> list[Address]:
        """Where peers in our own network may reach the server socket (docs/wire/hyperdht.md 6.2)."""
        host, port = self.server_address
        if host.startswith("127."):
            return [(host, port)]
        hosts = self.network.local_hosts() if host == "0.0.0.0" else [host]
        return [(local, port) for local in hosts] or [("127.0.0.1", port)]

    # IPv6

    def ipv6_addresses(self) -> list[Address]:
        """Where peers of ours may reach us over IPv6; opens the socket for it. None when the node has a fixed host."""
        hosts = usable_hosts6(self.network.local_hosts6()) if self._host == "0.0.0.0" and not self.closed else []
        if hosts and IPV6_SOCKET not in self._sockets:
            try:
                self._sockets[IPV6_SOCKET] = self._open_on(IPV6_SOCKET, _ANY6, (self.server_address[1], 0))
            except OSError as error:
                logger.debug("no socket for IPv6: %s", error)
                return []
        return [(host, self._sockets[IPV6_SOCKET].address[1]) for host in hosts[:_MAX_IPV6_ADDRESSES]]

    def expect_greeting(self, word: bytes, then: Callable[[Address], None]) -> None:
        """Call `then(source)` whenever exactly this datagram comes over IPv6."""
        self._greetings[word] = then

    def forget_greeting(self, word: bytes) -> None:
        self._greetings.pop(word, None)

    def send_ipv6(self, datagram: bytes, to: Sequence[Address]) -> None:
        if (sock := self._sockets.get(IPV6_SOCKET)) is not None and not self.closed:
            sock.send_many([(datagram, address) for address in to])

    def _take_greetings(self, messages: list[tuple[bytes, Address]]) -> None:
        for datagram, source in messages:
            if (then := self._greetings.get(datagram)) is not None:
                then(source)

    # Streams

    def new_stream_id(self) -> int:
        while (stream_id := self.chance.getrandbits(32)) in self._streams or stream_id == 0:
            pass
        return stream_id

    def add_stream(self, stream_id: int, stream: StreamDriver) -> None:
        if self.closed:
            raise NetworkError("This node is closed.", name="NODE_DESTROYED")
        self._streams[stream_id] = stream

    def remove_stream(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._dirty.pop(stream, None)

    def flush_soon(self, stream: StreamDriver) -> None:
        """Flush a stream at the end of this turn of the loop, so that small writes share packets."""
        self._dirty[stream] = None
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.loop.call_soon(self._flush_dirty)

    def _flush_dirty(self) -> None:
        self._flush_scheduled = False
        dirty, self._dirty = self._dirty, {}
        now = self.loop.time()
        for stream in dirty:
            stream.flush(now)

    def send_train(self, socket: int, datagrams: list[bytes], to: Address) -> None:
        sock = self._sockets.get(socket)
        if sock is not None and not self.closed:
            sock.send_train(datagrams, to)

    # Sockets beside the node's own

    def acquire_socket(self, on_probe: OnProbe) -> int:
        """A fresh socket that takes part in everything, for hole punching. Raises OSError when there is none."""
        if self.closed:
            raise NetworkError("This node is closed.", name="NODE_DESTROYED")
        socket = self.pool.acquire()
        try:
            self._sockets[socket] = self._open(socket, self._host, 0)
        except OSError:
            self.let_go_socket(socket)
            raise
        self._on_probe[socket] = on_probe
        return socket

    def release_socket(self, socket: int) -> None:
        """The puncher is done with it; a stream that holds it keeps it open."""
        if self._on_probe.pop(socket, None) is not None:
            self.let_go_socket(socket)

    def has_socket(self, socket: int) -> bool:
        return socket in self._sockets

    def hold_socket(self, socket: int) -> None:
        self.pool.hold(socket)

    def let_go_socket(self, socket: int) -> None:
        self.pool.release(socket, self.loop.time())
        self._close_unused()

    def _close_unused(self) -> None:
        for socket in self.pool.closable(self.loop.time()):
            sock = self._sockets.pop(socket, None)
            if sock is not None:
                sock.close()
        when = self.pool.get_timer()
        if when is not None and self._pool_timer is None and not self.closed:
            self._pool_timer = self.loop.call_at(when, self._on_pool_timer)

    def _on_pool_timer(self) -> None:
        self._pool_timer = None
        self._close_unused()

    # Sockets bound anew

    @property
    def broken(self) -> bool:
        """Whether any socket is of no use any more."""
        # A peer chooses where its greeting over IPv6 goes: that it cannot be sent says nothing about us.
        return any(sock.broken for socket, sock in self._sockets.items() if socket != IPV6_SOCKET)

    def rebind(self, *, everything: bool = False) -> frozenset[int]:
        """Bind anew what is broken, to the same port where that is free; the numbers of those that were."""
        rebound = set()
        for socket, sock in list(self._sockets.items()):
            if (everything or sock.broken) and self._rebind(socket, sock):
                rebound.add(socket)
        if SocketId.SERVER in rebound:
            self.node.set_server_port(self.server_address[1])
        return frozenset(rebound)

    def _rebind(self, socket: int, sock: DatagramSocket) -> bool:
        sock.close()
        for port in (sock.address[1], 0):
            try:
                self._sockets[socket] = self._open(socket, self._host, port)
            except OSError as error:
                logger.debug("socket %d cannot be bound to %s:%d: %s", socket, self._host, port, error)
            else:
                return True
        return False  # the address it is bound to may come back: it stays broken until then

    def send_probe(self, probe: Probe) -> None:
        sock = self._sockets.get(probe.socket)
        if sock is None:
            return
        if probe.low_ttl:
            sock.send_with_ttl(PROBE, probe.to, LOW_TTL)
        else:
            sock.send_many([(PROBE, probe.to)])

    # The node

    def flush_node(self) -> None:
        """Send what the node wants to send, hand out its events, set its timer. After every call that changes it."""
        if self.closed:
            return
        batches: dict[int, list[tuple[bytes, Address]]] = {}
        for socket, to, datagram in self.node.transmissions():
            batches.setdefault(socket, []).append((datagram, to))
        for socket, batch in batches.items():
            if socket in self._sockets:
                self._sockets[socket].send_many(batch)
        while (event := self.node.next_event()) is not None:
            self._on_event(event)
        self._set_timer()

    def _set_timer(self) -> None:
        when = self.node.get_timer()
        if when is None or self.closed:
            return
        if self._timer is not None and self._timer_at <= when:
            return  # it comes early, looks, and is set again: cheaper than moving it each time
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self.loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self.closed:
            return
        try:
            self.node.handle_timer(self.loop.time())
        finally:
            self.flush_node()

    # Datagrams

    def _open_on(self, socket: int, host: str, ports: Sequence[int]) -> DatagramSocket:
        """On the first of these ports that is free."""
        for wanted in ports[:-1]:
            try:
                return self._open(socket, host, wanted)
            except OSError:
                continue
        return self._open(socket, host, ports[-1])

    def _open(self, socket: int, host: str, port: int) -> DatagramSocket:
        # Whoever opens a socket anew knows the host of the others.
        host = _ANY6 if socket == IPV6_SOCKET else host
        return self.network.open(host, port, partial(self._receive, socket))

    def _take_probes(self, socket: int, batch: list[tuple[bytes, Address]]) -> list[tuple[bytes, Address]]:
        on_probe = self._on_probe.get(socket)
        if on_probe is None:
            return batch
        for datagram, source in batch:
            if len(datagram) <= len(PROBE):
                on_probe(socket, source)
        return [item for item in batch if len(item[0]) > len(PROBE)]

    def _receive(self, socket: int, batch: list[tuple[bytes, Address]]) -> None:
        now = self.loop.time()
        if socket >= FIRST_POOL_SOCKET:
            batch = self._take_probes(socket, batch)
        streams = self._streams
        if len(batch) == 1:
            datagram, source = batch[0]
            if datagram[:2] == _UDX_MAGIC and len(datagram) >= _UDX_HEADER:
                if (stream := streams.get(int.from_bytes(datagram[4:8], "little"))) is not None:
                    stream.feed([datagram], socket, source, now)
                return
        messages: list[tuple[bytes, Address]] = []
        trains: dict[tuple[StreamDriver, Address], list[bytes]] = {}
        for item in batch:
            datagram = item[0]
            if datagram[:2] == _UDX_MAGIC and len(datagram) >= _UDX_HEADER:
                stream = streams.get(int.from_bytes(datagram[4:8], "little"))
                if stream is not None:
                    key = (stream, item[1])
                    train = trains.get(key)
                    if train is None:
                        trains[key] = [datagram]
                    else:
                        train.append(datagram)
            else:
                messages.append(item)
        for (stream, source), train in trains.items():
            stream.feed(train, socket, source, now)
        if socket == IPV6_SOCKET:
            self._take_greetings(messages)
        elif messages:
            try:
                self.node.receive(messages, socket, now)
            finally:
                self.flush_node()
