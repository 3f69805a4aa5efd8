"""Ours and npm's hyperdht 6.34.0 through real NATs of the Linux kernel, in both directions."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qvac_core.hyperdht import KeyPair
from tests.limits import WHOLE

from .js_peer import PEER_SCRIPT, JsError, JsPeer
from .namespaces import PUBLIC_HOST, Internet, Nat, inside

OUR_PEER = Path(__file__).parent / "peer.py"
ROOT = Path(__file__).parents[2]
LIMIT = WHOLE
BYTES = 1_000_000
SIZE = 7
SERVER_SEED, CLIENT_SEED = bytes([31]) * 32, bytes([32]) * 32

OURS, JS = "ours", "js"
IMPLEMENTATIONS = [(OURS, JS), (JS, OURS), (OURS, OURS)]
REACHABLE = [Nat.OPEN, Nat.FULL_CONE, Nat.ADDRESS_RESTRICTED, Nat.KEEPING, Nat.RANDOM, Nat.CGNAT, Nat.MOBILE]
RANDOM = (Nat.RANDOM, Nat.MOBILE)
K, R = Nat.KEEPING, Nat.RANDOM
DOUBLE_RANDOM = {
    OURS: ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "REMOTE_ABORTED"),
    JS: ("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS", "REMOTE_ABORTED", "HOLEPUNCH_ABORTED"),
}
"""Both sides notice; who says it first decides which of these the client hears. JavaScript's may only say "aborted"."""

by_peers = pytest.mark.parametrize("kinds", IMPLEMENTATIONS, ids=lambda kinds: " to ".join(reversed(kinds)))


class World:
    """A DHT on the public side, a server and a client at home."""

    def __init__(self, js_home: Path, stack: AsyncExitStack) -> None:
        self._js_home = js_home
        self._stack = stack
        self.internet = stack.enter_context(Internet())

    async def peer(self, kind: str, space: str) -> JsPeer:
        if kind == JS:
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

    async def node(
        self, kind: str, space: str, bootstrap: list[list[object]], seed: bytes, *, wait: bool = True
    ) -> JsPeer:
        """`wait` False: nobody will answer it."""
        peer = await self.peer(kind, space)
        more = {} if wait or kind == JS else {"wait": False}
        await peer.call("node", bootstrap=bootstrap, seed=seed.hex(), options={"host": "0.0.0.0"}, **more)
        return peer


Homes = Callable[[Internet], list[str]]


def connect(js_home: Path, kinds: tuple[str, str], homes: Homes, network: str = JS) -> dict[str, Any]:
    """What the client's `connect` came to. When it connected, a megabyte went there and back."""

    async def body() -> dict[str, Any]:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(network)
            spaces = homes(world.internet)
            server = await world.node(kinds[0], spaces[0], bootstrap, SERVER_SEED)
            listening = await server.call("listen")
            assert listening["relays"] > 0
            client = await world.node(kinds[1], spaces[1], bootstrap, CLIENT_SEED)
            connected: dict[str, Any] = await client.call("connect", name="out", key=listening["publicKey"], limit=60)
            if "failed" not in connected:
                await server.event("connection")
                pumped = await client.call("pump", name="out", bytes=BYTES)
                assert pumped["equal"], pumped
                await client.call("end", name="out")
                await server.event("close")
            return connected

    return asyncio.run(body())


def meet(js_home: Path, kinds: tuple[str, str], homes: Homes, remote: str, network: str = JS) -> None:
    """`remote`: the host at which the client must have found the server."""
    connected = connect(js_home, kinds, homes, network)
    assert "failed" not in connected, connected
    assert connected["remote"][0] == remote


def matrix(js_home: Path, kinds: tuple[str, str], server: Nat, client: Nat, network: str = JS) -> None:
    connected = connect(js_home, kinds, lambda internet: [internet.home(nat) for nat in (server, client)], network)
    what = connected.get("failed") or connected["remote"][0]
    print("|", *kinds, "|", server.value, "|", client.value, "|", what, "|", round(connected["ms"]))
    if server in RANDOM and client in RANDOM:
        assert connected["failed"] in DOUBLE_RANDOM[kinds[1]]
    else:
        # Nobody but the server's own box, or its carrier's, has this address.
        assert what == "60.0.1.2"


# A sample


@by_peers
@pytest.mark.parametrize("nat", [K, R], ids=lambda nat: nat.value)
def test_two_machines_of_one_house_meet_inside_it(
    permitted: None, js_home: Path, kinds: tuple[str, str], nat: Nat
) -> None:
    meet(js_home, kinds, lambda internet: internet.house(nat, 2), "192.168.1.2")


def test_two_of_ours_meet_over_ipv6_where_ipv4_has_no_way(permitted: None, js_home: Path) -> None:
    """Two boxes with random ports, and over IPv6 two firewalls that let nobody in unasked."""
    meet(js_home, ("ours", "ours"), lambda internet: [internet.home(R, ipv6=True) for _ in "12"], "fd00:1::2")


@pytest.mark.parametrize("kinds", [("ours", "js"), ("js", "ours")], ids=lambda kinds: " to ".join(reversed(kinds)))
def test_the_originals_peers_do_not_mind_our_ipv6_addresses(
    permitted: None, js_home: Path, kinds: tuple[str, str]
) -> None:
    meet(js_home, kinds, lambda internet: [internet.home(K, ipv6=True) for _ in "12"], "60.0.1.2")


@pytest.mark.parametrize("nat", [K, R], ids=lambda nat: nat.value)
@pytest.mark.parametrize("server", [JS, OURS])
def test_a_punch_that_begins_beside_does_not_end_the_way_inside_the_house(
    permitted: None, js_home: Path, server: str, nat: Nat
) -> None:
    """The first question inside is lost, so that the punch has its head start behind it."""
    house = partial(Internet.house, nat=nat, machines=2, lost_bytes=300)
    meet(js_home, (server, OURS), house, "192.168.1.2")


@by_peers
@pytest.mark.parametrize(("server", "client"), [(K, K), (R, K), (Nat.CGNAT, Nat.FULL_CONE)], ids=lambda nat: nat.value)
def test_two_nats_are_no_obstacle(
    permitted: None, js_home: Path, kinds: tuple[str, str], server: Nat, client: Nat
) -> None:
    matrix(js_home, kinds, server, client)


def test_our_nodes_help_two_of_javascript_through_their_nats(permitted: None, js_home: Path) -> None:
    matrix(js_home, (JS, JS), K, K, network=OURS)


@pytest.mark.parametrize("kinds", [(JS, OURS), (OURS, OURS)], ids=lambda kinds: " to ".join(reversed(kinds)))
def test_two_nats_with_random_ports_are_told_so(permitted: None, js_home: Path, kinds: tuple[str, str]) -> None:
    matrix(js_home, kinds, R, R)


# Neighbours


@pytest.mark.long
@pytest.mark.parametrize("hairpin", [True, False], ids=["hairpin", "no hairpin"])
@by_peers
def test_two_houses_of_one_carrier(permitted: None, js_home: Path, kinds: tuple[str, str], hairpin: bool) -> None:
    check_carrier(js_home, kinds, lambda internet: internet.carrier(K, 2, hairpin=hairpin), hairpin)


@pytest.mark.long
@pytest.mark.parametrize("hairpin", [True, False], ids=["hairpin", "no hairpin"])
@pytest.mark.parametrize("kinds", [(JS, OURS), (OURS, OURS)], ids=lambda kinds: " to ".join(reversed(kinds)))
def test_two_houses_of_one_carrier_that_use_the_same_addresses(
    permitted: None, js_home: Path, kinds: tuple[str, str], hairpin: bool
) -> None:
    """Not with a client of JavaScript: it takes itself, at the server's private address, for the server."""
    check_carrier(js_home, kinds, lambda internet: internet.carrier(K, 2, hairpin=hairpin, alike=True), hairpin)


def check_carrier(js_home: Path, kinds: tuple[str, str], homes: Homes, hairpin: bool) -> None:
    connected = connect(js_home, kinds, homes)
    what = connected.get("failed") or connected["remote"][0]
    print("| one carrier,", "" if hairpin else "no", "hairpin |", *kinds, "|", what, "|", round(connected["ms"]))
    assert what == ("60.0.1.2" if hairpin else "HOLEPUNCH_ABORTED")


# No UDP


NO_UDP = pytest.mark.parametrize(
    "nat", [Nat.BLOCKED, pytest.param(Nat.WEB_ONLY, marks=pytest.mark.long)], ids=lambda nat: nat.value
)


@NO_UDP
@pytest.mark.parametrize("kind", [OURS, pytest.param(JS, marks=pytest.mark.long)])
def test_a_client_without_udp_is_told(permitted: None, js_home: Path, kind: str, nat: Nat) -> None:
    async def body() -> dict[str, Any]:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(OURS)
            client = await world.node(kind, world.internet.home(nat), bootstrap, CLIENT_SEED, wait=False)
            key = KeyPair.from_seed(SERVER_SEED).public_key.hex()
            failed: dict[str, Any] = await client.call("connect", name="out", key=key, limit=60)
            return failed

    failed = asyncio.run(body())
    print("|", kind, "client |", nat.value, "|", failed)
    assert failed["failed"] == "PEER_NOT_FOUND"


@NO_UDP
def test_a_server_without_udp_is_told(permitted: None, js_home: Path, nat: Nat) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), AsyncExitStack() as stack:
            world = World(js_home, stack)
            bootstrap = await world.testnet(OURS)
            server = await world.node(OURS, world.internet.home(nat), bootstrap, SERVER_SEED, wait=False)
            with pytest.raises(JsError, match="ANNOUNCE_FAILED"):
                await server.call("listen")

    asyncio.run(body())


# Everything


@pytest.mark.long
@by_peers
@pytest.mark.parametrize("client", REACHABLE, ids=lambda nat: nat.value)
@pytest.mark.parametrize("server", REACHABLE, ids=lambda nat: nat.value)
def test_every_nat_against_every_other(
    permitted: None, js_home: Path, kinds: tuple[str, str], server: Nat, client: Nat
) -> None:
    matrix(js_home, kinds, server, client)


@pytest.mark.long
@by_peers
@pytest.mark.parametrize(("server", "client"), [(K, K), (R, K), (K, R)], ids=lambda nat: nat.value)
def test_through_a_network_of_our_nodes(
    permitted: None, js_home: Path, kinds: tuple[str, str], server: Nat, client: Nat
) -> None:
    matrix(js_home, kinds, server, client, network=OURS)
