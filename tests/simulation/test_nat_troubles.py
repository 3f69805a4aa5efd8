"""What happens to a connection in use: cuts that heal, boxes that restart, machines that sleep, crashes and restarts.

Either the connection lives on, or both sides are told within half a minute; then connecting again succeeds. What was
handed over is always what was written.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair, Server

from .datagram_network import Host, Link
from .nat_boxes import RANDOM, Kind, NatBox, home
from .nat_meeting import QUIET, REACHABLE, ROUGH, UPGRADE_LIMIT
from .virtual_loop import world_time
from .world import World, echo, simulate

T = TypeVar("T")

NOTICE_LIMIT = 30.0
"""Seconds until somebody who writes hears that nobody reads: seven timeouts of a stream take 13 to 20."""
AGAIN_LIMIT = 90.0
"""Seconds until a connect succeeds after all is well again: a server behind a NAT has to announce itself again, and
ports may have to be guessed, perhaps after somebody else's guessing."""
SHORT_CUT, LONG_CUT, SLEEP, SHORT_SLEEP = 4.0, 120.0, 1800.0, 8.0
SERVER_KEY, CLIENT_KEY = (KeyPair.from_seed(bytes([n]) * 32) for n in (41, 42))


class Machine:
    """One peer's: its box, and the node that runs there now."""

    def __init__(self, world: World, kind: Kind, key_pair: KeyPair, *, serves: bool) -> None:
        self._world = world
        self._key_pair = key_pair
        self._serves = serves
        self.host = home(world.internet, kind)
        self.dht: DHT
        self.crashed: list[DHT] = []

    async def start(self) -> None:
        self.dht = await self.do(self._start())

    async def _start(self) -> DHT:
        dht = await self._world.node(host=self.host, key_pair=self._key_pair)
        watch = dht._sleep_watch
        assert watch is not None
        watch._clock, watch._offset = world_time, world_time() - self._world.now()
        if self._serves:
            await self._world.serve(dht, echo)
        return dht

    def do(self, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        return self.host.run(work)

    def outside(self) -> set[str]:
        """What the internet sees of it."""
        wire = self.host.wire
        while isinstance(wire, NatBox):
            if not isinstance(wire._outer, NatBox):
                return {wire.address}
            wire = wire._outer
        return {self.host.address}

    def restart_box(self) -> None:
        wire = self.host.wire
        while isinstance(wire, NatBox):
            wire.remap()
            wire = wire._outer

    def crash(self) -> None:
        self.host.crash()
        self.crashed.append(self.dht)


class Scene:
    def __init__(self, world: World, kinds: tuple[Kind, Kind]) -> None:
        self.world = world
        self.server = Machine(world, kinds[0], SERVER_KEY, serves=True)
        self.client = Machine(world, kinds[1], CLIENT_KEY, serves=False)
        self.relay_key: list[bytes] = []
        self.relay_host: Host = world.internet.host()

    async def set_up(self) -> Connection:
        relay = await self.world.node(host=self.relay_host, ephemeral=False, firewalled=False)
        serving = relay.create_relay_server()
        await serving.listen()
        assert serving.public_key is not None
        self.relay_key = [serving.public_key]
        await self.server.start()
        await self.client.start()
        connection = await self.connect()
        await self.client.do(exchange(connection, 1))
        return connection

    async def connect(self) -> Connection:
        return await self.client.do(
            self.client.dht.connect(SERVER_KEY.public_key, relay_through=self.relay_key, timeout=40)
        )

    async def connect_again(self) -> Connection:
        """As the app does it: again and again, with pauses."""
        until = self.world.now() + AGAIN_LIMIT
        while True:
            try:
                connection = await self.connect()
                await self.client.do(exchange(connection, 2))
            except NetworkError:
                if self.world.now() > until:
                    raise
                await asyncio.sleep(3)
            else:
                assert self.world.now() < until
                return connection


async def exchange(connection: Connection, seed: int, size: int = 40_000) -> None:
    """Raises ConnectionClosed; never gives back anything but what was written."""
    data = Random(seed).randbytes(size)
    for start in range(0, size, 10_000):
        await connection.write(data[start : start + 10_000])
    received = b""
    while len(received) < size:
        received += await anext(connection)
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


Trouble = Callable[[Scene], Awaitable[None]]


async def short_cut(scene: Scene) -> None:
    scene.world.internet.part(scene.client.outside())
    await asyncio.sleep(SHORT_CUT)
    scene.world.internet.heal()


async def long_cut_of_the_client(scene: Scene) -> None:
    scene.world.internet.part(scene.client.outside())
    await asyncio.sleep(LONG_CUT)
    scene.world.internet.heal()


async def long_cut_of_the_server(scene: Scene) -> None:
    scene.world.internet.part(scene.server.outside())
    await asyncio.sleep(LONG_CUT)
    scene.world.internet.heal()


async def half_the_world_parts(scene: Scene) -> None:
    """The server is left with half of the nodes."""
    hosts = [host.address for host in scene.world.hosts.values()]
    scene.world.internet.part([*hosts[: len(hosts) // 2], *scene.server.outside()])
    await asyncio.sleep(LONG_CUT)
    scene.world.internet.heal()


async def boxes_restart(scene: Scene) -> None:
    scene.client.restart_box()
    scene.server.restart_box()


async def client_sleeps(scene: Scene) -> None:
    scene.client.host.sleep(SLEEP)
    await asyncio.sleep(SLEEP)


async def server_sleeps(scene: Scene) -> None:
    scene.server.host.sleep(SLEEP)
    await asyncio.sleep(SLEEP)


async def client_nods_off(scene: Scene) -> None:
    scene.client.host.sleep(SHORT_SLEEP)
    await asyncio.sleep(SHORT_SLEEP)


async def server_crashes(scene: Scene) -> None:
    scene.server.crash()
    await asyncio.sleep(1)
    await scene.server.start()


async def client_crashes(scene: Scene) -> None:
    scene.client.crash()
    await asyncio.sleep(1)
    await scene.client.start()


async def announce_nodes_crash(scene: Scene) -> None:
    """Those who lead to the server; the first node of all stays."""
    server = next(iter(scene.server.dht.node.servers.values()))
    assert isinstance(server, Server)
    for address in set(server.relay_addresses) - set(scene.world.bootstrap):
        if address in scene.world.hosts:  # else it is the server itself, or its client
            scene.world.hosts[address].crash()
    await asyncio.sleep(1)


async def relay_crashes(scene: Scene) -> None:
    scene.relay_host.crash()
    scene.relay_key = []
    await asyncio.sleep(1)


SURVIVED: list[Trouble] = [short_cut, announce_nodes_crash]
"""Nothing that a stream must notice."""
OTHERS: list[Trouble] = [
    long_cut_of_the_client,
    long_cut_of_the_server,
    half_the_world_parts,
    boxes_restart,
    client_sleeps,
    server_sleeps,
    client_nods_off,
    server_crashes,
    client_crashes,
    relay_crashes,
]
TROUBLES = [*SURVIVED, *OTHERS]


def check(kinds: tuple[Kind, Kind], trouble: Trouble, seed: int, link: Link) -> None:
    relayed = all(kind in RANDOM for kind in kinds)

    async def test(world: World) -> None:
        scene = Scene(world, kinds)
        connection = await scene.set_up()
        if not relayed and connection.path == "relay":
            async with asyncio.timeout(UPGRADE_LIMIT):
                while connection.path == "relay":
                    await asyncio.sleep(0.5)
        client = scene.client
        writing = asyncio.create_task(client.do(exchange(connection, 3, 200_000)))
        await trouble(scene)
        quiet_since = world.now()
        if client.crashed:
            writing.cancel()
        done, _ = await asyncio.wait([writing], timeout=NOTICE_LIMIT)
        assert done, "neither lived on nor told"
        if writing.cancelled() or isinstance(writing.exception(), ConnectionClosed):
            assert trouble not in SURVIVED
        else:
            writing.result()
        assert world.now() - quiet_since <= NOTICE_LIMIT
        if relayed and trouble is relay_crashes:
            with pytest.raises(NetworkError):
                await scene.connect()
            return
        again = await scene.connect_again()
        await client.do(again.close())
        if not connection.closed and not client.crashed:
            await client.do(connection.close())
        await asyncio.sleep(40)
        # The server has let go of what its client lost, however that was lost.
        assert not scene.server.dht.node.connections
        assert not scene.server.dht.node.punchings

    simulate(test, seed=seed, link=link)


SAMPLE = [
    (Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED),
    (Kind.OPEN, Kind.CGNAT),
    (Kind.SYMMETRIC, Kind.MOBILE),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("kinds", SAMPLE, ids=lambda kinds: " and ".join(kind.value for kind in kinds))
def test_a_connection_in_trouble(kinds: tuple[Kind, Kind], trouble: Trouble) -> None:
    check(kinds, trouble, seed=1, link=QUIET)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30, 33))
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("client", REACHABLE, ids=lambda kind: kind.value)
@pytest.mark.parametrize("server", REACHABLE, ids=lambda kind: kind.value)
def test_every_pair_in_trouble_through_a_rough_network(server: Kind, client: Kind, trouble: Trouble, seed: int) -> None:
    check((server, client), trouble, seed=seed, link=ROUGH)
