"""Streams that live on while a peer's address changes, and attackers who would like to be that peer. Virtual time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

import pytest

from qvac_core.codec import Address
from qvac_core.hyperdht import DHT, Connection
from qvac_core.udx.packet import HEADER

from .datagram_network import Host, Link
from .nat_boxes import Kind, NatBox
from .test_relay import Meeting, meet
from .world import ROUGH, World, pump, simulate

UDX = b"\xff\x01"
END = b"end"
PIECE = 20_000


class Pair:
    """A server, a client and their connection. The server streams to the client unless told otherwise."""

    def __init__(self, world: World, server: DHT, client: DHT, hosts: tuple[Host, Host]) -> None:
        self.world = world
        self.server, self.client = server, client
        self.server_host, self.client_host = hosts
        self.near: Connection
        """The client's end; `far` is the server's."""
        self.far: Connection

    async def open(self) -> None:
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def accept(connection: Connection) -> None:
            accepted.set_result(connection)

        await self.world.serve(self.server, accept)
        self.near = await self.client.connect(self.server.key_pair.public_key)
        self.far = await accepted
        await self.near.write(b"hello")
        assert await self.far.read() == b"hello"
        await asyncio.sleep(1)

    async def transfer(self, meanwhile: Callable[[], Awaitable[None]], *, up: bool = False, more: int = 100) -> None:
        """About 2 MB/s until some time after `meanwhile` is over; every byte arrives, in order."""
        writer, reader = (self.near, self.far) if up else (self.far, self.near)
        pieces = Random(9)
        expected, received = hashlib.sha256(), hashlib.sha256()

        async def write() -> None:
            happening = asyncio.create_task(wait_for(meanwhile))
            left = more
            while left:
                left -= happening.done()
                piece = pieces.randbytes(PIECE)
                expected.update(piece)
                await writer.write(piece)
                await asyncio.sleep(0.01)
            await happening
            await writer.write(END)

        writing = asyncio.create_task(write())
        while (message := await anext(reader)) != END:
            received.update(message)
        await writing
        assert received.digest() == expected.digest()


async def wait_for(meanwhile: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(0.5)
    await meanwhile()


async def pair(world: World, *, server: Host | None = None, client: Host | None = None) -> Pair:
    hosts = (server or world.internet.host(), client or world.internet.host())
    made = Pair(world, await world.node(host=hosts[0]), await world.node(host=hosts[1]), hosts)
    await made.open()
    return made


def move(world: World, host: Host) -> None:
    host.move(world.internet, world.internet.next_address())


@pytest.mark.parametrize("up", [False, True], ids=["down", "up"])
@pytest.mark.parametrize("link", [None, ROUGH], ids=["clean", "rough"])
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_stream_lives_on_when_a_peer_moves_to_another_network(who: str, link: Link | None, up: bool) -> None:
    async def test(world: World) -> None:
        peers = await pair(world)
        host = peers.client_host if who == "client" else peers.server_host

        async def meanwhile() -> None:
            move(world, host)
            await asyncio.sleep(5)

        await peers.transfer(meanwhile, up=up)
        other = peers.far if who == "client" else peers.near
        assert other.remote_address[0] == host.address
        assert peers.near.error is None

    simulate(test, seed=21, link=link)


@pytest.mark.parametrize("kind", [Kind.FULL_CONE, Kind.PORT_RESTRICTED, Kind.SYMMETRIC], ids=lambda kind: kind.value)
def test_a_stream_lives_on_when_the_nat_gives_new_ports(kind: Kind) -> None:
    """Nobody of the two knows: the server sees packets from elsewhere, and that is all."""

    async def test(world: World) -> None:
        box = NatBox(world.internet, kind)
        box._pick_port = lambda wanted: world.internet.random.randint(20_000, 60_000)  # type: ignore[method-assign]
        peers = await pair(world, client=box.host())
        before = peers.far.remote_address

        async def meanwhile() -> None:
            box.remap()
            await asyncio.sleep(2)

        await peers.transfer(meanwhile, up=True)
        await peers.transfer(meanwhile)
        assert peers.far.remote_address != before

    simulate(test, seed=22)


def test_from_wifi_behind_one_nat_to_mobile_behind_another() -> None:
    async def test(world: World) -> None:
        home, carrier = NatBox(world.internet, Kind.PORT_RESTRICTED), NatBox(world.internet, Kind.SYMMETRIC)
        peers = await pair(world, client=home.host())

        async def meanwhile() -> None:
            peers.client_host.unplug()
            await asyncio.sleep(4)
            peers.client_host.move(carrier, carrier.inside_address())
            await asyncio.sleep(6)

        await peers.transfer(meanwhile)
        assert peers.far.remote_address[0] == carrier.address

    simulate(test, seed=23)


def test_an_idle_connection_follows_within_seconds() -> None:
    async def test(world: World) -> None:
        peers = await pair(world)
        await asyncio.sleep(20)
        move(world, peers.client_host)
        await asyncio.sleep(4)
        assert peers.far.remote_address[0] == peers.client_host.address
        started = world.now()
        await peers.far.write(b"there you are")
        assert await peers.near.read() == b"there you are"
        assert world.now() - started < 0.2

    simulate(test, seed=24)


def test_the_new_path_is_measured_anew() -> None:
    async def test(world: World) -> None:
        peers = await pair(world)

        async def meanwhile() -> None:
            assert peers.far._raw.stream.stats.mtu == 1500
            move(world, peers.client_host)
            while peers.far.remote_address[0] != peers.client_host.address:
                await asyncio.sleep(0.001)
            stats = peers.far._raw.stream.stats
            assert (stats.mtu, stats.srtt, stats.cwnd) == (1200, 0.0, 10)

        await peers.transfer(meanwhile)
        assert peers.far._raw.stream.stats.mtu == 1500

    simulate(test, seed=25)


class Attacker:
    """A host that knows ids and addresses, and may see what passes."""

    def __init__(self, world: World, peers: Pair) -> None:
        self.world, self.peers = world, peers
        self.host = world.internet.host()
        self.received: list[bytes] = []
        self.sent = 0
        self.hear: Callable[[list[tuple[bytes, Address]]], None] = self.keep
        self.socket = self.host.open("0.0.0.0", 0, lambda batch: self.hear(batch))
        server = peers.server_host
        assert peers.near._raw.remote_address is not None
        self.target: Address = (server.address, peers.near.remote_address[1])
        self.client: Address = peers.far.remote_address

    def keep(self, batch: list[tuple[bytes, Address]]) -> None:
        self.received.extend(data for data, _ in batch)

    def send(self, datagram: bytes) -> None:
        self.sent += len(datagram)
        self.socket.send_train([datagram], self.target)

    def forged(self, kind: int, seq: int = 0, payload: bytes = b"") -> bytes:
        """A packet for the server's stream with everything right that is not encrypted."""
        raw = self.peers.far._raw
        return HEADER.pack(0x01FF, kind, 0, raw.id, 4 << 20, seq, raw.stream._sender.recovery.una) + payload


def test_whoever_knows_ids_and_addresses_gets_no_stream_and_hardly_an_answer() -> None:
    async def test(world: World) -> None:
        peers = await pair(world)
        attacker = Attacker(world, peers)
        before = peers.far.remote_address

        async def meanwhile() -> None:
            chance = Random(1)
            for _ in range(200):
                attacker.send(attacker.forged(0))
                attacker.send(attacker.forged(8, payload=chance.randbytes(33)))
                await asyncio.sleep(0.05)
                assert sum(map(len, attacker.received)) <= 3 * attacker.sent
            assert peers.far.remote_address == before

        await peers.transfer(meanwhile)
        assert attacker.received, "it was never challenged: nothing was tested"
        # Not more than a handful each time it had rested.
        assert len(attacker.received) < 10
        assert {len(datagram) for datagram in attacker.received} == {53}

    simulate(test, seed=31)


def test_copies_of_a_peers_packets_from_elsewhere_move_nothing() -> None:
    """Somebody on the path repeats all that the client says, sooner than it arrives itself, from another address."""

    async def test(world: World) -> None:
        peers = await pair(world)
        attacker = Attacker(world, peers)
        copied = 0

        def copy(source: Address, to: Address, datagram: bytes) -> bool:
            nonlocal copied
            if source == attacker.client and datagram[:2] == UDX:
                copied += 1
                attacker.send(datagram)
            return False

        before = peers.far.remote_address
        world.internet.drops.append(copy)

        async def meanwhile() -> None:
            await asyncio.sleep(5)
            assert peers.far.remote_address == before

        await peers.transfer(meanwhile)
        await peers.transfer(meanwhile, up=True)
        assert copied > 100
        assert attacker.received, "it was never challenged: nothing was tested"
        assert peers.far.remote_address == before
        assert len(attacker.received) < 10

    simulate(test, seed=32)


def test_who_copies_and_passes_challenges_on_does_not_get_the_stream_either() -> None:
    """It even writes the server's address over its own: but the client still answers on the old path, too."""

    async def test(world: World) -> None:
        peers = await pair(world)
        attacker = Attacker(world, peers)

        def pass_on(batch: list[tuple[bytes, Address]]) -> None:
            attacker.keep(batch)
            for datagram, source in batch:
                world.internet.send(source, [datagram], attacker.client)

        attacker.hear = pass_on

        def copy(source: Address, to: Address, datagram: bytes) -> bool:
            if source == attacker.client and datagram[:2] == UDX:
                attacker.send(datagram)
            return False

        before = peers.far.remote_address
        world.internet.drops.append(copy)

        async def meanwhile() -> None:
            for _ in range(100):
                await asyncio.sleep(0.1)
                assert peers.far.remote_address == before

        await peers.transfer(meanwhile)
        assert attacker.received, "it was never challenged: nothing was tested"

    simulate(test, seed=33)


def test_a_peer_that_lies_about_where_it_is_brings_no_more_upon_others_than_it_sent() -> None:
    """It writes a victim's address over its own, and would answer any challenge, but the victim does not."""

    async def test(world: World) -> None:
        peers = await pair(world)
        victim = Attacker(world, peers)
        claimed = 0

        async def meanwhile() -> None:
            nonlocal claimed
            validation = peers.near.paths.set.validation
            for _ in range(100):
                sealed = peers.near._secret.seal_path(bytes((1,)) + bytes(8))
                packet = peers.near._raw.stream.message_packet(sealed)
                claimed += len(packet)
                world.internet.send(victim.socket.outside, [packet], victim.target)
                # It guesses, too: a response for which it never saw the challenge.
                guess = peers.near._raw.stream.message_packet(peers.near._secret.seal_path(bytes((2,)) + bytes(8)))
                claimed += len(guess)
                world.internet.send(victim.socket.outside, [guess], victim.target)
                await asyncio.sleep(0.1)
                assert sum(map(len, victim.received)) <= 3 * claimed
            assert not validation.confirming

        await peers.transfer(meanwhile)
        assert victim.received
        assert {len(datagram) for datagram in victim.received} == {53}
        assert peers.far.remote_address == victim.client

    simulate(test, seed=34)


K = Kind
MOVES = [
    (K.PORT_RESTRICTED, K.PORT_RESTRICTED, "client"),
    (K.PORT_RESTRICTED, K.SYMMETRIC, "client"),
    (K.PORT_RESTRICTED, K.PORT_RESTRICTED, "server"),
    (K.PORT_RESTRICTED, K.PORT_RESTRICTED, "both"),
    (K.FULL_CONE, K.SYMMETRIC, "both"),
]


@pytest.mark.parametrize(("server", "client", "who"), MOVES, ids=lambda value: getattr(value, "value", value))
def test_who_moves_where_nobody_lets_strangers_in_is_met_again_through_the_network(
    server: Kind, client: Kind, who: str
) -> None:
    """Another box for the one that moves; the other one's box has never heard of it."""

    async def test(world: World) -> None:
        peers = await pair(
            world, server=NatBox(world.internet, server).host(), client=NatBox(world.internet, client).host()
        )
        boxes = {"server": NatBox(world.internet, server), "client": NatBox(world.internet, client)}
        hosts = {"server": peers.server_host, "client": peers.client_host}
        await asyncio.sleep(60)  # one punch with random ports at a time, and a rest after it

        async def meanwhile() -> None:
            for name in hosts if who == "both" else (who,):
                hosts[name].move(boxes[name], boxes[name].inside_address())
            await asyncio.sleep(12)

        await peers.transfer(meanwhile)
        if who != "client":
            assert peers.near.remote_address[0] == boxes["server"].address
        if who != "server":
            assert peers.far.remote_address[0] == boxes["client"].address
        await asyncio.sleep(40)
        for dht in (peers.server, peers.client):
            assert not dht.node.punchings
            assert len(dht.endpoint._streams) == 1
            assert len(dht.endpoint._sockets) <= 3

    simulate(test, seed=26)


def make_deaf(connection: Connection) -> None:
    """As the original is: it follows nobody, and takes challenges for noise."""
    connection.paths.stop()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_peer_that_follows_nobody_is_given_up_long_before_the_stream_times_out(busy: bool) -> None:
    times: list[float] = []

    async def test(world: World, *, watched: bool) -> None:
        server, client = await world.node(), await world.node(host=(host := world.internet.host()))
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        def accept(connection: Connection) -> None:
            make_deaf(connection)
            if not accepted.done():
                accepted.set_result(connection)

        await server.create_server(accept).listen()
        near = await client.connect(server.key_pair.public_key)
        await near.write(b"hello")
        far = await accepted
        if not watched:
            make_deaf(near)
        await asyncio.sleep(20)
        assert not near.paths.set.peer_follows
        move(world, host)
        moved = world.now()
        if busy:
            far.write_nowait(bytes(1000))
        await near.wait_closed()
        times.append(world.now() - moved)
        assert near.error is not None
        assert near.error.name == "ETIMEDOUT"
        # It is reached again at once, from where we are now.
        again = await client.connect(server.key_pair.public_key)
        assert again.remote_public_key == server.key_pair.public_key

    for watched in (True, False):
        simulate(partial(test, watched=watched), seed=35)
    with_watch, without = times
    assert 2 * with_watch < without


def test_a_peer_that_follows_nobody_but_is_still_reached_keeps_its_stream() -> None:
    """Our address inside changed, but the box shows the same one outside: nothing is to be done."""

    async def test(world: World) -> None:
        box = NatBox(world.internet, Kind.FULL_CONE)
        peers = await pair(world, client=box.host())
        make_deaf(peers.far)
        peers.near.paths.set.validation.peer_follows = False

        async def meanwhile() -> None:
            before = peers.client_host.address
            for mapping in box._by_port.values():
                mapping.inside = (box.inside_address(), mapping.inside[1])
            (inside,) = {mapping.inside[0] for mapping in box._by_port.values()} or {before}
            peers.client_host.move(box, inside)
            await asyncio.sleep(10)

        await peers.transfer(meanwhile)

    simulate(test, seed=36)


def test_a_provider_that_was_restarted_is_told_from_one_that_moved() -> None:
    """It is met again, but knows nothing of the stream: that is clear sooner than by silence alone."""

    async def test(world: World) -> None:
        peers = await pair(world)
        await asyncio.sleep(10)
        peers.server_host.unplug()
        crashed = world.now()
        await peers.server.close()
        again = await world.node(key_pair=peers.server.key_pair)
        await world.serve(again, lambda connection: connection.wait_closed())
        await peers.near.wait_closed()
        assert peers.near.error is not None
        assert "restarted" in peers.near.error.message
        assert world.now() - crashed < 13

    simulate(test, seed=37)


def test_a_relayed_connection_moves_with_its_peer() -> None:
    """The relay follows the connection that it has with the peer, and the streams it forwards go the same way."""

    async def test(meeting: Meeting) -> None:
        internet = meeting.world.internet
        await meeting.set_up(Kind.SYMMETRIC, Kind.SYMMETRIC)
        connection = await meeting.connect()
        await pump(connection, 50_000)
        await asyncio.sleep(20)
        box = NatBox(internet, Kind.SYMMETRIC)
        host = meeting.client._network
        assert isinstance(host, Host)
        host.move(box, box.inside_address())
        await asyncio.sleep(4)
        for _ in range(10):
            await pump(connection, 50_000)
            await asyncio.sleep(1)
        assert connection.path == "relay"
        await connection.close()
        assert connection.error is None

    meet(test)
