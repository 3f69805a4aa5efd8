"""Relays that go away, and those that come after them: a relayed connection lives on where it can. Virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair, RelayServer
from qvac_core.hyperdht.client.path_keeper import FIRST_PAUSE

from .datagram_network import Host
from .nat_boxes import Kind, NatBox
from .test_relay import QUIET, ROUGH
from .world import World, echo, pump, simulate

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))]
NOBODY = KeyPair.from_seed(b"\x08" * 32).public_key


class Relays:
    """Some relays on public addresses, and a server and a client behind boxes whose kind may change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts: list[Host] = []
        self.relays: list[RelayServer] = []
        self.relay_nodes: list[DHT] = []
        self.boxes: list[NatBox] = []
        self.nodes: list[DHT] = []
        self.served: list[Connection] = []
        self.paths: list[str] = []

    async def set_up(self, relays: int, *, server_asks: bool = False) -> None:
        world = self.world
        for _ in range(relays):
            await self.start_relay(await self.machine())
        for _ in range(2):
            box = NatBox(world.internet, Kind.SYMMETRIC)
            self.boxes.append(box)
            self.nodes.append(await world.node(host=box.host()))

        async def on_connection(connection: Connection) -> None:
            self.served.append(connection)
            await echo(connection)

        listening = self.server.create_server(on_connection, relay_through=self.keys if server_asks else None)
        await listening.listen()

    async def machine(self) -> tuple[Host, DHT]:
        host = self.world.internet.host()
        return host, await self.world.node(host=host, ephemeral=False, firewalled=False)

    async def start_relay(self, machine: tuple[Host, DHT], key_pair: KeyPair | None = None) -> None:
        host, dht = machine
        relay = dht.create_relay_server()
        await relay.listen(key_pair)
        self.hosts.append(host)
        self.relays.append(relay)
        self.relay_nodes.append(dht)

    @property
    def server(self) -> DHT:
        return self.nodes[0]

    @property
    def client(self) -> DHT:
        return self.nodes[1]

    @property
    def keys(self) -> list[bytes]:
        return [relay.public_key for relay in self.relays if relay.public_key is not None]

    async def connect(self, through: list[bytes] | None) -> Connection:
        connection = await self.client.connect(self.server.key_pair.public_key, relay_through=through)
        connection.when_path_changes(lambda it: self.paths.append(it.path))
        return connection

    def number_of(self, connection: Connection) -> int:
        assert connection.relay is not None
        return self.keys.index(connection.relay)

    async def nothing_is_left(self) -> None:
        await asyncio.sleep(40)
        for dht in self.nodes:
            assert not dht.node.connections
            assert not dht.node.punchings
            assert not dht.endpoint._streams
            assert not dht.node.pairings
            assert not dht.node.attempts
            assert len(dht.endpoint._sockets) == 2


def change(test: Callable[[Relays], Awaitable[None]], *, seed: int = 1, link: object = QUIET) -> None:
    async def body(world: World) -> None:
        relays = Relays(world)
        await test(relays)
        await relays.nothing_is_left()

    simulate(body, seed=seed, link=link)  # type: ignore[arg-type]


async def keep_talking(connection: Connection, done: asyncio.Event) -> int:
    turns = 0
    while not done.is_set():
        await pump(connection, 60_000, seed=turns)
        await asyncio.sleep(0.1)
        turns += 1
    return turns


# The first of several relays


def test_a_relay_that_does_not_exist_gives_way_to_the_next() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(1)
        started = relays.world.now()
        connection = await relays.connect([NOBODY, relays.keys[0]])
        assert connection.relay == relays.keys[0]
        assert relays.world.now() - started < 12
        await pump(connection, 100_000)
        await connection.close()

    change(test)


@pytest.mark.parametrize("server_asks", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_relay_that_is_dead_gives_way_to_the_next(seed: int, server_asks: bool) -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2, server_asks=server_asks)
        relays.hosts[0].crash()
        times = []
        for _ in range(2):
            started = relays.world.now()
            connection = await relays.connect(None if server_asks else relays.keys)
            times.append(relays.world.now() - started)
            assert connection.relay == relays.keys[1]
            await pump(connection, 50_000)
            await connection.close()
        assert max(times) < 12
        assert times[1] < 2 or times[0] < 2  # what did not work just now is tried last

    change(test, seed=seed)


def test_all_relays_dead_is_told() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2)
        for host in relays.hosts:
            host.crash()
        started = relays.world.now()
        with pytest.raises(NetworkError) as failed:
            await relays.connect(relays.keys)
        assert failed.value.name in ("RELAY_ABORTED", "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS")
        assert relays.world.now() - started < 25

    change(test)


# The relay of an open connection


@pytest.mark.parametrize("end", ["crash", "close"])
@pytest.mark.parametrize("server_asks", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_stream_goes_on_through_the_second_relay(seed: int, server_asks: bool, end: str) -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2, server_asks=server_asks)
        connection = await relays.connect(None if server_asks else relays.keys)
        first = relays.number_of(connection)
        done = asyncio.Event()
        talking = asyncio.create_task(keep_talking(connection, done))
        await asyncio.sleep(3)
        started = relays.world.now()
        if end == "crash":
            relays.hosts[first].crash()
        else:
            await relays.relays[first].close()
        while relays.number_of(connection) == first or relays.number_of(relays.served[0]) == first:
            await asyncio.sleep(0.1)
            assert relays.world.now() - started < 13
        await asyncio.sleep(5)
        done.set()
        assert await talking > 10
        assert (connection.closed, relays.served[0].closed, len(relays.served)) == (False, False, 1)
        assert relays.paths == ["relay"]
        await connection.close()
        assert connection.error is None

    change(test, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_while_the_relay_changes_in_a_rough_network(seed: int) -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2)
        connection = await relays.connect(relays.keys)
        first = relays.number_of(connection)
        pumping = asyncio.create_task(pump(connection, 3_000_000))
        await asyncio.sleep(0.5)
        assert not pumping.done()
        relays.hosts[first].crash()
        await pumping
        assert relays.number_of(connection) != first
        await connection.close()
        assert connection.error is None

    change(test, seed=seed, link=ROUGH)


def test_an_idle_connection_changes_its_relay_too() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2)
        connection = await relays.connect(relays.keys)
        await asyncio.sleep(20)
        first = relays.number_of(connection)
        relays.hosts[first].crash()
        await asyncio.sleep(20)
        assert relays.number_of(connection) != first
        await pump(connection, 50_000)
        await connection.close()
        assert connection.error is None

    change(test)


def test_three_relays_die_one_after_the_other() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(4)
        connection = await relays.connect(relays.keys)
        used = [relays.number_of(connection)]
        for _ in range(3):
            relays.hosts[used[-1]].crash()
            await pump(connection, 300_000)
            await asyncio.sleep(20)
            used.append(relays.number_of(connection))
            await pump(connection, 300_000)
        assert sorted(used) == [0, 1, 2, 3]
        await connection.close()
        assert connection.error is None

    change(test)


def test_a_relay_that_was_restarted_is_found_again() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(1)
        connection = await relays.connect(relays.keys)
        node = relays.relay_nodes[0]
        key_pair = node.key_pair
        machine = await relays.machine()
        await node.close()
        await asyncio.sleep(1)
        await relays.start_relay(machine, key_pair)
        await asyncio.sleep(15)
        await pump(connection, 100_000)
        assert connection.relay == key_pair.public_key
        await connection.close()
        assert connection.error is None

    change(test)


def test_the_direct_path_takes_over_when_the_relay_dies() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(1)
        connection = await relays.connect(relays.keys)
        await pump(connection, 10_000)
        for box in relays.boxes:
            box.kind = Kind.PORT_RESTRICTED  # other homes, other boxes: now a punch would do
        relays.hosts[0].crash()
        await pump(connection, 300_000)
        assert connection.path == "direct"
        await connection.close()
        assert connection.error is None
        assert relays.served[0].error is None

    change(test)


@pytest.mark.parametrize("end", ["crash", "close"])
def test_without_another_way_the_end_is_told_soon_and_by_name(end: str) -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(2)
        connection = await relays.connect(relays.keys)
        await pump(connection, 50_000)
        started = relays.world.now()
        for host, relay in zip(relays.hosts, relays.relays, strict=True):
            if end == "crash":
                host.crash()
            else:
                await relay.close()
        with pytest.raises(ConnectionClosed) as ended:
            await pump(connection, 500_000)
        assert ended.value.name == "RELAY_LOST"
        assert relays.world.now() - started < 20
        await relays.served[0].wait_closed()
        assert relays.world.now() - started < 25

    change(test)


# The direct path later


def test_a_direct_path_is_found_later_when_the_network_lets_it() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(1)
        connection = await relays.connect(relays.keys)
        await pump(connection, 10_000)
        await asyncio.sleep(5 * FIRST_PAUSE)
        assert connection.path == "relay"
        started = relays.world.now()
        for box in relays.boxes:
            box.kind = Kind.PORT_RESTRICTED
        while connection.path == "relay":
            await pump(connection, 10_000)
            await asyncio.sleep(5)
            assert relays.world.now() - started < 20 * FIRST_PAUSE
        await asyncio.sleep(10)
        assert (relays.relays[0].links, relays.relays[0].sessions) == (0, 0)
        await pump(connection, 300_000)
        assert relays.paths == ["direct"]
        await connection.close()
        assert connection.error is None
        assert relays.served[0].error is None

    change(test)


def test_tries_for_a_direct_path_become_seldom() -> None:
    async def test(relays: Relays) -> None:
        await relays.set_up(1)
        connection = await relays.connect(relays.keys)
        tries: list[float] = []
        attempts = relays.client.node.attempts

        class Noted(set[object]):
            def add(self, attempt: object) -> None:
                tries.append(relays.world.now())
                super().add(attempt)

        relays.client.node.attempts = Noted(attempts)  # type: ignore[assignment]
        await asyncio.sleep(1500)
        pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
        assert len(tries) <= 9
        assert max(pauses) > 300
        assert connection.path == "relay"
        assert (connection.closed, relays.served[0].closed) == (False, False)
        await connection.close()

    change(test)
