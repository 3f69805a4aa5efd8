"""Pictures for tests, each of its own look, in any format that Pillow writes."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image

Pixel = tuple[int, int, int]


def picture(
    look: Callable[[int, int], Pixel], kind: str = "PNG", size: tuple[int, int] = (40, 30), **how: Any
) -> bytes:
    image = Image.new("RGB", size)
    image.putdata([look(x, y) for y in range(size[1]) for x in range(size[0])])
    return encoded(image, kind, **how)


def encoded(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def shades(kind: str = "PNG") -> bytes:
    return picture(lambda x, y: (x * 6 % 256, y * 8 % 256, 0), kind)


def chessboard(kind: str = "PNG") -> bytes:
    return picture(lambda x, y: (255, 255, 255) if (x // 5 + y // 5) % 2 else (0, 0, 0), kind)


def blue(kind: str = "PNG") -> bytes:
    return picture(lambda x, y: (0, 0, 255), kind)


def noise(kilobytes: int) -> bytes:
    """A PNG of about so many kilobytes: noise does not compress."""
    side = int((kilobytes * 1024 / 3) ** 0.5)
    return encoded(Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)))


def declared(width: int, height: int) -> bytes:
    """A PNG whose header states this size, and with next to nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(64)))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
