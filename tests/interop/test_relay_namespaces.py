"""Two homes with random ports, between which no direct path exists, and a relay of either kind on the public side."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from .namespaces import PUBLIC_HOST, Nat
from .test_nat_namespaces import BYTES, CLIENT_SEED, IMPLEMENTATIONS, JS, LIMIT, OURS, SERVER_SEED, World

RELAY_SEED = bytes([34]) * 32


def check(js_home: Path, relay_kind: str, kinds: tuple[str, str], *, server_asks: bool) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(JS)
            relay = await world.peer(relay_kind, world.internet.public)
            options = {"host": PUBLIC_HOST, "ephemeral": False, "firewalled": False}
            await relay.call("node", bootstrap=bootstrap, seed=RELAY_SEED.hex(), options=options)
            key = (await relay.call("relay", seed=RELAY_SEED.hex()))["publicKey"]
            spaces = [world.internet.home(Nat.RANDOM) for _ in kinds]
            server = await world.node(kinds[0], spaces[0], bootstrap, SERVER_SEED)
            listening = await server.call("listen", **({"relayThrough": key} if server_asks else {}))
            client = await world.node(kinds[1], spaces[1], bootstrap, CLIENT_SEED)
            asks = {} if server_asks else {"relayThrough": key}
            connected = await client.call("connect", name="out", key=listening["publicKey"], limit=60, **asks)
            assert "failed" not in connected, connected
            assert connected["remote"][0] == PUBLIC_HOST, "nobody but the relay is there"
            await server.event("connection")
            assert (await client.call("pump", name="out", bytes=BYTES))["equal"]
            await client.call("end", name="out")
            await server.event("close")

    asyncio.run(body())


@pytest.mark.parametrize(("relay", "kinds", "server_asks"), [(JS, (OURS, JS), False), (OURS, (JS, OURS), True)])
def test_a_relay_joins_two_homes_with_random_ports(
    permitted: None, js_home: Path, relay: str, kinds: tuple[str, str], server_asks: bool
) -> None:
    check(js_home, relay, kinds, server_asks=server_asks)


@pytest.mark.long
@pytest.mark.parametrize("server_asks", [True, False])
@pytest.mark.parametrize("kinds", [*IMPLEMENTATIONS, (JS, JS)])
@pytest.mark.parametrize("relay", [OURS, JS])
def test_every_combination(
    permitted: None, js_home: Path, relay: str, kinds: tuple[str, str], server_asks: bool
) -> None:
    check(js_home, relay, kinds, server_asks=server_asks)
