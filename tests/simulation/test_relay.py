"""Peers that no direct path joins meet at a blind relay; those that find a path later move to it. Virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import (
    DHT,
    Connection,
    KeyPair,
    RelayEvent,
    RelayPaired,
    RelayPairing,
    RelayPolicy,
    RelayServer,
    RelayUnpaired,
)
from qvac_core.hyperdht.server import punch
from qvac_core.rendezvous.holepunch_rounds import Answered, ServerRounds, Step
from qvac_core.rendezvous.holepuncher import PROBE
from qvac_core.rendezvous.messages import HolepunchPayload

from .datagram_network import Link, on_the_way
from .nat_boxes import Kind, home
from .world import World, echo, pump, simulate

QUIET = Link(delay=(0.005, 0.03))
ROUGH = Link(delay=(0.005, 0.06), loss=0.05, duplicate=0.02)
STRANGER = KeyPair.from_seed(b"\x07" * 32)


class Meeting:
    """A relay on a public address, and a server and a client behind boxes of the given kinds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.relay: RelayServer
        self.relay_host = world.internet.host()
        self.relay_dht: DHT
        self.server: DHT
        self.client: DHT
        self.events: list[RelayEvent] = []
        self.served: list[Connection] = []

    async def set_up(
        self,
        server: Kind,
        client: Kind,
        *,
        server_asks: bool = False,
        policy: RelayPolicy | None = None,
        serve: Callable[[Connection], Awaitable[None]] = echo,
    ) -> None:
        world = self.world
        self.relay_dht = await world.node(host=self.relay_host, ephemeral=False, firewalled=False)
        self.relay = self.relay_dht.create_relay_server(policy, self.events.append)
        await self.relay.listen()
        self.server = await world.node(host=home(world.internet, server))
        self.client = await world.node(host=home(world.internet, client))

        async def on_connection(connection: Connection) -> None:
            self.served.append(connection)
            await serve(connection)

        listening = self.server.create_server(on_connection, relay_through=self.key if server_asks else None)
        await listening.listen()

    @property
    def key(self) -> bytes:
        assert self.relay.public_key is not None
        return self.relay.public_key

    async def connect(self, *, ask: bool = True) -> Connection:
        return await self.client.connect(self.server.key_pair.public_key, relay_through=[self.key] if ask else None)

    async def finish(self) -> None:
        """Nothing may be left of it anywhere."""
        await self.relay.close()
        await asyncio.sleep(20)
        for dht in (self.relay_dht, self.server, self.client):
            assert not dht.node.connections
            assert not dht.node.punchings
            assert not dht.endpoint._streams
            assert not dht.node.pairings
            assert len(dht.endpoint._sockets) == 2

    def told(self, kind: type[RelayEvent]) -> list[RelayEvent]:
        return [event for event in self.events if isinstance(event, kind)]


def meet(test: Callable[[Meeting], Awaitable[None]], *, seed: int = 1, link: Link = QUIET) -> None:
    async def body(world: World) -> None:
        meeting = Meeting(world)
        await test(meeting)
        await meeting.finish()

    simulate(body, seed=seed, link=link)


@pytest.mark.parametrize("server_asks", [False, True])
@pytest.mark.parametrize("client_asks", [False, True])
def test_two_symmetric_nats_meet_at_the_relay(server_asks: bool, client_asks: bool) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC, server_asks=server_asks)
        if not (server_asks or client_asks):
            with pytest.raises(NetworkError) as failed:
                await meeting.connect(ask=False)
            assert failed.value.name == "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"
            return
        connection = await meeting.connect(ask=client_asks)
        assert connection.path == "relay"
        assert connection.remote_address[0] == meeting.relay_host.address
        assert connection.remote_public_key == meeting.server.key_pair.public_key
        await pump(connection, 300_000)
        assert meeting.served[0].path == "relay"
        assert meeting.relay.links == 1
        await connection.close()
        assert connection.error is None
        await asyncio.sleep(10)
        assert meeting.relay.links == 0
        (paired,) = meeting.told(RelayPaired)
        assert isinstance(paired, RelayPaired)
        keys = meeting.server.key_pair.public_key, meeting.client.key_pair.public_key
        assert (paired.initiator, paired.responder) == (keys if server_asks else keys[::-1])
        assert len(meeting.told(RelayPairing)) == 2
        (unpaired,) = meeting.told(RelayUnpaired)
        assert isinstance(unpaired, RelayUnpaired)
        assert unpaired.bytes > 600_000

    meet(test)


@pytest.mark.parametrize("seed", range(3))
def test_the_relay_carries_everything_through_a_rough_network(seed: int) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        await pump(connection, 400_000)
        assert connection.path == "relay"
        await connection.close()
        assert connection.error is None

    meet(test, seed=seed, link=ROUGH)


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (Kind.SYMMETRIC, Kind.PORT_RESTRICTED),
        (Kind.PORT_RESTRICTED, Kind.SYMMETRIC),
        (Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED),
        (Kind.CGNAT, Kind.ADDRESS_RESTRICTED),
    ],
    ids=lambda kind: kind.value,
)
@pytest.mark.parametrize("server_asks", [False, True])
def test_a_relayed_connection_becomes_direct_while_it_is_used(server: Kind, client: Kind, server_asks: bool) -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(server, client, server_asks=server_asks)
        connection = await meeting.connect(ask=not server_asks)
        started = meeting.world.now()
        turns = 0
        await pump(connection, 10_000)
        while connection.path == "relay" or meeting.served[0].path == "relay":
            await pump(connection, 60_000, seed=turns)
            await asyncio.sleep(1)
            turns += 1
            assert meeting.world.now() - started < 60
        relay_host = meeting.relay_host.address
        assert connection.remote_address[0] != relay_host
        assert meeting.served[0].remote_address[0] != relay_host
        await asyncio.sleep(10)
        assert (meeting.relay.links, meeting.relay.sessions) == (0, 0)
        await meeting.relay.close()  # nobody needs it any more
        await pump(connection, 300_000)
        await connection.close()
        assert connection.error is None
        assert meeting.served[0].error is None

    meet(test)


def test_an_open_server_needs_no_relay() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.OPEN, Kind.SYMMETRIC, server_asks=True)
        connection = await meeting.connect()
        assert connection.path == "direct"
        await pump(connection, 30_000)
        await connection.close()
        assert meeting.events == []

    meet(test)


def test_a_direct_path_that_leads_one_way_only_is_left_again() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        raw = connection._raw
        relayed = raw.remote_address
        # A packet for our stream from somewhere that does not answer.
        stranger = await meeting.world.node()
        watcher = raw.watcher
        assert watcher is not None
        watcher.heard((0, ("20.9.9.9", 9)), 100)
        assert raw.remote_address == ("20.9.9.9", 9)
        await pump(connection, 100_000)
        assert (raw.remote_address, connection.path) == (relayed, "relay")
        await connection.close()
        assert connection.error is None
        await stranger.close()

    meet(test)


def test_the_end_of_the_only_relay_is_the_end_of_the_connection_soon() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        await pump(connection, 50_000)
        started = meeting.world.now()
        await meeting.relay.close()
        await connection.wait_closed()
        await meeting.served[0].wait_closed()
        assert meeting.world.now() - started < 14  # until then it might have come back
        assert connection.error is not None
        assert connection.error.name == "RELAY_LOST"

    async def test_killed(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        await pump(connection, 50_000)
        started = meeting.world.now()
        meeting.relay_host.crash()
        await connection.wait_closed()
        await meeting.served[0].wait_closed()
        assert meeting.world.now() - started < 20
        with pytest.raises(ConnectionClosed):
            await connection.write(b"anybody there?")

    meet(test)
    meet(test_killed)


def test_a_peer_that_is_killed_is_noticed_through_the_relay() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        await pump(connection, 50_000)
        started = meeting.world.now()
        meeting.served[0].destroy()
        with pytest.raises(ConnectionClosed):
            await connection.read()
        assert meeting.world.now() - started < 1

    meet(test)


def test_without_a_relay_that_answers_the_reason_is_told() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        started = meeting.world.now()
        with pytest.raises(NetworkError) as failed:
            await meeting.client.connect(meeting.server.key_pair.public_key, relay_through=STRANGER.public_key)
        assert failed.value.name in ("RELAY_ABORTED", "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS")
        assert meeting.world.now() - started < 20

    meet(test)


def test_who_is_not_admitted_is_refused_by_the_relay() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(
            Kind.SYMMETRIC, Kind.SYMMETRIC, policy=RelayPolicy(admitted=frozenset({STRANGER.public_key}))
        )
        with pytest.raises(NetworkError):
            await meeting.connect()
        assert meeting.events == []

    meet(test)


def test_a_key_that_has_had_its_bytes_is_cut_off() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC, policy=RelayPolicy(bytes_in_all=200_000))
        connection = await meeting.connect()
        with pytest.raises(ConnectionClosed):
            await pump(connection, 1_000_000)
        assert connection.closed
        (unpaired,) = meeting.told(RelayUnpaired)
        assert isinstance(unpaired, RelayUnpaired)
        assert 200_000 <= unpaired.bytes < 400_000
        with pytest.raises(NetworkError):
            await meeting.connect()

    meet(test)


def test_a_relay_keeps_to_its_rate() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC, policy=RelayPolicy(bytes_per_second=100_000))
        connection = await meeting.connect()
        started = meeting.world.now()
        await pump(connection, 400_000)  # and as much comes back
        assert 5 < meeting.world.now() - started < 60
        await connection.close()

    meet(test)


def test_a_relay_keeps_to_the_rate_of_all_together_also_one_that_is_set_later() -> None:
    async def test(meeting: Meeting) -> None:
        world = meeting.world
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC, policy=RelayPolicy(bytes_per_second=None))
        one, other = await meeting.connect(), await meeting.connect()

        async def seconds_for(size: int) -> float:
            """For so much on both pairs, and as much that comes back."""
            started = world.now()
            await asyncio.gather(pump(one, size), pump(other, size))
            return world.now() - started

        assert await seconds_for(200_000) < 5
        limited = RelayPolicy(bytes_per_second=None, whole_bytes_per_second=100_000)
        meeting.relay.use(limited)
        before, started = meeting.relay.forwarded, world.now()
        assert await seconds_for(200_000) > 6  # 800 kB, of which a second's worth may pass at once
        passed, took = meeting.relay.forwarded - before, world.now() - started
        assert passed <= 100_000 * (took + 1) + 128_000  # and one train that overdraws it
        assert (meeting.relay.links, one.closed, other.closed) == (2, False, False)
        meeting.relay.use(RelayPolicy(bytes_per_second=None))
        await asyncio.sleep(5)
        assert await seconds_for(200_000) < 5
        await one.close()
        await other.close()

    meet(test)


def test_idle_sessions_and_idle_pairs_are_dropped() -> None:
    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        idle = await meeting.client.connect(meeting.key)
        await asyncio.sleep(1)
        assert meeting.relay.sessions == 1
        await idle.wait_closed()
        assert meeting.relay.sessions == 0
        connection = await meeting.connect()
        await asyncio.sleep(300)  # keep-alives are use enough
        assert (connection.closed, meeting.relay.links) == (False, 1)
        await connection.close()

    meet(test)


class RefusesToPunch(ServerRounds):
    """As an original's server whose `holepunch` hook says no: it has sent a probe in the first round by then."""

    def answer(self, asked: HolepunchPayload, **seen: Any) -> Generator[Step, Any, Answered]:
        if asked.punching:
            return self.refuse()
        return (yield from super().answer(asked, **seen))


@pytest.mark.parametrize("late", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_refuses_the_punch_gives_no_dead_connection(
    seed: int, late: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`late`: seconds by which its probe comes later, as late as the refusal and later."""
    monkeypatch.setattr(punch, "ServerRounds", RefusesToPunch)

    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.PORT_RESTRICTED, Kind.PORT_RESTRICTED)
        internet = meeting.world.internet
        held: list[bytes] = []

        def hold(source: Address, to: Address, datagram: bytes) -> bool:
            if datagram != PROBE or held or not late or source[0] != meeting.server.endpoint.node.host:
                return False
            held.append(datagram)
            on_the_way(late, internet._deliver, source, [datagram], to)
            return True

        internet.drops.append(hold)
        connection = await meeting.connect()
        async with asyncio.timeout(5):
            await pump(connection, 1000)
        assert bool(held) == bool(late)
        await connection.close()

    meet(test, seed=seed)


@pytest.mark.parametrize("after", [0.14, 0.155, 0.16, 0.17, 0.18])
def test_a_connect_that_waits_for_its_relay_fails_when_the_node_is_suspended(after: float) -> None:
    """`after`: seconds, when the two are about to meet there."""

    async def test(meeting: Meeting) -> None:
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connecting = asyncio.create_task(meeting.connect())
        await asyncio.sleep(after)
        assert not connecting.done()
        await meeting.client.suspend()
        with pytest.raises(NetworkError) as failed:
            await connecting
        assert failed.value.name == "SUSPENDED"
        await meeting.client.resume()

    meet(test)
