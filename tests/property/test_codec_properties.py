"""The codec: everything round-trips, agrees with the package compact-encoding, and survives any bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import compact_encoding
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.codec import Reader, Writer
from qvac_core.errors import RemoteProtocolError

uints = st.integers(0, (1 << 64) - 1)
ports = st.integers(0, 65535)
ipv4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
ipv6 = st.tuples(st.ip_addresses(v=6).map(str), ports)


@given(uints)
def test_uint_agrees_with_the_package(n: int) -> None:
    wire = Writer().uint(n).finish()
    if n < 1 << 53:  # the package stops where JavaScript's numbers lose precision
        assert wire == compact_encoding.encode(compact_encoding.uint, n)
    assert Reader(wire).uint() == n


@given(st.text(), st.binary(max_size=400))
def test_text_and_bytes_agree_with_the_package(text: str, data: bytes) -> None:
    wire = Writer().string(text).buffer(data).finish()
    parts = compact_encoding.encode(compact_encoding.utf8, text), compact_encoding.encode(compact_encoding.buffer, data)
    assert wire == b"".join(parts)
    reader = Reader(wire)
    assert reader.string() == text
    assert reader.buffer() == (data or None)
    assert reader.remaining == 0


@given(st.lists(ipv4, max_size=50), st.lists(ipv6, max_size=5), st.binary(max_size=20))
def test_addresses_round_trip(fours: list[tuple[str, int]], sixes: list[tuple[str, int]], rest: bytes) -> None:
    wire = Writer().array(fours, Writer.ipv4).array(sixes, Writer.ipv6).raw(rest).finish()
    reader = Reader(wire)
    assert reader.array(Reader.ipv4) == fours
    assert reader.array(Reader.ipv6) == sixes
    assert reader.rest() == rest


READS: list[Callable[[Reader], Any]] = [
    Reader.uint,
    Reader.uint8,
    Reader.uint16,
    Reader.uint32,
    Reader.uint64,
    Reader.buffer,
    Reader.string,
    Reader.ipv4,
    Reader.ipv6,
    Reader.rest,
    lambda reader: reader.fixed(32),
    lambda reader: reader.array(Reader.ipv4),
    lambda reader: reader.array(Reader.buffer),
]


@given(st.binary(max_size=200), st.lists(st.sampled_from(READS), max_size=10))
def test_any_bytes_give_values_or_a_remote_error(data: bytes, reads: list[Callable[[Reader], Any]]) -> None:
    reader = Reader(data)
    try:
        for read in reads:
            read(reader)
    except RemoteProtocolError:
        pass
    assert 0 <= reader.remaining <= len(data)
