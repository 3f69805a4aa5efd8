"""Targets: compact encoding and every message of dht-rpc, hyperdht and the blind relay. Nothing but decoders here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from qvac_core.blind_relay.messages import Pair, Unpair
from qvac_core.codec import Reader, Writer
from qvac_core.dht_rpc import ResponseMessage, decode
from qvac_core.errors import RemoteProtocolError
from qvac_core.rendezvous.messages import (
    Announce,
    HandshakeMessage,
    HolepunchMessage,
    HolepunchPayload,
    LookupReply,
    MutablePut,
    MutableRecord,
    NoisePayload,
    PeerRecord,
    PluginRequest,
)
from tests.fuzz.known_answers import nat_trace, traced, vectors
from tests.fuzz.script import Script
from tests.fuzz.target import Target

SENDER = ("10.0.0.1", 4000)

_READS: list[tuple[Callable[[Reader], Any], Callable[[Writer, Any], object]]] = [
    (Reader.uint, Writer.uint),
    (Reader.uint8, Writer.uint8),
    (Reader.uint16, Writer.uint16),
    (Reader.uint32, Writer.uint32),
    (Reader.uint64, Writer.uint64),
    (Reader.buffer, Writer.buffer),
    (Reader.string, Writer.string),
    (Reader.ipv4, Writer.ipv4),
    (Reader.ipv6, Writer.ipv6),
    (Reader.rest, Writer.raw),
    (lambda reader: reader.fixed(32), Writer.fixed),
    (lambda reader: reader.array(Reader.ipv4), lambda writer, found: writer.array(found, Writer.ipv4)),
    (lambda reader: reader.array(Reader.buffer), lambda writer, found: writer.array(found, Writer.buffer)),
]


def codec(data: bytes) -> None:
    """Values in any order: each is bounded by its bytes, and what was read can be written and read again."""
    script = Script(data)
    reads = [script.choice(_READS) for _ in range(script.byte() % 8)]
    reader = Reader(script.rest())
    for read, write in reads:
        before = reader.remaining
        try:
            value = read(reader)
        except RemoteProtocolError:
            return
        assert 0 <= reader.remaining <= before
        writer = Writer()
        write(writer, value)
        again = writer.finish()
        assert len(again) <= before - reader.remaining, "the shortest form is not longer than what was read"
        assert read(Reader(again)) == value


def dht_message(data: bytes) -> None:
    try:
        message = decode(data, SENDER)
    except RemoteProtocolError:
        return
    again = message.encode()
    assert decode(again, SENDER) == message
    assert len(again) <= len(data)
    if isinstance(message, ResponseMessage):
        assert 6 * len(message.closer_nodes) <= len(data)
        with suppress(RemoteProtocolError):
            decode(data, SENDER, lambda tid, sender: False)
            raise AssertionError("an answer that nobody waits for was read")


class _Message(Protocol):
    def encode(self) -> bytes: ...


_DECODERS: dict[str, Callable[[bytes], _Message]] = {
    "handshake": HandshakeMessage.decode,
    "noisePayload": NoisePayload.decode,
    "holepunch": HolepunchMessage.decode,
    "holepunchPayload": HolepunchPayload.decode,
    "peer": PeerRecord.decode,
    "announce": Announce.decode,
    "mutablePutRequest": MutablePut.decode,
    "mutableGetResponse": MutableRecord.decode,
    "pluginRequest": PluginRequest.decode,
    "pair": Pair.decode,
    "unpair": Unpair.decode,
}
_NAMES = [*_DECODERS, "lookupRawReply"]


def rendezvous_messages(data: bytes) -> None:
    """The first byte chooses the message; what was understood is understood again from its own encoding."""
    name, body = _NAMES[data[0] % len(_NAMES)] if data else _NAMES[0], data[1:]
    try:
        if name == "lookupRawReply":
            reply = LookupReply.decode(body)
            raw = LookupReply.encode_raw([peer.encode() for peer in reply.peers], reply.bump)
            assert LookupReply.decode(raw) == reply
            return
        message = _DECODERS[name](body)
    except RemoteProtocolError:
        return
    again = message.encode()
    assert _DECODERS[name](again) == message
    assert _DECODERS[name](again).encode() == again
    if not (isinstance(message, NoisePayload) and message.version != 1):
        assert len(again) <= len(body)


def _codec_seeds() -> Iterator[bytes]:
    primitives = vectors()["primitives"]
    for which, kind in enumerate(("uint", "buffer", "string", "ipv4Address", "ipv6Address")):
        for case in primitives[kind]:
            yield bytes([1, (0, 5, 6, 7, 8)[which]]) + bytes.fromhex(case["hex"])
    yield bytes([2, 11, 12]) + bytes.fromhex("020a00000101000a0000020200") + b"\x02\x01a\x00"


def dht_seeds() -> Iterator[bytes]:
    yield from (bytes.fromhex(case["hex"]) for case in vectors()["dhtRpc"]["messages"])
    yield from traced((b"\x03", b"\x13"))


def _message_seeds() -> Iterator[bytes]:
    for case in (*vectors()["messages"], *vectors()["blindRelay"]):
        if case["type"] in _NAMES:
            yield bytes([_NAMES.index(case["type"])]) + bytes.fromhex(case["hex"])
    for packet in nat_trace():
        raw = bytes.fromhex(packet["hex"])
        if raw[:1] == b"\x03" and len(raw) == packet["len"]:
            value = getattr(decode(raw, SENDER), "value", None)
            if value:
                yield from (bytes([which]) + value for which in (0, 2))


TARGETS = [
    Target("codec", codec, ("qvac_core.codec.reader", "qvac_core.codec.writer"), _codec_seeds, 512),
    Target("dht_message", dht_message, ("qvac_core.dht_rpc.messages", "qvac_core.codec.reader"), dht_seeds, 2048),
    Target(
        "rendezvous_messages",
        rendezvous_messages,
        ("qvac_core.rendezvous.messages", "qvac_core.blind_relay.messages"),
        _message_seeds,
        1024,
    ),
]
