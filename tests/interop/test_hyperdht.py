"""Our node and npm's hyperdht 6.34.0 as each other's peers, in both directions."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair, Refusal, Server, create_testnet
from tests.limits import WHOLE

from .js_peer import JsPeer

LIMIT = WHOLE
TEN_MEGABYTES = 10_000_000
# In a small network a node may or may not find out that it is open, unless it is told, or may not look.
FIREWALLED = {"quickFirewall": False}
OUR_FIREWALLED = {"quick_firewall": False}
OPEN = {"firewalled": False}
SERVER_SEED = bytes([21]) * 32
CLIENT_SEED = bytes([22]) * 32
SERVER_KEYS = KeyPair.from_seed(SERVER_SEED)
WITNESS_SEED = bytes([23]) * 32
CLIENT_KEYS = KeyPair.from_seed(CLIENT_SEED)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await test
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks are left: {left}"

    asyncio.run(limited())


class World:
    """A network and the peers of one test."""

    def __init__(self, js_home: Path, stack: AsyncExitStack) -> None:
        self._js_home = js_home
        self.stack = stack
        self.bootstrap: list[tuple[str, int]] = []
        self.nodes: list[DHT] = []
        """Ours, in the order in which they were made."""

    async def js(self) -> JsPeer:
        return await self.stack.enter_async_context(JsPeer(self._js_home))

    async def js_testnet(self, size: int = 4) -> None:
        peer = await self.js()
        answer = await peer.call("testnet", size=size)
        self.bootstrap = [(host, port) for host, port in answer["bootstrap"]]

    async def our_testnet(self, size: int = 4) -> None:
        testnet = await self.stack.enter_async_context(await create_testnet(size))
        self.bootstrap = testnet.bootstrap

    async def js_node(self, seed: bytes | None = None, **options: Any) -> JsPeer:
        peer = await self.js()
        answer = await peer.call("node", bootstrap=self.bootstrap, seed=seed and seed.hex(), options=options)
        if options in (FIREWALLED, OPEN):
            assert answer["firewalled"] == (options == FIREWALLED)
        return peer

    async def our_node(self, key_pair: KeyPair | None = None, **options: Any) -> DHT:
        dht = await self.stack.enter_async_context(DHT(self.bootstrap, key_pair, host="127.0.0.1", **options))
        self.nodes.append(dht)
        return dht

    async def serve(self, dht: DHT, on_connection: Callable[[Connection], Awaitable[None]], **options: Any) -> Server:
        server = dht.create_server(on_connection, **options)
        await server.listen()
        return await self.stack.enter_async_context(server)


def with_world(test: Callable[[World], Awaitable[None]], js_home: Path) -> None:
    async def body() -> None:
        async with AsyncExitStack() as stack:
            await test(World(js_home, stack))

    run(body())


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


async def pump(connection: Connection, size: int) -> None:
    """Write random bytes, read as many back, compare."""
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def write() -> None:
        left = size
        while left:
            data = os.urandom(min(left, 65536))
            sent.update(data)
            await connection.write(data)
            left -= len(data)

    writing = asyncio.create_task(write())
    left = size
    async for message in connection:
        received.update(message)
        left -= len(message)
        if left <= 0:
            break
    await writing
    assert left == 0
    assert received.digest() == sent.digest()


ROOT = Path(__file__).parents[2]
VICTIM = """
import asyncio, sys
from qvac_core.hyperdht import DHT

async def main():
    dht = DHT([sys.argv[1]], host="127.0.0.1")
    connection = await dht.connect(sys.argv[2])
    await connection.write(b"about to be killed")
    await connection.wait_closed()

asyncio.run(main())
"""

NETWORKS = ["js_testnet", "our_testnet"]
BOTH = pytest.mark.parametrize("firewalled", [False, True], ids=["open", "firewalled"])
NETWORK = pytest.mark.parametrize("network", NETWORKS)


@NETWORK
@BOTH
def test_we_connect_to_javascript_and_echo_ten_megabytes(js_home: Path, network: str, firewalled: bool) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        peer = await world.js_node(SERVER_SEED, **(FIREWALLED if firewalled else OPEN))
        listening = await peer.call("listen")
        assert listening["publicKey"] == SERVER_KEYS.public_key.hex()
        assert listening["relays"] > 0
        dht = await world.our_node(CLIENT_KEYS, **(OUR_FIREWALLED if firewalled else OPEN))
        assert dht.firewalled == firewalled
        connection = await dht.connect(SERVER_KEYS.public_key)
        event = await peer.event("connection", publicKey=CLIENT_KEYS.public_key.hex())
        await pump(connection, TEN_MEGABYTES)
        await connection.close()
        assert connection.error is None
        await peer.event("end", name=event["name"])
        await peer.event("close", name=event["name"])

    with_world(test, js_home)


@NETWORK
@BOTH
def test_javascript_connects_to_us_and_echoes_ten_megabytes(js_home: Path, network: str, firewalled: bool) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        dht = await world.our_node(SERVER_KEYS, **(OUR_FIREWALLED if firewalled else OPEN))
        assert dht.firewalled == firewalled
        await world.serve(dht, echo)
        peer = await world.js_node(CLIENT_SEED, **(FIREWALLED if firewalled else OPEN))
        answer = await peer.call("connect", name="out", key=SERVER_KEYS.public_key.hex())
        assert "failed" not in answer, answer
        answer = await peer.call("pump", name="out", bytes=TEN_MEGABYTES)
        assert answer == {"equal": True, "received": TEN_MEGABYTES}
        await peer.call("end", name="out")
        await peer.event("close", name="out")

    with_world(test, js_home)


def test_our_nodes_relay_between_two_javascript_peers(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet(5)
        server = await world.js_node(SERVER_SEED)
        await server.call("listen")
        client = await world.js_node(CLIENT_SEED)
        for name in ("first", "second"):
            answer = await client.call("connect", name=name, key=SERVER_KEYS.public_key.hex())
            assert "failed" not in answer, answer
            answer = await client.call("pump", name=name, bytes=100_000)
            assert answer["equal"]

    with_world(test, js_home)


def test_both_kinds_of_nodes_make_one_network(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.js_testnet(3)
        await world.stack.enter_async_context(await create_testnet(3, bootstrap=world.bootstrap))
        server = await world.js_node(SERVER_SEED)
        await server.call("listen")
        client = await world.js_node(CLIENT_SEED)
        dht = await world.our_node()
        await world.serve(dht, echo)
        for key in (SERVER_KEYS.public_key, dht.key_pair.public_key):
            answer = await client.call("connect", name=key.hex(), key=key.hex())
            assert "failed" not in answer, answer
            assert (await client.call("pump", name=key.hex(), bytes=100_000))["equal"]
        await pump(await dht.connect(SERVER_KEYS.public_key), 100_000)
        assert await dht.mutable_put(CLIENT_KEYS, b"everywhere", seq=1) == 5
        for _ in range(2):
            peer = await world.js_node()
            answer = await peer.call("mutableGet", key=CLIENT_KEYS.public_key.hex())
            assert answer["found"] == {"seq": 1, "value": "everywhere"}

    with_world(test, js_home)


@NETWORK
def test_a_javascript_firewall_refuses_us(js_home: Path, network: str) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        peer = await world.js_node(SERVER_SEED)
        await peer.call("listen", refuse=[CLIENT_KEYS.public_key.hex()])
        dht = await world.our_node(CLIENT_KEYS)
        with pytest.raises(NetworkError) as refused:
            await dht.connect(SERVER_KEYS.public_key)
        assert refused.value.name == "PEER_CONNECTION_FAILED"
        admitted = await dht.connect(SERVER_KEYS.public_key, KeyPair.from_seed(bytes(32)))
        await pump(admitted, 1000)

    with_world(test, js_home)


@NETWORK
def test_our_firewall_refuses_javascript_with_an_answer_or_with_silence(js_home: Path, network: str) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        verdicts: dict[bytes, bool | Refusal] = {CLIENT_KEYS.public_key: Refusal()}

        async def firewall(key: bytes, payload: object) -> bool | Refusal:
            return verdicts.get(key, False)

        dht = await world.our_node(SERVER_KEYS)
        await world.serve(dht, echo, firewall=firewall)
        peer = await world.js_node(CLIENT_SEED)
        key = SERVER_KEYS.public_key.hex()
        refused = await peer.call("connect", name="refused", key=key)
        assert refused["failed"] == "SERVER_ERROR"
        verdicts[CLIENT_KEYS.public_key] = True
        blocked = await peer.call("connect", name="blocked", key=key)
        assert blocked["failed"] == "PEER_CONNECTION_FAILED"
        assert blocked["ms"] > max(3000, refused["ms"])
        answer = await peer.call("connect", name="admitted", key=key, seed=bytes(32).hex())
        assert "failed" not in answer
        assert (await peer.call("pump", name="admitted", bytes=1000))["equal"]

    with_world(test, js_home)


@NETWORK
def test_an_unknown_key_fails_at_once(js_home: Path, network: str) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        dht = await world.our_node()
        started = asyncio.get_running_loop().time()
        with pytest.raises(NetworkError) as failed:
            await dht.connect(SERVER_KEYS.public_key)
        assert failed.value.name == "PEER_NOT_FOUND"
        peer = await world.js_node()
        answer = await peer.call("connect", name="out", key=SERVER_KEYS.public_key.hex())
        assert answer["failed"] == "PEER_NOT_FOUND"
        assert asyncio.get_running_loop().time() - started < 10

    with_world(test, js_home)


@NETWORK
def test_records_travel_in_both_directions(js_home: Path, network: str) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        dht, peer = await world.our_node(), await world.js_node()
        key = SERVER_KEYS.public_key

        await peer.call("mutablePut", seed=SERVER_SEED.hex(), value="theirs", seq=1)
        found = await dht.mutable_get(key)
        assert found is not None
        assert (found.seq, found.value) == (1, b"theirs")
        assert await dht.mutable_put(SERVER_KEYS, b"ours", seq=2) > 0
        answer = await peer.call("mutableGet", key=key.hex())
        assert answer["found"] == {"seq": 2, "value": "ours"}
        for seq, name in ((1, "SEQ_TOO_LOW"), (2, "SEQ_REUSED")):
            with pytest.raises(NetworkError) as refused:
                await dht.mutable_put(SERVER_KEYS, b"other", seq=seq)
            assert refused.value.name == name

        answer = await peer.call("immutablePut", value="for ever")
        assert await dht.immutable_get(bytes.fromhex(answer["hash"])) == b"for ever"
        target = await dht.immutable_put(b"and ever")
        assert (await peer.call("immutableGet", hash=target.hex()))["value"] == "and ever"
        assert await dht.immutable_get(bytes(32)) is None

    with_world(test, js_home)


@NETWORK
def test_announces_are_found_in_both_directions(js_home: Path, network: str) -> None:
    async def test(world: World) -> None:
        await getattr(world, network)()
        dht, peer = await world.our_node(), await world.js_node()
        topic = bytes([7]) * 32
        await peer.call("announce", topic=topic.hex(), seed=SERVER_SEED.hex())
        assert await dht.announce(topic, CLIENT_KEYS) > 0
        both = {SERVER_KEYS.public_key, CLIENT_KEYS.public_key}
        assert {found.public_key for found in await dht.lookup(topic)} == both
        assert {bytes.fromhex(key) for key in (await peer.call("lookup", topic=topic.hex()))["keys"]} == both
        await dht.unannounce(topic, CLIENT_KEYS)
        assert [found.public_key for found in await dht.lookup(topic)] == [SERVER_KEYS.public_key]
        await peer.call("unannounce", topic=topic.hex(), seed=SERVER_SEED.hex())
        assert await dht.lookup(topic) == []

    with_world(test, js_home)


def test_a_killed_process_is_noticed_by_the_other_side(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        dht = await world.our_node(SERVER_KEYS)
        gone: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def serve(connection: Connection) -> None:
            with pytest.raises(ConnectionClosed):
                await echo(connection)
            gone.set_result(connection)

        await world.serve(dht, serve)
        theirs = await world.js_node(CLIENT_SEED)
        await theirs.call("connect", name="out", key=SERVER_KEYS.public_key.hex())
        await theirs.call("pump", name="out", bytes=1000)

        witness = await world.js_node(WITNESS_SEED)
        key = (await witness.call("listen"))["publicKey"]
        host, port = world.bootstrap[0]
        ours = await asyncio.create_subprocess_exec(sys.executable, "-c", VICTIM, f"{host}:{port}", key, cwd=ROOT)
        try:
            await witness.event("connection")
        finally:
            ours.kill()
            await ours.wait()
            await theirs.kill()

        async with asyncio.timeout(25):
            connection = await gone
            assert (await witness.event("error"))["code"] == "ETIMEDOUT"
        assert connection.error is not None
        assert connection.error.name == "ETIMEDOUT"

    with_world(test, js_home)


def test_either_side_destroyed_is_noticed_at_once(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        peer = await world.js_node(SERVER_SEED)
        await peer.call("listen")
        dht = await world.our_node(CLIENT_KEYS)

        connection = await dht.connect(SERVER_KEYS.public_key)
        name = (await peer.event("connection"))["name"]
        await peer.call("destroy", name=name)
        with pytest.raises(ConnectionClosed) as broken:
            await connection.read()
        assert broken.value.name == "ECONNRESET"

        connection = await dht.connect(SERVER_KEYS.public_key)
        name = (await peer.event("connection"))["name"]
        connection.destroy()
        assert (await peer.event("error", name=name, limit=3))["code"] == "ECONNRESET"

        connection = await dht.connect(SERVER_KEYS.public_key)
        name = (await peer.event("connection"))["name"]
        await peer.call("end", name=name)
        assert await connection.read() is None
        await connection.close()
        await peer.event("close", name=name, limit=3)

    with_world(test, js_home)
