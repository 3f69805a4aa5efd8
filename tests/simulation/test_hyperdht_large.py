"""A network of some size with churn: nodes come and crash, servers stay findable. A small sister runs in CI."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.hyperdht import DHT

from .datagram_network import Link
from .world import World, echo, pump, simulate


@pytest.mark.parametrize(
    ("size", "servers", "hours"),
    [(30, 3, 0.25), pytest.param(200, 15, 1, marks=pytest.mark.long)],
    ids=["small", "large"],
)
@pytest.mark.timeout(1500)
def test_servers_stay_findable_while_nodes_come_and_go(size: int, servers: int, hours: float) -> None:
    async def test(world: World) -> None:
        chance = world.internet.random
        listening: list[DHT] = []
        for _ in range(servers):
            dht = await world.node(nat=chance.random() < 0.5)
            await world.serve(dht, echo)
            listening.append(dht)
        mortal = [address for address in world.hosts if address not in world.bootstrap]
        for _ in range(int(hours * 12)):
            await asyncio.sleep(300)
            for address in chance.sample(mortal, max(1, len(mortal) // 20)):
                world.hosts[address].crash()
                mortal.remove(address)
            await world.grow(max(1, size // 20))
        client = await world.node()
        for dht in listening:
            connection = await client.connect(dht.key_pair.public_key)
            await pump(connection, 20_000)
            await connection.close()

    simulate(test, seed=71, size=size, link=Link(delay=(0.01, 0.1), loss=0.01))
