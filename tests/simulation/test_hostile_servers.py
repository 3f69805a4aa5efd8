"""Servers, relays and clients that hold their keys and say senseless things inside a valid handshake."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode, peer_id
from qvac_core.errors import NetworkError, RemoteProtocolError
from qvac_core.hyperdht import DHT, Connection
from qvac_core.rendezvous.constants import NS_PEER_HOLEPUNCH, Command, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, ServerHandshake
from qvac_core.rendezvous.messages import (
    HandshakeMessage,
    HolepunchInfo,
    HolepunchMessage,
    NoisePayload,
    PeerRecord,
    RelayInfo,
    RelayThrough,
    UdxInfo,
)
from qvac_core.rendezvous.secure_payload import SecurePayload

from .hostile import Siege, Stranger, address_of, besiege, stranger_key

NOWHERE: Address = ("0.0.0.0", 0)


class Raw:
    """Stands in for a payload whose bytes are the test's."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def encode(self) -> bytes:
        return self._data


class HostileServer(Stranger):
    """Says that it is announced at itself, and answers every handshake with `payload`."""

    def __init__(self, siege: Siege, payload: Any, *, peer_address: Address | None = None) -> None:
        super().__init__(siege)
        self.keys = stranger_key(77)
        self.payload = payload
        self.peer_address = peer_address
        self.on_datagram = self._answer

    def _answer(self, datagram: bytes, source: Address) -> None:
        try:
            message = decode(datagram, source)
        except RemoteProtocolError:
            return
        if not isinstance(message, RequestMessage):
            return
        value = None
        if message.command == Command.FIND_PEER and not message.internal:
            value = PeerRecord(self.keys.public_key, (NOWHERE,) * 3).encode()
        elif message.command == Command.PEER_HANDSHAKE and not message.internal and message.value:
            handshake = ServerHandshake(key_pair=self.keys, ephemeral=stranger_key(len(self.inbox)))
            try:
                handshake.read(HandshakeMessage.decode(message.value).noise)
            except RemoteProtocolError:
                return
            noise, _ = handshake.answer(self.payload)
            value = HandshakeMessage(Mode.REPLY, noise, peer_address=self.peer_address).encode()
        reply = ResponseMessage(message.tid, source, id=peer_id(self.address), token=bytes(32), value=value)
        self.send(reply.encode(), source)


UDX = UdxInfo(5)
RELAYS = HolepunchInfo(1 << 40, (RelayInfo(NOWHERE, NOWHERE), RelayInfo(("255.255.255.255", 65535), ("224.0.0.1", 1))))
PAYLOADS: list[Any] = [
    NoisePayload(),
    NoisePayload(udx=UdxInfo(0), secret_stream=True),
    NoisePayload(udx=UdxInfo(0xFFFFFFFF, seq=1 << 60, version=1 << 60, reusable_socket=True)),
    NoisePayload(version=0),
    NoisePayload(version=1 << 62),
    NoisePayload(error=1),
    NoisePayload(error=2, udx=UDX),
    NoisePayload(error=1 << 62, udx=UDX),
    NoisePayload(firewall=1 << 62, udx=UDX),
    NoisePayload(firewall=1, udx=UDX, addresses4=(NOWHERE, ("255.255.255.255", 65535), ("224.0.0.1", 80))),
    NoisePayload(firewall=2, udx=UDX, addresses4=(("127.0.0.1", 1),) * 256),
    NoisePayload(firewall=2, udx=UDX, holepunch=RELAYS, addresses4=(NOWHERE,)),
    NoisePayload(firewall=3, udx=UDX, holepunch=HolepunchInfo(0, ())),
    NoisePayload(udx=UDX, relay_addresses=(NOWHERE, ("255.255.255.255", 0), ("1.2.3.4", 0))),
    NoisePayload(udx=UDX, relay_through=RelayThrough(bytes(32), bytes(32))),
    NoisePayload(udx=UDX, addresses6=(("::", 0),) * 256),
    Raw(b""),
    Raw(b"\x01"),
    Raw(b"\xff" * 300),
    Raw(bytes(1000)),
]


@pytest.mark.parametrize("peer_address", [None, NOWHERE, ("255.255.255.255", 65535), ("20.0.1.1", 1)])
def test_whatever_a_server_answers_a_connect_ends_and_leaves_nothing(peer_address: Address | None) -> None:
    async def test(siege: Siege) -> None:
        client = await siege.node()
        for payload in PAYLOADS:
            server = HostileServer(siege, payload, peer_address=peer_address)
            for _ in range(2):  # the second one remembers what the first was told
                started = siege.now()
                try:
                    connection = await client.connect(server.keys.public_key, relay_addresses=[server.address])
                except NetworkError as error:
                    assert error.name
                else:
                    with pytest.raises(NetworkError):
                        await connection.write(b"anybody?")
                        await connection.read()
                assert siege.now() - started < 61
            server.socket.close()
            client.node.forget_relays(server.keys.public_key)
        await asyncio.sleep(20)
        assert not client.node.connections
        assert not client.node.attempts
        assert not client.endpoint._streams

    besiege(test)


async def echo(connection: Connection) -> None:
    async for message in connection:
        await connection.write(message)
    await connection.close()


def client_payloads() -> list[Any]:
    chance = Random(5)
    good = NoisePayload(firewall=1, holepunch=RELAYS, addresses4=(NOWHERE,) * 5, udx=UDX, secret_stream=True).encode()
    mutated = []
    for _ in range(150):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 0x7F, 0xFC, 0xFD, 0xFE, 0xFF))
        mutated.append(Raw(bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.4 else data)))
    return PAYLOADS + mutated


def test_whatever_a_client_says_the_server_answers_once_or_not_and_forgets_it() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node(keep_alive=1.0)
        key = server.key_pair.public_key
        listening = server.create_server(echo)
        await listening.listen()
        stranger = Stranger(siege)
        payloads = client_payloads()
        for relayed in (False, True):
            for n, payload in enumerate(payloads):
                number = n + 1000 * relayed
                handshake = ClientHandshake(
                    key_pair=stranger_key(number), ephemeral=stranger_key(5000 + number), remote_public_key=key
                )
                message = HandshakeMessage(
                    Mode.FROM_RELAY if relayed else Mode.FROM_CLIENT,
                    handshake.message(lambda payload=payload: payload),  # type: ignore[misc]
                    peer_address=siege.chance.choice([NOWHERE, ("255.255.255.255", 1), ("20.0.1.1", 49737)])
                    if relayed
                    else None,
                )
                stranger.ask(
                    address_of(server), Command.PEER_HANDSHAKE, tid=number, target=blake2b(key), value=message.encode()
                )
        await asyncio.sleep(40)
        assert not listening._clients
        assert not server.node.connections
        assert not server.endpoint._streams
        answered = [m.tid for m in stranger.messages() if isinstance(m, ResponseMessage)]
        assert len(answered) == len(set(answered)) > 0
        (await (await siege.node()).connect(key)).destroy()

    besiege(test)


def test_hole_punch_rounds_of_any_kind_are_declined_or_ignored() -> None:
    async def test(siege: Siege) -> None:
        server = await siege.node()
        key = server.key_pair.public_key
        listening = server.create_server(echo)
        await listening.listen()
        stranger = Stranger(siege)
        at = address_of(server)
        _, session = await stranger.shake_hands(at, key)
        assert session.holepunch_secret == blake2b(NS_PEER_HOLEPUNCH, key=session.handshake_hash)
        secure = SecurePayload(session.holepunch_secret, local_secret=bytes(32))
        chance = siege.chance
        for n in range(300):
            plain = chance.randbytes(chance.randrange(60))
            sealed = secure.seal(Raw(plain), chance.randbytes(24))  # type: ignore[arg-type]
            payload = chance.choice((sealed, plain, b"", sealed[:-1]))
            value = HolepunchMessage(
                chance.randrange(6), chance.choice((0, 1, 1 << 60)), payload, chance.choice((None, NOWHERE, at))
            ).encode()
            stranger.ask(at, Command.PEER_HOLEPUNCH, tid=n, target=blake2b(key), value=value)
        await asyncio.sleep(20)
        assert not server.endpoint._streams
        (await (await siege.node()).connect(key)).destroy()

    besiege(test)


def test_listen_cancelled_at_each_of_its_awaits_can_be_tried_again() -> None:
    from .test_hostile_lifecycles import cancelled_at, extra_tasks, settled

    async def test(siege: Siege) -> None:
        dht = await siege.node()
        for step in range(1, 60):
            try:
                server = await cancelled_at(dht.create_server(echo).listen(), step)
            except asyncio.CancelledError:
                await settled()
                assert not extra_tasks(dht)
                assert not dht.node.servers
                continue
            await server.close()
            break
        else:
            raise AssertionError("listen never ends")
        assert step >= 3
        assert not dht.node.servers

    besiege(test, size=5)


def test_connects_that_begin_while_the_node_closes_end_with_it() -> None:
    async def test(siege: Siege) -> None:
        far = await siege.node(nat=True)
        await far.create_server(echo).listen()
        node = await siege.node()
        await node.create_server(echo).listen()
        home = address_of(node)[0]
        # Its withdrawal gets no answer, so that closing takes its two seconds; and the far server never comes.
        siege.internet.drops.append(lambda source, to, datagram: to[0] == home and datagram[:2] == b"\xff\x01")
        siege.internet.drops.append(lambda source, to, datagram: _is_unannounce(datagram, source))
        closing = asyncio.create_task(node.close())
        connecting = []
        for _ in range(8):
            await asyncio.sleep(0.25)
            if not closing.done():
                connecting.append(asyncio.create_task(node.connect(far.key_pair.public_key)))
        await closing
        assert connecting
        closed_at = siege.now()
        outcomes = await asyncio.gather(*connecting, return_exceptions=True)
        assert siege.now() - closed_at < 1
        for outcome in outcomes:
            if isinstance(outcome, Connection):
                assert outcome.closed
            else:
                assert isinstance(outcome, NetworkError)

    besiege(test, size=4)


def _is_unannounce(datagram: bytes, source: Address) -> bool:
    if datagram[:1] != b"\x03":
        return False
    message = decode(datagram, source)
    return isinstance(message, RequestMessage) and not message.internal and message.command == Command.UNANNOUNCE


def test_one_node_serves_and_connects_to_many_at_once() -> None:
    async def test(siege: Siege) -> None:
        nodes: list[DHT] = [await siege.node() for _ in range(6)]
        for node in nodes:
            await node.create_server(echo).listen()

        async def talk(one: DHT, other: DHT) -> None:
            connection = await one.connect(other.key_pair.public_key)
            await connection.write(one.key_pair.public_key)
            assert await connection.read() == one.key_pair.public_key
            await connection.close()

        await asyncio.gather(*(talk(one, other) for one in nodes for other in nodes if one is not other))
        await asyncio.sleep(20)
        assert not any(node.node.connections or node.endpoint._streams for node in nodes)

    besiege(test)
