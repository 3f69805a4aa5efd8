"""Ours and npm's hyperdht 6.34.0 through real NATs of the Linux kernel, in both directions."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
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

    async def node(self, kind: str, nat: Nat, bootstrap: list[list[object]], seed: bytes) -> JsPeer:
        peer = await self.peer(kind, self.internet.home(nat))
        options = {"host": "0.0.0.0"}
        answer = await peer.call("node", bootstrap=bootstrap, seed=seed.hex(), options=options)
        assert answer["firewalled"]
        return peer


def punch(js_home: Path, network: str, kinds: tuple[str, str], nats: tuple[Nat, Nat]) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(network)
            server = await world.node(kinds[0], nats[0], bootstrap, SERVER_SEED)
            listening = await server.call("listen")
            assert listening["relays"] > 0
            client = await world.node(kinds[1], nats[1], bootstrap, CLIENT_SEED)
            connected = await client.call("connect", name="out", key=listening["publicKey"], limit=60)
            assert "failed" not in connected, connected
            # Straight to the server's own box, whose address nobody but it has.
            assert connected["remote"][0] == "60.0.1.2"
            await server.event("connection")
            pumped = await client.call("pump", name="out", bytes=BYTES)
            assert pumped["equal"], pumped
            await client.call("end", name="out")
            await server.event("close")

    asyncio.run(body())


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
            server = await world.node("js", R, bootstrap, SERVER_SEED)
            listening = await server.call("listen")
            client = await world.node("ours", R, bootstrap, CLIENT_SEED)
            connected = await client.call("connect", name="out", key=listening["publicKey"], limit=60)
            assert connected["failed"] in ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "REMOTE_ABORTED")

    asyncio.run(body())
