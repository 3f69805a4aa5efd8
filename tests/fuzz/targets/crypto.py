"""Targets: what is read before and behind encryption: Noise messages, secret streams, sealed hole punch payloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from qvac_core.errors import LocalProtocolError, RemoteProtocolError
from qvac_core.noise import HandshakeState, KeyPair
from qvac_core.rendezvous.constants import NS_PEER_HANDSHAKE
from qvac_core.rendezvous.handshake import ClientHandshake, ServerHandshake
from qvac_core.rendezvous.messages import HolepunchPayload, NoisePayload
from qvac_core.rendezvous.secure_payload import SecurePayload
from qvac_core.secret_stream import SecretStream
from tests.fuzz.known_answers import vectors
from tests.fuzz.script import Script, chunk
from tests.fuzz.target import Target

_CLIENT, _SERVER, _EPHEMERAL_1, _EPHEMERAL_2 = (KeyPair.from_seed(bytes([n]) * 32) for n in (5, 6, 7, 8))


def _initiator() -> HandshakeState:
    return HandshakeState(
        initiator=True,
        static=_CLIENT,
        ephemeral=_EPHEMERAL_1,
        prologue=NS_PEER_HANDSHAKE,
        remote_public_key=_SERVER.public_key,
    )


def _responder() -> HandshakeState:
    return HandshakeState(initiator=False, static=_SERVER, ephemeral=_EPHEMERAL_2, prologue=NS_PEER_HANDSHAKE)


def noise(data: bytes) -> None:
    """A handshake whose messages are damaged on the way, or are any bytes at all: it completes or it fails for good."""
    script = Script(data)
    initiator, responder = _initiator(), _responder()
    raw = script.byte() % 4
    if not _read(responder, initiator.write_message(script.chunk()), script, raw == 1):
        return
    assert responder.remote_public_key == _CLIENT.public_key
    if not _read(initiator, responder.write_message(script.chunk()), script, raw == 2):
        return
    assert initiator.complete and responder.complete
    assert (initiator.tx, initiator.rx) == (responder.rx, responder.tx)
    assert initiator.handshake_hash == responder.handshake_hash
    _is_over(initiator)
    _is_over(responder)


def _read(reader: HandshakeState, message: bytes, script: Script, raw: bool) -> bool:
    """Whether the message got through; only the true one may."""
    given = script.rest() if raw else script.damaged(message)
    try:
        payload = reader.read_message(given)
    except RemoteProtocolError:
        assert given != message
        assert not reader.complete and (reader.initiator or reader.remote_public_key is None)
        _is_over(reader)
        return False
    assert given == message and len(payload) <= len(message)
    return True


def _is_over(state: HandshakeState) -> None:
    for call in (state.read_message, state.write_message):
        with suppress(LocalProtocolError):
            call(bytes(100))
            raise AssertionError("a handshake went on after its end")


def handshake_payload(data: bytes) -> None:
    """Any payload inside of true Noise messages; a relay that lies does not end the client's handshake."""
    script = Script(data)
    state = _initiator()
    server = ServerHandshake(key_pair=_SERVER, ephemeral=_EPHEMERAL_2)
    payload = script.chunk()
    try:
        remote, read = server.read(state.write_message(payload))
    except RemoteProtocolError:
        return
    assert remote == _CLIENT.public_key and read == NoisePayload.decode(payload)
    client = ClientHandshake(key_pair=_CLIENT, ephemeral=_EPHEMERAL_1, remote_public_key=_SERVER.public_key)
    server = ServerHandshake(key_pair=_SERVER, ephemeral=_EPHEMERAL_2)
    server.read(client.message(lambda: read))
    answer, session = server.answer(NoisePayload())
    lie = script.damaged(answer)
    if lie != answer:
        with suppress(RemoteProtocolError):
            client.read(lie)
            raise AssertionError("a damaged message 2 was read")
    theirs = client.read(answer)[1]
    assert (theirs.tx, theirs.rx, theirs.holepunch_secret) == (session.rx, session.tx, session.holepunch_secret)


def secret_stream(data: bytes) -> None:
    """Messages in any chunks, damaged anywhere: a prefix of what was written comes out, then an error or nothing."""
    script = Script(data)
    keys = bytes([1]) * 32, bytes([2]) * 32
    a = SecretStream(initiator=True, tx=keys[0], rx=keys[1], handshake_hash=bytes(64), header=bytes(24))
    b = SecretStream(initiator=False, tx=keys[1], rx=keys[0], handshake_hash=bytes(64), header=bytes(24))
    limit = 56 + script.uint16()
    b.limit_frames(limit)
    messages = [script.chunk() for _ in range(script.byte() % 6)]
    wire = a.start() + b"".join(map(a.encrypt, messages))
    given = script.damaged(wire)
    fits = all(len(message) + 17 <= limit for message in messages)
    received: list[bytes] = []
    try:
        while given:
            step = 1 + script.byte() * 4
            received += b.receive(given[:step])
            given = given[step:]
            assert b.buffered <= limit + 3
        assert b.destroyed is False
    except RemoteProtocolError:
        assert b.destroyed
        _is_dead(b)
    wanted = [message for message in messages if message]
    assert received == wanted[: len(received)]
    if b.buffered == 0 and not b.destroyed and fits and b.opened:
        assert len(received) <= len(wanted)
    _unordered(a, b, script)


def _is_dead(stream: SecretStream) -> None:
    with suppress(RemoteProtocolError):
        stream.receive(b"")
        raise AssertionError("a destroyed stream read on")


def _unordered(a: SecretStream, b: SecretStream, script: Script) -> None:
    message = script.chunk()
    datagram = a.encrypt_unordered(message)
    given = script.damaged(datagram)
    read = b.decrypt_unordered(given)
    assert read == (message if given == datagram and not b.destroyed else None)
    assert b.decrypt_unordered(script.rest()) is None


def holepunch_payload(data: bytes) -> None:
    """Any plaintext sealed by the peer, or damaged on the way."""
    from nacl import bindings

    script = Script(data)
    secure = SecurePayload(bytes(32), local_secret=bytes(32))
    plain = script.chunk()
    nonce = bytes(24)
    sealed = nonce + bindings.crypto_secretbox(plain, nonce, bytes(32))
    given = script.damaged(sealed)
    read: list[HolepunchPayload] = []
    with suppress(RemoteProtocolError):
        read.append(secure.open(given))
    if not read:
        return
    assert given == sealed and read == [HolepunchPayload.decode(plain)]
    assert secure.open(secure.seal(read[0], nonce)) == read[0]


def _noise_seeds() -> Iterator[bytes]:
    for case in vectors()["noise"]:
        first, second = (bytes.fromhex(case[name]) for name in ("payload1", "payload2"))
        yield b"\0" + chunk(first) + b"\0" + chunk(second) + b"\0"
        yield b"\1" + chunk(first) + bytes.fromhex(case["message1"])
        yield b"\2" + chunk(first) + b"\0" + chunk(second) + bytes.fromhex(case["message2"])
    yield b"\1\0" + bytes(96)
    yield b"\1\0\1" + bytes(95)


def _payload_seeds() -> Iterator[bytes]:
    for case in vectors()["noise"]:
        yield from (chunk(bytes.fromhex(case[name])) + b"\1\5\0\0\1" for name in ("payload1", "payload2"))
    for case in vectors()["messages"]:
        if case["type"] == "noisePayload":
            yield chunk(bytes.fromhex(case["hex"]))


def _stream_seeds() -> Iterator[bytes]:
    yield b"\xff\xff\x03" + chunk(b"hello") + chunk(b"") + chunk(bytes(300)) + b"\0\3\0\7\xff\4\4\4\4" + chunk(b"x")
    yield b"\xff\xff\x02" + chunk(b"a") + chunk(b"b") + b"\1\x50\0\0\1" + bytes(30) + chunk(b"y") + b"\1\2\0\0"
    yield b"\0\0\1" + chunk(bytes(60))


def _sealed_seeds() -> Iterator[bytes]:
    yield chunk(bytes.fromhex(vectors()["holepunchPayload"]["plain"]))
    for case in vectors()["messages"]:
        if case["type"] == "holepunchPayload":
            yield chunk(bytes.fromhex(case["hex"])) + b"\0"
            yield chunk(bytes.fromhex(case["hex"])) + b"\1\x20\0\0\3"


TARGETS = [
    Target("noise", noise, ("qvac_core.noise",), _noise_seeds, 1024, 0.3),
    Target(
        "handshake_payload",
        handshake_payload,
        ("qvac_core.rendezvous.handshake", "qvac_core.rendezvous.messages"),
        _payload_seeds,
        512,
        0.3,
    ),
    Target("secret_stream", secret_stream, ("qvac_core.secret_stream",), _stream_seeds, 2048),
    Target(
        "holepunch_payload",
        holepunch_payload,
        ("qvac_core.rendezvous.secure_payload", "qvac_core.rendezvous.messages"),
        _sealed_seeds,
        512,
    ),
]
