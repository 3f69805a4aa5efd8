"""A hole punch between two JavaScript peers, seen from outside both NATs, replayed through our parts.

trace-nat.json; docs/wire/hyperdht.md section 6.4, "what that looks like". Message 2 and the punch payloads are sealed
with keys that the trace does not hold: of those the sizes are compared. TTLs are one less than sent.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qvac_core.codec import Address, blake2b
from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import Command, Firewall, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, ServerHandshake
from qvac_core.rendezvous.holepunch_rounds import Ask, Asked, ClientRounds, ServerRounds, Settle
from qvac_core.rendezvous.holepuncher import LOW_TTL, PROBE, Holepuncher, Probe, State
from qvac_core.rendezvous.messages import (
    Announce,
    HandshakeMessage,
    HolepunchInfo,
    HolepunchMessage,
    HolepunchPayload,
    NoisePayload,
    RelayInfo,
    UdxInfo,
)
from qvac_core.rendezvous.router import Router
from qvac_core.rendezvous.secure_payload import SecurePayload
from qvac_core.rendezvous.signatures import verify_announce
from qvac_core.udx import Closed, DataReceived, EndReceived, Event, Stream, parse_stream_id
from qvac_core.udx.packet import HEADER_SIZE, decode_packet
from tests.unit.rendezvous_fakes import FakeRequest

SERVER_KEYS, CLIENT_KEYS = (KeyPair.from_seed(bytes([n]) * 32) for n in (1, 2))
TARGET = blake2b(SERVER_KEYS.public_key)
SERVER: Address = ("60.0.0.12", 32894)
SERVER_PUNCHER: Address = ("60.0.0.12", 38060)
CLIENT: Address = ("60.0.0.11", 51217)
CLIENT_PUNCHER: Address = ("60.0.0.11", 57850)
RELAY: Address = ("60.0.0.1", 49739)
OTHER_RELAY: Address = ("60.0.0.1", 49741)
RELAYS = [RelayInfo(("60.0.0.1", port), SERVER) for port in (49739, 49740, 49741)]
MESSAGE_BYTES = 2000


class Packet:
    def __init__(self, entry: dict[str, Any]) -> None:
        self.sender = _address(entry["from"])
        self.to = _address(entry["to"])
        self.ttl: int = entry["ttl"]
        self.size: int = entry["len"]
        self.raw = bytes.fromhex(entry["hex"])
        self.whole = len(self.raw) == self.size

    @property
    def message(self) -> RequestMessage | ResponseMessage:
        return decode(self.raw, self.sender)

    @property
    def value(self) -> bytes:
        assert self.message.value is not None
        return self.message.value

    def is_request(self, command: int, *, internal: bool = False) -> bool:
        message = self.message if self.raw[:1] == b"\x03" else None
        return isinstance(message, RequestMessage) and (message.command, message.internal) == (command, internal)


def _address(text: str) -> Address:
    host, port = text.rsplit(" ", 1)[1].split(":")
    return host, int(port)


@cache
def trace() -> list[Packet]:
    path = Path(__file__).resolve().parent.parent / "vectors" / "trace-nat.json"
    return [Packet(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["packets"]]


def sent(sender: Address, to: Address | None = None, command: int | None = None) -> list[Packet]:
    """Packets in order, of one command if given."""
    found = [p for p in trace() if p.sender == sender and (to is None or p.to == to)]
    return found if command is None else [p for p in found if p.is_request(command)]


def test_every_datagram_is_understood_and_written_the_same() -> None:
    kinds = {"udx": 0, "probe": 0, "dht": 0}
    for packet in trace():
        if parse_stream_id(packet.raw) is not None:
            kinds["udx"] += 1
            decoded = decode_packet(packet.raw)
            assert decoded is not None and decoded.padding == 0
        elif packet.raw == PROBE:
            kinds["probe"] += 1
        else:
            kinds["dht"] += 1
            assert packet.whole and packet.message.encode() == packet.raw
    assert kinds == {"udx": 13, "probe": 2, "dht": 92}


def test_the_announces_verify() -> None:
    """Each is signed for one node: its id, and the token that it gave just before."""
    announces = sent(SERVER, command=Command.ANNOUNCE)
    assert [packet.to for packet in announces] == [relay.relay_address for relay in RELAYS]
    for packet in announces:
        message = packet.message
        assert isinstance(message, RequestMessage) and message.token is not None and message.target == TARGET
        ids = {m.id for p in sent(packet.to, SERVER) if isinstance(m := p.message, ResponseMessage)} - {None}
        (node_id,) = ids
        assert node_id is not None
        announce = Announce.decode(packet.value)
        assert verify_announce(announce, target=TARGET, node_id=node_id, token=message.token)
        assert not verify_announce(announce, target=TARGET, node_id=bytes(32), token=message.token)


def handshake(packet: Packet) -> HandshakeMessage:
    return HandshakeMessage.decode(packet.value)


def test_message_1_opens_with_the_servers_key_and_ours_has_its_size() -> None:
    asked = sent(CLIENT, command=Command.PEER_HANDSHAKE)
    assert [packet.to for packet in asked] == [OTHER_RELAY, RELAY]
    (noise,) = {handshake(packet).noise for packet in asked}
    server = ServerHandshake(key_pair=SERVER_KEYS, ephemeral=KeyPair.from_seed(bytes([3]) * 32))
    remote, payload = server.read(noise)
    assert remote == CLIENT_KEYS.public_key
    assert payload == NoisePayload(udx=payload.udx, secret_stream=True) and payload.udx is not None
    assert {parse_stream_id(p.raw) for p in sent(SERVER_PUNCHER, CLIENT_PUNCHER)} - {None} == {payload.udx.id}
    ours = ClientHandshake(
        key_pair=CLIENT_KEYS,
        ephemeral=KeyPair.from_seed(bytes([4]) * 32),
        remote_public_key=SERVER_KEYS.public_key,
    )
    assert len(ours.message(lambda: payload)) == len(noise)


def test_message_2_has_the_size_of_what_our_server_would_say() -> None:
    noise = handshake(sent(CLIENT, command=Command.PEER_HANDSHAKE)[0]).noise
    server = ServerHandshake(key_pair=SERVER_KEYS, ephemeral=KeyPair.from_seed(bytes([3]) * 32))
    server.read(noise)
    (stream_id,) = {parse_stream_id(p.raw) for p in sent(CLIENT_PUNCHER, SERVER_PUNCHER)} - {None}
    assert stream_id is not None
    ours, _ = server.answer(
        NoisePayload(
            holepunch=HolepunchInfo(0, tuple(RELAYS)),
            addresses4=(("192.168.1.2", SERVER[1]),),
            udx=UdxInfo(stream_id),
            secret_stream=True,
            relay_addresses=tuple(relay.relay_address for relay in RELAYS),
        )
    )
    answers = sent(SERVER_PUNCHER, command=Command.PEER_HANDSHAKE)
    assert {len(handshake(packet).noise) for packet in answers} == {len(ours)}
    assert len({handshake(packet).noise for packet in answers}) == 1, "one handshake, through whichever relay"


def hop(packet: Packet) -> FakeRequest:
    """A datagram as the node that it was sent to takes it. Our router decides what becomes of it."""
    message = packet.message
    assert isinstance(message, RequestMessage)
    request = FakeRequest(message.command, message.value, message.target, from_=packet.sender, to=packet.to)
    router = Router()
    router.set_forward(TARGET, SERVER, b"record", 0.0)
    (router.on_handshake if message.command == Command.PEER_HANDSHAKE else router.on_holepunch)(request, 0.0)
    return request


@pytest.mark.parametrize("command", [Command.PEER_HANDSHAKE, Command.PEER_HOLEPUNCH])
def test_our_router_passes_on_what_the_relays_passed_on(command: Command) -> None:
    clients = (CLIENT, CLIENT_PUNCHER)
    there = [p for p in trace() if p.sender in clients and p.raw[:1] == b"\x03" and p.is_request(command)]
    assert len(there) == (2 if command == Command.PEER_HANDSHAKE else 1)
    for packet in there:
        (onward,) = (p for p in sent(packet.to, SERVER, command) if p.message.tid == packet.message.tid)
        assert hop(packet).relayed == [(onward.value, SERVER, None)]
        (back,) = (p for p in sent(SERVER_PUNCHER, packet.to, command) if p.message.tid == packet.message.tid)
        (reply,) = (p for p in sent(packet.to, packet.sender) if p.message.tid == packet.message.tid)
        assert hop(back).replies == [{"value": reply.value, "token": False, "closer_nodes": False, "to": packet.sender}]


def puncher(*, initiator: bool) -> Holepuncher:
    return Holepuncher(
        initiator=initiator, firewalled=True, remote_firewall=Firewall.UNKNOWN, socket=2, random=Random(1)
    )


def sample(side: Holepuncher, own: Address) -> None:
    """What the nodes answered to the four pings from its socket."""
    pings = [p for p in sent(own) if p.raw[:1] == b"\x03" and p.is_request(0, internal=True)]
    assert len(pings) == 4
    for ping in pings:
        (pong,) = (p for p in sent(ping.to, own) if p.message.tid == ping.message.tid)
        side.nat.add(pong.message.to, pong.sender)


def token(secret: bytes) -> SecurePayload:
    return SecurePayload(bytes(32), local_secret=secret)


def sealed_size(payload: HolepunchPayload) -> int:
    return len(token(bytes(32)).seal(payload, bytes(24)))


@pytest.mark.parametrize("own", [SERVER_PUNCHER, CLIENT_PUNCHER])
def test_both_nats_are_taken_for_what_they_are(own: Address) -> None:
    side = puncher(initiator=own == CLIENT_PUNCHER)
    sample(side, own)
    assert side.nat.settled and side.nat.firewall is Firewall.CONSISTENT
    assert side.nat.addresses == (own,)


def test_our_rounds_do_what_theirs_did() -> None:
    """Low-TTL probe, round 0, the server's fast probe, its answer, the connection: same order, tokens and sizes."""
    assert handshake(sent(RELAY, CLIENT)[-1]).peer_address == SERVER_PUNCHER
    ours, theirs = puncher(initiator=True), puncher(initiator=False)
    rounds = ClientRounds(
        ours,
        relays=RELAYS,
        relay_address=RELAY,
        server_address=SERVER_PUNCHER,
        token=token(b"c" * 32).token,
        random=Random(1),
    ).run()

    # the client: a probe that dies on the way opens its NAT, then the question to the server's relay
    ask = next(rounds)
    assert isinstance(ask, Ask)
    opening, question, answer, onward, fast, back, reply = _punch_of_the_trace()
    assert ours.transmissions() == [Probe(2, opening.to, low_ttl=True)] and opening.ttl == LOW_TTL - 1
    asked = HolepunchMessage.decode(question.value)
    assert (ask.relay, ask.peer_address) == (question.to, asked.peer_address)
    assert ask.payload.round == 0 and ask.payload.token is None and not ask.payload.punching
    assert sealed_size(ask.payload) == len(asked.payload)
    our_question = HolepunchMessage(Mode.FROM_CLIENT, 0, bytes(len(asked.payload)), ask.peer_address)
    assert len(our_question.encode()) == len(question.value)

    # the server: a probe at once, because the client has opened its NAT for exactly this address; then its answer
    sample(theirs, SERVER_PUNCHER)
    turn = ServerRounds(theirs, token=token(b"s" * 32).token).answer(
        ask.payload, peer_address=CLIENT_PUNCHER, to=SERVER, from_=onward.sender, socket=0, trusted=True
    )
    assert isinstance(next(turn), Settle)
    with pytest.raises(StopIteration) as told:
        turn.send(None)
    said: HolepunchPayload = told.value.value.payload
    assert theirs.transmissions() == [Probe(2, fast.to)] and fast.sender == SERVER_PUNCHER and fast.ttl == 63
    answered = HolepunchMessage.decode(answer.value)
    assert said.token is not None and said.remote_token is None and not said.punching and not said.connected
    assert said.addresses == (SERVER_PUNCHER,) and said.firewall == Firewall.CONSISTENT
    assert sealed_size(said) == len(answered.payload) == len(HolepunchMessage.decode(back.value).payload)
    assert (answered.mode, answered.peer_address) == (Mode.FROM_SERVER, CLIENT_PUNCHER)

    # the client: the fast probe decides, and the stream runs there without another round
    ours.receive_probe(2, fast.sender)
    assert ours.state is State.CONNECTED and ours.path == (2, SERVER_PUNCHER)
    sample(ours, CLIENT_PUNCHER)
    rounds.send(Asked(said, SERVER_PUNCHER, to=back.to, from_=back.sender))
    assert ours.nat.addresses == (reply.sender,) == (CLIENT_PUNCHER,)
    assert reply.to == ours.path[1] and parse_stream_id(reply.raw) is not None
    assert not sent(CLIENT_PUNCHER, command=Command.PEER_HOLEPUNCH)[1:]


def _punch_of_the_trace() -> tuple[Packet, ...]:
    """Opening probe, question, answer, the question relayed, fast probe, the answer relayed, first stream packet."""
    packets = trace()
    (opening,) = (p for p in sent(CLIENT_PUNCHER) if p.raw == PROBE)
    (fast,) = (p for p in sent(SERVER_PUNCHER) if p.raw == PROBE)
    (question,) = sent(CLIENT_PUNCHER, command=Command.PEER_HOLEPUNCH)
    (onward,) = sent(RELAY, SERVER, Command.PEER_HOLEPUNCH)
    (answer,) = sent(SERVER_PUNCHER, command=Command.PEER_HOLEPUNCH)
    (back,) = (p for p in sent(RELAY, CLIENT_PUNCHER) if p.message.tid == question.message.tid)
    first = next(p for p in sent(CLIENT_PUNCHER, SERVER_PUNCHER) if parse_stream_id(p.raw) is not None)
    in_order = [opening, question, onward, fast, answer, back, first]
    assert sorted(in_order, key=packets.index) == in_order
    return opening, question, answer, onward, fast, back, first


def test_our_stream_says_what_theirs_said() -> None:
    """The server's side of the echo, fed with the client's packets: the same headers, whole packets where plain."""
    inbound = sent(CLIENT_PUNCHER, SERVER_PUNCHER)[1:]
    theirs = sent(SERVER_PUNCHER, CLIENT_PUNCHER)[1:]
    own_id, remote_id = parse_stream_id(inbound[0].raw), parse_stream_id(theirs[0].raw)
    assert own_id is not None and remote_id is not None
    stream = Stream(own_id, now=0.0, random=Random(1))
    stream.connect(remote_id, 0.0)
    received = 0
    ends: list[Event] = []

    def take(*numbers: int) -> list[bytes]:
        nonlocal received
        stream.receive_datagrams([inbound[n].raw.ljust(inbound[n].size, b"\0") for n in numbers], 0.0)
        while (event := stream.next_event()) is not None:
            if isinstance(event, DataReceived):
                received += len(event.data)
                stream.consumed(len(event.data))
            else:
                ends.append(event)
        return [raw[:HEADER_SIZE] for raw in stream.datagrams_to_send(0.0)]

    def write(size: int) -> list[bytes]:
        stream.write(bytes(size), 0.0)
        out = stream.datagrams_to_send(0.0)
        assert sum(len(raw) - HEADER_SIZE for raw in out) == size
        return [raw[:HEADER_SIZE] for raw in out]

    headers = [packet.raw[:HEADER_SIZE] for packet in theirs]
    acknowledged, first, again, second, end_seen, end = headers
    assert take(0) == [acknowledged]
    take(1)
    assert received == _WIRE_BYTES == sum(packet.size - HEADER_SIZE for packet in theirs)
    assert write(theirs[1].size - HEADER_SIZE) == [first]
    assert again == first[:2] + b"\0" + first[3:12] + b"\1" + first[13:], "an acknowledgement between two writes"
    assert write(theirs[3].size - HEADER_SIZE) == [second]
    assert take(2) == []
    assert take(3, 4) == [end_seen] and ends == [EndReceived()]
    stream.end(0.0)
    assert [raw[:HEADER_SIZE] for raw in stream.datagrams_to_send(0.0)] == [end]
    take(6)
    assert ends == [EndReceived(), Closed(None)]


_WIRE_BYTES = 59 + 20 + MESSAGE_BYTES
"""First frame (3 + 32 + 24), then one message (3 + 17 + its bytes)."""
