"""A machine that forwards for others, switched by its settings: for whom, how much, off again, and after a restart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.core.relay_offer import RelayOfferRoom, relay_key_pair
from qvac_core.core.relay_offer_state import RelayOffer, RelayOfferChanged, RelayPhase
from qvac_core.core.state import CoreEvent
from qvac_core.errors import IdentityError, QvacError
from qvac_core.hyperdht import DHT, Connection, KeyPair, Testnet, create_testnet
from tests.interop.test_relay import Wall
from tests.limits import WHOLE

SIZE = 100_000


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WHOLE):
            await test()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left

    asyncio.run(main())


class Watched:
    """A core with what it told of its relay."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.told = asyncio.Event()
        core.subscribe(self._take)

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, RelayOfferChanged):
            self.told.set()

    async def until(self, holds: Callable[[RelayOffer], bool]) -> RelayOffer:
        while not holds(self.core.relay_offer.now()):
            self.told.clear()
            await self.told.wait()
        return self.core.relay_offer.now()

    async def on(self) -> bytes:
        """Its key, once the network leads to it."""
        return bytes.fromhex((await self.until(lambda offer: offer.phase is RelayPhase.ON)).public_key)


@asynccontextmanager
async def owner(folder: Path, net: Testnet, *, go_on: bool = False) -> AsyncIterator[Watched]:
    async with Core(CoreConfig(folder, bootstrap=tuple(net.bootstrap), go_on=go_on)) as core:
        yield Watched(core)


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


@asynccontextmanager
async def walled(net: Testnet) -> AsyncIterator[tuple[DHT, DHT]]:
    """Two machines between which nothing passes directly; the second one serves."""
    walls = Wall(), Wall()
    walls[0].others, walls[1].others = [walls[1]], [walls[0]]
    entrance = list(net.bootstrap)
    async with (
        DHT(entrance, host="127.0.0.1", quick_firewall=False, network=walls[0]) as client,
        DHT(entrance, host="127.0.0.1", quick_firewall=False, network=walls[1]) as server,
        server.create_server(echo, share_local_address=False) as listening,
    ):
        await listening.listen()
        yield client, server


async def through(client: DHT, server: DHT, relay: bytes) -> Connection:
    connection = await client.connect(server.key_pair.public_key, relay_through=relay, timeout=20)
    data = os.urandom(SIZE)
    await connection.write(data)
    assert await connection.read() == data
    assert connection.path == "relay"
    return connection


def test_people_i_allow_go_through_it_and_nobody_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(4) as net, owner(tmp_path, net) as watched, walled(net) as (client, server):
            core = watched.core
            assert core.relay_offer.now().phase is RelayPhase.OFF
            await core.set_setting("relay.on", "true")
            relay = await watched.on()
            assert relay not in (bytes.fromhex(core.public_key), client.key_pair.public_key)
            with pytest.raises(QvacError):
                await client.connect(server.key_pair.public_key, relay_through=relay, timeout=5)
            for dht in (client, server):
                await core.allow_key(dht.key_pair.public_key.hex(), "Ada")
            connection = await through(client, server, relay)
            offer = await watched.until(lambda offer: offer.pairs == 1)
            assert offer.machines == 2
            assert core.relay_offer.now().bytes_today > 2 * SIZE
            # Whoever is taken from the list is cut off, and their pair with them.
            await core.remove_key(client.key_pair.public_key.hex())
            await watched.until(lambda offer: offer.pairs == 0)
            connection.destroy()
            await core.set_setting("relay.on", "false")
            assert core.relay_offer.now().phase is RelayPhase.OFF

    run(test)


def test_it_begins_again_with_the_program_and_goes_on_counting_the_day(tmp_path: Path) -> None:
    async def test() -> None:
        async with await create_testnet(4) as net:
            async with owner(tmp_path, net) as watched, walled(net) as (client, server):
                core = watched.core
                await core.set_setting("relay.who", "everybody")
                await core.set_setting("relay.on", "true")
                (await through(client, server, await watched.on())).destroy()
                await watched.until(lambda offer: offer.pairs == 0)
            async with owner(tmp_path, net) as watched:  # of a verb that does one thing
                assert watched.core.relay_offer.now().phase is RelayPhase.OFF
            async with owner(tmp_path, net, go_on=True) as watched, walled(net) as (client, server):
                core = watched.core
                relay = await watched.on()
                assert relay.hex() == relay_key_pair(core._key_pair.seed).public_key.hex()
                assert core.relay_offer.now().bytes_today > 2 * SIZE
                with pytest.raises(IdentityError, match="offers itself"):
                    await core.set_relays([relay.hex()])
                (await through(client, server, relay)).destroy()
                assert core.relay_offer.now().bytes_today > 4 * SIZE

    run(test)


def test_a_day_that_is_used_up_ends_what_it_forwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.core.relay_offer._GIGA", SIZE)
    monkeypatch.setattr("qvac_core.core.relay_offer.LOOK_EVERY", 0.1)

    async def test() -> None:
        async with await create_testnet(4) as net, owner(tmp_path, net) as watched, walled(net) as (client, server):
            core = watched.core
            for name, value in (("who", "everybody"), ("gb_per_day", "1"), ("on", "true")):
                await core.set_setting(f"relay.{name}", value)
            relay = await watched.on()
            with pytest.raises(QvacError):
                await through(client, server, relay)
            assert (await watched.until(lambda offer: offer.phase is RelayPhase.USED_UP)).bytes_today >= SIZE
            with pytest.raises(QvacError):
                await client.connect(server.key_pair.public_key, relay_through=relay, timeout=5)
            room = core.relay_offer
            assert isinstance(room, RelayOfferRoom)
            clock = room._clock
            room._clock = lambda: clock() + 24 * 3600  # the next day
            await watched.on()
            await core.set_setting("relay.gb_per_day", "0")
            (await through(client, server, relay)).destroy()

    run(test)


def test_it_is_as_fast_as_its_setting_says_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate, train = 100_000, 100_000  # bytes in a second; bytes that may pass at once and overdraw it
    monkeypatch.setattr("qvac_core.core.relay_offer._MEGA", rate)

    async def test() -> None:
        clock = asyncio.get_running_loop().time
        async with await create_testnet(4) as net:
            async with owner(tmp_path, net) as watched:
                for name, value in (("who", "everybody"), ("mb_per_second", "1"), ("on", "true")):
                    await watched.core.set_setting(f"relay.{name}", value)
                await watched.on()
            async with owner(tmp_path, net, go_on=True) as watched, walled(net) as (client, server):
                relay, offer = await watched.on(), watched.core.relay_offer
                before, began = offer.now().bytes_today, clock()
                connection = await through(client, server, relay)  # there and back
                passed, took = offer.now().bytes_today - before, clock() - began
                assert passed > 2 * SIZE
                assert passed <= rate * (took + 1) + train
                await watched.core.set_setting("relay.mb_per_second", "0")  # while it is on
                connection.destroy()
                (await through(client, server, relay)).destroy()

    run(test)


def test_the_key_of_the_relay_is_not_the_machines(tmp_path: Path) -> None:
    seed = bytes(range(32))
    assert relay_key_pair(seed).public_key == relay_key_pair(seed).public_key
    assert relay_key_pair(seed).public_key != KeyPair.from_seed(seed).public_key
