"""Nobody can aim us at others: bytes out for bytes in, for each message type that an unverified source may send.

`-s` prints the table. The factor of a single message is that of the original, which has no bound: its replies have
these very sizes however often they are asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qvac_core.codec import Address, Writer, blake2b
from qvac_core.dht_rpc import Internal, RequestMessage, ResponseMessage
from qvac_core.dht_rpc.limits import EXCESS_BYTES, EXCESS_WINDOW, REPLY_FACTOR, SMALL_REPLY
from qvac_core.dht_rpc.messages import pack_address
from qvac_core.hyperdht import DHT
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.messages import HandshakeMessage, HolepunchMessage

from .hostile import Siege, Stranger, address_of, besiege, stranger_key

PER_SECOND = 300
SECONDS = 20
TOPIC = bytes([9]) * 32


@dataclass(slots=True)
class Scales:
    """What crossed the internet between two hosts, in bytes."""

    siege: Siege
    weighed: dict[tuple[str, str], int]
    sizes: dict[tuple[str, str], list[int]]

    @classmethod
    def on(cls, siege: Siege) -> Scales:
        scales = cls(siege, {}, {})
        siege.internet.drops.append(scales._weigh)
        return scales

    def _weigh(self, source: Address, to: Address, datagram: bytes) -> bool:
        way = source[0], to[0]
        self.weighed[way] = self.weighed.get(way, 0) + len(datagram)
        self.sizes.setdefault(way, []).append(len(datagram))
        return False


@dataclass(frozen=True, slots=True)
class Stored:
    """A persistent node that stores much, and under which names."""

    dht: DHT
    key: bytes
    mutable: bytes
    immutable: bytes

    @property
    def address(self) -> Address:
        return address_of(self.dht)


async def fill(siege: Siege) -> Stored:
    """A topic with twenty announces, values as large as they get, and a server's announce, on one node of many."""
    client = await siege.node()
    for n in range(20):
        await client.announce(TOPIC, stranger_key(1000 + n))
    await client.mutable_put(client.key_pair, bytes(900), seq=1)
    immutable = await client.immutable_put(bytes(900))
    server = await siege.node()
    await server.create_server(lambda connection: None).listen()
    key, mutable = server.key_pair.public_key, blake2b(client.key_pair.public_key)
    now = siege.now()
    for dht in siege.nodes:
        records = dht.node.records
        if (
            records._mutables.get(mutable, now)
            and records._immutables.get(immutable, now)
            and len(records._records.get(TOPIC, 20, now, siege.chance)) == 20
            and dht.node.router.get(blake2b(key), now)
        ):
            return Stored(dht, key, mutable, immutable)
    raise AssertionError("no node stores all of it")


MESSAGES: dict[str, Callable[[Stored], RequestMessage]] = {
    "PING": lambda node: RequestMessage(1, node.address, Internal.PING, True),
    "PING_NAT": lambda node: RequestMessage(
        1, node.address, Internal.PING_NAT, True, value=Writer().uint16(9).finish()
    ),
    "FIND_NODE": lambda node: RequestMessage(1, node.address, Internal.FIND_NODE, True, target=TOPIC),
    "DOWN_HINT": lambda node: RequestMessage(
        1, node.address, Internal.DOWN_HINT, True, value=pack_address(("20.0.1.1", 1))
    ),
    "DELAYED_PING": lambda node: RequestMessage(
        1, node.address, Internal.DELAYED_PING, True, value=Writer().uint32(100).finish()
    ),
    "unknown internal": lambda node: RequestMessage(1, node.address, 77, True, target=TOPIC),
    "unknown": lambda node: RequestMessage(1, node.address, 77, target=TOPIC),
    "FIND_PEER": lambda node: RequestMessage(1, node.address, Command.FIND_PEER, target=blake2b(node.key)),
    "LOOKUP": lambda node: RequestMessage(1, node.address, Command.LOOKUP, target=TOPIC),
    "MUTABLE_GET": lambda node: RequestMessage(
        1, node.address, Command.MUTABLE_GET, target=node.mutable, value=Writer().uint(0).finish()
    ),
    "IMMUTABLE_GET": lambda node: RequestMessage(1, node.address, Command.IMMUTABLE_GET, target=node.immutable),
    "ANNOUNCE": lambda node: RequestMessage(1, node.address, Command.ANNOUNCE, target=TOPIC, value=bytes(40)),
    "UNANNOUNCE": lambda node: RequestMessage(1, node.address, Command.UNANNOUNCE, target=TOPIC, value=bytes(40)),
    "MUTABLE_PUT": lambda node: RequestMessage(1, node.address, Command.MUTABLE_PUT, target=TOPIC, value=bytes(99)),
    "IMMUTABLE_PUT": lambda node: RequestMessage(1, node.address, Command.IMMUTABLE_PUT, target=TOPIC, value=b"x"),
    "wrong token": lambda node: RequestMessage(1, node.address, Command.LOOKUP, target=TOPIC, token=bytes(32)),
    "handshake of nobody here": lambda node: RequestMessage(
        1,
        node.address,
        Command.PEER_HANDSHAKE,
        target=TOPIC,
        value=HandshakeMessage(Mode.FROM_CLIENT, b"x").encode(),
    ),
}


async def flood(send: Callable[[], None], seconds: int = SECONDS, per_second: int = PER_SECOND) -> None:
    for _ in range(seconds * 10):
        for _ in range(per_second // 10):
            send()
        await asyncio.sleep(0.1)


def test_replies_to_forged_sources_are_bounded_for_every_message_type() -> None:
    async def test(siege: Siege) -> None:
        node = await fill(siege)
        scales = Scales.on(siege)
        windows = SECONDS / EXCESS_WINDOW + 1
        for name, message in MESSAGES.items():
            victim = siege.internet.next_address(), 777
            datagram = message(node).encode()
            await flood(lambda d=datagram, v=victim: siege.internet.send(v, [d], node.address))  # type: ignore[misc]
            await asyncio.sleep(EXCESS_WINDOW)
            taken = scales.weighed[victim[0], node.address[0]]
            sizes = scales.sizes.get((node.address[0], victim[0]), [0])
            given = sum(sizes)
            print(f"{name:26} one: x{sizes[0] / len(datagram):5.1f}   flood: x{given / taken:5.2f} of {taken} bytes")
            allowed = max(REPLY_FACTOR * len(datagram), SMALL_REPLY) / len(datagram)
            assert given <= allowed * taken + windows * EXCESS_BYTES, name
            if sizes[0] > 4 * REPLY_FACTOR * len(datagram):
                assert given < sizes[0] * SECONDS * PER_SECOND / 4, "the bound does something"

    besiege(test, size=25)


def test_a_flood_in_somebodys_name_takes_nothing_from_anybody_else_and_a_token_lifts_the_bound() -> None:
    async def test(siege: Siege) -> None:
        node = await fill(siege)
        stranger, victim = Stranger(siege), Stranger(siege)
        datagram = MESSAGES["LOOKUP"](node).encode()
        await flood(lambda: siege.internet.send(victim.address, [datagram], node.address), seconds=3)
        await asyncio.sleep(1)
        stranger.send(datagram, node.address)
        await asyncio.sleep(0.1)
        [full] = stranger.messages()
        assert isinstance(full, ResponseMessage) and full.value is not None and len(full.closer_nodes) == 20

        victim.inbox.clear()
        victim.send(datagram, node.address)
        victim.send(MESSAGES["FIND_NODE"](node).encode(), node.address)
        victim.send(MESSAGES["PING"](node).encode(), node.address)
        await asyncio.sleep(0.1)
        kinds = [message for message in victim.messages() if isinstance(message, ResponseMessage)]
        assert [bool(message.closer_nodes) for message in kinds] == [True, False], "it still finds its way"
        assert len(kinds[0].closer_nodes) >= 5

        victim.inbox.clear()
        wrong = MESSAGES["wrong token"](node)
        victim.send(wrong.encode(), node.address)
        await asyncio.sleep(0.1)
        [refusal] = victim.messages()
        assert isinstance(refusal, ResponseMessage) and refusal.token is not None
        victim.inbox.clear()
        proven = RequestMessage(2, node.address, Command.LOOKUP, target=TOPIC, token=refusal.token)
        for _ in range(50):
            victim.send(proven.encode(), node.address)
        await asyncio.sleep(0.1)
        assert len(victim.messages()) == 50
        assert all(isinstance(m, ResponseMessage) and m.value == full.value for m in victim.messages())

    besiege(test, size=25)


def third_parties(node: Stored, at: Address) -> dict[str, tuple[Command, bytes]]:
    """Messages by which a stranger can name somebody else as the receiver."""
    noise = bytes(200)
    return {
        "handshake, relay address": (
            Command.PEER_HANDSHAKE,
            HandshakeMessage(Mode.FROM_CLIENT, noise, relay_address=at).encode(),
        ),
        "handshake, as a server": (
            Command.PEER_HANDSHAKE,
            HandshakeMessage(Mode.FROM_SERVER, noise, peer_address=at).encode(),
        ),
        "hole punch, as a client": (
            Command.PEER_HOLEPUNCH,
            HolepunchMessage(Mode.FROM_CLIENT, 1, noise, peer_address=at).encode(),
        ),
        "hole punch, as a server": (
            Command.PEER_HOLEPUNCH,
            HolepunchMessage(Mode.FROM_SERVER, 1, noise, peer_address=at).encode(),
        ),
    }


def test_a_relay_sends_little_to_those_who_never_announced_there() -> None:
    async def test(siege: Siege) -> None:
        node = await fill(siege)
        scales = Scales.on(siege)
        stranger = Stranger(siege)
        for name in third_parties(node, ("20.0.9.9", 1)):
            victim = siege.internet.next_address(), 777
            command, value = third_parties(node, victim)[name]
            await flood(
                lambda c=command, v=value: stranger.ask(  # type: ignore[misc]
                    node.address, c, target=blake2b(node.key), value=v
                )
            )
            await asyncio.sleep(EXCESS_WINDOW)
            taken = scales.weighed.pop((stranger.address[0], node.address[0]))
            given = scales.weighed[node.address[0], victim[0]]
            print(f"{name:26} flood: x{given / taken:5.2f} of {taken} bytes")
            assert 0 < given <= (SECONDS / EXCESS_WINDOW + 1) * EXCESS_BYTES
            assert given < taken / 4

    besiege(test, size=25)


def test_two_clients_of_one_announced_server_are_relayed_however_many_handshakes_come() -> None:
    """The host that announced proved itself: for it the relay does its work without that bound."""

    async def test(siege: Siege) -> None:
        node = await fill(siege)
        stranger = Stranger(siege)
        scales = Scales.on(siege)
        value = HandshakeMessage(Mode.FROM_CLIENT, bytes(200)).encode()
        await flood(
            lambda: stranger.ask(node.address, Command.PEER_HANDSHAKE, target=blake2b(node.key), value=value),
            seconds=5,
        )
        await asyncio.sleep(1)
        server = node.dht.node.router.get(blake2b(node.key), siege.now())
        assert server is not None and server.relay is not None
        assert len(scales.sizes[node.address[0], server.relay[0]]) >= 5 * PER_SECOND

    besiege(test, size=25)


@pytest.mark.parametrize("relayed", [False, True])
def test_a_server_that_admits_everybody_sends_a_claimed_address_little(relayed: bool) -> None:
    """Each handshake costs the stranger some 250 bytes; what the claimed address gets for it in all is bounded."""

    async def test(siege: Siege) -> None:
        server = await siege.node()
        await server.create_server(lambda connection: None).listen()
        key, at = server.key_pair.public_key, address_of(server)
        stranger = Stranger(siege)
        scales = Scales.on(siege)
        victim = siege.internet.next_address(), 777
        for n in range(100):
            _, value = stranger.handshake(key, n, firewall=Firewall.OPEN)
            if relayed:
                noise = HandshakeMessage.decode(value).noise
                value = HandshakeMessage(Mode.FROM_RELAY, noise, peer_address=victim).encode()
                stranger.ask(at, Command.PEER_HANDSHAKE, tid=n, target=blake2b(key), value=value)
            else:
                request = RequestMessage(n, at, Command.PEER_HANDSHAKE, target=blake2b(key), value=value)
                siege.internet.send(victim, [request.encode()], at)
        await asyncio.sleep(60)
        taken = sum(size for (_, to), size in scales.weighed.items() if to == at[0])
        given = scales.weighed[at[0], victim[0]]
        print(f"handshake {'relayed' if relayed else 'direct':16} flood: x{given / taken:5.2f} of {taken} bytes")
        assert given <= 100 * 900
        before = given
        await asyncio.sleep(60)
        assert scales.weighed[at[0], victim[0]] == before, "it ends"
        assert not server.node.connections and not server.node.punchings

    besiege(test)
