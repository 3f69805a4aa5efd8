"""A simulated network with somebody hostile in it: raw datagrams, hand-made handshakes and packets.

Ours. `besiege` runs a test in virtual time and fails it for everything that reached the loop's exception handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from random import Random
from typing import Any

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode
from qvac_core.errors import RemoteProtocolError
from qvac_core.hyperdht import DHT, KeyPair
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, Session
from qvac_core.rendezvous.messages import HandshakeMessage, NoisePayload, UdxInfo
from qvac_core.secret_stream import SecretStream
from qvac_core.udx import Stream

from .datagram_network import Internet, Link
from .virtual_loop import run

UDX_MAGIC = b"\xff\x01"


def stranger_key(number: int) -> KeyPair:
    return KeyPair.from_seed(number.to_bytes(32, "little"))


class Siege:
    """An internet with a small DHT, one stranger on a public address, and what went wrong so far."""

    def __init__(self, seed: int, stack: AsyncExitStack, link: Link | None = None) -> None:
        self.internet = Internet(seed, link or Link(delay=(0.005, 0.005)))
        self.chance = self.internet.random
        self.stack = stack
        self.bootstrap: list[Address] = []
        self.nodes: list[DHT] = []
        self.faults: list[str] = []
        asyncio.get_running_loop().set_exception_handler(self._on_fault)

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def node(self, **options: Any) -> DHT:
        host = options.pop("host", None) or self.internet.host(nat=options.pop("nat", False))
        dht = DHT(self.bootstrap, network=host, random=Random(self.chance.getrandbits(64)), **options)
        await self.stack.enter_async_context(dht)
        self.nodes.append(dht)
        if not self.bootstrap:
            self.bootstrap.append((host.address, dht.address[1]))
            dht.endpoint.node.know_address(self.bootstrap[0])
        return dht

    async def grow(self, size: int) -> None:
        for _ in range(size):
            await self.node(ephemeral=False, firewalled=False)


def besiege(
    test: Callable[[Siege], Awaitable[None]], *, seed: int = 1, size: int = 3, link: Link | None = None
) -> None:
    async def body() -> None:
        faults: list[str] = []
        async with AsyncExitStack() as stack:
            siege = Siege(seed, stack, link)
            faults = siege.faults
            await siege.grow(size)
            await test(siege)
        assert not faults, faults

    run(body())


def address_of(dht: DHT, socket: int = 0) -> Address:
    """Where strangers reach a socket of a simulated node."""
    outside: Address = dht.endpoint._sockets[socket].outside  # type: ignore[attr-defined]
    return outside


class Stranger:
    """A bare socket on a public host."""

    def __init__(self, siege: Siege) -> None:
        self.siege = siege
        self.inbox: list[tuple[bytes, Address]] = []
        self.on_datagram: Callable[[bytes, Address], None] | None = None
        host = siege.internet.host()
        self.socket = host.open(host.address, 0, self._receive)
        self.address = self.socket.outside

    def _receive(self, batch: list[tuple[bytes, Address]]) -> None:
        for datagram, source in batch:
            self.inbox.append((datagram, source))
            if self.on_datagram is not None:
                self.on_datagram(datagram, source)

    def send(self, datagram: bytes, to: Address) -> None:
        self.socket.send_train([datagram], to)

    def udx_packets(self) -> list[bytes]:
        return [datagram for datagram, _ in self.inbox if datagram[:2] == UDX_MAGIC]

    def messages(self) -> list[RequestMessage | ResponseMessage]:
        found = []
        for datagram, source in self.inbox:
            try:
                found.append(decode(datagram, source))
            except RemoteProtocolError:
                continue
        return found

    def handshake(
        self, server_key: bytes, number: int, *, udx_id: int | None = None, firewall: Firewall = Firewall.UNKNOWN
    ) -> tuple[ClientHandshake, bytes]:
        """A handshake of stranger `number`, and the value of the request that carries its message 1."""
        handshake = ClientHandshake(
            key_pair=stranger_key(number),
            ephemeral=stranger_key((1 << 40) + number),
            remote_public_key=server_key,
        )
        payload = NoisePayload(
            firewall=firewall, udx=UdxInfo(udx_id if udx_id is not None else number + 1), secret_stream=True
        )
        return handshake, HandshakeMessage(Mode.FROM_CLIENT, handshake.message(lambda: payload)).encode()

    def ask(self, to: Address, command: int, *, tid: int = 1, target: bytes | None = None, value: bytes | None) -> None:
        self.send(RequestMessage(tid, to, command, target=target, value=value).encode(), to)

    async def shake_hands(self, server: Address, server_key: bytes, number: int = 1) -> tuple[NoisePayload, Session]:
        handshake, value = self.handshake(server_key, number)
        before = len(self.inbox)
        tid = number & 0xFFFF
        self.ask(server, Command.PEER_HANDSHAKE, tid=tid, target=blake2b(server_key), value=value)
        await asyncio.sleep(0.1)
        for datagram, source in self.inbox[before:]:
            if datagram[:2] == UDX_MAGIC:
                continue
            message = decode(datagram, source)
            if isinstance(message, ResponseMessage) and message.tid == tid and message.value is not None:
                return handshake.read(HandshakeMessage.decode(message.value).noise)
        raise AssertionError("the server did not answer")


class RawPeer:
    """An admitted peer whose stream and encryption are in the test's hands."""

    def __init__(
        self, stranger: Stranger, server: Address, payload: NoisePayload, session: Session, number: int
    ) -> None:
        assert payload.udx is not None
        loop = asyncio.get_running_loop()
        self.loop = loop
        self.stranger = stranger
        self.server = server
        self.remote_id = payload.udx.id
        self.stream = Stream(number + 1, now=loop.time(), random=Random(number))
        self.stream.connect(payload.udx.id, loop.time())
        self.secret = SecretStream(
            initiator=True, tx=session.tx, rx=session.rx, handshake_hash=session.handshake_hash, header=bytes(24)
        )
        self.reading = True
        stranger.on_datagram = self._on_datagram

    @classmethod
    async def connect(cls, siege: Siege, server: DHT, number: int = 1) -> RawPeer:
        stranger = Stranger(siege)
        at = address_of(server)
        payload, session = await stranger.shake_hands(at, server.key_pair.public_key, number)
        return cls(stranger, at, payload, session, number)

    def _on_datagram(self, datagram: bytes, source: Address) -> None:
        if datagram[:2] != UDX_MAGIC:
            return
        self.stream.receive_datagrams([datagram], self.loop.time())
        while (event := self.stream.next_event()) is not None:
            if self.reading and hasattr(event, "data"):
                self.stream.consumed(len(event.data))
        self.flush()

    def write(self, data: bytes) -> None:
        self.stream.write(data, self.loop.time())
        self.flush()

    def flush(self) -> None:
        for datagram in self.stream.datagrams_to_send(self.loop.time()):
            self.stranger.send(datagram, self.server)

    async def pump(self, seconds: float) -> None:
        """Let time pass with the stream's timers running."""
        end = self.loop.time() + seconds
        while self.loop.time() < end:
            await asyncio.sleep(0.02)
            now = self.loop.time()
            timer = self.stream.get_timer()
            if timer is not None and timer <= now:
                self.stream.handle_timer(now)
            self.flush()

    async def open(self) -> None:
        self.write(self.secret.start())
        await self.pump(0.1)
