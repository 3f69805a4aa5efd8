"""Fuzzed bytes read as a script: small numbers, chunks, choices. Whatever the bytes are, they say something.

Ours, so that an input means the same with and without a fuzzer: atheris' FuzzedDataProvider needs atheris to replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_LONG = 255
"""A chunk whose length byte is this has two more bytes of length."""


class Script:
    """Reads from the front; what is missing at the end reads as zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def uint16(self) -> int:
        return self.byte() | self.byte() << 8

    def uint32(self) -> int:
        return self.uint16() | self.uint16() << 16

    def flag(self) -> bool:
        return bool(self.byte() & 1)

    def choice(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def fixed(self, size: int) -> bytes:
        """Up to `size` bytes; less only at the end of the script."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def chunk(self) -> bytes:
        """Bytes behind their length."""
        size = self.byte()
        return self.fixed(self.uint16() if size == _LONG else size)

    def rest(self) -> bytes:
        return self.fixed(max(0, len(self._data) - self._at))

    def damaged(self, true: bytes) -> bytes:
        """`true` with up to three edits. May be as it was: the caller compares."""
        edited = bytearray(true)
        for _ in range(self.byte() % 4):
            at = self.uint16() % (len(edited) + 1)
            match self.byte() % 4:
                case 0 if at < len(edited):
                    edited[at] ^= 1 << self.byte() % 8
                case 1:
                    del edited[at:]
                case 2:
                    edited[at:at] = self.fixed(self.byte() % 8)
                case _:
                    del edited[at : at + 1 + self.byte() % 4]
        return bytes(edited)


def chunk(data: bytes) -> bytes:
    """What `Script.chunk` reads as `data`: for making seeds. At most 65,535 bytes."""
    if len(data) < _LONG:
        return bytes([len(data)]) + data
    return bytes([_LONG]) + len(data).to_bytes(2, "little") + data
