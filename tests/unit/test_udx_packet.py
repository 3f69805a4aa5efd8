"""The UDX packet codec against captures of udx-native 1.21.3, and its corners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.udx import parse_stream_id
from qvac_core.udx.packet import (
    TYPE_DATA,
    TYPE_HEARTBEAT,
    TYPE_SACK,
    Packet,
    decode_packet,
    encode_packet,
    unwrap,
)

CAPTURES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "vectors.json").read_text())[
    "udx"
]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda c: c["label"])
def test_every_captured_packet_decodes_and_encodes_to_the_same_bytes(capture: dict[str, Any]) -> None:
    ids = {"a": capture["idB"], "b": capture["idA"]}  # a packet names its receiver
    for entry in capture["packets"]:
        raw = bytes.fromhex(entry["hex"])
        raw += bytes(entry["len"] - len(raw))  # long ones were cut short in the capture
        assert parse_stream_id(raw) == ids[entry["from"]]
        packet = decode_packet(raw)
        assert packet is not None
        assert packet.window == 4 * 1024 * 1024
        assert encode_packet(packet) == raw


def test_sack_blocks_are_read_as_half_open_ranges() -> None:
    raw = bytes.fromhex("ff0104000a0a0a0a000040000000000003000000040000000a0000000b0000000c000000")
    assert decode_packet(raw) == Packet(TYPE_SACK, 0x0A0A0A0A, 4194304, 0, 3, sacks=((4, 10), (11, 12)))


def test_a_torn_sack_block_is_ignored() -> None:
    whole = encode_packet(Packet(TYPE_SACK, 1, 2, 3, 4, sacks=((5, 6), (8, 9))))
    for cut in range(1, 8):
        packet = decode_packet(whole[:-cut])
        assert packet is not None and packet.sacks == ((5, 6),)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xff\x01" + bytes(17),  # one byte short
        b"\xff\x02" + bytes(18),  # another version
        b"\x03\x01" + bytes(18),  # a dht-rpc request
    ],
)
def test_what_is_no_udx_packet_is_refused(datagram: bytes) -> None:
    assert parse_stream_id(datagram) is None
    assert decode_packet(datagram) is None


def test_a_data_offset_behind_the_end_is_refused() -> None:
    assert decode_packet(b"\xff\x01\x01\x05" + bytes(16) + b"1234") is None
    packet = decode_packet(b"\xff\x01\x01\x04" + bytes(16) + b"\0\0\0\0data")
    assert packet is not None and (packet.padding, packet.payload) == (4, b"data")


def test_header_fields_are_little_endian_and_in_order() -> None:
    packet = Packet(TYPE_DATA | TYPE_HEARTBEAT, 0x01020304, 0x05060708, 0x090A0B0C, 0x0D0E0F10, 0, b"x")
    assert encode_packet(packet).hex() == "ff012100" + "04030201" + "08070605" + "0c0b0a09" + "100f0e0d" + "78"


@pytest.mark.parametrize(
    ("number", "near", "full"),
    [
        (5, 3, 5),
        (3, 5, 3),
        (2, 0xFFFFFFFE, 0x100000002),
        (0xFFFFFFFF, 0x100000001, 0xFFFFFFFF),
        (0, 5 << 32, 5 << 32),
        (0xFFFFFFFF, 0, -1),
    ],
)
def test_sequence_numbers_unwrap_to_the_nearest(number: int, near: int, full: int) -> None:
    assert unwrap(number, near) == full
