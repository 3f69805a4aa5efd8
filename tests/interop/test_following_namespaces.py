"""Machines whose address changes under a stream: processes with real sockets behind the Linux kernel's own NATs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from .js_peer import JsPeer
from .namespaces import Internet, Nat
from .test_nat_namespaces import CLIENT_SEED, LIMIT, SERVER_SEED, World

K, R = Nat.KEEPING, Nat.RANDOM
SECONDS = 9.0


class Peers:
    """A server, a client at home, and the connection `out` between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.internet: Internet = world.internet
        self.bootstrap: list[list[object]] = []
        self.server: JsPeer
        self.client: JsPeer
        self.server_space = self.client_space = self.key = ""

    async def open(self, server: str, *, server_at_home: bool) -> None:
        self.bootstrap = await self.world.testnet("ours")
        self.server_space = self.internet.home(K) if server_at_home else self.internet.public
        self.client_space = self.internet.home(K)
        self.server = await self.world.peer(server, self.server_space)
        options = {"host": "0.0.0.0"}
        await self.server.call("node", bootstrap=self.bootstrap, seed=SERVER_SEED.hex(), options=options)
        self.key = (await self.server.call("listen"))["publicKey"]
        self.client = await self.world.node("ours", self.client_space, self.bootstrap, CLIENT_SEED)
        await self.connect("out")

    async def connect(self, name: str) -> None:
        connected = await self.client.call("connect", name=name, key=self.key, limit=60)
        assert "failed" not in connected, connected

    async def exchange_while(self, change: Callable[[], None]) -> dict[str, object]:
        exchanging = asyncio.create_task(self.client.call("exchange", name="out", seconds=SECONDS, limit=60))
        await asyncio.sleep(1)  # in the middle of it
        await asyncio.to_thread(change)
        exchanged: dict[str, object] = await exchanging
        assert exchanged["equal"], exchanged
        return exchanged


def with_peers(js_home: Path, test: Callable[[Peers], object]) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            await test(Peers(World(js_home, stack)))  # type: ignore[misc]

    asyncio.run(body())


@pytest.mark.long
@pytest.mark.parametrize("nat", [K, R], ids=["keeping", "random"])
def test_a_client_that_changes_networks_keeps_its_stream(permitted: None, js_home: Path, nat: Nat) -> None:
    async def test(peers: Peers) -> None:
        await peers.open("ours", server_at_home=False)
        before = await peers.server.call("addresses")
        await peers.exchange_while(lambda: peers.internet.move(peers.client_space, nat))
        after = await peers.server.call("addresses")
        assert before["hosts"] != after["hosts"]

    with_peers(js_home, test)


@pytest.mark.long
def test_another_lease_of_the_same_router_changes_nothing_for_the_stream(permitted: None, js_home: Path) -> None:
    async def test(peers: Peers) -> None:
        await peers.open("ours", server_at_home=False)
        await peers.exchange_while(lambda: peers.internet.change_address(peers.client_space, "192.168.1.77"))

    with_peers(js_home, test)


@pytest.mark.parametrize("who", ["client", pytest.param("server", marks=pytest.mark.long)])
def test_between_two_homes_both_are_met_again(permitted: None, js_home: Path, who: str) -> None:
    """The box of the one that stays lets nobody in whom it does not know."""

    async def test(peers: Peers) -> None:
        await peers.open("ours", server_at_home=True)
        space = peers.client_space if who == "client" else peers.server_space
        exchanged = await peers.exchange_while(lambda: peers.internet.move(space, K))
        if who == "server":
            assert exchanged["hosts"] == ["60.0.1.2", "60.0.3.2"]

    with_peers(js_home, test)


def test_a_javascript_peer_is_given_up_soon_and_reached_again(permitted: None, js_home: Path) -> None:
    """It never follows. Beside a node on the same machine that does not look at its network, as the original."""

    async def test(peers: Peers) -> None:
        await peers.open("js", server_at_home=False)
        blind = await peers.world.node("ours", peers.client_space, peers.bootstrap, bytes([33]) * 32)
        await blind.call("ignore_network")
        assert "failed" not in await blind.call("connect", name="out", key=peers.key, limit=60)
        both = (peers.client, blind)
        for client in both:
            assert (await client.call("pump", name="out", bytes=100_000))["equal"]
        closing = [asyncio.create_task(client.call("wait_closed", name="out", limit=60)) for client in both]
        await asyncio.to_thread(peers.internet.move, peers.client_space, K)
        closed = await closing[0]
        assert closed["error"] == "ETIMEDOUT"
        await peers.connect("again")
        assert (await peers.client.call("pump", name="again", bytes=100_000))["equal"]
        assert not closing[1].done(), "the other one was as fast, even with a new connection in between"
        assert 2 * closed["seconds"] < (await closing[1])["seconds"]

    with_peers(js_home, test)
