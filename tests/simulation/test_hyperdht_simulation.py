"""Whole nodes on a simulated internet in virtual time: the code that runs on real sockets, seeded and replayable."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import Connection, KeyPair

from .datagram_network import Link
from .world import ROUGH, World, echo, pump, simulate


@pytest.mark.parametrize("seed", range(3))
def test_connect_and_echo_through_a_rough_network(seed: int) -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        client = await world.node()
        connection = await client.connect(server.key_pair.public_key)
        await pump(connection, 300_000)
        await connection.close()
        assert connection.error is None

    simulate(test, seed=seed, link=ROUGH)


def test_the_same_seed_gives_the_same_run() -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        connection = await (await world.node()).connect(server.key_pair.public_key)
        await pump(connection, 50_000)
        await connection.close()

    first, again, other = (simulate(test, seed=seed, link=ROUGH, size=6) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("server_nat", "client_nat"), [(False, False), (True, False), (False, True)])
def test_one_nat_between_two_peers_is_no_obstacle(server_nat: bool, client_nat: bool) -> None:
    async def test(world: World) -> None:
        server = await world.node(nat=server_nat)
        await world.serve(server, echo)
        client = await world.node(nat=client_nat)
        assert (server.firewalled, client.firewalled) == (server_nat, client_nat)
        connection = await client.connect(server.key_pair.public_key)
        await pump(connection, 50_000)

    simulate(test, seed=11)


def test_two_nats_are_punched_through() -> None:
    async def test(world: World) -> None:
        server = await world.node(nat=True)
        await world.serve(server, echo)
        client = await world.node(nat=True)
        connection = await client.connect(server.key_pair.public_key)
        await pump(connection, 50_000)

    simulate(test, seed=12)


def test_a_warm_connect_takes_fewer_round_trips_than_a_cold_one() -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        client = await world.node()
        times = []
        for _ in range(2):
            started = world.now()
            connection = await client.connect(server.key_pair.public_key)
            times.append(world.now() - started)
            await connection.close()
        cold, warm = times
        # One way is 10 ms: handshakes take four ways (over a relay), the walk before it at least two.
        assert warm < 0.05
        assert cold < 0.15
        assert warm < cold

    simulate(test, seed=13, link=Link(delay=(0.01, 0.01)), size=30)


def test_a_server_is_found_again_after_its_relays_crashed() -> None:
    async def test(world: World) -> None:
        server = await world.node()
        listening = await world.serve(server, echo)
        before = set(listening.relay_addresses) & set(world.hosts)
        assert len(before) >= 2
        for address in before:
            if address not in world.bootstrap:
                world.hosts[address].crash()
        await asyncio.sleep(30)
        assert not set(listening.relay_addresses) & (before - set(world.bootstrap))
        client = await world.node()
        connection = await client.connect(server.key_pair.public_key)
        await pump(connection, 1000)

    simulate(test, seed=14, size=20)


def test_a_server_whose_nat_gave_it_a_new_port_announces_again_within_seconds() -> None:
    async def test(world: World) -> None:
        host = world.internet.host(nat=True)
        server = await world.node(host=host)
        await world.serve(server, echo)
        client = await world.node()
        await pump(await client.connect(server.key_pair.public_key), 1000)
        host.remap()
        await asyncio.sleep(15)
        connection = await (await world.node()).connect(server.key_pair.public_key)
        await pump(connection, 1000)

    simulate(test, seed=15)


def test_a_vanished_peer_is_noticed_by_both_sides() -> None:
    async def test(world: World) -> None:
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def accept(connection: Connection) -> None:
            accepted.set_result(connection)

        server = await world.node()
        await world.serve(server, accept)
        client = await world.node()
        connection = await client.connect(server.key_pair.public_key)
        other = await accepted
        await asyncio.sleep(120)
        assert not connection.closed
        assert not other.closed
        cut = world.now()
        world.internet.drops.append(lambda source, to, datagram: datagram[:2] == b"\xff\x01")
        for side in (connection, other):
            with pytest.raises(ConnectionClosed) as lost:
                await side.read()
            assert lost.value.name == "ETIMEDOUT"
        assert 10 < world.now() - cut < 20

    simulate(test, seed=16)


def test_a_reader_that_sleeps_stops_the_writer_and_not_the_connection() -> None:
    async def test(world: World) -> None:
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def accept(connection: Connection) -> None:
            accepted.set_result(connection)

        server = await world.node()
        await world.serve(server, accept)
        client = await world.node()
        connection = await client.connect(server.key_pair.public_key)
        reader = await accepted
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(400):
                await connection.write(bytes(50_000))
                written += 1

        writing = asyncio.create_task(write())
        await asyncio.sleep(120)
        held = reader._queued_bytes
        assert not writing.done()
        assert not connection.closed
        # The peer's window is 4 MiB; beside it only what our own watermark lets wait.
        assert held < 4.5 * 1024 * 1024
        assert written * 50_000 < 12 * 1024 * 1024
        for _ in range(400):
            assert len(await anext(reader)) == 50_000
        await writing

    simulate(test, seed=17, size=4)


def test_connects_that_are_cancelled_leave_nothing_behind() -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        client = await world.node()
        for moment in range(0, 200, 7):
            connecting = asyncio.create_task(client.connect(server.key_pair.public_key))
            await asyncio.sleep(moment / 1000)
            if connecting.done():
                (await connecting).destroy()
                continue
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            assert len(asyncio.all_tasks()) <= 1 + len(server.node.tasks) + len(client.node.tasks)
        await asyncio.sleep(30)
        assert not client.endpoint._streams
        assert not server.endpoint._streams
        await pump(await client.connect(server.key_pair.public_key), 1000)

    simulate(test, seed=18, size=8)


def test_closing_a_node_fails_what_waits_for_it() -> None:
    async def test(world: World) -> None:
        client = await world.node()
        # Nobody relays, so that the connect is still looking when the node closes.
        world.internet.drops.append(lambda source, to, datagram: True)
        connecting = asyncio.create_task(client.connect(KeyPair.from_seed(bytes(32)).public_key))
        looking = asyncio.ensure_future(client.lookup(bytes(32)))
        await asyncio.sleep(0.5)
        await client.close()
        for task in (connecting, looking):
            with pytest.raises(NetworkError) as failed:
                await task
            assert failed.value.name in ("NODE_DESTROYED", "REQUEST_DESTROYED", "QUERY_CANCELLED")
        with pytest.raises(NetworkError):
            await client.connect(bytes(32))
        await client.close()

    simulate(test, seed=19, size=4)
