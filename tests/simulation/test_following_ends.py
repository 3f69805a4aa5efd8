"""What must not outlive its owner's wish: punches beside a relayed connection, announces of a cancelled listen."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.errors import NetworkError

from .nat_boxes import Kind
from .test_relay import Meeting, meet
from .world import World, echo, pump, simulate


def test_suspend_stops_the_punch_beside_a_relayed_connection() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.PORT_RESTRICTED, Kind.SYMMETRIC)
        # Nobody's probes arrive: the punch would go on for long.
        meeting.world.internet.drops.append(lambda source, to, datagram: len(datagram) <= 1)
        connection = await meeting.connect()
        assert connection.path == "relay"
        await pump(connection, 1000)
        assert meeting.client.node.punchings
        assert meeting.server.node.punchings
        for dht in (meeting.client, meeting.server):
            await dht.suspend()
            await asyncio.sleep(0)
            assert not dht.node.punchings
        probes = 0

        def count(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            nonlocal probes
            probes += len(datagram) <= 1
            return False

        meeting.world.internet.drops.insert(0, count)
        await pump(connection, 50_000)  # the connection itself stays
        await asyncio.sleep(5)
        assert probes == 0
        for dht in (meeting.client, meeting.server):
            await dht.resume()
        await pump(connection, 50_000)
        await connection.close()
        assert connection.error is None

    meet(test)


@pytest.mark.parametrize("closing", [False, True], ids=["cancelled", "closed"])
def test_a_listen_that_does_not_end_leaves_no_announce_behind(closing: bool) -> None:
    async def test(world: World) -> None:
        dht, client = await world.node(), await world.node()
        announced = 0
        for moment in range(5, 150, 8):
            key_pair = dht.node.ephemeral_key()
            server = dht.create_server(echo)
            listening = asyncio.create_task(server.listen(key_pair))
            await asyncio.sleep(moment / 1000)
            if listening.done():
                break
            # Some of its announces are on their way or have arrived, and some are not even sent.
            announced += bool(server._announcing is not None and server._announcing._asked)
            if closing:
                await server.close()
            else:
                listening.cancel()
            await asyncio.wait([listening])
            if closing:  # whoever closed it knows: it ends without an error, and does not listen
                assert listening.result() is server
                assert not server.listening
            else:
                assert listening.cancelled()
            await asyncio.sleep(1)
            with pytest.raises(NetworkError) as failed:
                await client.connect(key_pair.public_key)
            assert failed.value.name == "PEER_NOT_FOUND"
        else:
            raise AssertionError("it never came to an end")
        assert announced

    simulate(test, seed=41)
