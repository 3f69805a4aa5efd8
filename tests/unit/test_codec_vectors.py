"""The codec against known answers made by the JavaScript modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.codec import Reader, Writer, blake2b, namespace
from qvac_core.errors import LocalProtocolError, RemoteProtocolError

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "vectors.json").read_text(encoding="utf-8")
)
PRIMITIVES = VECTORS["primitives"]


def test_uint() -> None:
    for case in PRIMITIVES["uint"]:
        wire = bytes.fromhex(case["hex"])
        assert Writer().uint(case["value"]).finish() == wire
        assert Reader(wire).uint() == case["value"]


def test_buffer_and_string() -> None:
    for case in PRIMITIVES["buffer"]:
        wire = bytes.fromhex(case["hex"])
        value = bytes.fromhex(case["value"])
        assert Writer().buffer(value).finish() == wire
        assert Reader(wire).buffer() == (value or None)
    for case in PRIMITIVES["string"]:
        wire = bytes.fromhex(case["hex"])
        assert Writer().string(case["value"]).finish() == wire
        assert Reader(wire).string() == case["value"]


def test_addresses() -> None:
    for case in PRIMITIVES["ipv4Address"]:
        wire = bytes.fromhex(case["hex"])
        assert Writer().ipv4((case["host"], case["port"])).finish() == wire
        assert Reader(wire).ipv4() == (case["host"], case["port"])
    for case in PRIMITIVES["ipv6Address"]:
        wire = bytes.fromhex(case["hex"])
        assert Writer().ipv6((case["host"], case["port"])).finish() == wire
        assert Reader(wire).ipv6() == (case["host"], case["port"])


def test_namespaces() -> None:
    for protocol, cases in VECTORS["namespaces"].items():
        for case in cases.values():
            assert namespace(protocol, case["number"]).hex() == case["hex"]


def test_peer_ids_are_hashes_of_addresses() -> None:
    for case in VECTORS["peerIds"]:
        assert blake2b(Writer().ipv4((case["host"], case["port"])).finish()).hex() == case["id"]


def test_decoders_accept_longer_forms_and_trailing_bytes() -> None:
    reader = Reader(bytes.fromhex("fd0100ffff"))
    assert reader.uint() == 1
    assert reader.remaining == 2
    assert reader.rest() == b"\xff\xff"
    assert reader.remaining == 0


def test_a_count_beyond_the_limit_is_refused_before_reading() -> None:
    wire = Writer().uint(4097).raw(bytes(4097)).finish()
    with pytest.raises(RemoteProtocolError):
        Reader(wire).array(Reader.uint8)
    with pytest.raises(RemoteProtocolError):
        Reader(b"\x03\x01\x02\x03").array(Reader.uint8, limit=2)


def test_a_huge_length_is_refused_without_allocating() -> None:
    with pytest.raises(RemoteProtocolError):
        Reader(b"\xff" + b"\xff" * 8).buffer()


@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.uint(-1),
        lambda w: w.uint(1 << 64),
        lambda w: w.uint8(256),
        lambda w: w.uint16(-1),
        lambda w: w.uint32(1 << 32),
        lambda w: w.ipv4(("example.org", 1)),
        lambda w: w.ipv4(("1.2.3.4", 65536)),
        lambda w: w.ipv6(("1.2.3.4", 1)),
    ],
)
def test_what_does_not_fit_is_our_own_error(write: Any) -> None:
    with pytest.raises(LocalProtocolError):
        write(Writer())
