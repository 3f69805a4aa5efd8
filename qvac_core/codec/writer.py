"""Encoder of compact encoding: always the shortest form, as the original writes it.

compact-encoding 3.5.2 `encode`. A value that does not fit its field is a bug of ours: LocalProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeVar

from qvac_core.errors import LocalProtocolError

T = TypeVar("T")

_PACK_UINT16 = struct.Struct("<H").pack
_PACK_UINT32 = struct.Struct("<I").pack
_PACK_UINT64 = struct.Struct("<Q").pack


@lru_cache(maxsize=4096)
def _ipv4_bytes(host: str) -> bytes:
    try:
        return IPv4Address(host).packed
    except AddressValueError as error:
        raise LocalProtocolError(f"not an IPv4 address: {host}") from error


class Writer:
    """Collects values in order; every method returns the writer, `finish` the bytes."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def uint(self, n: int) -> Writer:
        if 0 <= n <= 0xFC:
            self._out.append(n)
        elif 0 <= n <= 0xFFFF:
            self._out.append(0xFD)
            self._out += _PACK_UINT16(n)
        elif 0 <= n <= 0xFFFFFFFF:
            self._out.append(0xFE)
            self._out += _PACK_UINT32(n)
        else:
            self._fits(n, 64)
            self._out.append(0xFF)
            self._out += _PACK_UINT64(n)
        return self

    def uint8(self, n: int) -> Writer:
        self._fits(n, 8)
        self._out.append(n)
        return self

    def uint16(self, n: int) -> Writer:
        self._fits(n, 16)
        self._out += _PACK_UINT16(n)
        return self

    def uint32(self, n: int) -> Writer:
        self._fits(n, 32)
        self._out += _PACK_UINT32(n)
        return self

    def uint64(self, n: int) -> Writer:
        self._fits(n, 64)
        self._out += _PACK_UINT64(n)
        return self

    @staticmethod
    def _fits(n: int, bits: int) -> None:
        if n < 0 or n >> bits:
            raise LocalProtocolError(f"{n} does not fit into {bits} bits")

    def fixed(self, value: bytes) -> Writer:
        """The bytes as they are; the reader must know how many."""
        self._out += value
        return self

    raw = fixed

    def buffer(self, value: bytes | None) -> Writer:
        """Length and bytes; None and b"" look the same on the wire."""
        if value is None:
            self._out.append(0)
            return self
        self.uint(len(value))
        self._out += value
        return self

    def string(self, value: str) -> Writer:
        return self.buffer(value.encode("utf-8"))

    def ipv4(self, address: tuple[str, int]) -> Writer:
        self._out += _ipv4_bytes(address[0])
        return self.uint16(address[1])

    def ipv6(self, address: tuple[str, int]) -> Writer:
        try:
            self._out += IPv6Address(address[0]).packed
        except AddressValueError as error:
            raise LocalProtocolError(f"not an IPv6 address: {address[0]}") from error
        return self.uint16(address[1])

    def array(self, items: Collection[T], write: Callable[[Writer, T], object]) -> Writer:
        """Count and elements. `Writer.ipv4` and its kin serve as `write`."""
        self.uint(len(items))
        for item in items:
            write(self, item)
        return self

    def finish(self) -> bytes:
        return bytes(self._out)
