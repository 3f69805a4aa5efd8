"""A great many bytes through one connection on a bad network: every one arrives, and memory stays what it was.

Whole nodes with encryption, in virtual time: 5 % of the packets are lost, some come twice, trains overtake each other.
"""

from __future__ import annotations

import asyncio
import hashlib
from random import Random

import pytest

from qvac_core.hyperdht import Connection
from tests.holdings import resident_bytes

from .datagram_network import Link
from .world import World, simulate

BAD = Link(delay=(0.02, 0.03), loss=0.05, duplicate=0.02)
MESSAGE = 60_000
MEGABYTE = 1_000_000


@pytest.mark.parametrize("megabytes", [3, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_every_byte_arrives(megabytes: int) -> None:
    size = megabytes * MEGABYTE
    sent, received = hashlib.sha256(), hashlib.sha256()
    memory: list[int] = []

    async def write(connection: Connection) -> None:
        chance = Random(7)
        left = size
        while left:
            message = chance.randbytes(min(MESSAGE, left))
            left -= len(message)
            sent.update(message)
            await connection.write(message)
        await connection.close()

    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, write)
        client = await world.node()
        started = world.now()
        connection = await client.connect(server.key_pair.public_key)
        got = 0
        async for message in connection:
            got += len(message)
            received.update(message)
            if got // (20 * MEGABYTE) >= len(memory):
                memory.append(resident_bytes())
        assert got == size
        assert received.digest() == sent.digest()
        await connection.close()
        assert connection.error is None
        await asyncio.sleep(10)
        for node in (server, client):
            assert not node.node.connections
            assert not node.endpoint._streams
        seconds = world.now() - started
        print(f"{megabytes} MB in {seconds:.0f} s of virtual time, resident {[m // MEGABYTE for m in memory]} MB")

    simulate(test, seed=111, link=BAD, size=4)
    # The first 60 MB may fill windows, pools of the allocator and caches.
    assert not memory[4:] or max(memory[4:]) < max(memory[:4]) + 24 * MEGABYTE
