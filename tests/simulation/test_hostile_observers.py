"""Somebody on the way who sees every packet of a stream, ids and numbers, and sends from his own address.

UDX itself is unauthenticated: whoever can also write the peer's address into his packets can end a stream, as with TCP,
and so can whoever sends the very next packet in order (its content fails the encryption). Everything else is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from qvac_core.codec import Address
from qvac_core.hyperdht import DHT, Connection, Server
from qvac_core.udx.packet import (
    TYPE_DATA,
    TYPE_DESTROY,
    TYPE_END,
    TYPE_HEARTBEAT,
    TYPE_MESSAGE,
    TYPE_SACK,
    Packet,
    encode_packet,
)

from .hostile import UDX_MAGIC, Siege, Stranger, address_of, besiege
from .test_hostile_peers import carries, pair, stream_of

Forge = Callable[[int, int, int, int], list[Packet]]
"""(stream id, next expected number, acknowledged so far, next own number) to packets."""

FORGERIES: dict[str, Forge] = {
    "destroy": lambda id, expected, una, own: [Packet(TYPE_DESTROY, id, 1 << 20, expected, own)],
    "end now": lambda id, expected, una, own: [Packet(TYPE_END, id, 1 << 20, expected, own)],
    "end with data": lambda id, expected, una, own: [
        Packet(TYPE_DATA | TYPE_END, id, 1 << 20, expected, own, payload=b"last")
    ],
    "end later": lambda id, expected, una, own: [Packet(TYPE_END, id, 1 << 20, expected + 2, own)],
    "early data": lambda id, expected, una, own: [
        Packet(TYPE_DATA, id, 1 << 20, expected + n, own, payload=bytes(1000)) for n in range(1000, 1200)
    ],
    "acknowledge what is under way": lambda id, expected, una, own: [Packet(0, id, 1 << 20, expected, own)],
    "sack what is under way": lambda id, expected, una, own: [
        Packet(TYPE_SACK, id, 1 << 20, expected, una, sacks=((una + 1, own),))
    ],
    "close the window": lambda id, expected, una, own: [Packet(0, id, 0, expected + 1000, own)],
    "everything at once": lambda id, expected, una, own: [Packet(0xDF, id, 0, expected, own, payload=b"x")],
    "messages": lambda id, expected, una, own: [Packet(TYPE_MESSAGE, id, 0, expected, own, payload=bytes(100))] * 50,
    "heartbeats": lambda id, expected, una, own: [Packet(TYPE_HEARTBEAT, id, 0, expected, own)] * 50,
}


def forge(name: str, connection: Connection) -> list[bytes]:
    stream_id, expected, own = stream_of(connection)
    una = connection._raw.stream._sender.recovery.una
    packets = FORGERIES[name](stream_id, expected, una, own)
    return [encode_packet(packet) for packet in packets]


async def pump(sender: Connection, receiver: Connection, messages: int = 20) -> None:
    async def send() -> None:
        for n in range(messages):
            await sender.write(n.to_bytes(2, "big") + bytes(5000))

    sending = asyncio.create_task(send())
    async with asyncio.timeout(60):
        for n in range(messages):
            message = await receiver.read()
            assert message is not None and message[:2] == n.to_bytes(2, "big") and len(message) == 5002
        await sending


@pytest.mark.parametrize("name", FORGERIES)
def test_who_sees_everything_and_cannot_forge_an_address_harms_nothing(name: str) -> None:
    async def test(siege: Siege) -> None:
        server, theirs, _client, ours = await pair(siege)
        await carries(ours, theirs)
        await carries(theirs, ours)
        stranger = Stranger(siege)
        stop = asyncio.Event()

        sent = 0

        async def attack() -> None:
            nonlocal sent
            while not stop.is_set():
                for datagram in forge(name, theirs):
                    stranger.send(datagram, address_of(server))
                    sent += len(datagram)
                await asyncio.sleep(0.004)

        attacking = asyncio.create_task(attack())
        await asyncio.sleep(0.5)
        assert not theirs.closed and not ours.closed
        await pump(ours, theirs)
        await pump(theirs, ours)
        stop.set()
        await attacking
        buffer = theirs._raw.stream._receive
        assert not buffer.early and buffer.end_seq is None
        answers = stranger.udx_packets()
        assert all(packet[2] == TYPE_MESSAGE for packet in answers), "challenges at most, nothing of the stream"
        assert sum(map(len, answers)) <= 3 * sent
        await asyncio.gather(theirs.close(), ours.close())
        assert theirs.error is None and ours.error is None

    besiege(test)


def test_what_cannot_be_defended_ends_the_connection_and_nothing_else() -> None:
    """The next packet in order, or a DESTROY in the peer's own name: the connection is gone, its peers see why."""

    async def test(siege: Siege) -> None:
        server, theirs, _, ours = await pair(siege)
        await carries(ours, theirs)
        stranger = Stranger(siege)
        stream_id, expected, own = stream_of(theirs)
        false = Packet(TYPE_DATA, stream_id, 1 << 20, expected, own, payload=b"\x10\0\0" + bytes(16))
        stranger.send(encode_packet(false), address_of(server))
        await asyncio.sleep(1)
        assert theirs.closed and theirs.error is not None and "encryption" in theirs.error.message
        assert ours.closed

        again, accepted = await reconnect(siege, server)
        destroy = forge("destroy", accepted)[0]
        siege.internet.send(accepted.remote_address, [destroy], address_of(server))
        await asyncio.sleep(1)
        assert accepted.closed and accepted.error is not None and accepted.error.name == "ECONNRESET"
        again.destroy()

    async def reconnect(siege: Siege, server: DHT) -> tuple[Connection, Connection]:
        listening = next(iter(server.node.servers.values()))
        assert isinstance(listening, Server)
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        listening._application._on_connection = accepted.set_result
        client = await siege.node()
        return await client.connect(server.key_pair.public_key), await accepted

    besiege(test)


def test_a_peer_that_speaks_from_several_addresses_is_understood() -> None:
    """A machine with two addresses on one wildcard socket answers now from the one, now from the other."""

    async def test(siege: Siege) -> None:
        server = await siege.node()
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        await server.create_server(accepted.set_result).listen()
        at, other = address_of(server), (siege.internet.next_address(), 5000)
        siege.internet._sockets[other] = siege.internet._sockets[at]
        true_send = siege.internet.send
        turn = 0

        def send(source: Address, datagrams: Sequence[bytes], to: Address, ttl: int = 64) -> None:
            nonlocal turn
            if source == at and datagrams[0][:2] == UDX_MAGIC:
                turn += 1
                source = (at, other)[turn % 2]
            true_send(source, datagrams, to, ttl)

        siege.internet.send = send  # type: ignore[method-assign]
        client = await siege.node()
        ours = await client.connect(server.key_pair.public_key)
        async with asyncio.timeout(30):
            theirs = await accepted
        started = siege.now()
        await pump(ours, theirs)
        await pump(theirs, ours)
        assert siege.now() - started < 20
        await asyncio.gather(theirs.close(), ours.close())
        assert theirs.error is None and ours.error is None

    besiege(test)
