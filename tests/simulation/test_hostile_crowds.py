"""Crowds: ten thousand addresses, as many keys, and a friend who comes in between. Memory stays, the friend gets in."""

from __future__ import annotations

import asyncio
import gc
import sys

from qvac_core.codec import Writer, blake2b
from qvac_core.dht_rpc import Internal, RequestMessage
from qvac_core.dht_rpc.limits import is_public
from qvac_core.dht_rpc.messages import is_reachable, pack_address, peer_id, peer_key, unpack_address
from qvac_core.hyperdht import DHT, Connection, KeyPair, Refusal, ServerLimits
from qvac_core.hyperdht import Stranger as Knocking
from qvac_core.hyperdht.server.limits import PENDING, PUNCHES
from qvac_core.hyperdht.server.server import Server
from qvac_core.rendezvous.constants import Command, Mode
from qvac_core.rendezvous.messages import HandshakeMessage

from .hostile import Siege, Stranger, address_of, besiege, stranger_key
from .world import echo

CROWD = 10_000


def remembered(dht: DHT, server: Server) -> dict[str, int]:
    """How many things a node holds, by kind."""
    endpoint = dht.endpoint
    return {
        **endpoint.node.held,
        "forwards": len(dht.node.router._forwards),
        "handshakes": len(server._memory),
        "clients": len(server._clients),
        "punches": len(dht.node.punchings),
        "streams": len(endpoint._streams),
        "sockets": len(endpoint._sockets),
        "connections": len(dht.node.connections),
        "tasks": len(asyncio.all_tasks()),
    }


def speak(siege: Siege, dht: DHT, key: bytes, n: int) -> None:
    """One of the crowd says everything that somebody unknown can say, from an address of its own."""
    source = f"{30 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.9", 1024 + n % 60_000
    at = address_of(dht)
    target = blake2b(n.to_bytes(4, "big"))
    number = Writer().uint16(n & 0xFFFF | 1).finish()
    noise = HandshakeMessage(Mode.FROM_CLIENT, siege.chance.randbytes(160)).encode()
    messages = (
        RequestMessage(n & 0xFFFF, at, Internal.PING, True, id=peer_id(source)),
        RequestMessage(n & 0xFFFF, at, Internal.FIND_NODE, True, target=target),
        RequestMessage(n & 0xFFFF, at, Internal.PING_NAT, True, value=number),
        RequestMessage(n & 0xFFFF, at, Internal.DELAYED_PING, True, value=Writer().uint32(9000).finish()),
        RequestMessage(n & 0xFFFF, at, Internal.DOWN_HINT, True, value=bytes([9, 9, 9, 9, 9, 9])),
        RequestMessage(n & 0xFFFF, at, Command.LOOKUP, target=target),
        RequestMessage(n & 0xFFFF, at, Command.ANNOUNCE, target=target, token=bytes(32), value=bytes(100)),
        RequestMessage(n & 0xFFFF, at, Command.PEER_HANDSHAKE, target=target, value=noise),
        RequestMessage(n & 0xFFFF, at, 99, target=target),
    )
    datagrams = [message.encode() for message in messages[n % 3 :: 3]]
    datagrams += [b"\xff\x01" + siege.chance.randbytes(30), b"\x00"]
    if n % 20 == 0:
        _, true = Stranger.handshake(None, key, n)  # type: ignore[arg-type]
        for value in (noise, true):
            datagrams.append(RequestMessage(7, at, Command.PEER_HANDSHAKE, target=blake2b(key), value=value).encode())
    siege.internet.send(source, datagrams, at)


def test_ten_thousand_unknown_peers_take_constant_memory() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node(ephemeral=False, firewalled=False)
        server = await dht.create_server(echo).listen()
        key = dht.key_pair.public_key
        sizes: list[int] = []
        things: list[dict[str, int]] = []
        for n in range(1 << 14):  # the memories of whole addresses are full before it begins
            for remember in (pack_address, peer_id, peer_key, is_reachable, lambda address: is_public(address[0])):
                remember((f"40.{n >> 8 & 255}.{n & 255}.9", 65_000 - n))
            unpack_address(n.to_bytes(6, "big"))
        for n in range(CROWD):
            speak(siege, dht, key, n)
            if n % 20 == 19:
                await asyncio.sleep(0.02)
            if n % 1000 == 999:
                things.append(remembered(dht, server))
            if n % (CROWD // 4) == CROWD // 4 - 1:
                await asyncio.sleep(30)
                speak(siege, dht, key, 0)  # whatever counts in windows of time begins a new one
                await asyncio.sleep(30)
                gc.collect()
                sizes.append(sys.getallocatedblocks())
        bounds = {
            "table": 256 * 20,
            "recent": 256 * 20,
            "lost": 64,
            "requests": 64,
            "timers": 8192,
            "requests by host": 1 << 14,
            "bytes by host": 1 << 14,
            "forwards": 64,
            "handshakes": 1024,
            "clients": PENDING.in_all,
            "punches": PUNCHES.in_all,
            "streams": PENDING.in_all + 8,
            "sockets": 2 + PUNCHES.in_all,
            "connections": PENDING.in_all + 8,
            "tasks": 64,
        }
        assert all(found[name] <= bound for found in things for name, bound in bounds.items()), things
        # 2,500 more addresses, keys and ids each time; those in the table are the only ones that it remembers.
        assert max(sizes[2:]) - sizes[1] < 5_000, (sizes, things)
        friend = await siege.node()
        connection = await friend.connect(key)
        await connection.write(b"still there?")
        assert await connection.read() == b"still there?"
        await connection.close()
        await asyncio.sleep(60)
        left = remembered(dht, server)
        assert left["clients"] == left["streams"] == left["connections"] == 0, left

    besiege(test, size=3)


def knockers(friends: set[bytes]) -> object:
    return lambda key, payload: False if key in friends else Knocking()


def test_strangers_at_the_door_leave_a_punching_friend_his_socket() -> None:
    """Strangers from a hundred hosts who never come in; the friend and the server are each behind a NAT."""

    async def test(siege: Siege) -> None:
        friend_key = KeyPair.from_seed(bytes([77]) * 32)
        server = await siege.node(nat=True, quick_firewall=False)
        listening = server.create_server(echo, knockers({friend_key.public_key}))  # type: ignore[arg-type]
        await listening.listen()
        key = server.key_pair.public_key
        relay = listening.relay_addresses[0]
        strangers = [Stranger(siege) for _ in range(100)]
        stop = asyncio.Event()

        async def crowd() -> None:
            number = 0
            while not stop.is_set():
                for _ in range(5):
                    number += 1
                    _, value = strangers[number % 100].handshake(key, number)
                    strangers[number % 100].ask(
                        relay, Command.PEER_HANDSHAKE, tid=number & 0xFFFF, target=blake2b(key), value=value
                    )
                await asyncio.sleep(0.02)

        flood = asyncio.create_task(crowd())
        await asyncio.sleep(5)
        assert len(server.node.punchings) == PUNCHES.in_all
        friend = await siege.node(nat=True, quick_firewall=False, key_pair=friend_key)
        for _ in range(3):
            connection = await friend.connect(key)
            await connection.write(b"still there?")
            assert await connection.read() == b"still there?"
            await connection.close()
        stop.set()
        await flood
        await asyncio.sleep(40)
        assert not listening._clients and not server.node.punchings

    besiege(test, size=6)


def test_a_friends_handshake_that_was_overheard_does_not_lock_him_out() -> None:
    """Whoever relays sees message 1, and can send it again: copies make no connection and push none away."""

    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        dht = await siege.node()
        friend = KeyPair.from_seed(bytes([77]) * 32)

        def admits(key: bytes, payload: object) -> bool | Refusal:
            return False if key == friend.public_key else Refusal()

        server = await dht.create_server(accepted.append, admits).listen()
        overheard: list[bytes] = []

        def listen(source: object, to: object, datagram: bytes) -> bool:
            if datagram[:1] == b"\x03" and to == address_of(dht) and len(datagram) > 150:
                overheard.append(datagram)
            return False

        siege.internet.drops.append(listen)
        client = await siege.node(key_pair=friend)
        first = await client.connect(dht.key_pair.public_key)
        for _ in range(20):
            (await client.connect(dht.key_pair.public_key)).destroy()
        siege.internet.drops.clear()
        await asyncio.sleep(60)
        before = len(accepted)
        stranger = Stranger(siege)
        for _ in range(200):
            for datagram in overheard:
                stranger.send(datagram, address_of(dht))
            await asyncio.sleep(0.1)
        assert len(accepted) == before
        assert not first.closed
        await first.write(b"still here")
        assert await accepted[0].read() == b"still here"
        again = await client.connect(dht.key_pair.public_key)
        assert not again.closed
        await asyncio.sleep(30)
        assert not server._clients

    besiege(test)


def test_open_connections_are_bounded_in_all_by_key_and_by_host_and_the_newest_gets_in() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        dht = await siege.node()
        limits = ServerLimits(connections=6, connections_per_key=2, connections_per_host=4)
        await dht.create_server(accepted.append, limits=limits).listen()
        key = dht.key_pair.public_key

        def still_open() -> list[int]:
            return [n for n, connection in enumerate(accepted) if not connection.closed]

        one = await siege.node(key_pair=stranger_key(1))
        for _ in range(4):
            await one.connect(key)
        await asyncio.sleep(1)
        assert still_open() == [2, 3], "the newest of a key"
        for n in range(2, 8):
            await one.connect(key, key_pair=stranger_key(n))
        await asyncio.sleep(1)
        assert still_open() == [6, 7, 8, 9], "the newest of a host"
        for n in range(10, 13):
            other = await siege.node(key_pair=stranger_key(n))
            await other.connect(key)
        await asyncio.sleep(1)
        assert still_open() == [7, 8, 9, 10, 11, 12], "who has most makes room"
        last = await one.connect(key, key_pair=stranger_key(20))
        await asyncio.sleep(1)
        assert not last.closed and still_open() == [8, 9, 10, 11, 12, 13]

    besiege(test)
