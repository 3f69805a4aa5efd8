"""A server looks whether the network still leads to it, and is told of another machine with its key. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from qvac_core.codec import Address
from qvac_core.dht_rpc import RequestMessage, decode
from qvac_core.errors import RemoteProtocolError
from qvac_core.hyperdht import DHT, Connection, KeyPair, Server
from qvac_core.hyperdht.server.announcing import LOOK_EVERY
from qvac_core.hyperdht.server.self_check import Sighting
from qvac_core.rendezvous.announcer import MIN_UPDATE_INTERVAL, PING_INTERVAL
from qvac_core.rendezvous.constants import Command

from .nat_boxes import Kind, home
from .world import World, echo, pump, simulate

KEYS = KeyPair.from_seed(b"\x0b" * 32)
LOOK = (LOOK_EVERY + 1) * PING_INTERVAL
"""Seconds within which a server looks."""


class Machine:
    """A machine that serves under KEYS."""

    def __init__(self) -> None:
        self.dht: DHT
        self.server: Server
        self.served: list[Connection] = []
        self.told: list[tuple[bool | None, bool]] = []

    async def start(self, world: World, kind: Kind) -> Machine:
        self.dht = await world.node(host=home(world.internet, kind), key_pair=KEYS)

        async def serve(connection: Connection) -> None:
            self.served.append(connection)
            await echo(connection)

        self.server = self.dht.create_server(serve)
        self.server.on_seen = lambda: self.told.append((self.server.found, self.server.another))
        await self.server.listen()
        return self


@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.PORT_RESTRICTED, Kind.SYMMETRIC], ids=lambda kind: kind.value)
@pytest.mark.parametrize("leaves", ["first", "second"])
def test_two_machines_with_one_key_know_of_each_other_and_one_may_leave(leaves: str, kind: Kind) -> None:
    async def test(world: World) -> None:
        first = await Machine().start(world, kind)
        assert first.server.found is None
        await asyncio.sleep(1)
        assert first.told == [(True, False)]
        second = await Machine().start(world, kind)
        await asyncio.sleep(2 * LOOK)
        assert first.server.another
        assert second.server.another
        assert first.server.found or second.server.found
        going, staying = (first, second) if leaves == "first" else (second, first)
        await going.server.close()
        await asyncio.sleep(LOOK + MIN_UPDATE_INTERVAL)
        assert staying.server.found
        connection = await (await world.node()).connect(KEYS.public_key)
        await pump(connection, 1000)
        assert len(staying.served) == 1
        await asyncio.sleep(120)
        assert staying.told[-1] == (True, False) or not staying.server.another

    simulate(test, seed=3, size=20)


def test_a_record_that_is_lost_is_announced_again_and_not_called_found_meanwhile() -> None:
    async def test(world: World) -> None:
        machine = await Machine().start(world, Kind.PORT_RESTRICTED)
        await asyncio.sleep(1)
        assert machine.server.found
        for node in world.nodes:
            node.node.router.forget_forward(machine.server._announcer.target)  # type: ignore[union-attr]
        await asyncio.sleep(LOOK + MIN_UPDATE_INTERVAL)
        assert machine.told == [(True, False), (False, False), (True, False)]
        await pump(await (await world.node()).connect(KEYS.public_key), 1000)

    simulate(test, seed=5, size=20)


def test_one_look_that_is_lost_is_no_verdict() -> None:
    async def test(world: World) -> None:
        machine = await Machine().start(world, Kind.PORT_RESTRICTED)
        await asyncio.sleep(1)
        assert machine.told == [(True, False)]
        looks = 0

        async def lost(relays: Sequence[Address]) -> list[Sighting]:
            nonlocal looks
            looks += 1
            return [Sighting.NOBODY] * len(relays)

        check = machine.server._check
        assert check is not None
        look, check.look = check.look, lost  # type: ignore[method-assign]
        while not looks:
            await asyncio.sleep(0.1)
        check.look = look  # type: ignore[method-assign]
        await asyncio.sleep(2 * LOOK)
        assert (looks, machine.told) == (1, [(True, False)])

    simulate(test, seed=8, size=20)


def test_relays_that_never_lead_to_a_server_do_not_make_it_announce_without_end() -> None:
    async def test(world: World) -> None:
        announces = 0

        def drop(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            nonlocal announces
            try:
                message = decode(datagram, source)
            except RemoteProtocolError:
                return False
            if not isinstance(message, RequestMessage) or message.internal:
                return False
            announces += message.command == Command.ANNOUNCE
            return message.command == Command.PEER_HANDSHAKE

        world.internet.drops.append(drop)
        machine = await Machine().start(world, Kind.PORT_RESTRICTED)
        await asyncio.sleep(600)
        assert machine.server.found is False
        assert announces < 3 * 20

    simulate(test, seed=6, size=20)


def test_looking_costs_no_more_than_a_tenth_of_the_pings() -> None:
    async def test(world: World) -> None:
        await Machine().start(world, Kind.OPEN)
        counted = {Command.PEER_HANDSHAKE: 0, Command.ANNOUNCE: 0}

        def count(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            try:
                message = decode(datagram, source)
            except RemoteProtocolError:
                return False
            if isinstance(message, RequestMessage) and not message.internal and message.command in counted:
                counted[Command(message.command)] += 1
            return False

        await asyncio.sleep(10)
        world.internet.drops.append(count)
        await asyncio.sleep(150)
        # Ten looks at three relays, one datagram there and one back to us; 50 rounds of pings would be 300.
        assert 50 <= counted[Command.PEER_HANDSHAKE] <= 66
        assert counted[Command.ANNOUNCE] == 0

    simulate(test, seed=7, size=20)
