"""An hour in which nothing is said, or next to nothing: the connection lives, and nothing grows. Virtual time."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.hyperdht import DHT, Connection
from tests.holdings import grown

from . import datagram_network, nat_boxes
from .nat_boxes import Kind, home
from .nat_meeting import QUIET
from .soak import BOUNDED, least, most
from .world import World, echo, pump, simulate

HOUR = 3600.0
SHORT_MAPPINGS = 30.0
"""Seconds: what many boxes at home keep a silent UDP mapping for."""


class Traffic:
    """Datagrams and bytes that leave the internet's side of one host's box."""

    def __init__(self, world: World, host: str) -> None:
        self.datagrams = self.bytes = 0
        self._host = host
        world.internet.drops.append(self._count)

    def _count(self, source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
        if source[0] == self._host:
            self.datagrams += 1
            self.bytes += len(datagram)
        return False

    def take(self) -> tuple[int, int]:
        taken = self.datagrams, self.bytes
        self.datagrams = self.bytes = 0
        return taken


async def quiet_hour(world: World, server: DHT, connection: Connection, client: DHT, every: float | None) -> None:
    """What was warm after half an hour is as it was an hour later."""
    traffic = Traffic(world, client._network.wire.address)  # type: ignore[attr-defined]
    await asyncio.sleep(1200)
    before, tasks = await most(600, client, server), len(asyncio.all_tasks())
    address = client.endpoint.node.remote_address()
    traffic.take()
    spans = []
    for _ in range(6):
        await asyncio.sleep(HOUR / 6 if every is None else every)
        if every is not None:
            await connection.write(b"still there?")
            assert await anext(connection) == b"still there?"
        spans.append(traffic.take())
    assert not connection.closed
    assert client.endpoint.node.remote_address() == address
    for datagrams, size in spans:
        assert 0 < datagrams < HOUR / 6, "more than a datagram a second for nothing"
        assert size < 50 * HOUR / 6
    assert spans[-1][0] <= 1.2 * spans[0][0]
    assert len(asyncio.all_tasks()) == tasks
    assert not grown(before, await least(600, client, server), BOUNDED)


@pytest.mark.parametrize(
    "every", [None, pytest.param(600.0, marks=pytest.mark.long)], ids=["silent", "a message each ten minutes"]
)
def test_an_hour_behind_boxes_that_forget_in_half_a_minute(
    every: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nat_boxes, "MAPPING_LIFE", SHORT_MAPPINGS)
    monkeypatch.setattr(datagram_network, "MAPPING_LIFE", SHORT_MAPPINGS)

    async def test(world: World) -> None:
        server = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await world.serve(server, echo)
        client = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        connection = await client.connect(server.key_pair.public_key)
        await quiet_hour(world, server, connection, client, every)
        await pump(connection, 100_000)
        other = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await pump(await other.connect(server.key_pair.public_key), 1000)  # it is still found

    simulate(test, seed=91, link=QUIET)
