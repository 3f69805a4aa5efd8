"""Machines that sleep: noticed by a clock that does not sleep, and on purpose by suspend and resume."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht.node.sleep_watch import GAP, INTERVAL, SleepWatch
from qvac_core.hyperdht.server.announcing import WITHDRAW_LIMIT

from .nat_boxes import Kind, NatBox, home
from .nat_meeting import QUIET
from .virtual_loop import run
from .world import World, echo, pump, simulate

RUNNER = run


@pytest.mark.parametrize(("slept", "noticed"), [(0.0, 0), (GAP - 1, 0), (GAP + 1, 1), (8 * 3600.0, 1)])
async def test_a_gap_between_the_two_clocks_is_a_sleep(slept: float, noticed: int) -> None:

    loop = asyncio.get_running_loop()
    ahead, wakes = 100.0, []
    watch = SleepWatch(loop, lambda: wakes.append(loop.time()), clock=lambda: loop.time() + ahead)
    await asyncio.sleep(12)
    ahead += slept
    await asyncio.sleep(INTERVAL)
    assert len(wakes) == noticed
    await asyncio.sleep(60)
    assert len(wakes) == noticed
    watch.stop()


def test_a_server_that_slept_behind_its_nat_is_found_again_within_seconds() -> None:
    async def test(world: World) -> None:
        box = NatBox(world.internet, Kind.PORT_RESTRICTED)
        dht = await world.node(host=box.host())
        server = await world.serve(dht, echo)
        ahead = 0.0
        watch = dht._sleep_watch
        assert watch is not None
        watch._clock = lambda: world.now() + ahead
        watch._offset = 0.0
        box.remap()
        announced: list[float] = []
        server.refresh = lambda: announced.append(world.now())  # type: ignore[method-assign]
        ahead = 3600.0
        await asyncio.sleep(INTERVAL)
        assert len(announced) == 1

    simulate(test, seed=1, link=QUIET)


def test_suspended_nothing_is_sent_and_resumed_all_works_again() -> None:
    async def test(world: World) -> None:
        dht = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await world.serve(dht, echo)
        client = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await (await client.connect(dht.key_pair.public_key)).close()
        await asyncio.sleep(10)
        await dht.suspend()
        with pytest.raises(NetworkError) as failed:
            await dht.connect(client.key_pair.public_key)
        assert failed.value.name == "SUSPENDED"
        for asking in (client, await world.node()):
            asked = world.now()
            with pytest.raises(NetworkError) as failed:
                await asking.connect(dht.key_pair.public_key)
            assert failed.value.name == "PEER_NOT_FOUND"
            assert world.now() - asked < 0.5
        sent = 0

        def count(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            nonlocal sent
            sent += source[0] == dht._network.wire.address  # type: ignore[attr-defined]
            return False

        world.internet.drops.append(count)
        await asyncio.sleep(600)
        assert sent == 0
        await dht.resume()
        await asyncio.sleep(2)
        assert sent > 0
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=2, link=QUIET)


def test_a_connect_that_is_under_way_fails_when_the_node_is_suspended() -> None:
    async def test(world: World) -> None:
        dht = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await world.serve(dht, echo)
        client = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        connecting = asyncio.create_task(client.connect(dht.key_pair.public_key))
        while not client.node.punchings:
            await asyncio.sleep(0.001)
        await client.suspend()
        with pytest.raises(NetworkError) as failed:
            await connecting
        assert failed.value.name == "SUSPENDED"
        assert not client.node.punchings
        await client.resume()
        await asyncio.sleep(40)
        await pump(await client.connect(dht.key_pair.public_key), 1000)

    simulate(test, seed=3, link=QUIET)


def test_suspending_takes_bounded_time_without_a_network_and_resuming_may_come_at_any_moment() -> None:
    async def test(world: World) -> None:
        host = world.internet.host()
        dht = await world.node(host=host)
        server = await world.serve(dht, echo)
        world.internet.part({host.address})
        asked = world.now()
        suspending = asyncio.create_task(dht.suspend())
        resuming = asyncio.create_task(dht.resume())
        await suspending
        assert world.now() - asked < WITHDRAW_LIMIT + 0.1
        await resuming
        world.internet.heal()
        await asyncio.sleep(60)
        assert server.listening
        await dht.suspend()
        await dht.suspend()
        assert server.listening
        assert not server.relay_addresses
        await dht.resume()
        await asyncio.sleep(2)
        await pump(await (await world.node()).connect(dht.key_pair.public_key), 1000)
        await dht.suspend()
        await server.close()
        with pytest.raises(NetworkError) as failed:
            await server.listen()
        assert failed.value.name == "SUSPENDED"

    simulate(test, seed=4, link=QUIET)
