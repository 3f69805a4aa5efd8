"""The same misfortune again and again: afterwards all is as it was after the first times. Virtual time, by seed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT, Connection
from tests.holdings import grown

from .nat_boxes import Kind, NatBox
from .nat_meeting import QUIET
from .soak import BOUNDED, Guest, least, most
from .world import World, echo, pump, simulate

WARM = 3
"""Misfortunes before the first count."""


def often(few: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("times", [few, pytest.param(50, marks=pytest.mark.long)])


async def storm(times: int, once: Callable[[int], Awaitable[None]], *dhts: DHT) -> None:
    """Both counts are taken after a quiet time and one more misfortune, which sweeps out what is swept on the way."""

    async def calm() -> None:
        await asyncio.sleep(120)
        await once(0)

    for number in range(WARM):
        await once(number)
    await calm()
    before, tasks = await most(60, *dhts), len(asyncio.all_tasks())
    for number in range(WARM, WARM + times):
        await once(number)
    await calm()
    assert not grown(before, await least(60, *dhts), BOUNDED)
    assert len(asyncio.all_tasks()) <= tasks


@often(4)
def test_consumers_that_crash_while_they_are_written_to(times: int) -> None:
    async def talk(connection: Connection) -> None:
        while True:
            await connection.write(bytes(20_000))

    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, talk)
        witness = await world.node()

        async def once(number: int) -> None:
            host = world.internet.host()
            dht = world.make(host)
            connection = await dht.connect(server.key_pair.public_key)
            for _ in range(20):
                assert len(await anext(connection)) == 20_000
            host.crash()
            await dht.close()  # nobody hears of it: the host is off the network
            assert len(server.node.connections) == 1
            await asyncio.sleep(30)
            assert not server.node.connections
            assert not server.endpoint._streams

        await storm(times, once, server, witness)

    simulate(test, seed=101)


@often(4)
def test_a_bootstrap_node_that_dies_and_comes_back(times: int) -> None:
    """Who is in the network stays in it and is found; who comes afterwards finds the way in."""

    async def test(world: World) -> None:
        ((host, port),) = world.bootstrap
        machine = world.hosts[host, port]
        server = await world.node()
        await world.serve(server, echo)
        client = await world.node()
        current: list[DHT] = []

        async def once(number: int) -> None:
            for sock in machine._sockets:
                machine.wire.unbind(sock)
            if current:
                await current.pop().close()
            lost = world.make(world.internet.host())
            with pytest.raises(NetworkError):
                await lost.connect(server.key_pair.public_key, timeout=10)
            await lost.close()
            await pump(await client.connect(server.key_pair.public_key), 1000)
            await asyncio.sleep(60)
            known = client.to_array()
            back = DHT(known, network=machine, port=port, ephemeral=False, firewalled=False, random=Random(number))
            current.append(back)
            await back.ready()
            assert back.address[1] == port
            newcomer = world.make(world.internet.host())
            connection = await newcomer.connect(server.key_pair.public_key)
            await pump(connection, 1000)
            await newcomer.close()
            for kept in list(client.node.connections):
                await kept.close()

        await storm(times, once, server, client)
        await current.pop().close()

    simulate(test, seed=102)


def unplug(world: World, host: str) -> Callable[[], None]:
    """Nothing passes from and to this address any more; the call plugs it in again."""

    def drop(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
        return host in (source[0], to[0])

    world.internet.drops.append(drop)
    return lambda: world.internet.drops.remove(drop)


@often(6)
def test_a_machine_that_sleeps_again_and_again(times: int) -> None:
    """By its own notice (suspend), without one, and with a NAT that has forgotten it in the morning."""

    async def test(world: World) -> None:
        server = await world.node(host=NatBox(world.internet, Kind.PORT_RESTRICTED).host())
        await world.serve(server, echo)
        box = NatBox(world.internet, Kind.PORT_RESTRICTED)
        guest = Guest(server.key_pair.public_key)
        await guest.join(world, box.host())
        ahead = 0.0
        watch = guest.dht._sleep_watch
        assert watch is not None
        watch._clock = lambda: world.now() + ahead
        watch._offset = 0.0
        await guest.connect()

        async def once(number: int) -> None:
            nonlocal ahead
            kind = number % 3
            if kind == 0:
                await guest.dht.suspend()
            plug_in = unplug(world, box.address)
            # An hour in bed; while it is gone its own clock shows no more than a moment, or as much as the others'.
            await asyncio.sleep(5 if kind == 1 else 600)
            ahead += 3600
            if kind == 2:
                box.remap()
            plug_in()
            if kind == 0:
                await guest.dht.resume()
            await guest.works(60)

        await storm(times, once, server, guest.dht)
        await guest.close()

    simulate(test, seed=103, link=QUIET)


@often(4)
def test_a_network_that_is_cut_in_two_for_a_minute(times: int) -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        guest = Guest(server.key_pair.public_key)
        await guest.join(world)
        await guest.connect()
        mine = {guest.dht._network.address, *(host.address for host in list(world.hosts.values())[::2])}  # type: ignore[attr-defined]

        def cut(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            return (source[0] in mine) != (to[0] in mine)

        async def once(number: int) -> None:
            losses = guest.losses
            world.internet.drops.append(cut)
            await asyncio.sleep(60)
            world.internet.drops.remove(cut)
            await guest.works(90)
            assert guest.losses > losses

        await storm(times, once, server, guest.dht)
        await guest.close()

    simulate(test, seed=104)


@often(4)
def test_a_provider_that_drops_its_guests(times: int) -> None:
    """Resets, not crashes: the guest is back within seconds each time, with one connection."""

    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        guest = Guest(server.key_pair.public_key)
        await guest.join(world)
        await guest.connect()

        async def once(number: int) -> None:
            for connection in list(server.node.connections):
                connection.destroy()
            await guest.works(10)
            assert (len(server.node.connections), len(guest.dht.node.connections)) == (1, 1)

        await storm(times, once, server, guest.dht)
        await guest.close()

    simulate(test, seed=105)


def test_a_count_after_a_storm_can_fail() -> None:
    """A connection kept by mistake is named."""

    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        client = await world.node()

        async def once(number: int) -> None:
            await client.connect(server.key_pair.public_key)

        with pytest.raises(AssertionError, match=r"'Connection: \d+ -> \d+'"):
            await storm(1, once, server, client)

    simulate(test, seed=106, size=4)
