"""Handshakes from both ends, the server's memory of them, and what the JavaScript trace shows of the hops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from qvac_core.dht_rpc import RequestMessage, ResponseMessage, decode
from qvac_core.errors import RemoteProtocolError
from qvac_core.noise import KeyPair, dh
from qvac_core.rendezvous.constants import Command, Mode
from qvac_core.rendezvous.handshake import ClientHandshake, HandshakeMemory, ServerHandshake
from qvac_core.rendezvous.messages import (
    HandshakeMessage,
    NoisePayload,
    UdxInfo,
)
from qvac_core.rendezvous.router import Answer, Router

from .rendezvous_fakes import KEYS, FakeRequest

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))


def key(seed: int) -> KeyPair:
    return KeyPair.from_seed(bytes([seed]) * 32)


def client_handshake() -> ClientHandshake:
    return ClientHandshake(key_pair=key(5), ephemeral=key(6), remote_public_key=KEYS.public_key)


def server_handshake(ephemeral: int = 7) -> ServerHandshake:
    return ServerHandshake(key_pair=KEYS, ephemeral=key(ephemeral))


def test_both_sides_get_the_same_session() -> None:
    client, server = client_handshake(), server_handshake()
    asked: list[int] = []

    def payload() -> NoisePayload:
        asked.append(1)
        return NoisePayload(udx=UdxInfo(11), secret_stream=True)

    message = client.message(payload)
    assert client.message(payload) == message
    assert asked == [1]
    remote, seen = server.read(message)
    assert remote == key(5).public_key
    assert seen.udx == UdxInfo(11)
    answer, ours = server.answer(NoisePayload(udx=UdxInfo(12)))
    answered, theirs = client.read(answer)
    assert answered.udx == UdxInfo(12)
    assert (ours.tx, ours.rx) == (theirs.rx, theirs.tx)
    assert ours.holepunch_secret == theirs.holepunch_secret
    assert (ours.remote_public_key, theirs.remote_public_key) == (key(5).public_key, KEYS.public_key)


def test_a_lying_relay_does_not_end_the_handshake() -> None:
    client, server = client_handshake(), server_handshake()
    server.read(client.message(NoisePayload))
    answer, _ = server.answer(NoisePayload(error=1))
    for lie in (b"", bytes(len(answer)), answer[:-1] + bytes([answer[-1] ^ 1])):
        with pytest.raises(RemoteProtocolError):
            client.read(lie)
    assert client.read(answer)[0].error == 1


def _is_handshake(message: RequestMessage | ResponseMessage) -> TypeGuard[RequestMessage]:
    return isinstance(message, RequestMessage) and message.command == Command.PEER_HANDSHAKE and not message.internal


def test_the_same_answer_through_other_relays_is_worked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = client_handshake(), server_handshake()
    server.read(client.message(lambda: NoisePayload(udx=UdxInfo(11))))
    answer, _ = server.answer(NoisePayload(udx=UdxInfo(12)))
    agreed: list[bytes] = []

    def counted(public_key: bytes, secret_key: bytes) -> bytes:
        agreed.append(public_key)
        return dh(public_key, secret_key)

    monkeypatch.setattr("qvac_core.noise.handshake.dh", counted)
    assert client.read(answer) == client.read(bytes(bytearray(answer))) == client.read(answer)
    assert len(agreed) == 2


def test_message_1_in_the_trace_of_javascript_is_understood() -> None:
    trace = VECTORS["trace"]
    server = ServerHandshake(key_pair=KeyPair.from_seed(bytes.fromhex(trace["serverSeed"])), ephemeral=key(7))
    noise = set()
    for packet in trace["connect"]:
        data = bytes.fromhex(packet["hex"])
        if data[:1] in (b"\x03", b"\x13"):
            message = decode(data, ("127.0.0.1", packet["fromPort"]))
            if _is_handshake(message):
                assert message.target == bytes.fromhex(trace["target"])
                value = HandshakeMessage.decode(message.value or b"")
                if value.mode == Mode.FROM_CLIENT:
                    noise.add(value.noise)
    # One message 1, however many relays carry it.
    assert len(noise) == 1
    remote, payload = server.read(noise.pop())
    assert remote == KeyPair.from_seed(bytes.fromhex(trace["clientSeed"])).public_key
    assert (payload.version, payload.error, payload.secret_stream) == (1, 0, True)
    assert payload.udx is not None


def test_hops_in_the_trace_are_those_our_router_makes() -> None:
    """What the relay received and sent in JavaScript: our router turns the one into the other."""
    trace = VECTORS["trace"]
    hops: dict[int, list[tuple[HandshakeMessage, Any, RequestMessage | ResponseMessage]]] = {}
    for packet in trace["connect"]:
        data = bytes.fromhex(packet["hex"])
        if data[:1] not in (b"\x03", b"\x13"):
            continue
        message = decode(data, ("127.0.0.1", packet["fromPort"]))
        if message.value is None or not (isinstance(message, ResponseMessage) or _is_handshake(message)):
            continue
        try:
            hop = HandshakeMessage.decode(message.value)
        except RemoteProtocolError:
            continue
        if len(hop.noise) > 90:
            hops.setdefault(hop.mode, []).append((hop, packet, message))
    assert set(hops) == {Mode.FROM_CLIENT, Mode.FROM_RELAY, Mode.FROM_SERVER, Mode.REPLY}
    for hop, packet, message in hops[Mode.FROM_CLIENT]:
        router = Router()
        onward = next(h for h in hops[Mode.FROM_RELAY] if h[1]["from"] == packet["to"])
        router.set_forward(bytes.fromhex(trace["target"]), ("127.0.0.1", onward[1]["toPort"]), b"", 0)
        request = FakeRequest(Command.PEER_HANDSHAKE, hop.encode(), bytes.fromhex(trace["target"]))
        request.from_ = ("127.0.0.1", packet["fromPort"])
        router.on_handshake(request, 0)
        [(value, to, _)] = request.relayed
        assert value == onward[0].encode()
        assert to == ("127.0.0.1", onward[1]["toPort"])
        assert onward[2].tid == message.tid
    for hop, packet, message in hops[Mode.FROM_SERVER]:
        last = next(h for h in hops[Mode.REPLY] if h[1]["from"] == packet["to"])
        request = FakeRequest(Command.PEER_HANDSHAKE, hop.encode(), bytes.fromhex(trace["target"]))
        request.from_ = ("127.0.0.1", packet["fromPort"])
        Router().on_handshake(request, 0)
        [reply] = request.replies
        assert reply["value"] == last[2].value
        assert reply["to"] == ("127.0.0.1", last[1]["toPort"])
        assert last[2].tid == message.tid


def test_a_repeated_handshake_gets_the_same_answer() -> None:
    memory = HandshakeMemory()
    entry = memory.open(b"noise", 0)
    answers: list[Answer] = []
    entry.ask(answers.append)
    assert memory.find(b"noise", 1) is entry
    entry.ask(answers.append)
    assert answers == []
    entry.settle(Answer(b"reply"))
    entry.settle(Answer(b"another"))
    assert answers == [Answer(b"reply")] * 2
    entry.ask(answers.append)
    assert answers[2] == Answer(b"reply")
    memory.finish(entry, 5)
    memory.finish(entry, 100)
    assert memory.find(b"noise", 14.9) is entry
    assert memory.find(b"noise", 15) is None
    assert memory.by_id(entry.id) is None


def test_silence_is_remembered_too() -> None:
    memory = HandshakeMemory()
    entry = memory.open(b"noise", 0)
    answers: list[Answer] = []
    entry.ask(answers.append)
    entry.settle(None)
    entry.ask(answers.append)
    assert answers == []


def test_handshakes_in_memory_are_bounded() -> None:
    memory = HandshakeMemory(limit=3)
    removed: list[int] = []
    entries = [memory.open(bytes([i]), 0) for i in range(3)]
    for entry in entries:
        entry.on_removed = lambda id=entry.id: removed.append(id)
    assert [entry.id for entry in entries] == [0, 1, 2]
    memory.finish(entries[1], 0)
    replaced = memory.open(b"x", 0)
    assert replaced.id == 1
    assert memory.by_id(1) is replaced
    assert memory.open(b"y", 0).id == 0
    assert removed == [1, 0]
    assert len(memory) == 3
    asked: list[Answer] = []
    for _ in range(100):
        replaced.ask(asked.append)
    replaced.settle(Answer(b""))
    assert len(asked) == replaced.MAX_WAITING
