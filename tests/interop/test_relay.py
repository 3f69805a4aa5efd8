"""Blind relaying with npm's hyperdht 6.34.0 and blind-relay 1.6.1 in every part: client, server and relay."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht import (
    DHT,
    Connection,
    DatagramSocket,
    KeyPair,
    RelayEvent,
    RelayPaired,
    RelayServer,
    SystemNetwork,
    create_testnet,
)
from qvac_core.hyperdht.node.network import Receive

from .js_peer import JsPeer
from .test_hyperdht import (
    CLIENT_KEYS,
    CLIENT_SEED,
    FIREWALLED,
    OPEN,
    SERVER_KEYS,
    SERVER_SEED,
    TEN_MEGABYTES,
    World,
    echo,
    pump,
    with_world,
)

RELAY_SEED = bytes([31]) * 32
RELAY_KEY = KeyPair.from_seed(RELAY_SEED).public_key
OURS_BEHIND_NAT = {"quick_firewall": False}
REFUSALS = 16
"""Connects to a server that refuses the punch; four of ten were dead when the refusal was asked for."""
ASKS = pytest.mark.parametrize("server_asks", [False, True], ids=["client asks", "server asks"])


class Wall(SystemNetwork):
    """Sockets of this machine from which nothing comes to, or from, those behind another wall."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: set[int] = set()
        self.others: list[Wall] = []

    def passes(self, address: Address) -> bool:
        return not any(address[1] in other.ports for other in self.others)

    def open(self, host: str, port: int, receive: Receive) -> DatagramSocket:
        def filtered(batch: list[tuple[bytes, Address]]) -> None:
            receive([item for item in batch if self.passes(item[1])])

        sock = WalledSocket(self, super().open(host, port, filtered))
        self.ports.add(sock.address[1])
        return sock


class Gate(Wall):
    """While it is shut, only what `allowed` ports send or get passes."""

    def __init__(self, allowed: set[int]) -> None:
        super().__init__()
        self.allowed = allowed
        self.shut = True

    def passes(self, address: Address) -> bool:
        return not self.shut or address[1] in self.allowed


class WalledSocket:
    def __init__(self, wall: Wall, sock: DatagramSocket) -> None:
        self._wall = wall
        self._sock = sock

    @property
    def address(self) -> Address:
        return self._sock.address

    @property
    def broken(self) -> bool:
        return self._sock.broken

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        self._sock.send_many([item for item in datagrams if self._wall.passes(item[1])])

    def send_train(self, datagrams: Sequence[bytes], to: Address) -> None:
        if self._wall.passes(to):
            self._sock.send_train(datagrams, to)

    def send_with_ttl(self, datagram: bytes, to: Address, ttl: int) -> None:
        if self._wall.passes(to):
            self._sock.send_with_ttl(datagram, to, ttl)

    def close(self) -> None:
        self._sock.close()


async def our_relay(world: World, events: list[RelayEvent], dht: DHT | None = None) -> RelayServer:
    dht = dht or await world.our_node(KeyPair.from_seed(RELAY_SEED), **OPEN)
    relay = dht.create_relay_server(on_event=events.append)
    await relay.listen()
    return await world.stack.enter_async_context(relay)


async def js_relay(world: World) -> JsPeer:
    peer = await world.js_node(None, **OPEN)
    answer = await peer.call("relay", seed=RELAY_SEED.hex())
    assert answer["publicKey"] == RELAY_KEY.hex()
    return peer


def asked(asks: bool) -> bytes | None:
    return RELAY_KEY if asks else None


async def our_server(world: World, *, asks: bool, network: SystemNetwork | None = None) -> list[Connection]:
    served: list[Connection] = []

    async def on_connection(connection: Connection) -> None:
        served.append(connection)
        await echo(connection)

    dht = await world.our_node(SERVER_KEYS, network=network, **OURS_BEHIND_NAT)
    await world.serve(dht, on_connection, relay_through=lambda: asked(asks), share_local_address=False)
    return served


async def js_server(world: World, *, asks: bool) -> JsPeer:
    peer = await world.js_node(SERVER_SEED, **FIREWALLED)
    relay = asked(asks)
    await peer.call("listen", seed=SERVER_SEED.hex(), relayThrough=relay and relay.hex(), hidden=True)
    return peer


async def js_client_pumps(world: World, *, asks: bool) -> None:
    peer = await world.js_node(CLIENT_SEED, **FIREWALLED)
    relay = asked(asks)
    answer = await peer.call(
        "connect", name="out", key=SERVER_KEYS.public_key.hex(), relayThrough=relay and relay.hex(), hidden=True
    )
    assert "failed" not in answer, answer
    answer = await peer.call("pump", name="out", bytes=TEN_MEGABYTES)
    assert answer == {"equal": True, "received": TEN_MEGABYTES}
    await peer.call("end", name="out")
    await peer.event("close", name="out")


async def our_client_pumps(world: World, *, asks: bool, network: SystemNetwork | None = None) -> DHT:
    dht = await world.our_node(CLIENT_KEYS, network=network, **OURS_BEHIND_NAT)
    connection = await dht.connect(SERVER_KEYS.public_key, relay_through=lambda: asked(asks))
    assert connection.path == "relay"
    await pump(connection, TEN_MEGABYTES)
    assert connection.path == "relay"
    await connection.close()
    assert connection.error is None
    return dht


@ASKS
def test_two_javascript_peers_through_our_relay(js_home: Path, server_asks: bool) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        events: list[RelayEvent] = []
        relay = await our_relay(world, events)
        await js_server(world, asks=server_asks)
        await js_client_pumps(world, asks=not server_asks)
        paired = [event for event in events if isinstance(event, RelayPaired)]
        keys = SERVER_KEYS.public_key, KeyPair.from_seed(CLIENT_SEED).public_key
        assert [(event.initiator, event.responder) for event in paired] == [keys if server_asks else keys[::-1]]
        async with asyncio.timeout(10):
            while relay.links or relay.sessions:
                await asyncio.sleep(0.1)

    with_world(test, js_home)


@ASKS
def test_our_peers_through_javascripts_relay(js_home: Path, server_asks: bool) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        relay = await js_relay(world)
        walls = Wall(), Wall()
        walls[0].others, walls[1].others = [walls[1]], [walls[0]]
        served = await our_server(world, asks=server_asks, network=walls[0])
        await our_client_pumps(world, asks=not server_asks, network=walls[1])
        assert served[0].path == "relay"
        assert (await relay.call("relayStats"))["matched"] == 1

    with_world(test, js_home)


@ASKS
@pytest.mark.parametrize("relay_kind", ["our relay", "javascript's relay"])
def test_our_client_and_javascripts_server(js_home: Path, relay_kind: str, server_asks: bool) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        await (our_relay(world, []) if relay_kind == "our relay" else js_relay(world))
        await js_server(world, asks=server_asks)
        await our_client_pumps(world, asks=not server_asks)

    with_world(test, js_home)


@ASKS
@pytest.mark.parametrize("relay_kind", ["our relay", "javascript's relay"])
def test_javascripts_client_and_our_server(js_home: Path, relay_kind: str, server_asks: bool) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        await (our_relay(world, []) if relay_kind == "our relay" else js_relay(world))
        served = await our_server(world, asks=server_asks)
        await js_client_pumps(world, asks=not server_asks)
        assert served[0].error is None

    with_world(test, js_home)


def test_a_javascript_relay_that_is_killed_is_noticed(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        relay = await js_relay(world)
        await js_server(world, asks=False)
        dht = await world.our_node(CLIENT_KEYS, **OURS_BEHIND_NAT)
        connection = await dht.connect(SERVER_KEYS.public_key, relay_through=RELAY_KEY)
        await pump(connection, 100_000)
        await relay.kill()
        async with asyncio.timeout(25):
            with pytest.raises(ConnectionClosed):
                await connection.read()

    with_world(test, js_home)


def test_our_relay_that_closes_ends_a_javascript_connection_at_once(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        relay = await our_relay(world, [])
        await js_server(world, asks=False)
        peer = await world.js_node(CLIENT_SEED, **FIREWALLED)
        await peer.call(
            "connect", name="out", key=SERVER_KEYS.public_key.hex(), relayThrough=RELAY_KEY.hex(), hidden=True
        )
        answer = await peer.call("pump", name="out", bytes=100_000)
        assert answer["equal"]
        await relay.close()
        await peer.event("close", name="out", limit=5)

    with_world(test, js_home)


async def network_with_a_relay(world: World) -> tuple[RelayServer, set[int]]:
    """All of it ours and in this process, so that its ports are known."""
    nodes = [*(await world.stack.enter_async_context(await create_testnet(4))).nodes]
    world.bootstrap = [("127.0.0.1", nodes[0].address[1])]
    nodes.append(await world.our_node(KeyPair.from_seed(RELAY_SEED), **OPEN))
    relay = await our_relay(world, [], nodes[-1])
    return relay, {sock.address[1] for node in nodes for sock in node.endpoint._sockets.values()}


async def wait_until_direct(connection: Connection) -> None:
    async with asyncio.timeout(15):
        while connection.path == "relay":
            await pump(connection, 20_000)
            await asyncio.sleep(0.1)
    await pump(connection, 1_000_000)


async def wait_until_unused(relay: RelayServer) -> None:
    """Both peers have left it: JavaScript does so when data came directly, at the latest with a keep-alive."""
    async with asyncio.timeout(12):
        while relay.links or relay.sessions:
            await asyncio.sleep(0.1)


def test_our_relayed_client_moves_to_the_direct_path_with_a_javascript_server(js_home: Path) -> None:
    async def test(world: World) -> None:
        relay, ports = await network_with_a_relay(world)
        server = await world.js_node(SERVER_SEED, **FIREWALLED)
        await server.call("listen", seed=SERVER_SEED.hex())
        gate = Gate(ports)
        dht = await world.our_node(CLIENT_KEYS, network=gate, **OURS_BEHIND_NAT)
        connection = await dht.connect(SERVER_KEYS.public_key, relay_through=RELAY_KEY)
        await pump(connection, 100_000)
        assert connection.path == "relay"
        relayed_at = connection.remote_address
        gate.shut = False
        await wait_until_direct(connection)
        assert connection.remote_address != relayed_at
        await wait_until_unused(relay)
        await pump(connection, 1_000_000)
        await connection.close()
        assert connection.error is None

    with_world(test, js_home)


def test_our_relayed_server_moves_to_the_direct_path_with_a_javascript_client(js_home: Path) -> None:
    async def test(world: World) -> None:
        relay, ports = await network_with_a_relay(world)
        gate = Gate(ports)
        served: list[Connection] = []

        async def on_connection(connection: Connection) -> None:
            served.append(connection)
            await echo(connection)

        dht = await world.our_node(SERVER_KEYS, network=gate, **OURS_BEHIND_NAT)
        await world.serve(dht, on_connection, relay_through=RELAY_KEY)
        peer = await world.js_node(CLIENT_SEED, **FIREWALLED)
        await peer.call("connect", name="out", key=SERVER_KEYS.public_key.hex())
        answer = await peer.call("pump", name="out", bytes=100_000)
        assert answer["equal"]
        assert served[0].path == "relay"
        gate.shut = False
        async with asyncio.timeout(15):
            while served[0].path == "relay":
                await peer.call("pump", name="out", bytes=20_000)
                await asyncio.sleep(0.1)
        await wait_until_unused(relay)
        answer = await peer.call("pump", name="out", bytes=1_000_000)
        assert answer["equal"]
        await peer.call("end", name="out")
        await peer.event("close", name="out")
        assert served[0].error is None

    with_world(test, js_home)


def test_a_javascript_server_that_refuses_the_punch_is_reached_all_the_same(js_home: Path) -> None:
    """It punches back in the first round and refuses in the second: who asks for that gives up the path just found."""

    async def test(world: World) -> None:
        await network_with_a_relay(world)
        server = await world.js_node(SERVER_SEED, **FIREWALLED)
        await server.call("listen", seed=SERVER_SEED.hex(), refusesPunch=True)
        dht = await world.our_node(CLIENT_KEYS, **OURS_BEHIND_NAT)
        for _ in range(REFUSALS):
            connection = await dht.connect(SERVER_KEYS.public_key, relay_through=RELAY_KEY)
            async with asyncio.timeout(5):
                await pump(connection, 1000)
            connection.destroy()

    with_world(test, js_home)
