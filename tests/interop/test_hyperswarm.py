"""Our swarms and npm's hyperswarm 4.17.2 on one topic, in both directions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.hyperdht import Connection, KeyPair
from qvac_core.hyperswarm import Peer, Swarm
from tests.limits import EVENT

from .js_peer import JsPeer
from .test_hyperdht import World, with_world

LIBRARY_PEER = Path(__file__).parent / "library_peer.mjs"
OUR_SEED, THEIR_SEED = bytes([41]) * 32, bytes([42]) * 32
OURS, THEIRS = KeyPair.from_seed(OUR_SEED), KeyPair.from_seed(THEIR_SEED)
TOPIC = bytes([43]) * 32


class Arrivals:
    """Whom a swarm of ours was connected to, in order, each greeted."""

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[Connection, Peer]] = asyncio.Queue()

    async def take(self, connection: Connection, peer: Peer) -> None:
        self._arrived.put_nowait((connection, peer))

    async def next(self) -> tuple[Connection, Peer]:
        async with asyncio.timeout(EVENT):
            return await self._arrived.get()

    @property
    def nobody(self) -> bool:
        return self._arrived.empty()


async def their_swarm(world: World, js_home: Path, seed: bytes = THEIR_SEED) -> JsPeer:
    peer = await world.stack.enter_async_context(JsPeer(js_home, LIBRARY_PEER))
    await peer.call("swarm", bootstrap=world.bootstrap, seed=seed.hex())
    return peer


async def our_swarm(world: World, arrivals: Arrivals, seed: bytes = OUR_SEED) -> Swarm:
    dht = await world.our_node()
    swarm = Swarm(dht, arrivals.take, key_pair=KeyPair.from_seed(seed), backoffs=(0.1, 0.2, 0.3, 1.0), jitter=0.0)
    return await world.stack.enter_async_context(swarm)


async def say_and_hear(connection: Connection, peer: JsPeer, name: str) -> None:
    await connection.write(b"from Python")
    await peer.event("data", name=name, data="from Python")
    await peer.call("write", name=name, data="from JavaScript")
    async with asyncio.timeout(EVENT):
        assert await connection.read() == b"from JavaScript"


@pytest.mark.parametrize("we_serve", [True, False], ids=["we serve", "they serve"])
def test_a_client_finds_a_server_by_its_topic(js_home: Path, we_serve: bool) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        arrivals = Arrivals()
        theirs = await their_swarm(world, js_home)
        ours = await our_swarm(world, arrivals)
        if we_serve:
            assert await ours.join(TOPIC, client=False).flushed()
            await theirs.call("join", topic=TOPIC.hex(), server=False)
        else:
            await theirs.call("join", topic=TOPIC.hex(), client=False)
            ours.join(TOPIC, server=False)
        connection, peer = await arrivals.next()
        there = await theirs.event("peer", key=OURS.public_key.hex())
        assert peer.public_key == connection.remote_public_key == THEIRS.public_key
        assert peer.is_client == connection.is_initiator == (not we_serve)
        assert there["initiator"] == we_serve
        assert there["topics"] == ([TOPIC.hex()] if we_serve else [])
        assert peer.topics == ([] if we_serve else [TOPIC])
        await say_and_hear(connection, theirs, there["name"])

    with_world(test, js_home)


def test_who_finds_each_other_has_one_connection(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        arrivals = Arrivals()
        theirs = await their_swarm(world, js_home)
        ours = await our_swarm(world, arrivals)
        member = ours.join(TOPIC)
        await theirs.call("join", topic=TOPIC.hex())
        assert await member.flushed()
        member.refresh()
        assert await ours.flush()
        await theirs.call("flush")
        connection, _ = await arrivals.next()
        while connection.closed:  # of two that crossed
            connection, _ = await arrivals.next()
        there = await theirs.call("swarmed")
        assert there["keys"] == [OURS.public_key.hex()]
        assert ours.connections == (connection,)
        # What is said on it arrives: it is the same one on both sides.
        await connection.write(b"the one")
        await theirs.event("data", data="the one")

    with_world(test, js_home)


def test_a_connection_that_they_drop_is_made_again(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        arrivals = Arrivals()
        theirs = await their_swarm(world, js_home)
        await theirs.call("join", topic=TOPIC.hex(), client=False)
        ours = await our_swarm(world, arrivals)
        ours.join(TOPIC, server=False)
        first, _ = await arrivals.next()
        there = await theirs.event("peer")
        await theirs.call("destroy", name=there["name"])
        second, peer = await arrivals.next()
        assert first.closed and second is not first and peer.attempts == 1
        await say_and_hear(second, theirs, (await theirs.event("peer"))["name"])

    with_world(test, js_home)


def test_a_topic_that_is_left_is_not_found(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        theirs = await their_swarm(world, js_home)
        ours = await our_swarm(world, Arrivals())
        member = ours.join(TOPIC, client=False)
        assert await member.flushed()
        assert list((await theirs.call("lookup", topic=TOPIC.hex()))["found"]) == [OURS.public_key.hex()]
        await member.leave()
        assert (await theirs.call("lookup", topic=TOPIC.hex()))["found"] == {}
        await theirs.call("join", topic=TOPIC.hex(), client=False)
        assert [peer.public_key for peer in await ours.dht.lookup(TOPIC)] == [THEIRS.public_key]
        await theirs.call("leave", topic=TOPIC.hex())
        assert await ours.dht.lookup(TOPIC) == []

    with_world(test, js_home)


def test_a_peer_is_joined_by_its_key(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        arrivals = Arrivals()
        theirs = await their_swarm(world, js_home)
        await theirs.call("join", topic=bytes(32).hex(), client=False)  # it listens from then on
        ours = await our_swarm(world, arrivals)
        ours.join_peer(THEIRS.public_key)
        assert await ours.flush()
        connection, peer = await arrivals.next()
        assert peer.explicit and connection.is_initiator
        await say_and_hear(connection, theirs, (await theirs.event("peer"))["name"])

    with_world(test, js_home)


def test_who_sleeps_is_gone_and_comes_back(js_home: Path) -> None:
    async def test(world: World) -> None:
        await world.our_testnet()
        arrivals = Arrivals()
        theirs = await their_swarm(world, js_home)
        await theirs.call("join", topic=TOPIC.hex(), client=False)
        ours = await our_swarm(world, arrivals)
        ours.join(TOPIC)
        await arrivals.next()
        there = await theirs.event("peer")
        await ours.suspend()
        await theirs.event("close", name=there["name"])
        assert (await theirs.call("lookup", topic=TOPIC.hex()))["found"].keys() == {THEIRS.public_key.hex()}
        await ours.resume()
        connection, _ = await arrivals.next()
        await say_and_hear(connection, theirs, (await theirs.event("peer"))["name"])
        await theirs.call("suspend")
        async with asyncio.timeout(EVENT):
            await connection.wait_closed()
        await theirs.call("resume")
        connection, _ = await arrivals.next()
        await say_and_hear(connection, theirs, (await theirs.event("peer"))["name"])

    with_world(test, js_home)
