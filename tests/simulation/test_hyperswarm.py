"""Swarms of ours on a simulated internet: who is found, kept, refused and tried again. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qvac_core.errors import IdentityError
from qvac_core.hyperdht import Connection, KeyPair, records
from qvac_core.hyperswarm import Peer, Swarm
from qvac_core.rendezvous.messages import NoisePayload

from .world import World, simulate

TOPIC = bytes([7]) * 32


def keys(number: int) -> KeyPair:
    return KeyPair.from_seed(bytes([100 + number]) * 32)


class Member:
    """A swarm with the connections that it was told of."""

    def __init__(self, swarm: Swarm, told: asyncio.Queue[tuple[Connection, Peer]]) -> None:
        self.swarm = swarm
        self.told = told

    async def next(self) -> tuple[Connection, Peer]:
        async with asyncio.timeout(60):
            return await self.told.get()


async def member(world: World, number: int, **options: object) -> Member:
    told: asyncio.Queue[tuple[Connection, Peer]] = asyncio.Queue()
    dht = await world.node()

    def take(connection: Connection, peer: Peer) -> None:
        told.put_nowait((connection, peer))

    swarm = Swarm(dht, take, key_pair=keys(number), random=world.internet.random, **options)  # type: ignore[arg-type]
    return Member(await world.stack.enter_async_context(swarm), told)


async def until(holds: Callable[[], bool], limit: float = 120) -> None:
    async with asyncio.timeout(limit):
        while not holds():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("seed", range(4))
def test_all_members_of_a_topic_have_one_connection_with_each_other(seed: int) -> None:
    async def test(world: World) -> None:
        members = [await member(world, number) for number in range(5)]
        for one in members:
            one.swarm.join(TOPIC)
        for one in members:
            assert await one.swarm.flush()
            for membership in one.swarm._discoveries[TOPIC].members:
                membership.refresh()  # those who were announced after our walk
        await until(lambda: all(len(one.swarm.connections) == 4 for one in members))
        await asyncio.sleep(30)
        for one in members:
            others = {connection.remote_public_key: connection for connection in one.swarm.connections}
            assert len(others) == 4
            for other in members:
                if other is not one:
                    assert others[other.swarm.key_pair.public_key].handshake_hash in {
                        connection.handshake_hash for connection in other.swarm.connections
                    }

    simulate(test, seed=900 + seed)


def test_a_limit_holds_over_many_walks() -> None:
    async def test(world: World) -> None:
        servers = [await member(world, number) for number in range(5)]
        for server in servers:
            assert await server.swarm.join(TOPIC, client=False).flushed()
        client = await member(world, 9)
        membership = client.swarm.join(TOPIC, server=False, limit=2)
        for _ in range(4):
            assert await client.swarm.flush()
            membership.refresh()
        await client.swarm.flush()
        assert len(client.swarm.connections) == 2
        client.swarm.connections[0].destroy()
        client.swarm.peers[client.swarm.connections[0].remote_public_key].reconnects = False
        await until(lambda: len(client.swarm.connections) == 2)

    simulate(test, seed=910)


def test_max_peers_counts_those_who_come() -> None:
    async def test(world: World) -> None:
        server = await member(world, 0, max_peers=2)
        assert await server.swarm.join(TOPIC, client=False).flushed()
        clients = [await member(world, number, backoffs=(1.0, 2.0, 2.0, 600.0)) for number in range(1, 5)]
        for client in clients:
            client.swarm.join(TOPIC, server=False)
            await client.swarm.flush()
        assert len(server.swarm.connections) == 2
        leaving = server.swarm.connections[0]
        gone = next(c for c in clients if c.swarm.key_pair.public_key == leaving.remote_public_key)
        await gone.swarm.close()
        await until(lambda: len(server.swarm.connections) == 2)  # somebody who waited has its place

    simulate(test, seed=911)


def test_a_firewall_is_asked_each_time_and_may_think() -> None:
    async def test(world: World) -> None:
        welcome: set[bytes] = set()

        async def firewall(key: bytes, payload: NoisePayload) -> bool:
            await asyncio.sleep(0.5)
            return key not in welcome

        server = await member(world, 0, firewall=firewall)
        assert await server.swarm.join(TOPIC, client=False).flushed()
        client = await member(world, 1)
        client.swarm.join_peer(server.swarm.key_pair.public_key)
        await client.swarm.flush()
        assert not client.swarm.connections
        welcome.add(client.swarm.key_pair.public_key)
        await client.next()
        await until(lambda: len(server.swarm.connections) == 1)

    simulate(test, seed=912)


def test_who_is_banned_is_kept_away_and_let_in_again() -> None:
    async def test(world: World) -> None:
        server, client = await member(world, 0), await member(world, 1)
        assert await server.swarm.join(TOPIC, client=False).flushed()
        client.swarm.join(TOPIC, server=False)
        _, peer = await client.next()
        peer.ban()
        client.swarm.connections[0].destroy()
        await asyncio.sleep(60)
        assert not client.swarm.connections
        peer.ban(False)
        client.swarm.join_peer(peer.public_key)
        await client.next()

    simulate(test, seed=913)


def test_sleeping_loses_nobody_who_waited_for_its_turn() -> None:
    async def test(world: World) -> None:
        servers = [await member(world, number) for number in range(6)]
        for server in servers:
            assert await server.swarm.join(TOPIC, client=False).flushed()
        client = await member(world, 9, max_parallel=1)
        client.swarm.join(TOPIC, server=False)
        await client.next()
        waiting = len(client.swarm._queue) + client.swarm.connecting
        assert waiting
        await client.swarm.suspend()
        assert not client.swarm.connections and not client.swarm.connecting
        await asyncio.sleep(300)
        await client.swarm.resume()
        await until(lambda: len(client.swarm.connections) == 6)

    simulate(test, seed=914)


def test_a_topic_is_left_and_joined_at_once() -> None:
    async def test(world: World) -> None:
        server = await member(world, 0)
        first = server.swarm.join(TOPIC, client=False)
        assert await first.flushed()
        leaving = asyncio.create_task(first.leave())
        await asyncio.sleep(0)
        second = server.swarm.join(TOPIC, client=False)
        await leaving
        assert await second.flushed()
        looker = await world.node()
        assert [peer.public_key for peer in await looker.lookup(TOPIC)] == [server.swarm.key_pair.public_key]
        async with server.swarm.join(TOPIC, client=False):
            pass
        assert await looker.lookup(TOPIC)  # the other member is still there
        await second.leave()
        assert not await looker.lookup(TOPIC)
        with pytest.raises(RuntimeError):
            second.refresh()

    simulate(test, seed=915)


def test_a_topic_whose_leaving_nobody_waits_for_any_more_can_be_joined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = records.lookup_and_unannounce

    async def late(*given: Any, **named: Any) -> Any:
        await asyncio.sleep(1.5)
        return await at_once(*given, **named)

    monkeypatch.setattr(records, "lookup_and_unannounce", late)

    async def test(world: World) -> None:
        server = await member(world, 0)
        first = server.swarm.join(TOPIC, client=False)
        assert await first.flushed()
        leaving = asyncio.create_task(first.leave())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait({leaving})
        second = server.swarm.join(TOPIC, client=False)
        assert await second.flushed()
        await asyncio.sleep(5)  # the last word of the first one
        looker = await world.node()
        assert [peer.public_key for peer in await looker.lookup(TOPIC)] == [server.swarm.key_pair.public_key]

    simulate(test, seed=916)


def test_a_swarm_whose_close_was_given_up_is_closed_all_the_same() -> None:
    async def test(world: World) -> None:
        one = await member(world, 0)
        assert await one.swarm.join(TOPIC).flushed()
        closing = asyncio.create_task(one.swarm.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        await one.swarm.close()  # waits for the first one
        assert one.swarm.server.closed
        looker = await world.node()
        assert not await looker.lookup(TOPIC)

    simulate(test, seed=917)


def test_closing_a_swarm_leaves_the_node_that_it_was_given() -> None:
    async def test(world: World) -> None:
        dht = await world.node()
        looker = await world.node()
        async with Swarm(dht) as swarm:
            assert await swarm.join(TOPIC).flushed()
            assert len(await looker.lookup(TOPIC)) == 1
        assert not dht.closed
        assert await looker.lookup(TOPIC) == []
        assert await swarm.flush() is False
        with pytest.raises(RuntimeError):
            swarm.join(TOPIC)

    simulate(test, seed=916)


def test_a_peer_that_is_gone_is_tried_less_and_less() -> None:
    async def test(world: World) -> None:
        client = await member(world, 1)
        client.swarm.join_peer(keys(50).public_key)
        await asyncio.sleep(3600)
        # Four tries within a minute, then one in ten minutes.
        assert 8 <= client.swarm.stats.client_attempted <= 11
        client.swarm.leave_peer(keys(50).public_key)
        await asyncio.sleep(1300)
        assert client.swarm.peers == {}

    simulate(test, seed=917, size=4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda swarm: swarm.join(b"short"),
        lambda swarm: swarm.join(None),
        lambda swarm: swarm.join(TOPIC, server=False, client=False),
        lambda swarm: swarm.join(TOPIC, limit=0),
        lambda swarm: swarm.join_peer(b"short"),
        lambda swarm: Swarm(swarm.dht, 7),  # type: ignore[arg-type]
        lambda swarm: Swarm(swarm.dht, backoffs=(1.0,)),
    ],
)
def test_wrong_arguments_of_a_swarm_are_told(wrong: Callable[[Swarm], object]) -> None:
    async def test(world: World) -> None:
        one = await member(world, 0)
        with pytest.raises((TypeError, ValueError, IdentityError)) as told:
            wrong(one.swarm)
        assert str(told.value)[:1].isupper() and str(told.value).endswith(".")

    simulate(test, seed=918, size=2)
