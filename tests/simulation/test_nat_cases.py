"""Neighbours behind one address, boxes that block or restart, punches that are cut short or come too many."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.rendezvous.holepuncher import Method, State
from qvac_core.udx.packet import TYPE_DESTROY, encode_header

from .nat_boxes import Kind, NatBox, home
from .nat_meeting import QUIET, ROUGH, Meeting, Path, meet, meet_by_kinds
from .world import World, echo, pump, simulate


def nothing_left(*nodes: DHT) -> bool:
    return all(
        not dht.node.punchings and not dht.endpoint._streams and len(dht.endpoint._sockets) == 2 for dht in nodes
    )


def probes(world: World) -> list[tuple[Address, Address]]:
    """Hole punch probes that cross the internet from now on."""
    seen: list[tuple[Address, Address]] = []

    def watch(source: Address, to: Address, datagram: bytes) -> bool:
        if len(datagram) <= 1:
            seen.append((source, to))
        return False

    world.internet.drops.append(watch)
    return seen


async def fails(connecting: asyncio.Task[object]) -> NetworkError:
    with pytest.raises(NetworkError) as failed:
        await connecting
    return failed.value


# Neighbours


@pytest.mark.parametrize("kind", [Kind.PORT_RESTRICTED, Kind.SYMMETRIC, Kind.FULL_CONE])
def test_peers_of_one_house_meet_inside_it_without_a_punch(kind: Kind) -> None:
    async def test(world: World) -> None:
        box = NatBox(world.internet, kind)
        seen = probes(world)
        await meet(world, box.host(), box.host(), limit=0.5)
        assert not seen

    simulate(test, seed=1, link=QUIET)


def test_guests_kept_apart_by_their_access_point_meet_by_hairpin() -> None:
    async def test(world: World) -> None:
        box = NatBox(world.internet, Kind.PORT_RESTRICTED, hairpin=True, isolated=True)
        # The punch begins while the peer is still looked for inside.
        await meet(world, box.host(), box.host(), limit=2.0)

    simulate(test, seed=2, link=QUIET)


def test_customers_of_one_carrier_meet_by_hairpin() -> None:
    async def test(world: World) -> None:
        carrier = NatBox(world.internet, Kind.CGNAT, hairpin=True)
        first, second = (NatBox(world.internet, Kind.PORT_RESTRICTED, outer=carrier) for _ in range(2))
        await meet(world, first.host(), second.host(), limit=3.0)

    simulate(test, seed=3, link=QUIET)


def test_a_node_of_our_own_house_at_the_peers_private_address_is_not_taken_for_the_peer() -> None:
    async def test(world: World) -> None:
        carrier = NatBox(world.internet, Kind.CGNAT, hairpin=True)
        first, second = (NatBox(world.internet, Kind.PORT_RESTRICTED, outer=carrier) for _ in range(2))
        await world.node(host=second.host())  # it has the address there that the server has in its house
        await meet(world, first.host(), second.host(), limit=3.0)

    simulate(test, seed=3, link=QUIET)


def test_customers_of_a_carrier_without_hairpin_are_told_within_seconds() -> None:
    async def test(world: World) -> None:
        carrier = NatBox(world.internet, Kind.CGNAT)
        hosts = [NatBox(world.internet, Kind.PORT_RESTRICTED, outer=carrier).host() for _ in range(2)]
        server = await world.node(host=hosts[0])
        await world.serve(server, echo)
        client = await world.node(host=hosts[1])
        started = world.now()
        with pytest.raises(NetworkError) as failed:
            await client.connect(server.key_pair.public_key)
        assert failed.value.name == "HOLEPUNCH_ABORTED"
        assert world.now() - started < 15
        await asyncio.sleep(30)
        assert nothing_left(server, client)

    simulate(test, seed=4, link=QUIET)


# Boxes


def test_a_client_whose_network_blocks_udp_is_told() -> None:
    async def test(world: World) -> None:
        server = await world.node()
        await world.serve(server, echo)
        client = world.make(home(world.internet, Kind.BLOCKED))
        try:
            with pytest.raises(NetworkError) as failed:
                await client.connect(server.key_pair.public_key)
            assert failed.value.name == "PEER_NOT_FOUND"
            assert "answered" in str(failed.value)
        finally:
            await client.close()

    simulate(test, seed=5, link=QUIET)


def test_a_box_that_was_restarted_loses_the_server_for_seconds_only() -> None:
    async def test(world: World) -> None:
        box = NatBox(world.internet, Kind.PORT_RESTRICTED)
        server = await world.node(host=box.host())
        await world.serve(server, echo)
        box.kind = Kind.SYMMETRIC  # it also gives other ports from now on
        box.remap()
        await asyncio.sleep(10)
        client = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await pump(await client.connect(server.key_pair.public_key), 1000)

    simulate(test, seed=6, link=QUIET)


def test_a_peer_that_is_open_after_all_is_reached_though_it_believes_otherwise() -> None:
    async def test(world: World) -> None:
        server = await world.node(quick_firewall=False)
        assert server.firewalled
        await world.serve(server, echo)
        client = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        await pump(await client.connect(server.key_pair.public_key), 1000)

    simulate(test, seed=7, link=QUIET)


# Cut short


async def punching_pair(world: World, server_kind: Kind, client_kind: Kind) -> tuple[DHT, DHT]:
    server = await world.node(host=home(world.internet, server_kind))
    await world.serve(server, echo)
    return server, await world.node(host=home(world.internet, client_kind))


def drop_probes(source: Address, to: Address, datagram: bytes) -> bool:
    return len(datagram) <= 1


@pytest.mark.parametrize("kinds", [(Kind.PORT_RESTRICTED, Kind.SYMMETRIC), (Kind.PORT_RESTRICTED, Kind.CGNAT)])
@pytest.mark.parametrize("after", [0.05, 0.15, 0.4, 3.0])
def test_a_connect_that_is_cancelled_leaves_nothing(kinds: tuple[Kind, Kind], after: float) -> None:
    async def test(world: World) -> None:
        server, client = await punching_pair(world, *kinds)
        world.internet.drops.append(drop_probes)
        connecting = asyncio.create_task(client.connect(server.key_pair.public_key))
        await asyncio.sleep(after)
        connecting.cancel()
        await asyncio.wait([connecting])
        assert connecting.cancelled()
        assert nothing_left(client)
        await asyncio.sleep(60)
        assert nothing_left(server)

    simulate(test, seed=8, link=QUIET)


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("after", [0.05, 0.15, 0.4, 3.0])
def test_a_node_that_closes_in_the_middle_ends_the_punch(who: int, after: float) -> None:
    async def test(world: World) -> None:
        pair = await punching_pair(world, Kind.PORT_RESTRICTED, Kind.SYMMETRIC)
        server, client = pair
        world.internet.drops.append(drop_probes)
        connecting: asyncio.Task[object] = asyncio.create_task(client.connect(server.key_pair.public_key))
        await asyncio.sleep(after)
        await pair[who].close()
        failure = await fails(connecting)
        if who == 1:
            assert failure.name == "NODE_DESTROYED"
        assert not pair[who].node.punchings
        await asyncio.sleep(60)
        assert nothing_left(pair[1 - who])

    simulate(test, seed=9, link=QUIET)


@pytest.mark.parametrize("kinds", [(Kind.PORT_RESTRICTED, Kind.SYMMETRIC), (Kind.CGNAT, Kind.PORT_RESTRICTED)])
def test_probes_that_never_arrive_end_in_holepunch_aborted(kinds: tuple[Kind, Kind]) -> None:
    async def test(world: World) -> None:
        server, client = await punching_pair(world, *kinds)
        world.internet.drops.append(drop_probes)
        started = world.now()
        with pytest.raises(NetworkError) as failed:
            await client.connect(server.key_pair.public_key)
        assert failed.value.name == "HOLEPUNCH_ABORTED"
        assert world.now() - started < 45
        await asyncio.sleep(60)
        assert nothing_left(server, client)

    simulate(test, seed=10, link=QUIET)


def test_a_relay_that_dies_between_handshake_and_punch_ends_in_an_error() -> None:
    async def test(world: World) -> None:
        server, client = await punching_pair(world, Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        connecting: asyncio.Task[object] = asyncio.create_task(client.connect(server.key_pair.public_key))
        while not client.node.punchings:
            await asyncio.sleep(0.001)
        for host in world.hosts.values():
            host.crash()
        started = world.now()
        failure = await fails(connecting)
        assert failure.name in ("REQUEST_TIMEOUT", "HOLEPUNCH_ABORTED")
        assert world.now() - started < 15
        assert nothing_left(client)

    simulate(test, seed=11, link=QUIET)


# Many


def test_random_punches_of_one_server_come_one_after_the_other() -> None:
    async def test(world: World) -> None:
        server = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        await world.serve(server, echo)
        clients = [await world.node(host=home(world.internet, Kind.PORT_RESTRICTED)) for _ in range(2)]
        started = world.now()
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                running = [p.puncher for p in server.node.punchings if p.puncher.state is State.PUNCHING]
                most = max(most, sum(puncher.method is Method.BIRTHDAY for puncher in running))
                await asyncio.sleep(0.01)

        watching = asyncio.create_task(watch())
        connections = await asyncio.gather(*(c.connect(server.key_pair.public_key) for c in clients))
        watching.cancel()
        await asyncio.wait([watching])
        assert most == 1
        assert world.now() - started > 20
        for connection in connections:
            await pump(connection, 1000)

    simulate(test, seed=12, link=QUIET)


def test_twenty_clients_at_once_through_port_keeping_nats() -> None:
    async def test(world: World) -> None:
        server = await world.node(host=home(world.internet, Kind.CGNAT))
        await world.serve(server, echo)
        clients = [await world.node(host=home(world.internet, Kind.PORT_RESTRICTED)) for _ in range(20)]
        started = world.now()
        connections = await asyncio.gather(*(c.connect(server.key_pair.public_key) for c in clients))
        assert world.now() - started < 3
        await asyncio.gather(*(pump(connection, 20_000, seed=n) for n, connection in enumerate(connections)))
        for connection in connections:
            await connection.close()
        await asyncio.sleep(15)
        assert nothing_left(server, *clients)

    simulate(test, seed=13, link=QUIET)


# Relays that were not needed


@pytest.mark.parametrize("from_relay", [False, True])
def test_a_relay_that_lets_a_pair_go_does_not_end_a_stream_that_went_directly(from_relay: bool) -> None:
    """Its DESTROY carries number 0, which is what a stream expects that has not received anything yet."""

    async def test(world: World) -> None:
        dht = await world.node()
        peer, relay = (0, ("20.9.9.1", 1000)), (0, ("20.9.9.2", 1000))
        paths = PathDriver(dht.endpoint)
        raw = paths.raw
        paths.expect_relay(relay)
        paths.begin(peer, 7)
        raw.feed([encode_header(TYPE_DESTROY, raw.id, 0, 0, 0)], *(relay if from_relay else peer), world.now())
        assert raw.closed == (not from_relay)
        raw.destroy()

    simulate(test, seed=14, link=QUIET)


@pytest.mark.parametrize("server", [Kind.OPEN, Kind.PORT_RESTRICTED])
def test_the_direct_path_wins_or_loses_against_the_relay_and_nothing_breaks(server: Kind) -> None:
    for seed in range(10, 26):
        outcome = meet_by_kinds(server, Kind.PORT_RESTRICTED, relay=True, seed=seed, link=ROUGH)
        assert outcome.path is Path.DIRECT


def test_a_server_closes_in_order_while_a_connection_is_relayed() -> None:
    async def test(world: World) -> None:
        meeting = Meeting(world, relay=True)
        await meeting.start_relay()
        await meeting.listen(Kind.SYMMETRIC, home(world.internet, Kind.SYMMETRIC))
        connection = await meeting.connect(Kind.SYMMETRIC, home(world.internet, Kind.SYMMETRIC))
        await pump(connection, 1000)
        assert connection.path == "relay"
        await meeting.server.close()
        with pytest.raises(ConnectionClosed):
            await connection.read()

    simulate(test, seed=15, link=QUIET)
