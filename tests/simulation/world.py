"""A world to play in: a DHT of whole nodes on a simulated internet in virtual time, seeded and replayable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from random import Random

from qvac_core.codec import Address
from qvac_core.hyperdht import DHT, Connection, Server

from .datagram_network import Host, Internet, Link
from .virtual_loop import run

ROUGH = Link(delay=(0.005, 0.06), loss=0.05, duplicate=0.02)


class World:
    """An internet with a DHT of `size` nodes on public addresses."""

    def __init__(self, seed: int, stack: AsyncExitStack, link: Link | None = None) -> None:
        self.internet = Internet(seed, link)
        self.stack = stack
        self.seed = seed
        self.bootstrap: list[Address] = []
        self.hosts: dict[Address, Host] = {}
        self.nodes: list[DHT] = []
        """Those of the network."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def make(self, host: Host, **options: object) -> DHT:
        number = self.internet.random.getrandbits(64)
        return DHT(self.bootstrap, network=host, random=Random(number), **options)  # type: ignore[arg-type]

    async def grow(self, size: int) -> None:
        for _ in range(size):
            host = self.internet.host()
            node = await self.stack.enter_async_context(self.make(host, ephemeral=False, firewalled=False))
            address = (host.address, node.address[1])
            self.hosts[address] = host
            self.nodes.append(node)
            if not self.bootstrap:
                self.bootstrap.append(address)
                node.endpoint.node.know_address(address)

    async def node(self, *, nat: bool = False, host: Host | None = None, **options: object) -> DHT:
        host = host or self.internet.host(nat=nat)
        return await self.stack.enter_async_context(self.make(host, **options))

    async def serve(self, dht: DHT, on_connection: Callable[[Connection], Awaitable[None]]) -> Server:
        server = dht.create_server(on_connection)
        await server.listen()
        return server


def simulate(test: Callable[[World], Awaitable[None]], *, seed: int, link: Link | None = None, size: int = 12) -> str:
    async def body() -> str:
        async with AsyncExitStack() as stack:
            world = World(seed, stack, link)
            await world.grow(size)
            await test(world)
        return world.internet.trace

    return run(body())


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


async def pump(connection: Connection, size: int, seed: int = 1) -> None:
    data = Random(seed).randbytes(size)
    pieces = [data[start : start + 20_000] for start in range(0, size, 20_000)]

    async def write() -> None:
        for piece in pieces:
            await connection.write(piece)

    writing = asyncio.create_task(write())
    received = [await anext(connection) for _ in pieces]
    await writing
    assert hashlib.sha256(b"".join(received)).digest() == hashlib.sha256(data).digest()
