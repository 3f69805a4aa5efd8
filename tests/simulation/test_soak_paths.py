"""Punched and relayed connections by the dozen: sockets, pairings and punchers of those that ended are gone."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT

from .nat_boxes import Kind
from .test_relay import Meeting, meet
from .test_soak_storms import often, storm


async def leave(meeting: Meeting, number: int, *, ask: bool) -> None:
    """A connection that carries something and ends: in order, by either side at once, or without a word."""
    connection = await meeting.connect(ask=ask)
    await connection.write(b"something")
    assert await anext(connection) == b"something"
    match number % 4:
        case 0:
            await connection.close()
        case 1:
            connection.destroy()
        case 2:
            meeting.served[-1].destroy()
        case _:
            meeting.world.internet.drops.append(lambda source, to, datagram: datagram[:2] == b"\xff\x01")
            await asyncio.sleep(30)
            meeting.world.internet.drops.pop()
    await asyncio.sleep(30)
    meeting.served.clear()
    for dht in (meeting.client, meeting.server, meeting.relay_dht):
        assert not dht.node.connections or ask  # the relay is kept for a while
        assert not dht.node.punchings
        assert len(dht.endpoint._sockets) == 2


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED),
        pytest.param(Kind.SYMMETRIC, Kind.PORT_RESTRICTED, marks=pytest.mark.long),  # 256 sockets each time
    ],
    ids=lambda kind: kind.value,
)
@often(2)
def test_punched_connections_that_end(server: Kind, client: Kind, times: int) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(server, client)

        async def once(number: int) -> None:
            await leave(meeting, number, ask=False)

        await storm(times, once, meeting.server, meeting.client)

    meet(test)


@often(2)
def test_relayed_connections_that_end(times: int) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        dhts: tuple[DHT, ...] = (meeting.server, meeting.client, meeting.relay_dht)

        async def once(number: int) -> None:
            await leave(meeting, number, ask=True)
            meeting.events.clear()

        await storm(times, once, *dhts)

    meet(test)


@often(2)
def test_connects_that_cannot_succeed(times: int) -> None:
    """Two symmetric boxes and no relay: nothing of the attempt stays with either side."""

    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)

        async def once(number: int) -> None:
            with pytest.raises(NetworkError):
                await meeting.connect(ask=False)
            await asyncio.sleep(30)

        await storm(times, once, meeting.server, meeting.client)

    meet(test)
