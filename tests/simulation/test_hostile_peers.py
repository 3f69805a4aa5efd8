"""Admitted peers that misbehave, and strangers at open connections. Virtual time, seeded."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from qvac_core.dht_rpc import RequestMessage, ResponseMessage, peer_id
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht import DHT, Connection, KeyPair
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

from .hostile import RawPeer, Siege, Stranger, address_of, besiege

MEBIBYTE = 1024 * 1024


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


async def pair(siege: Siege) -> tuple[DHT, Connection, DHT, Connection]:
    """Server node and its side of a connection, client node and its side."""
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    server = await siege.node()
    await server.create_server(accepted.set_result).listen()
    client = await siege.node()
    connection = await client.connect(server.key_pair.public_key)
    return server, await accepted, client, connection


async def opened(siege: Siege, on_connection: Callable[[Connection], Awaitable[None] | None]) -> tuple[DHT, RawPeer]:
    server = await siege.node()
    await server.create_server(on_connection).listen()
    peer = await RawPeer.connect(siege, server)
    await peer.open()
    return server, peer


async def carries(sender: Connection, receiver: Connection, message: bytes = b"intact") -> None:
    await sender.write(message)
    async with asyncio.timeout(5):
        assert await receiver.read() == message


# Garbage


def garbage(siege: Siege) -> list[bytes]:
    """Every length of a datagram, and every first byte with every length of a small one."""
    chance = siege.chance
    found = [chance.randbytes(size) for size in range(1473)]
    for first in (0x03, 0x13, 0xFF):
        found += [bytes([first]) + chance.randbytes(size) for size in range(300)]
    found += [bytes([first, second]) + chance.randbytes(40) for first in range(256) for second in (0, 1, 0x1F, 0xFF)]
    found += [bytes(size) for size in range(64)] + [b"\xff" * size for size in range(64)]
    return found


def test_garbage_of_every_length_and_kind_to_every_socket_changes_nothing() -> None:
    async def test(siege: Siege) -> None:
        server, theirs, client, ours = await pair(siege)
        stranger = Stranger(siege)
        for datagram in garbage(siege):
            for dht in (server, client):
                for socket in (0, 1):
                    stranger.send(datagram, address_of(dht, socket))
        await asyncio.sleep(1)
        assert all(message.error for message in stranger.messages() if isinstance(message, ResponseMessage))
        await carries(ours, theirs)
        await carries(theirs, ours)

    besiege(test)


@pytest.mark.parametrize("seed", range(3))
def test_true_datagrams_with_a_few_bytes_changed_change_nothing_for_others(seed: int) -> None:
    async def test(siege: Siege) -> None:
        taped: list[tuple[bytes, tuple[str, int]]] = []

        def tape(source: object, to: tuple[str, int], datagram: bytes) -> bool:
            if len(taped) < 3000 and datagram[:1] in (b"\x03", b"\x13"):
                taped.append((datagram, to))
            return False

        siege.internet.drops.append(tape)
        server, theirs, client, ours = await pair(siege)
        await client.mutable_put(client.key_pair, b"value", seq=1)
        await client.lookup(bytes(32))
        siege.internet.drops.clear()
        stranger = Stranger(siege)
        chance = siege.chance
        for datagram, to in taped:
            for _ in range(3):
                broken = bytearray(datagram)
                for _ in range(chance.randint(1, 4)):
                    broken[chance.randrange(1, len(broken))] = chance.choice((0, 1, 0x7F, 0xFD, 0xFE, 0xFF))
                if chance.random() < 0.3:
                    del broken[chance.randrange(len(broken)) :]
                stranger.send(bytes(broken), to)
        await asyncio.sleep(15)
        await carries(ours, theirs)
        again = await client.connect(server.key_pair.public_key)
        again.destroy()

    besiege(test, seed=seed, size=5)


# Packets for live streams


def stream_of(connection: Connection) -> tuple[int, int, int]:
    """Id, next expected number, next own number of a connection's stream."""
    stream = connection._raw.stream
    return connection._raw.id, stream._receive.next_seq, stream._sender.recovery.next_seq


@pytest.mark.parametrize("kind", [0, TYPE_DATA, TYPE_END, TYPE_SACK, TYPE_MESSAGE, TYPE_DESTROY, TYPE_HEARTBEAT, 0xC0])
def test_a_third_party_that_knows_only_the_stream_id_breaks_nothing(kind: int) -> None:
    """Whoever knows the id must still hit the numbers: 2^-16 for each packet, as with TCP."""

    async def test(siege: Siege) -> None:
        server, theirs, _, ours = await pair(siege)
        await carries(ours, theirs)
        await carries(theirs, ours)
        stranger = Stranger(siege)
        stream_id, expected, _ = stream_of(theirs)
        far = [expected + delta for delta in (70_000, 1 << 20, 1 << 30, (1 << 31) - 1, 1 << 31, -1, -70_000)]
        for seq in far:
            for ack in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                for window in (0, 1, 0xFFFFFFFF):
                    packet = Packet(
                        kind,
                        stream_id,
                        window,
                        seq & 0xFFFFFFFF,
                        ack,
                        payload=b"" if kind == TYPE_SACK else b"x" * 30,
                        sacks=((0, 0xFFFFFFFF), (5, 1), (0x7FFFFFFF, 0x80000001)) if kind == TYPE_SACK else (),
                    )
                    stranger.send(encode_packet(packet), address_of(server))
        await asyncio.sleep(1)
        assert not theirs.closed
        for _ in range(3):
            await carries(ours, theirs)
            await carries(theirs, ours)

    besiege(test)


def test_a_flood_of_messages_and_heartbeats_takes_no_memory() -> None:
    async def test(siege: Siege) -> None:
        server, theirs, _, ours = await pair(siege)
        stranger = Stranger(siege)
        stream_id, expected, _ = stream_of(theirs)
        flood = [
            encode_packet(Packet(kind, stream_id, 4 * MEBIBYTE, expected, 0, payload=bytes(1000)))
            for kind in (TYPE_MESSAGE, TYPE_HEARTBEAT)
        ]
        for _ in range(3000):
            for datagram in flood:
                stranger.send(datagram, address_of(server))
        await asyncio.sleep(1)
        stream = theirs._raw.stream
        assert not stream._events
        assert not stream._control
        await carries(ours, theirs)

    besiege(test)


# Memory


def test_a_frame_of_16_mb_in_small_steps_is_held_once_and_given_back() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        assert accepted
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            peer.write(b"\xff\xff\xff")
            for _ in range(24):
                peer.write(bytes(MEBIBYTE // 4))
                await peer.pump(0.1)
            assert not accepted[0].closed
            held, _ = tracemalloc.get_traced_memory()
            # Their queue and the datagrams on their way are in here too.
            assert held - before < 20 * MEBIBYTE
            accepted[0].destroy()
            peer.stream.destroy(siege.now())
            await asyncio.sleep(1)
            left, _ = tracemalloc.get_traced_memory()
            assert left - before < 2 * MEBIBYTE
        finally:
            tracemalloc.stop()

    besiege(test)


@pytest.mark.parametrize("frame", [b"\x00\x00\x00", b"\x10\x00\x00", b"\x11\x00\x00" + bytes(17), bytes(100)])
def test_a_broken_frame_closes_the_connection(frame: bytes) -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        server, peer = await opened(siege, accepted.append)
        peer.write(frame)
        peer.write(frame)
        await peer.pump(0.1)
        assert accepted[0].closed
        with pytest.raises(ConnectionClosed):
            await accepted[0].read()
        assert not server.node.connections
        assert not server.endpoint._streams

    besiege(test)


def test_a_peer_that_floods_a_reader_who_sleeps_is_held_at_its_window() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        for _ in range(400):
            peer.write(peer.secret.encrypt(bytes(20_000)))
        await peer.pump(20)
        assert accepted[0]._queued_bytes < 9 * MEBIBYTE  # its window, and what came out of order beside it
        assert not accepted[0].closed
        accepted[0].destroy()

    besiege(test)


def test_many_tiny_messages_to_a_reader_who_sleeps_are_bounded_too() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            frames = b"".join(peer.secret.encrypt(b"x") for _ in range(40_000))
            peer.write(frames)
            await peer.pump(5)
            assert len(accepted[0]._messages) == 40_000
            held, _ = tracemalloc.get_traced_memory()
            assert held - before < 8 * len(frames)
            accepted[0].destroy()
        finally:
            tracemalloc.stop()

    besiege(test)


# Peers that do not do their part


def test_a_peer_that_stops_reading_blocks_only_its_own_writer_and_close_ends_it() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        peer.reading = False
        connection = accepted[0]

        async def write() -> None:
            while True:
                await connection.write(bytes(60_000))

        writing = asyncio.create_task(write())
        await peer.pump(10)
        assert not writing.done()
        assert connection._raw.stream.bytes_unacked < 10 * MEBIBYTE
        closing = asyncio.create_task(connection.close())
        await peer.pump(0.5)
        assert writing.done(), "a blocked writer hears of the close at once"
        with pytest.raises(ConnectionClosed):
            await writing
        await peer.pump(35)
        assert closing.done()
        await closing
        assert connection.closed

    besiege(test)


def test_a_close_that_is_cancelled_drops_the_connection() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        server, peer = await opened(siege, accepted.append)
        closing = asyncio.create_task(accepted[0].close())
        await asyncio.sleep(0.01)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await peer.pump(1)
        assert accepted[0].closed
        assert not server.node.connections

    besiege(test)


def test_a_peer_that_acknowledges_but_never_ends_cannot_hold_a_close() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        closing = asyncio.create_task(accepted[0].close())
        await peer.pump(35)
        assert closing.done()
        await closing
        assert accepted[0].closed

    besiege(test)


def test_a_window_of_zero_for_ever_keeps_the_connection_without_a_storm() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        _, peer = await opened(siege, accepted.append)
        connection = accepted[0]
        for packet in (0, 1, 2):
            zero = Packet(0, peer.remote_id, 0, peer.stream._sender.recovery.next_seq, peer.stream._receive.next_seq)
            del packet
            peer.stranger.send(encode_packet(zero), peer.server)
        await asyncio.sleep(0.1)
        peer.stranger.on_datagram = None
        sent = len(peer.stranger.inbox)
        for _ in range(20):
            connection.write_nowait(bytes(50_000))
        for _ in range(60):
            ack = Packet(0, peer.remote_id, 0, peer.stream._sender.recovery.next_seq, peer.stream._receive.next_seq)
            peer.stranger.send(encode_packet(ack), peer.server)
            await asyncio.sleep(1)
        assert len(peer.stranger.inbox) - sent < 200
        connection.destroy()

    besiege(test)


# Before the connection exists


def test_a_server_that_destroys_before_it_answers_is_a_failed_connect_and_nothing_worse() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        client = await siege.node()
        stranger = Stranger(siege)
        at = address_of(client)

        def shoot(source: object, to: tuple[str, int], datagram: bytes) -> bool:
            for stream_id in list(client.endpoint._streams):
                for kind in (TYPE_DESTROY, TYPE_DATA | TYPE_END):
                    packet = encode_packet(Packet(kind, stream_id, 0, 0, 0, payload=b"x"))
                    siege.internet._sockets[at].receive([(packet, stranger.address)])
            return False

        siege.internet.drops.append(shoot)
        with pytest.raises(NetworkError):
            await client.connect(server.key_pair.public_key)
        siege.internet.drops.clear()
        await asyncio.sleep(20)
        assert not client.endpoint._streams
        (await client.connect(server.key_pair.public_key)).destroy()

    besiege(test)


def test_answers_from_a_wrong_address_with_the_right_number_do_not_count() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        client = await siege.node()
        stranger = Stranger(siege)
        home = address_of(client)[0]
        forged = 0

        def forge(source: tuple[str, int], to: tuple[str, int], datagram: bytes) -> bool:
            nonlocal forged
            if source[0] == home and datagram[:1] == b"\x03":
                tid = int.from_bytes(datagram[2:4], "little")
                answer = ResponseMessage(tid, source, id=peer_id(stranger.address), value=b"\x00" * 40, error=0)
                siege.internet._sockets[source].receive([(answer.encode(), stranger.address)])
                forged += 1
            return False

        siege.internet.drops.append(forge)
        connection = await client.connect(server.key_pair.public_key)
        await connection.write(b"hello")
        assert await connection.read() == b"hello"
        assert forged > 2
        assert stranger.address not in client.to_array()
        connection.destroy()

    besiege(test)


def test_closer_nodes_by_the_thousand_do_not_keep_a_walk_busy() -> None:
    async def test(siege: Siege) -> None:
        client = await siege.node()
        stranger = Stranger(siege)

        def answer(datagram: bytes, source: tuple[str, int]) -> None:
            if datagram[:1] == b"\x03":
                tid = int.from_bytes(datagram[2:4], "little")
                nodes = tuple(
                    (f"{siege.chance.randrange(30, 200)}.1.2.3", siege.chance.randrange(1, 65536)) for _ in range(200)
                )
                reply = ResponseMessage(tid, source, id=peer_id(stranger.address), token=bytes(32), closer_nodes=nodes)
                stranger.send(reply.encode(), source)

        stranger.on_datagram = answer
        client.endpoint.node.add_node(stranger.address)
        started = siege.now()
        assert await client.lookup(bytes(32)) == []
        assert siege.now() - started < 60

    besiege(test)


# Ourselves, and twice


def test_connecting_to_oneself_works_or_fails_by_name_but_does_not_hang() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        await dht.create_server(echo).listen()
        try:
            async with asyncio.timeout(30):
                connection = await dht.connect(dht.key_pair.public_key)
                await connection.write(b"me")
                assert await connection.read() == b"me"
                await connection.close()
        except NetworkError as error:
            assert error.name
        await asyncio.sleep(20)
        assert not dht.node.connections
        assert not dht.endpoint._streams

    besiege(test)


def test_two_connects_to_one_key_at_once_are_two_connections() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        client = await siege.node()
        first, second = await asyncio.gather(*(client.connect(server.key_pair.public_key) for _ in range(2)))
        assert first.handshake_hash != second.handshake_hash
        for connection in (first, second):
            await connection.write(b"hello")
            assert await connection.read() == b"hello"
        await first.close()
        await second.write(b"again")
        assert await second.read() == b"again"
        await second.close()

    besiege(test)


def test_a_key_that_nobody_serves_fails_by_name() -> None:
    async def test(siege: Siege) -> None:
        client = await siege.node()
        with pytest.raises(NetworkError) as failed:
            await client.connect(KeyPair.from_seed(bytes([7]) * 32).public_key)
        assert failed.value.name == "PEER_NOT_FOUND"
        assert not client.endpoint._streams

    besiege(test)


# Requests with strange values


def test_values_with_huge_counts_get_no_memory_and_no_exception() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node(ephemeral=False, firewalled=False)
        await server.create_server(echo).listen()
        stranger = Stranger(siege)
        at = address_of(server)
        counts = (b"\xfc", b"\xfd\xff\xff", b"\xfe\xff\xff\xff\xff", b"\xff" * 9)
        for command in range(14):
            for count in counts:
                for value in (count, bytes(32) + count, b"\x01" + bytes(32) + count, b"\xff" + count * 20, count * 100):
                    for internal in (False, True):
                        request = RequestMessage(9, at, command, internal, target=bytes(32), value=value)
                        stranger.send(request.encode(), at)
        await asyncio.sleep(12)
        client = await siege.node()
        (await client.connect(server.key_pair.public_key)).destroy()

    besiege(test)
