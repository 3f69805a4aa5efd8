"""Peers of one house in virtual time: found without any node of the DHT, beside it, and in spite of liars."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from random import Random

import pytest

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT, Connection, ConnectStage, KeyPair, Refusal, Server
from qvac_core.hyperdht.client.local import SEARCH_LIMIT
from qvac_core.hyperdht.stream.connection import LOCAL_PATH

from .datagram_network import Host, Internet, Link
from .virtual_loop import run
from .world import World, echo, simulate

NOWHERE: Address = ("20.99.99.99", 49737)
OWNER, GUEST = KeyPair.from_seed(b"o" * 32), KeyPair.from_seed(b"g" * 32)


class House:
    """Who serves what here. `lies` are places that somebody claims for every key."""

    def __init__(self, delay: float = 0.005) -> None:
        self.delay = delay
        self.lies: list[Address] = []
        self.served: dict[bytes, Address] = {}
        self.searches = 0

    def plug(self, host: Host) -> _Plugged:
        return _Plugged(self, host)


class _Plugged:
    """A LocalNetwork: what one machine sees of its house."""

    def __init__(self, house: House, host: Host) -> None:
        self._house = house
        self._host = host
        self._own: set[bytes] = set()
        self.closed = False

    def serve(self, public_key: bytes, port: int) -> None:
        self._own.add(public_key)
        self._house.served[public_key] = (self._host.address, port)

    def stop_serving(self, public_key: bytes) -> None:
        self._own.discard(public_key)
        self._house.served.pop(public_key, None)

    async def find(self, public_key: bytes) -> AsyncGenerator[Address, None]:
        self._house.searches += 1
        try:
            await asyncio.sleep(self._house.delay)
            for lie in self._house.lies:
                yield lie
            if public_key in self._house.served:
                yield self._house.served[public_key]
            await asyncio.Event().wait()
        finally:
            self._house.searches -= 1

    def close(self) -> None:
        self.closed = True
        assert not self._own, "the node closes with its servers withdrawn"


class Homes:
    """Machines of one house whose internet is unplugged: the only bootstrap node does not exist."""

    def __init__(self, stack: AsyncExitStack, *, bootstrap: list[Address] | None = None) -> None:
        self.internet = Internet(5, Link(delay=(0.001, 0.002)))
        self.house = House()
        self.plugs: dict[DHT, _Plugged] = {}
        self._stack = stack
        self._bootstrap = [NOWHERE] if bootstrap is None else bootstrap

    async def machine(self, key_pair: KeyPair) -> DHT:
        host = self.internet.host()
        dht = DHT(
            self._bootstrap,
            key_pair,
            network=host,
            random=Random(self.internet.random.getrandbits(64)),
            local_network=self.house.plug(host),
        )
        self._stack.push_async_callback(dht.close)
        await dht.open()
        self.plugs[dht] = self.house.plug(host)
        return dht


def at_home(test: Callable[[Homes], Awaitable[None]], *, bootstrap: list[Address] | None = None) -> None:
    async def body() -> None:
        async with AsyncExitStack() as stack:
            homes = Homes(stack, bootstrap=bootstrap)
            await test(homes)
            assert homes.house.searches == 0, "a search goes on after its connect"

    run(body())


def now() -> float:
    return asyncio.get_running_loop().time()


async def listening(dht: DHT, **options: object) -> tuple[Server, asyncio.Task[Server]]:
    server = dht.create_server(echo, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(server.listen(alone=True))
    # A test may end before the network was ever there; then the node's end is this one's, too.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.sleep(0)
    return server, task


def is_announced(server: Server) -> bool:
    return len(server.relay_addresses) > 0


async def converse(connection: Connection) -> None:
    await connection.write(b"hello")
    assert await connection.read() == b"hello"
    await connection.close()


@pytest.mark.parametrize("bootstrap", [[NOWHERE], []])
def test_a_key_is_found_without_any_node_of_the_network(bootstrap: list[Address]) -> None:
    async def test(homes: Homes) -> None:
        owner, guest = await homes.machine(OWNER), await homes.machine(GUEST)
        server, task = await listening(owner)
        stages: list[ConnectStage] = []
        started = now()
        connection = await guest.connect(OWNER.public_key, on_stage=stages.append)
        assert now() - started < 0.1  # at once, while both still wait for the network
        assert connection.path == LOCAL_PATH
        assert stages == [ConnectStage.FINDING, ConnectStage.CONNECTING, ConnectStage.HANDSHAKE]
        await converse(connection)
        await task
        assert server.listening
        assert server.relay_addresses == ()

    at_home(test, bootstrap=bootstrap)


def test_the_wrong_key_is_not_found_within_the_time_of_the_search() -> None:
    async def test(homes: Homes) -> None:
        owner, guest = await homes.machine(OWNER), await homes.machine(GUEST)
        await listening(owner)
        started = now()
        with pytest.raises(NetworkError) as failed:
            await guest.connect(KeyPair.from_seed(b"x" * 32).public_key)
        assert failed.value.name == "PEER_NOT_FOUND"
        assert now() - started == pytest.approx(SEARCH_LIMIT)

    at_home(test, bootstrap=[])


def test_a_refusal_comes_at_once() -> None:
    async def test(homes: Homes) -> None:
        owner, guest = await homes.machine(OWNER), await homes.machine(GUEST)
        await listening(owner, firewall=lambda *_: Refusal())
        started = now()
        with pytest.raises(NetworkError) as failed:
            await guest.connect(OWNER.public_key)
        assert failed.value.name == "SERVER_ERROR"
        assert now() - started < 0.1

    at_home(test)


def test_a_server_that_hides_its_local_address_is_not_served() -> None:
    async def test(homes: Homes) -> None:
        owner = await homes.machine(OWNER)
        server, _ = await listening(owner, share_local_address=False)
        assert homes.house.served == {}
        await server.close()
        open_server, _ = await listening(owner)
        assert list(homes.house.served) == [OWNER.public_key]
        await open_server.close()
        assert homes.house.served == {}

    at_home(test)


def test_it_is_switched_off_and_on_while_a_server_runs() -> None:
    async def test(homes: Homes) -> None:
        owner, guest = await homes.machine(OWNER), await homes.machine(GUEST)
        await listening(owner)
        owner.nearby.use(None)
        assert homes.house.served == {}
        with pytest.raises(NetworkError):
            await guest.connect(OWNER.public_key)
        owner.nearby.use(homes.plugs[owner])
        await converse(await guest.connect(OWNER.public_key))

    at_home(test, bootstrap=[])


# Beside the DHT


async def two_ways(world: World, house: House) -> tuple[DHT, DHT, list[Connection]]:
    """Owner and guest in one house and in the network; and what the owner's application was given."""
    given: list[Connection] = []

    async def serve(connection: Connection) -> None:
        given.append(connection)
        await echo(connection)

    hosts = world.internet.host(), world.internet.host()
    owner, guest = [await world.node(host=host, local_network=house.plug(host)) for host in hosts]
    await owner.create_server(serve).listen(OWNER, alone=True)
    return owner, guest, given


def test_the_near_way_wins_and_the_far_one_is_dropped_without_harm() -> None:
    async def test(world: World) -> None:
        owner, guest, given = await two_ways(world, House())
        for turn in range(6):  # from the second time on the far way is as short
            connection = await guest.connect(OWNER.public_key, GUEST)
            assert connection.path == LOCAL_PATH or turn
            await converse(connection)
        await asyncio.sleep(30)
        assert len(given) == 6
        assert not owner.node.connections
        assert not guest.node.connections
        assert not guest.endpoint._streams
        assert not owner.endpoint._streams
        assert guest.relays_of(OWNER.public_key)  # for a day on which it is elsewhere

    simulate(test, seed=21, link=Link(delay=(0.01, 0.02)))


def test_a_silent_house_costs_the_far_way_nothing() -> None:
    async def test(world: World) -> None:
        house = House(delay=60.0)
        _, guest, given = await two_ways(world, house)
        alone = await world.node(host=world.internet.host())
        seconds = []
        for dht in (alone, guest):
            started = now()
            connection = await dht.connect(OWNER.public_key, GUEST)
            seconds.append(now() - started)
            assert connection.path == "direct"
            await converse(connection)
        assert seconds[1] < 1.5 * seconds[0]
        assert len(given) == 2
        assert house.searches == 0

    simulate(test, seed=22, link=Link(delay=(0.01, 0.01)))


class Liar:
    """Takes every handshake that comes and does with it what `answer` says."""

    def __init__(self, world: World, forward_to: Callable[[], Address] | None = None, noise: bytes = b"") -> None:
        self.host = world.internet.host()
        self.socket = self.host.open("0.0.0.0", 49737, self._receive)
        self.address: Address = (self.host.address, 49737)
        self.heard = 0
        self._forward_to = forward_to
        self._asked: dict[bytes, Address] = {}
        self._noise = noise

    def _receive(self, batch: list[tuple[bytes, Address]]) -> None:
        for datagram, source in batch:
            self.heard += 1
            if self._forward_to is None:
                self.socket.send_many([(b"\x13\x00" + datagram[2:4] + datagram[4:10] + self._noise, source)])
            elif datagram[:1] == b"\x03":
                self._asked[datagram[2:4]] = source
                self.socket.send_many([(datagram, self._forward_to())])
            elif datagram[:1] == b"\x13" and datagram[2:4] in self._asked:
                # The true peer's answer as if it were ours; what the stream then sends goes nowhere.
                self.socket.send_many([(datagram, self._asked[datagram[2:4]])])


def test_liars_of_the_house_cost_a_few_datagrams_and_no_time() -> None:
    async def test(world: World) -> None:
        house = House()
        owner, guest, given = await two_ways(world, house)
        true_address = house.served.pop(OWNER.public_key)
        silent = Liar(world, noise=b"nonsense")
        proxy = Liar(world, lambda: true_address)
        # Nobody, one who answers nonsense, one who hands the handshake on but not the stream, and an honest stranger.
        stranger = await world.node(host=world.internet.host())
        house.lies = [NOWHERE, silent.address, proxy.address, (stranger._network.address, stranger.address[1])]  # type: ignore[attr-defined]
        started = now()
        connection = await guest.connect(OWNER.public_key, GUEST)
        assert connection.path == "direct"
        assert now() - started < 1.0
        await converse(connection)
        await asyncio.sleep(30)
        assert 1 <= silent.heard <= 3
        assert proxy.heard > 1  # it was believed as far as it could be
        assert len(given) == 1
        assert not guest.endpoint._streams
        assert not owner.endpoint._streams

    simulate(test, seed=23, link=Link(delay=(0.01, 0.02)))


def test_liars_alone_lead_to_the_error_that_the_network_gives() -> None:
    async def test(homes: Homes) -> None:
        guest = await homes.machine(GUEST)
        homes.house.lies = [("20.9.9.9", port) for port in (1, 2, 3, 4)]
        started = now()
        with pytest.raises(NetworkError) as failed:
            await guest.connect(OWNER.public_key)
        assert failed.value.name == "PEER_NOT_FOUND"
        assert now() - started < 10

    at_home(test, bootstrap=[])


def test_a_listener_that_was_alone_is_announced_when_the_network_is_back() -> None:
    async def test(world: World) -> None:
        host = world.internet.host()
        house = House()

        def cut(source: Address, to: Address, _: bytes) -> bool:
            return host.address in (source[0], to[0])

        world.internet.drops.append(cut)
        owner = world.make(host, local_network=house.plug(host))
        world.stack.push_async_callback(owner.close)
        server = owner.create_server(echo)
        await server.listen(OWNER, alone=True)
        assert server.listening
        assert not is_announced(server)
        world.internet.drops.remove(cut)
        async with asyncio.timeout(120):
            while not is_announced(server):
                await asyncio.sleep(1)
        guest = await world.node(host=world.internet.host())
        await converse(await guest.connect(OWNER.public_key, GUEST))

    simulate(test, seed=24, link=Link(delay=(0.01, 0.02)))
