"""Where other ports fell, for the parts that show only between whole nodes."""

from __future__ import annotations

import asyncio

import pytest

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht import Connection, Refusal
from qvac_core.rendezvous.constants import Command, Mode, PeerError
from qvac_core.rendezvous.messages import HandshakeMessage

from .hostile import UDX_MAGIC, Siege, Stranger, address_of, besiege
from .virtual_loop import VirtualLoop


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


def test_blocked_is_silence_and_refused_is_error_1() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        key = dht.key_pair.public_key
        verdicts: list[bool | Refusal] = [True, Refusal()]
        server = dht.create_server(echo, lambda remote, payload: verdicts[0])
        await server.listen()
        stranger = Stranger(siege)
        _, value = stranger.handshake(key, 1)
        stranger.ask(address_of(dht), Command.PEER_HANDSHAKE, target=blake2b(key), value=value)
        await asyncio.sleep(30)
        assert stranger.inbox == []
        verdicts.pop(0)
        handshake, value = stranger.handshake(key, 2)
        stranger.ask(address_of(dht), Command.PEER_HANDSHAKE, target=blake2b(key), value=value)
        await asyncio.sleep(0.1)
        (message,) = stranger.messages()
        assert isinstance(message, ResponseMessage)
        assert message.value is not None
        payload, _ = handshake.read(HandshakeMessage.decode(message.value).noise)
        assert payload.error == PeerError.ABORTED
        assert payload.udx is None
        assert payload.addresses4 == ()
        assert not server._clients

    besiege(test)


def test_a_repeat_during_an_undecided_firewall_starts_no_second_session() -> None:
    async def test(siege: Siege) -> None:
        asked = 0

        async def firewall(key: bytes, payload: object) -> bool:
            nonlocal asked
            asked += 1
            await asyncio.sleep(1)
            return False

        dht = await siege.node()
        key = dht.key_pair.public_key
        server = dht.create_server(echo, firewall)
        await server.listen()
        stranger = Stranger(siege)
        _, value = stranger.handshake(key, 1)
        for wait in (0.1, 0.5, 1.0, 3.0):
            stranger.ask(address_of(dht), Command.PEER_HANDSHAKE, tid=7, target=blake2b(key), value=value)
            await asyncio.sleep(wait)
        answers = {m.value for m in stranger.messages() if isinstance(m, ResponseMessage)}
        assert asked == 1
        assert len(answers) == 1
        assert len(server._clients) == 1
        assert len(dht.endpoint._streams) == 1

    besiege(test)


def test_the_clients_stream_is_open_after_its_own_handshake() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        client = await siege.node()
        home = address_of(client)[0]
        siege.internet.drops.append(lambda source, to, datagram: to[0] == home and datagram[:2] == UDX_MAGIC)
        connection = await client.connect(server.key_pair.public_key)
        await connection.write(b"said before anything was heard")
        siege.internet.drops.clear()
        assert await connection.read() == b"said before anything was heard"
        connection.destroy()

    besiege(test)


def test_nodes_on_the_path_relay_for_others_over_two_hops() -> None:
    async def test(siege: Siege) -> None:
        await siege.grow(12)
        modes: set[int] = set()

        def watch(source: Address, to: Address, datagram: bytes) -> bool:
            try:
                message = decode(datagram, source)
                if message.value and (
                    isinstance(message, ResponseMessage) or message.command == Command.PEER_HANDSHAKE
                ):
                    modes.add(HandshakeMessage.decode(message.value).mode)
            except RemoteProtocolError:
                return False
            return False

        server = await siege.node(nat=True)
        await server.create_server(echo).listen()
        client = await siege.node()
        siege.internet.drops.append(watch)
        connection = await client.connect(server.key_pair.public_key)
        await connection.write(b"through a relay")
        assert await connection.read() == b"through a relay"
        assert {Mode.FROM_CLIENT, Mode.FROM_RELAY, Mode.FROM_SERVER, Mode.REPLY} <= modes
        connection.destroy()

    besiege(test)


def test_a_machine_that_slept_announces_again_within_seconds() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()
        await dht.create_server(echo).listen()
        await asyncio.sleep(20)
        announces = 0
        target = blake2b(dht.key_pair.public_key)

        def count(source: Address, to: Address, datagram: bytes) -> bool:
            nonlocal announces
            if datagram[:1] == b"\x03":
                message = decode(datagram, source)
                if isinstance(message, RequestMessage) and message.target == target:
                    announces += message.command == Command.ANNOUNCE
            return False

        siege.internet.drops.append(count)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop._jumping.now += 3600
        await asyncio.sleep(20)
        assert announces >= 3

    besiege(test, size=6)


def test_a_listen_that_nobody_stores_fails_loudly() -> None:
    async def test(siege: Siege) -> None:
        dht = await siege.node()

        def drop(source: Address, to: Address, datagram: bytes) -> bool:
            if datagram[:1] != b"\x03":
                return False
            message = decode(datagram, source)
            return isinstance(message, RequestMessage) and message.command == Command.ANNOUNCE and not message.internal

        siege.internet.drops.append(drop)
        server = dht.create_server(echo)
        with pytest.raises(NetworkError) as failed:
            await server.listen()
        assert failed.value.name == "ANNOUNCE_FAILED"
        with pytest.raises(NetworkError):
            await dht.announce(bytes(32))
        with pytest.raises(NetworkError):
            siege.internet.drops.append(lambda source, to, datagram: True)
            await dht.immutable_put(b"value")

    besiege(test)


def test_the_same_topic_announced_by_a_stranger_does_not_hide_a_server() -> None:
    """Announces of a key under its own hash need that key's signature; others go under the topic."""

    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(echo).listen()
        liar = await siege.node()
        await liar.announce(blake2b(server.key_pair.public_key))
        client = await siege.node()
        connection = await client.connect(server.key_pair.public_key)
        await connection.write(b"really you")
        assert await connection.read() == b"really you"
        connection.destroy()

    besiege(test, size=6)
