"""Decoder of compact encoding: one pass over the bytes of a message, never past their end.

compact-encoding 3.5.2 `decode`; counts above 4096 are refused (the original stops at 0x100000).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import TypeVar

from qvac_core.errors import RemoteProtocolError

T = TypeVar("T")

ARRAY_LIMIT = 4096
"""Elements of one array. No message of the network needs more; a hostile count must not make us loop."""

_UINT16 = struct.Struct("<H")
_UINT32 = struct.Struct("<I")
_UINT64 = struct.Struct("<Q")
_IPV4 = struct.Struct("<BBBBH")
_IPV6_SIZE = 18


class Reader:
    """Reads values in order. Anything wrong with the bytes raises RemoteProtocolError; trailing bytes are allowed."""

    __slots__ = ("_data", "_end", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data if isinstance(data, bytes) else bytes(data)
        self._offset = 0
        self._end = len(self._data)

    @property
    def remaining(self) -> int:
        """Bytes that are not read yet."""
        return self._end - self._offset

    def _take(self, n: int) -> int:
        start = self._offset
        if n > self._end - start:
            raise RemoteProtocolError(f"message too short: {n} bytes wanted, {self._end - start} left")
        self._offset = start + n
        return start

    def uint(self) -> int:
        """A variable-length unsigned integer; a longer form than needed is accepted, as in the original."""
        first = self._data[self._take(1)]
        if first <= 0xFC:
            return first
        if first == 0xFD:
            return self.uint16()
        if first == 0xFE:
            return self.uint32()
        return self.uint64()

    def uint8(self) -> int:
        return self._data[self._take(1)]

    def uint16(self) -> int:
        value: int = _UINT16.unpack_from(self._data, self._take(2))[0]
        return value

    def uint32(self) -> int:
        value: int = _UINT32.unpack_from(self._data, self._take(4))[0]
        return value

    def uint64(self) -> int:
        value: int = _UINT64.unpack_from(self._data, self._take(8))[0]
        return value

    def fixed(self, n: int) -> bytes:
        """Exactly `n` bytes without a length before them."""
        start = self._take(n)
        return self._data[start : start + n]

    def buffer(self) -> bytes | None:
        """Length and bytes; length 0 means None, never b"" (so does the original)."""
        n = self.uint()
        return self.fixed(n) if n else None

    def string(self) -> str:
        raw = self.fixed(self.uint())
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("text is not UTF-8") from error

    def ipv4(self) -> tuple[str, int]:
        """Four address bytes in written order, then the port in little endian."""
        a, b, c, d, port = _IPV4.unpack_from(self._data, self._take(6))
        return f"{a}.{b}.{c}.{d}", port

    def ipv6(self) -> tuple[str, int]:
        raw = self.fixed(_IPV6_SIZE)
        return str(IPv6Address(raw[:16])), _UINT16.unpack_from(raw, 16)[0]

    def array(self, read: Callable[[Reader], T], limit: int = ARRAY_LIMIT) -> list[T]:
        """Count and elements; more than `limit` of them are refused before the first is read."""
        count = self.uint()
        if count > limit:
            raise RemoteProtocolError(f"array of {count} elements, {limit} are allowed")
        return [read(self) for _ in range(count)]

    def rest(self) -> bytes:
        """Everything up to the end of the message."""
        return self.fixed(self._end - self._offset)
