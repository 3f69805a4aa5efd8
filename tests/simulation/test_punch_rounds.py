"""Between the rounds of a punch: sockets that were replaced, a turn that has not come. Virtual time."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT
from qvac_core.hyperdht.punching import Punching
from qvac_core.rendezvous.constants import Mode
from qvac_core.rendezvous.holepunch_rounds import TRY_LATER_LIMIT

from .nat_boxes import Kind, home
from .nat_meeting import QUIET
from .test_hyperdht_traps import handshakes
from .test_relay import Meeting, meet
from .world import World, echo, pump, simulate


class Relayed:
    """Handshakes on their way to a server, and its answers to them."""

    def __init__(self, world: World) -> None:
        self.asked: list[tuple[Address, Address, bytes]] = []
        self.answers: list[tuple[Address, Address]] = []
        self._world = world
        world.internet.drops.append(self._watch)

    def _watch(self, source: Address, to: Address, datagram: bytes) -> bool:
        message = handshakes(datagram, source)
        if message is not None and message.mode == Mode.FROM_RELAY:
            self.asked.append((source, to, datagram))
        elif message is not None and message.mode == Mode.FROM_SERVER:
            self.answers.append((source, to))
        return False

    async def repeat(self) -> list[Address]:
        """The first one once more, as a client does that waits; from where its relay was answered till now."""
        source, to, datagram = self.asked[0]
        self._world.internet.send(source, [datagram], to)
        await asyncio.sleep(0.2)
        return [answered for answered, relay in self.answers if relay == source]


def test_a_repeated_handshake_is_answered_from_a_socket_that_is_open() -> None:
    async def test(world: World) -> None:
        server = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        await world.serve(server, echo)
        client = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        relayed = Relayed(world)
        connecting = asyncio.create_task(client.connect(server.key_pair.public_key))
        while not relayed.answers:
            await asyncio.sleep(0.01)
        (punching,) = server.node.punchings
        assert isinstance(punching, Punching)
        punching._reopen()  # as when its mapping turns out to be of no use
        first, second = await relayed.repeat()
        assert first != second
        with pytest.raises(NetworkError):
            await connecting
        assert not server.node.punchings
        assert len(await relayed.repeat()) == 3

    simulate(test, seed=3, link=QUIET)


async def busy(dht: DHT, seconds: float) -> None:
    """Another punch with random ports takes its turn."""
    dht.node.random_punches.begin()
    await asyncio.sleep(seconds)
    dht.node.random_punches.end(dht.node.now(), punched=False)


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_relayed_connection_waits_for_its_turn_to_punch(who: str) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.PORT_RESTRICTED, Kind.SYMMETRIC)
        occupied = asyncio.create_task(busy(meeting.client if who == "client" else meeting.server, 12.0))
        connection = await meeting.connect()
        assert connection.path == "relay"
        await pump(connection, 10_000)
        await occupied
        started = meeting.world.now()
        while connection.path == "relay":
            await pump(connection, 5_000)
            await asyncio.sleep(0.5)
            assert meeting.world.now() - started < 2 * TRY_LATER_LIMIT + 40
        await connection.close()
        assert connection.error is None

    meet(test)


def test_without_a_relay_nobody_waits_for_a_turn() -> None:
    async def test(world: World) -> None:
        server = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        await world.serve(server, echo)
        client = await world.node(host=home(world.internet, Kind.SYMMETRIC))
        occupied = asyncio.create_task(busy(client, 60.0))
        started = world.now()
        with pytest.raises(NetworkError) as failed:
            await client.connect(server.key_pair.public_key)
        assert failed.value.name == "HOLEPUNCH_ABORTED"
        assert world.now() - started < 5
        occupied.cancel()
        await asyncio.gather(occupied, return_exceptions=True)

    simulate(test, seed=4, link=QUIET)
