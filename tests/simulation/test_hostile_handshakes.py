"""Handshakes by strangers: floods, replays, half-done ones, servers that close meanwhile. Virtual time, seeded."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.codec import blake2b
from qvac_core.dht_rpc import ResponseMessage
from qvac_core.hyperdht import DHT, Connection, Refusal
from qvac_core.rendezvous.constants import Command, Firewall
from qvac_core.rendezvous.handshake import MAX_REMEMBERED

from .hostile import RawPeer, Siege, Stranger, address_of, besiege


def nothing_is_left(dht: DHT) -> None:
    assert not dht.node.connections
    assert not dht.endpoint._streams
    assert not dht.node.attempts


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


async def works(siege: Siege, server: DHT) -> None:
    client = await siege.node()
    connection = await client.connect(server.key_pair.public_key)
    await connection.write(b"still there?")
    assert await connection.read() == b"still there?"
    await connection.close()


def test_ten_thousand_false_handshakes_are_bounded_and_harm_nobody() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        server = dht.create_server(echo)
        await server.listen()
        stranger = Stranger(siege)
        _, good = stranger.handshake(dht.key_pair.public_key, 1)
        target = blake2b(dht.key_pair.public_key)
        to = address_of(dht)
        for n in range(10_000):
            value = good[:10] + siege.chance.randbytes(len(good) - 10)
            stranger.ask(to, Command.PEER_HANDSHAKE, tid=n & 0xFFFF, target=target, value=value)
            if n % 500 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(server._memory) <= MAX_REMEMBERED
        assert not server._clients
        await works(siege, dht)
        assert not [message for message in stranger.messages() if isinstance(message, ResponseMessage)]

    besiege(test)


def test_true_handshakes_that_go_no_further_are_bounded_and_forgotten() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node(keep_alive=1.0)
        server = dht.create_server(echo)
        await server.listen()
        strangers = [Stranger(siege) for _ in range(6)]
        target = blake2b(dht.key_pair.public_key)
        for n in range(MAX_REMEMBERED + 50):
            stranger = strangers[n % 6]
            _, value = stranger.handshake(dht.key_pair.public_key, n, firewall=(Firewall.UNKNOWN, Firewall.OPEN)[n % 2])
            stranger.ask(address_of(dht), Command.PEER_HANDSHAKE, tid=n, target=target, value=value)
            if n % 100 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(server._memory) <= MAX_REMEMBERED
        assert len(server._clients) <= MAX_REMEMBERED
        assert len(dht.endpoint._streams) <= MAX_REMEMBERED
        await asyncio.sleep(30)
        assert not server._clients
        nothing_is_left(dht)
        await works(siege, dht)

    besiege(test)


def test_a_flood_of_true_handshakes_does_not_lock_others_out() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        server = dht.create_server(echo)
        await server.listen()
        strangers = [Stranger(siege) for _ in range(6)]
        target = blake2b(dht.key_pair.public_key)
        for n in range(MAX_REMEMBERED + 50):
            stranger = strangers[n % 6]
            _, value = stranger.handshake(dht.key_pair.public_key, n)
            stranger.ask(address_of(dht), Command.PEER_HANDSHAKE, tid=n, target=target, value=value)
        await asyncio.sleep(0.1)
        started = siege.now()
        await works(siege, dht)
        assert siege.now() - started < 2

    besiege(test)


def test_a_replayed_handshake_makes_no_second_connection() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        dht = await siege.node()
        await dht.create_server(accepted.append).listen()
        taped: list[bytes] = []
        at = address_of(dht)

        def tape(source: object, to: object, datagram: bytes) -> bool:
            if to == at:
                taped.append(datagram)
            return False

        siege.internet.drops.append(tape)
        client = await siege.node()
        connection = await client.connect(dht.key_pair.public_key)
        await connection.write(b"one")
        await asyncio.sleep(0.1)
        assert len(accepted) == 1
        stranger = Stranger(siege)
        for wait in (0.0, 5.0, 11.0, 60.0):
            await asyncio.sleep(wait)
            for datagram in list(taped):
                if datagram[:1] == b"\x03":
                    stranger.send(datagram, at)
        await asyncio.sleep(30)
        assert len(accepted) == 1
        assert not connection.closed
        await connection.close()
        await asyncio.sleep(10)
        nothing_is_left(dht)

    besiege(test)


def test_a_peer_that_never_sends_its_first_frame_is_dropped_after_ten_seconds() -> None:
    async def test(siege: Siege) -> None:
        accepted: list[Connection] = []
        dht = await siege.node(keep_alive=2.0)
        server = dht.create_server(accepted.append)
        await server.listen()
        peer = await RawPeer.connect(siege, dht)
        peer.write(peer.secret.start()[:30])  # slow loris: the rest never comes, all else is acknowledged
        await peer.pump(9)
        assert dht.node.connections
        await peer.pump(5)
        assert not accepted
        nothing_is_left(dht)
        assert peer.stream.closed

    besiege(test)


def test_a_server_that_closes_during_handshakes_leaves_nothing() -> None:
    async def test(siege: Siege) -> None:
        waiting: list[asyncio.Future[bool]] = []

        async def firewall(key: bytes, payload: object) -> bool:
            waiting.append(asyncio.get_running_loop().create_future())
            return await waiting[-1]

        dht = await siege.node(keep_alive=1.0)
        for slow in (False, True):
            server = dht.create_server(echo, firewall if slow else None)
            await server.listen()
            stranger = Stranger(siege)
            for n in range(50):
                _, value = stranger.handshake(dht.key_pair.public_key, n + 100 * slow)
                stranger.ask(
                    address_of(dht), Command.PEER_HANDSHAKE, tid=n, target=blake2b(dht.key_pair.public_key), value=value
                )
            await asyncio.sleep(0.02)
            await server.close()
            for decision in waiting:
                decision.set_result(False)
            await asyncio.sleep(0.1)
            assert not server._clients
            nothing_is_left(dht)
            await asyncio.sleep(20)
            nothing_is_left(dht)

    besiege(test)


def test_refusals_are_rate_limited() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        server = dht.create_server(echo, lambda key, payload: Refusal())
        await server.listen()
        stranger = Stranger(siege)
        for n in range(300):
            _, value = stranger.handshake(dht.key_pair.public_key, n)
            stranger.ask(
                address_of(dht), Command.PEER_HANDSHAKE, tid=n, target=blake2b(dht.key_pair.public_key), value=value
            )
        await asyncio.sleep(0.5)
        answers = [message for message in stranger.messages() if isinstance(message, ResponseMessage)]
        assert 0 < len(answers) <= 100
        nothing_is_left(dht)

    besiege(test)


@pytest.mark.parametrize("true", [False, True])
def test_during_a_steady_flood_from_one_address_others_get_in(true: bool) -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        server = dht.create_server(echo)
        await server.listen()
        stranger = Stranger(siege)
        key = dht.key_pair.public_key
        to = address_of(dht)
        _, good = stranger.handshake(key, 1)

        async def flood() -> None:
            for n in range(1_000_000):
                value = good[:10] + siege.chance.randbytes(len(good) - 10)
                if true:
                    _, value = stranger.handshake(key, n)
                stranger.ask(to, Command.PEER_HANDSHAKE, tid=n & 0xFFFF, target=blake2b(key), value=value)
                await asyncio.sleep(0.001)

        client = await siege.node()
        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.9)
        connection = await client.connect(key)
        await connection.write(b"in spite of all")
        assert await connection.read() == b"in spite of all"
        flooding.cancel()
        await asyncio.wait([flooding])
        connection.destroy()

    besiege(test)
