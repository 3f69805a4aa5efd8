"""A direct path over IPv6 beside the others, in virtual time: found through two firewalls, missed without harm."""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Address

import pytest

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht import DHT, Connection
from qvac_core.hyperdht.node.endpoint import IPV6_SOCKET
from qvac_core.hyperdht.stream.ipv6_path import (
    GREETING_BYTES,
    GREETING_LIMIT,
    MAX_GREETED,
    ClientGreeting,
    ServerGreeting,
)
from qvac_core.rendezvous.addresses import is_dialable6

from .datagram_network import Host, Internet, Link, Receive, SimulatedSocket
from .nat_boxes import Kind, home
from .world import World, echo, pump, simulate

QUIET = Link(delay=(0.01, 0.02))
BYTES = 60_000


class DualHost(Host):
    """A machine at home that also has an IPv6 address, behind a firewall that lets in who was written to."""

    def __init__(self, internet: Internet, kind: Kind, number: int) -> None:
        inner = home(internet, kind)
        super().__init__(inner.wire, inner.address, nat=inner.nat)
        self.six = Host(internet, f"2a00:77::{number}", nat=True)

    def open(self, host: str, port: int, receive: Receive) -> SimulatedSocket:
        return self.six.open(host, port, receive) if ":" in host else super().open(host, port, receive)

    def local_hosts6(self) -> list[str]:
        return [self.six.address, "fe80::1", "::1"]


async def served(world: World, kind: Kind) -> DHT:
    dht = await world.node(host=DualHost(world.internet, kind, 1))
    await world.serve(dht, echo)
    return dht


async def reach(client: DHT, server: DHT) -> tuple[Connection, float]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    connection = await client.connect(server.key_pair.public_key)
    return connection, loop.time() - started


async def nothing_stays(*nodes: DHT) -> None:
    await asyncio.sleep(30)
    for dht in nodes:
        assert not dht.endpoint._streams
        assert not dht.endpoint._greetings
        assert len(dht.endpoint.pool) == 0


def seen6(world: World) -> list[tuple[Address, Address, int]]:
    seen = []

    def watch(source: Address, to: Address, datagram: bytes) -> bool:
        if ":" in to[0]:
            seen.append((source, to, len(datagram)))
        return False

    world.internet.drops.append(watch)
    return seen


@pytest.mark.parametrize("kind", [Kind.SYMMETRIC, Kind.PORT_RESTRICTED, Kind.CGNAT])
def test_two_firewalls_are_opened_from_within(kind: Kind) -> None:
    async def test(world: World) -> None:
        server = await served(world, kind)
        client = await world.node(host=DualHost(world.internet, kind, 2))
        connection, seconds = await reach(client, server)
        assert seconds < 1.0
        if kind is Kind.SYMMETRIC:  # over IPv4 there is no way at all
            assert connection.remote_address[0] == "2a00:77::1"
        await pump(connection, BYTES)
        await connection.close()
        await nothing_stays(server, client)

    simulate(test, seed=31, link=QUIET)


def test_a_server_with_a_public_address_is_not_greeted() -> None:
    async def test(world: World) -> None:
        server = await served(world, Kind.OPEN)
        seen = seen6(world)
        client = await world.node(host=DualHost(world.internet, Kind.PORT_RESTRICTED, 2))
        connection, _ = await reach(client, server)
        assert connection.remote_address[0] == server._network.address  # type: ignore[attr-defined]
        await connection.close()
        assert not seen

    simulate(test, seed=32, link=QUIET)


@pytest.mark.parametrize("one_way", [True, False])
def test_a_way_that_swallows_everything_costs_no_time(one_way: bool) -> None:
    async def test(world: World) -> None:
        server = await served(world, Kind.PORT_RESTRICTED)
        plain = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        _, usual = await reach(plain, server)
        client = await world.node(host=DualHost(world.internet, Kind.PORT_RESTRICTED, 2))
        world.internet.drops.append(lambda source, to, _: to[0] == "2a00:77::1" or (":" in to[0] and not one_way))
        connection, seconds = await reach(client, server)
        assert connection.remote_address[0].count(".") == 3
        assert seconds < usual + 0.5
        await pump(connection, BYTES)
        await connection.close()
        await nothing_stays(client)

    simulate(test, seed=33, link=QUIET)


def test_two_random_nats_are_still_told_so_when_ipv6_leads_nowhere() -> None:
    async def test(world: World) -> None:
        server = await served(world, Kind.SYMMETRIC)
        client = await world.node(host=DualHost(world.internet, Kind.SYMMETRIC, 2))
        world.internet.drops.append(lambda source, to, _: ":" in to[0])
        started = world.now()
        with pytest.raises(NetworkError) as failed:
            await client.connect(server.key_pair.public_key)
        assert failed.value.name == "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"
        assert world.now() - started < GREETING_LIMIT + 2
        await nothing_stays(server, client)

    simulate(test, seed=34, link=QUIET)


def test_a_peer_without_ipv6_gets_none_of_it() -> None:
    async def test(world: World) -> None:
        server = await served(world, Kind.PORT_RESTRICTED)
        seen = seen6(world)
        client = await world.node(host=home(world.internet, Kind.PORT_RESTRICTED))
        connection, _ = await reach(client, server)
        await connection.close()
        await nothing_stays(server, client)
        assert not seen

    simulate(test, seed=35, link=QUIET)


def test_strangers_hear_nothing_on_the_ipv6_socket() -> None:
    async def test(world: World) -> None:
        server = await served(world, Kind.PORT_RESTRICTED)
        client = await world.node(host=DualHost(world.internet, Kind.PORT_RESTRICTED, 2))
        connection, _ = await reach(client, server)
        heard: list[bytes] = []
        stranger = Host(world.internet, "2a00:77::bad")
        sock = stranger.open("::", 4000, lambda batch: heard.extend(datagram for datagram, _ in batch))
        six = server.endpoint._sockets[IPV6_SOCKET]
        assert isinstance(six, SimulatedSocket)
        six._contacted[("2a00:77::bad", 4000)] = world.now()  # as if its firewall were open
        ping = b"\x03\x04\x01\x00" + bytes(6) + b"\x00"
        for datagram in (b"", b"\x00", bytes(GREETING_BYTES), ping, bytes(1200)):
            sock.send_many([(datagram, six.outside)])
        await asyncio.sleep(1)
        assert heard == []
        await pump(connection, BYTES)
        await connection.close()

    simulate(test, seed=36, link=QUIET)


def test_only_a_few_addresses_that_can_be_a_peers_are_greeted() -> None:
    async def test(world: World) -> None:
        dht = await world.node(host=DualHost(world.internet, Kind.PORT_RESTRICTED, 1))
        assert [host for host, _ in dht.endpoint.ipv6_addresses()] == ["2a00:77::1"]
        seen = seen6(world)
        bad = ["::1", "ff02::1", "fe80::5", "::ffff:10.0.0.1", "::"]
        addresses = (
            [(host, 5) for host in bad] + [("2a00::1", 0)] + [(str(IPv6Address(2**125 + n)), 5) for n in range(50)]
        )
        assert [is_dialable6(address) for address in addresses[:6]] == [False] * 6
        greeting = ServerGreeting(dht.endpoint, addresses, bytes(32))
        await asyncio.sleep(GREETING_LIMIT)
        greeting.close()
        targets = {to for _, to, _ in seen}
        assert targets == set(addresses[6 : 6 + MAX_GREETED])
        assert {size for _, _, size in seen} == {GREETING_BYTES}
        assert len(seen) <= 6 * MAX_GREETED

    simulate(test, seed=37, link=QUIET)


def test_many_hellos_do_not_make_the_client_write_to_ever_more_places() -> None:
    async def test(world: World) -> None:
        dht = await world.node(host=DualHost(world.internet, Kind.PORT_RESTRICTED, 1))
        dht.endpoint.ipv6_addresses()
        greeting = ClientGreeting(dht.endpoint, [], bytes(32))
        for n in range(100):
            greeting._on_hello((f"2a00:77::{n:x}", 7))
        assert len(greeting._targets) == 2 * MAX_GREETED
        with pytest.raises(NetworkError):
            await greeting.run()
        assert not dht.endpoint._greetings

    simulate(test, seed=38, link=QUIET)
