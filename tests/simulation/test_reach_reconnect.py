"""A provider that crashes and comes back with its key is reached again by itself. Virtual time, by seed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest

from qvac_core.core.reconnecting import JITTER, LONGEST_PAUSE, Reconnecting
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair

from .virtual_loop import run
from .world import World, echo, pump, simulate

RUNNER = run

KEY = "ab" * 32


async def test_pauses_grow_end_early_when_hurried_and_stop_at_a_refusal() -> None:

    loop = asyncio.get_running_loop()
    tries: list[float] = []
    answer = NetworkError("away", name="PEER_NOT_FOUND")

    async def connect(key: str) -> None:
        tries.append(loop.time())
        raise answer

    again = Reconnecting(connect, lambda error: error.name == "REFUSED", chance=Random(1))
    again.lost(KEY)
    again.lost(KEY)  # the same loss, told twice
    await asyncio.sleep(400)
    gaps = [after - before for before, after in pairwise(tries)]
    for gap, pause in zip(gaps, [1, 2, 4, 8, 16, 32, *[LONGEST_PAUSE] * 20], strict=False):
        assert pause * (1 - JITTER) <= gap <= pause * (1 + JITTER)
    assert len(gaps) >= 8
    assert len(set(gaps[6:])) > 1  # jitter

    before = len(tries)
    again.hurry()
    await asyncio.sleep(4)
    assert len(tries) >= before + 3  # at once, then small pauses again

    answer = NetworkError("no", name="REFUSED")
    again.hurry()
    await asyncio.sleep(1)
    assert not again.keys
    before = len(tries)
    await asyncio.sleep(200)
    assert len(tries) == before

    again.lost(KEY)
    again.stop(KEY)
    await asyncio.sleep(10)
    assert len(tries) == before
    await again.close()


async def test_a_door_that_counts_knocks_is_not_hammered_at() -> None:
    """After a refusal the first pause is long enough too, also when somebody tried by hand; three a minute at most."""

    loop = asyncio.get_running_loop()
    tries: list[float] = []

    async def connect(key: str) -> None:
        tries.append(loop.time())
        raise refusal

    refusal = NetworkError("not yet", name="REFUSED")
    again = Reconnecting(connect, lambda _: False, least_pause=lambda _: 10.0, chance=Random(1))
    started = loop.time()
    again.lost(KEY, refusal)
    assert again.pause(KEY, refusal) == 10.0
    await asyncio.sleep(300)
    gaps = [after - before for before, after in pairwise([started, *tries])]
    for gap, pause in zip(gaps, [10, 20, 40, *[LONGEST_PAUSE] * 20], strict=False):
        assert pause * (1 - JITTER) <= gap <= pause * (1 + JITTER)
    await again.close()


class Guest:
    """What Contacts does, with a bare connection in the place of a consumer's."""

    def __init__(self, dht: DHT, key: bytes) -> None:
        self.dht, self.key = dht, key
        self.connection: Connection | None = None
        self.watching: asyncio.Task[None] | None = None
        self.back = asyncio.Event()
        self.again = Reconnecting(self.connect, lambda error: False, chance=Random(2))

    async def connect(self, key: str = KEY) -> None:
        self.connection = await self.dht.connect(self.key, timeout=10)
        self.watching = asyncio.create_task(self.watch(self.connection))
        self.back.set()

    async def watch(self, connection: Connection) -> None:
        try:
            await connection.read()
        except ConnectionClosed:
            self.back.clear()
            self.again.lost(KEY)

    async def close(self) -> None:
        await self.again.close()
        if self.watching is not None:
            self.watching.cancel()
            await asyncio.wait([self.watching])


@pytest.mark.parametrize("restarts", [5, pytest.param(50, marks=pytest.mark.long)])
def test_a_provider_that_crashes_again_and_again_is_back_each_time(restarts: int) -> None:
    async def test(world: World) -> None:
        key_pair = KeyPair.from_seed(b"p" * 32)
        client = await world.node()
        guest = Guest(client, key_pair.public_key)
        tasks_with_one: int | None = None
        for number in range(restarts + 1):
            host = world.internet.host()
            dht = world.make(host, key_pair=key_pair)
            server = dht.create_server(serve)
            await server.listen()
            if number == 0:
                await guest.connect()
            started = world.now()
            await asyncio.wait_for(guest.back.wait(), 120)
            assert world.now() - started < 60
            assert guest.connection is not None
            assert guest.connection.remote_public_key == key_pair.public_key
            await guest.connection.write(b"still there?")
            await asyncio.sleep(5)
            assert not guest.connection.closed
            assert (len(client.node.connections), len(client.endpoint._streams), len(client.node.attempts)) == (1, 1, 0)
            host.crash()
            await dht.close()  # nobody hears of it: the host is off the network
            count = len(asyncio.all_tasks())
            assert tasks_with_one in (None, count)
            tasks_with_one = count
            await asyncio.sleep(30)  # it is noticed, and tried in vain
            assert guest.connection.closed
        await guest.close()

    async def serve(connection: Connection) -> None:
        async for _ in connection:
            pass

    simulate(test, seed=81)


def test_a_server_is_found_from_the_first_try_after_it_came_back() -> None:
    """No trace of the dead one (its records, our remembered relays) may keep us from the living one."""

    async def test(world: World) -> None:
        key_pair = KeyPair.from_seed(b"q" * 32)
        client = await world.node()
        for _ in range(2):
            host = world.internet.host()
            dht = world.make(host, key_pair=key_pair)
            await dht.create_server(echo).listen()
            started = world.now()
            connection = await client.connect(key_pair.public_key)
            assert world.now() - started < 1
            await pump(connection, 1000)
            host.crash()
            await dht.close()

    simulate(test, seed=82)
