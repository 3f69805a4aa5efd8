"""The UDX packet on the wire: a 20-byte header, then SACK blocks, or padding and payload.

docs/wire/hyperdht.md 5.1 and 5.2; layout of libudx `src/udx.c` (`udx_write_header`, `send_ack`, `process_packet`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAGIC_AND_VERSION = 0x01FF  # bytes ff 01, read as one little-endian number
HEADER_SIZE = 20

TYPE_DATA = 1
TYPE_END = 2
TYPE_SACK = 4
TYPE_MESSAGE = 8
TYPE_DESTROY = 16
TYPE_HEARTBEAT = 32
TYPE_DATA_OR_END = TYPE_DATA | TYPE_END

MAX_SACK_BLOCKS = 50
MAX_PADDING = 255  # the data offset is one byte

SEQ_MASK = 0xFFFFFFFF

# magic+version, type, data offset, receiver's stream id, receive window, seq, ack
HEADER = struct.Struct("<HBBIIII")
_STREAM_ID = struct.Struct("<H2xI12x")
_SACK_BLOCKS = [struct.Struct(f"<{2 * count}I") for count in range(MAX_SACK_BLOCKS + 1)]

SackBlock = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Packet:
    """One decoded packet. `seq` and `ack` are the 32-bit numbers of the wire, `window` is in bytes."""

    type: int
    stream_id: int
    window: int
    seq: int
    ack: int
    padding: int = 0
    payload: bytes = b""
    sacks: tuple[SackBlock, ...] = ()


def parse_stream_id(datagram: bytes | memoryview) -> int | None:
    """The stream a datagram is for, None when it is no UDX packet (docs/wire/hyperdht.md 1.1, first test)."""
    if len(datagram) < HEADER_SIZE:
        return None
    magic, stream_id = _STREAM_ID.unpack_from(datagram)
    return stream_id if magic == MAGIC_AND_VERSION else None


def is_farewell_of_relay(datagram: bytes) -> bool:
    """A DESTROY with number 0: what a relay sends when it lets a pair go (docs/wire/hyperdht.md 5.10).

    A stream that has received something takes it for old; one that has not would take it for its peer's.
    """
    if len(datagram) < HEADER_SIZE:
        return False
    _, kind, _, _, _, seq, _ = HEADER.unpack_from(datagram)
    return bool(kind & TYPE_DESTROY) and seq == 0


def encode_header(packet_type: int, stream_id: int, window: int, seq: int, ack: int, padding: int = 0) -> bytes:
    return HEADER.pack(MAGIC_AND_VERSION, packet_type, padding, stream_id, window, seq & SEQ_MASK, ack & SEQ_MASK)


def encode_sacks(blocks: Iterable[SackBlock]) -> bytes:
    return b"".join(struct.pack("<II", start & SEQ_MASK, end & SEQ_MASK) for start, end in blocks)


def decode_sacks(datagram: bytes | memoryview, padding: int) -> Sequence[int]:
    """The block edges as one flat list: start, end, start, end, … A torn last block is ignored."""
    room = len(datagram) - HEADER_SIZE
    if 0 < padding < room:
        room = padding
    count = min(room // 8, MAX_SACK_BLOCKS)
    return _SACK_BLOCKS[count].unpack_from(datagram, HEADER_SIZE)


def encode_packet(packet: Packet) -> bytes:
    header = encode_header(packet.type, packet.stream_id, packet.window, packet.seq, packet.ack, packet.padding)
    return header + encode_sacks(packet.sacks) + bytes(packet.padding) + packet.payload


def decode_packet(datagram: bytes | memoryview) -> Packet | None:
    """None for what is no UDX packet, and for a data offset that points behind the end."""
    if len(datagram) < HEADER_SIZE:
        return None
    magic, packet_type, padding, stream_id, window, seq, ack = HEADER.unpack_from(datagram)
    if magic != MAGIC_AND_VERSION or padding > len(datagram) - HEADER_SIZE:
        return None
    if packet_type & TYPE_SACK:
        edges = decode_sacks(datagram, padding)
        blocks = tuple(zip(edges[::2], edges[1::2], strict=True))
        return Packet(packet_type, stream_id, window, seq, ack, sacks=blocks)
    return Packet(packet_type, stream_id, window, seq, ack, padding, bytes(datagram[HEADER_SIZE + padding :]))


def unwrap(number: int, near: int) -> int:
    """The full sequence number whose low 32 bits are `number` and which lies nearest to `near`.

    Inside, sequence numbers never wrap; only the wire shows 32 bits of them. May be negative for junk.
    """
    delta = (number - near) & SEQ_MASK
    return near + (delta - 0x100000000 if delta & 0x80000000 else delta)
