"""Every kind of NAT against every other: who meets directly, how, and how the rest are told that they cannot.

All bytes have to arrive. The whole matrix, with loss and several seeds, runs under `long`; a part of it always.
"""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT

from .datagram_network import Host, Link
from .nat_boxes import Kind, home
from .test_hyperdht_simulation import World, echo, pump, simulate

QUIET = Link(delay=(0.005, 0.03))
ROUGH = Link(delay=(0.005, 0.06), loss=0.05, duplicate=0.02)
BYTES = 60_000
REACHABLE = [kind for kind in Kind if kind is not Kind.BLOCKED]
PAIRS = [(server, client) for server in REACHABLE for client in REACHABLE]
LIMITS = {True: 45.0, False: 12.0}
"""Seconds for a connect, with random ports on one side and without."""


def possible(server: Kind, client: Kind) -> bool:
    """Two NATs that choose a new port for every destination cannot guess each other's."""
    return (server, client) != (Kind.SYMMETRIC, Kind.SYMMETRIC)


def is_random(server: Kind, client: Kind) -> bool:
    return Kind.SYMMETRIC in (server, client) and Kind.OPEN not in (server, client)


async def meet(world: World, server_host: Host, client_host: Host, limit: float) -> tuple[DHT, DHT]:
    """The server listens, the client connects and gets its bytes back; nothing stays behind."""
    server = await world.node(host=server_host)
    await world.serve(server, echo)
    client = await world.node(host=client_host)
    started = world.now()
    connection = await client.connect(server.key_pair.public_key)
    assert world.now() - started < limit
    await pump(connection, BYTES)
    await connection.close()
    assert connection.error is None
    await asyncio.sleep(15)
    for dht in (server, client):
        assert not dht.punchings
        assert not dht._connections
        assert not dht.endpoint._streams
        assert len(dht.endpoint.pool) == 0
        assert len(dht.endpoint._sockets) == 2
    return server, client


def check(server: Kind, client: Kind, seed: int, link: Link) -> None:
    async def test(world: World) -> None:
        hosts = home(world.internet, server), home(world.internet, client)
        await meet(world, *hosts, LIMITS[is_random(server, client)])

    async def refuse(world: World) -> None:
        with pytest.raises(NetworkError) as failed:
            await meet(world, home(world.internet, server), home(world.internet, client), 60)
        assert failed.value.name == "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"

    simulate(test if possible(server, client) else refuse, seed=seed, link=link)


@pytest.mark.parametrize(("server", "client"), PAIRS, ids=lambda kind: kind.value)
def test_whoever_can_meet_meets(server: Kind, client: Kind) -> None:
    check(server, client, seed=1, link=QUIET)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 20))
@pytest.mark.parametrize(("server", "client"), PAIRS, ids=lambda kind: kind.value)
def test_whoever_can_meet_meets_through_a_rough_network(server: Kind, client: Kind, seed: int) -> None:
    check(server, client, seed=seed, link=ROUGH)
