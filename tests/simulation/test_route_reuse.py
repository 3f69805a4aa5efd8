"""A second connection to the same peer over the path that was punched for the first one. Virtual time."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.hyperdht import DHT, Connection
from qvac_core.hyperdht.node.budget import Budget
from qvac_core.hyperdht.server import server
from qvac_core.rendezvous.socket_pool import LINGER

from .datagram_network import Link
from .nat_boxes import Kind, NatBox
from .test_nat_cases import probes
from .world import World, echo, pump, simulate

ONE_WAY = 0.05
STEADY = Link(delay=(ONE_WAY, ONE_WAY))
HOMES = 0.01
"""Seconds that a round trip spends inside the two homes, and a bit."""


class Pair:
    """A server and a client at home, who count what it takes to connect."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.boxes: list[NatBox] = []
        self.server: DHT
        self.client: DHT

    async def set_up(self, server: Kind, client: Kind) -> None:
        self.boxes = [NatBox(self.world.internet, kind) for kind in (server, client)]
        self.server, self.client = [await self.world.node(host=box.host()) for box in self.boxes]
        await self.world.serve(self.server, echo)

    async def connect(self) -> tuple[Connection, float]:
        """And the round trips that it took."""
        started = self.world.now()
        connection = await self.client.connect(self.server.key_pair.public_key)
        return connection, (self.world.now() - started) / (2 * ONE_WAY)


@pytest.mark.parametrize(
    "kinds",
    [
        (Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED),
        (Kind.SYMMETRIC, Kind.PORT_RESTRICTED),
        (Kind.PORT_RESTRICTED, Kind.SYMMETRIC),
        (Kind.CGNAT, Kind.CGNAT),
    ],
    ids=lambda kinds: f"{kinds[1].value} to {kinds[0].value}",
)
def test_the_second_connection_takes_one_round_trip_and_no_punch(kinds: tuple[Kind, Kind]) -> None:
    async def test(world: World) -> None:
        pair = Pair(world)
        await pair.set_up(*kinds)
        first, cold = await pair.connect()
        assert cold > 3
        await pump(first, 20_000)
        seen = probes(world)
        second, warm = await pair.connect()
        assert warm < 1 + HOMES / ONE_WAY
        await pump(second, 100_000)
        await pump(first, 20_000)
        await first.close()
        await second.close()
        third, lingering = await pair.connect()  # the sockets live a little longer than what ran on them
        assert lingering < 1 + HOMES / ONE_WAY
        await pump(third, 20_000)
        await third.close()
        assert not seen
        await asyncio.sleep(3 * LINGER)
        for dht in (pair.server, pair.client):
            assert len(dht.endpoint._sockets) == 2
            assert not dht.endpoint._streams

    simulate(test, seed=21, link=STEADY)


def test_a_route_ends_with_its_socket() -> None:
    async def test(world: World) -> None:
        pair = Pair(world)
        await pair.set_up(Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        first, _ = await pair.connect()
        key = pair.server.key_pair.public_key
        assert pair.client.endpoint.pool.route(key) is not None
        await first.close()
        await asyncio.sleep(3 * LINGER)
        assert pair.client.endpoint.pool.route(key) is None
        second, again = await pair.connect()
        assert again > 1.5
        await pump(second, 20_000)
        await second.close()

    simulate(test, seed=22, link=STEADY)


def test_a_route_that_leads_nowhere_costs_little() -> None:
    async def test(world: World) -> None:
        pair = Pair(world)
        await pair.set_up(Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        await pair.connect()
        for box in pair.boxes:
            box.remap()
        await asyncio.sleep(15)  # so that the server is announced under its new address
        second, again = await pair.connect()
        assert again * 2 * ONE_WAY < 3
        await pump(second, 20_000)

    simulate(test, seed=23, link=STEADY)


def test_a_broken_connection_spoils_its_route() -> None:
    async def test(world: World) -> None:
        pair = Pair(world)
        await pair.set_up(Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        connection, _ = await pair.connect()
        await pump(connection, 1000)
        for server_side in list(pair.server.node.connections):
            server_side.destroy()
        await connection.wait_closed()
        await asyncio.sleep(0)
        assert pair.client.endpoint.pool.route(pair.server.key_pair.public_key) is None

    simulate(test, seed=24, link=STEADY)


def test_connections_made_and_dropped_do_not_use_up_what_their_host_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HANDSHAKES_PER_SOURCE", 1)

    async def test(world: World) -> None:
        pair = Pair(world)
        await pair.set_up(Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        connection, _ = await pair.connect()
        await pump(connection, 1)
        await asyncio.sleep(1.5)  # the first one came by relays
        for _ in range(9):
            await connection.close()
            connection, trips = await pair.connect()
            assert trips < 1 + HOMES / ONE_WAY
            await pump(connection, 1)
        await connection.close()

    simulate(test, seed=23, link=STEADY)


def test_what_never_became_a_connection_counts() -> None:
    budget = Budget(per_second=100, per_source=2)
    assert budget.allows(0.0, "a")
    assert budget.allows(0.1, "a")
    budget.give_back("a")
    assert budget.allows(0.2, "a")
    assert not budget.allows(0.3, "a")
    assert budget.allows(0.4, "b")
    assert budget.allows(1.5, "a")
    budget.give_back("b")  # its second is over: nothing to give back
    assert budget.allows(1.6, "a")
    assert not budget.allows(1.7, "a")
