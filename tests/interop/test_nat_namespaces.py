"""Ours and npm's hyperdht 6.34.0 through real NATs of the Linux kernel, in both directions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from .js_peer import PEER_SCRIPT, JsPeer
from .namespaces import PUBLIC_HOST, Internet, Nat, inside, why_not

OUR_PEER = Path(__file__).parent / "peer.py"
ROOT = Path(__file__).parents[2]
LIMIT = 100.0
BYTES = 1_000_000
SIZE = 7
SERVER_SEED, CLIENT_SEED = bytes([31]) * 32, bytes([32]) * 32

K, R = Nat.KEEPING, Nat.RANDOM
IMPLEMENTATIONS = [("ours", "js"), ("js", "ours"), ("ours", "ours")]


@pytest.fixture(scope="module")
def permitted() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: network namespaces are not permitted here ({reason})")


class World:
    """A DHT on the public side, a server and a client at home."""

    def __init__(self, js_home: Path, stack: AsyncExitStack) -> None:
        self._js_home = js_home
        self._stack = stack
        self.internet = stack.enter_context(Internet())

    async def peer(self, kind: str, space: str) -> JsPeer:
        if kind == "js":
            peer = JsPeer(self._js_home, PEER_SCRIPT, within=inside(space))
        else:
            within = (*inside(space), "env", f"PYTHONPATH={ROOT}")
            peer = JsPeer(ROOT, OUR_PEER, within=within, program=sys.executable)
        return await self._stack.enter_async_context(peer)

    async def testnet(self, kind: str) -> list[list[object]]:
        peer = await self.peer(kind, self.internet.public)
        answer = await peer.call("testnet", size=SIZE, host=PUBLIC_HOST)
        bootstrap: list[list[object]] = answer["bootstrap"]
        return bootstrap

    async def node(self, kind: str, space: str, bootstrap: list[list[object]], seed: bytes) -> JsPeer:
        peer = await self.peer(kind, space)
        options = {"host": "0.0.0.0"}
        answer = await peer.call("node", bootstrap=bootstrap, seed=seed.hex(), options=options)
        assert answer["firewalled"]
        return peer


def meet(
    js_home: Path, network: str, kinds: tuple[str, str], homes: Callable[[Internet], list[str]], remote: str
) -> None:
    """`remote`: the host at which the client must have found the server."""

    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(network)
            spaces = homes(world.internet)
            server = await world.node(kinds[0], spaces[0], bootstrap, SERVER_SEED)
            listening = await server.call("listen")
            assert listening["relays"] > 0
            client = await world.node(kinds[1], spaces[1], bootstrap, CLIENT_SEED)
            connected = await client.call("connect", name="out", key=listening["publicKey"], limit=60)
            assert "failed" not in connected, connected
            assert connected["remote"][0] == remote
            await server.event("connection")
            pumped = await client.call("pump", name="out", bytes=BYTES)
            assert pumped["equal"], pumped
            await client.call("end", name="out")
            await server.event("close")

    asyncio.run(body())


def punch(js_home: Path, network: str, kinds: tuple[str, str], nats: tuple[Nat, Nat]) -> None:
    # Nobody but the server's own box has this address.
    meet(js_home, network, kinds, lambda internet: [internet.home(nat) for nat in nats], "60.0.1.2")


@pytest.mark.parametrize("kinds", IMPLEMENTATIONS, ids=lambda kinds: " to ".join(reversed(kinds)))
@pytest.mark.parametrize("nat", [K, R], ids=["keeping", "random"])
def test_two_machines_of_one_house_meet_inside_it(
    permitted: None, js_home: Path, kinds: tuple[str, str], nat: Nat
) -> None:
    meet(js_home, "js", kinds, lambda internet: internet.house(nat, 2), "192.168.1.2")


@pytest.mark.parametrize("nat", [K, R], ids=["keeping", "random"])
@pytest.mark.parametrize("server", ["js", "ours"])
def test_a_punch_that_begins_beside_does_not_end_the_way_inside_the_house(
    permitted: None, js_home: Path, server: str, nat: Nat
) -> None:
    """The first question inside is lost, so that the punch has its head start behind it."""
    house = partial(Internet.house, nat=nat, machines=2, lost_bytes=300)
    meet(js_home, "js", (server, "ours"), house, "192.168.1.2")


@pytest.mark.parametrize("network", ["js", "ours"])
@pytest.mark.parametrize("kinds", IMPLEMENTATIONS, ids=lambda kinds: " to ".join(reversed(kinds)))
def test_two_nats_that_keep_ports(permitted: None, js_home: Path, network: str, kinds: tuple[str, str]) -> None:
    punch(js_home, network, kinds, (K, K))


@pytest.mark.parametrize("nats", [(K, R), (R, K)], ids=["random client", "random server"])
@pytest.mark.parametrize("kinds", IMPLEMENTATIONS, ids=lambda kinds: " to ".join(reversed(kinds)))
def test_one_of_two_nats_has_random_ports(
    permitted: None, js_home: Path, kinds: tuple[str, str], nats: tuple[Nat, Nat]
) -> None:
    punch(js_home, "js", kinds, nats)


def test_two_nats_with_random_ports_are_told_so(permitted: None, js_home: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet("js")
            server = await world.node("js", world.internet.home(R), bootstrap, SERVER_SEED)
            listening = await server.call("listen")
            client = await world.node("ours", world.internet.home(R), bootstrap, CLIENT_SEED)
            connected = await client.call("connect", name="out", key=listening["publicKey"], limit=60)
            assert connected["failed"] in ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "REMOTE_ABORTED")

    asyncio.run(body())
