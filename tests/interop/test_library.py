"""What Python people who come from JavaScript look for, each with npm's hyperdht 6.34.0 on the other side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.errors import NetworkError
from qvac_core.hyperdht import Connection, KeyPair
from tests.limits import EVENT

from .js_peer import JsPeer
from .test_hyperdht import World, with_world

LIBRARY_PEER = Path(__file__).parent / "library_peer.mjs"
OUR_SEED, THEIR_SEED = bytes([51]) * 32, bytes([52]) * 32
OURS, THEIRS = KeyPair.from_seed(OUR_SEED), KeyPair.from_seed(THEIR_SEED)
TOPIC = bytes([53]) * 32


async def their_node(world: World, js_home: Path, **options: object) -> JsPeer:
    peer = await world.stack.enter_async_context(JsPeer(js_home, LIBRARY_PEER))
    await peer.call("node", bootstrap=world.bootstrap, seed=THEIR_SEED.hex(), options=options)
    return peer


async def connected(world: World, js_home: Path, we_connect: bool) -> tuple[Connection, JsPeer, str]:
    """One connection between us, and the name of its other end."""
    await world.our_testnet()
    peer = await their_node(world, js_home)
    dht = await world.our_node(OURS)
    if we_connect:
        await peer.call("listen")
        connection = await dht.connect(THEIRS.public_key)
        return connection, peer, (await peer.event("connection"))["name"]
    arrived: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    server = dht.create_server(arrived.set_result)
    await world.stack.enter_async_context(server)
    await server.listen()
    assert await peer.call("connect", name="out", key=OURS.public_key.hex()) == {}
    async with asyncio.timeout(EVENT):
        return await arrived, peer, "out"


DIRECTIONS = pytest.mark.parametrize("we_connect", [True, False], ids=["we connect", "they connect"])


@DIRECTIONS
def test_who_has_ended_reads_on(js_home: Path, we_connect: bool) -> None:
    async def test(world: World) -> None:
        connection, peer, name = await connected(world, js_home, we_connect)
        assert connection.is_initiator == we_connect
        await connection.write(b"a question")
        connection.end()
        await peer.event("data", name=name, data="a question")
        await peer.event("end", name=name)
        assert not connection.closed
        for part in ("a long", "answer"):
            await peer.call("write", name=name, data=part)
        await peer.call("end", name=name)
        async with asyncio.timeout(EVENT):
            assert [message async for message in connection] == [b"a long", b"answer"]
            await connection.wait_closed()
        assert connection.error is None
        await peer.event("close", name=name)

    with_world(test, js_home)


@DIRECTIONS
def test_who_is_told_the_end_writes_on(js_home: Path, we_connect: bool) -> None:
    async def test(world: World) -> None:
        connection, peer, name = await connected(world, js_home, we_connect)
        await peer.call("end", name=name, data="a question")
        async with asyncio.timeout(EVENT):
            assert [message async for message in connection] == [b"a question"]
        await connection.write(b"an answer")
        await peer.event("data", name=name, data="an answer")
        connection.end()
        await peer.event("end", name=name)
        await peer.event("close", name=name)
        async with asyncio.timeout(EVENT):
            await connection.wait_closed()
        assert connection.error is None

    with_world(test, js_home)


@DIRECTIONS
def test_datagrams_go_beside_the_stream(js_home: Path, we_connect: bool) -> None:
    async def test(world: World) -> None:
        connection, peer, name = await connected(world, js_home, we_connect)
        datagrams = connection.datagrams()
        await connection.write(b"open")  # what overtakes the first frame is dropped
        await peer.event("data", name=name, data="open")
        assert connection.send(b"x" * 1100)
        await peer.event("message", name=name, data="x" * 1100)
        assert await peer.call("send", name=name, data="from JavaScript") == {"sent": True}
        async with asyncio.timeout(EVENT):
            assert await anext(datagrams) == b"from JavaScript"
        await peer.call("end", name=name)
        await connection.close()
        async with asyncio.timeout(EVENT):
            assert [left async for left in datagrams] == []
        assert connection.send(b"too late") is False

    with_world(test, js_home)


@DIRECTIONS
def test_a_life_sign_is_no_message(js_home: Path, we_connect: bool) -> None:
    async def test(world: World) -> None:
        connection, peer, name = await connected(world, js_home, we_connect)
        before = connection.stats.packets_sent
        connection.keep_alive = 0.05
        async with asyncio.timeout(EVENT):
            while connection.stats.packets_sent < before + 6:
                await asyncio.sleep(0.05)
        connection.keep_alive = 0
        await connection.write(b"the first")
        await peer.event("data", name=name, data="the first")
        assert connection.bytes_written == len("the first") and connection.keep_alive == 0

    with_world(test, js_home)


def test_a_peer_is_found_in_both_directions(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        peer = await their_node(world, js_home)
        relays = {tuple(address) for address in (await peer.call("listen"))["relays"]}
        dht = await world.our_node(OURS)
        assert {found.from_ async for found in dht.find_peer(THEIRS.public_key)} & relays
        found = await dht.find_peer(THEIRS.public_key.hex())
        assert found is not None and found.public_key == THEIRS.public_key
        assert await dht.find_peer(OURS.public_key) is None
        server = await world.serve(dht, _ignore)
        there = (await peer.call("findPeer", key=OURS.public_key.hex()))["found"]
        assert {tuple(one["from"]) for one in there} & set(server.relay_addresses)
        assert {one["key"] for one in there} == {OURS.public_key.hex()}

    with_world(test, js_home)


def test_an_announce_names_relays_in_both_directions(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        peer = await their_node(world, js_home)
        dht = await world.our_node(OURS)
        server = await world.serve(dht, _ignore)
        async with dht.announcing(TOPIC, relay_addresses=lambda: server.relay_addresses) as announced:
            assert announced.nodes
            there = (await peer.call("lookup", topic=TOPIC.hex()))["found"]
            assert [tuple(address) for address in there[OURS.public_key.hex()]] == list(server.relay_addresses)
            relays = (await peer.call("listen"))["relays"]
            await peer.call("announce", topic=TOPIC.hex(), seed=THEIR_SEED.hex(), relays=relays)
            seen = [found async for found in dht.lookup(TOPIC)]
            theirs = {peer.public_key: peer for found in seen for peer in found.peers}[THEIRS.public_key]
            assert [list(address) for address in theirs.relay_addresses] == relays
            connection = await dht.connect(THEIRS.public_key, relay_addresses=theirs.relay_addresses)
            await connection.close()
        assert list((await peer.call("lookup", topic=TOPIC.hex()))["found"]) == [THEIRS.public_key.hex()]
        await peer.call("lookupAndUnannounce", topic=TOPIC.hex(), seed=THEIR_SEED.hex())
        assert await dht.lookup(TOPIC) == []

    with_world(test, js_home)


def test_a_lookup_takes_our_announce_back_on_their_nodes(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.js_testnet()
        dht = await world.our_node(OURS)
        assert await dht.announce(TOPIC) > 0
        walk = dht.lookup_and_unannounce(TOPIC)
        assert {peer.public_key for found in [found async for found in walk] for peer in found.peers} == {
            OURS.public_key
        }
        assert await dht.lookup(TOPIC) == []

    with_world(test, js_home)


async def _ignore(connection: Connection) -> None:
    await connection.wait_closed()


@DIRECTIONS
def test_plain_streams_go_along_a_connection(js_home: Path, we_connect: bool) -> None:
    async def test(world: World) -> None:
        connection, peer, name = await connected(world, js_home, we_connect)
        async with world.nodes[-1].create_raw_stream() as ours:
            there = await peer.call("rawStream", name="raw")
            ours.connect_along(connection, there["id"])
            await peer.call("connectRawStream", name="raw", along=name, remoteId=ours.id)
            await peer.call("write", name="raw", data="from JavaScript")
            async with asyncio.timeout(EVENT):
                assert await ours.read() == b"from JavaScript"
            await ours.write(b"from Python")
            await peer.event("data", name="raw", data="from Python")
            ours.end()
            await peer.event("end", name="raw")
            await peer.call("end", name="raw", data="last")
            async with asyncio.timeout(EVENT):
                assert [data async for data in ours] == [b"last"]
                await ours.close()
            assert ours.error is None and ours.stats.bytes_received > 0
        connection.destroy()

    with_world(test, js_home)


def test_a_server_that_sleeps_is_not_reached(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        peer = await their_node(world, js_home)
        dht = await world.our_node(OURS)
        server = await world.serve(dht, _ignore)
        address = server.address
        assert address is not None and address.public_key == OURS.public_key
        assert address.host in ("127.0.0.1", None)
        await server.suspend()
        assert "failed" in await peer.call("connect", name="early", key=OURS.public_key.hex())
        server.resume()
        async with asyncio.timeout(EVENT):
            while not server.relay_addresses:
                await asyncio.sleep(0.05)
        assert await peer.call("connect", name="late", key=OURS.public_key.hex()) == {}
        # The other way round.
        await peer.call("listen")
        await peer.call("suspendServer")
        with pytest.raises(NetworkError):
            await dht.connect(THEIRS.public_key, timeout=15)
        await peer.call("resumeServer")  # returns before it is announced again
        async with asyncio.timeout(EVENT):
            while await dht.find_peer(THEIRS.public_key) is None:
                await asyncio.sleep(0.1)
        connection = await dht.connect(THEIRS.public_key)
        connection.destroy()
        assert dht.stats.servers == 1 and dht.stats.requests.responses > 0
        await server.close()
        assert server.address is None

    with_world(test, js_home)
