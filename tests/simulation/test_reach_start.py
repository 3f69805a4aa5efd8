"""Starting with what was remembered: stale memories cost no time, good ones save the walk. Virtual time, by seed."""

from __future__ import annotations

from qvac_core.hyperdht import DHT

from .datagram_network import Link
from .world import World, echo, pump, simulate

DEAD = [(f"9.9.{n}.9", 4000 + n) for n in range(100)]


def test_stale_known_nodes_do_not_delay_the_first_start() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        cold = await timed_connect(world, await opened(world), dht)
        stale = await timed_connect(world, await opened(world, nodes=DEAD), dht)
        assert stale < cold + 1.5  # all that is remembered is asked beside the bootstrap nodes, not before them

    simulate(test, seed=71, size=20)


def test_dead_relays_do_not_keep_new_ones_from_being_asked() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        client = await world.node()
        started = world.now()
        connection = await client.connect(dht.key_pair.public_key, relay_addresses=DEAD[:3])
        assert world.now() - started < 0.5
        await pump(connection, 1000)

    simulate(test, seed=72, link=Link(delay=(0.01, 0.01)), size=20)


def test_a_second_connect_asks_nobody_but_those_who_led_there_before() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        client = await world.node()
        sent: list[int] = []
        for _ in range(2):
            before = client.endpoint.node.stats.sent
            await pump(await client.connect(dht.key_pair.public_key), 1000)
            sent.append(client.endpoint.node.stats.sent - before)
        assert sent[0] > 10  # a walk through the network
        assert sent[1] == 1  # one handshake

    simulate(test, seed=74, link=Link(delay=(0.01, 0.01)), size=20)


def test_remembered_nodes_and_relays_stand_in_for_the_bootstrap_nodes() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        await world.serve(dht, echo)
        first = await world.node()
        await pump(await first.connect(dht.key_pair.public_key), 1000)
        relays, nodes = first.relays_of(dht.key_pair.public_key), first.to_array()
        assert relays
        for address in world.bootstrap:
            world.hosts[address].crash()
        lost = await opened(world)
        assert await timed_connect(world, await opened(world, nodes=nodes), dht) < 3
        started = world.now()
        again = await opened(world)
        await pump(await again.connect(dht.key_pair.public_key, relay_addresses=relays), 1000)
        assert world.now() - started < 0.5
        assert not lost.to_array()

    simulate(test, seed=73, link=Link(delay=(0.01, 0.01)), size=20)


async def opened(world: World, **options: object) -> DHT:
    """A node that has just begun to enter the network."""
    return await world.stack.enter_async_context(Opened(world.make(world.internet.host(), **options)))


class Opened:
    def __init__(self, dht: DHT) -> None:
        self._dht = dht

    async def __aenter__(self) -> DHT:
        await self._dht.open()
        return self._dht

    async def __aexit__(self, *_: object) -> None:
        await self._dht.close()


async def timed_connect(world: World, client: DHT, dht: DHT) -> float:
    started = world.now()
    connection = await client.connect(dht.key_pair.public_key)
    seconds = world.now() - started
    await pump(connection, 1000)
    return seconds
