"""A picture as a guest sends it: what it is and how large, by its first bytes, before anything decodes it.

A picture of a few kilobytes may unfold to gigabytes, and decoders are where hostile files do harm. So each is judged
here by its magic and the size that its header states, in Python alone, and only then decoded, in the model's worker
(`picture_decoder`). Sources: PNG (W3C, third edition, 11.2.1), JPEG (ITU T.81, B.2), WebP (RFC 9649), GIF89a, BMP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from qvac_core.errors import ModelError
from qvac_core.late_dataclass import dataclass

if TYPE_CHECKING:
    from qvac_core.engines.interface import ChatMessage

# One picture: a photo of today's best cameras has 15 MB.
PICTURE_BYTES = 20 * 1024 * 1024
# A photo of 48 megapixels fits; decoded they are 200 MB.
PICTURE_PIXELS = 50_000_000
# Of one conversation. Each takes some hundred tokens of its context, and every 10 megapixels about a second to decode.
PICTURES = 16
PICTURES_BYTES = 40 * 1024 * 1024
PICTURES_PIXELS = 100_000_000

FORMATS = "PNG, JPEG, WebP, GIF or BMP"

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Start of frame: every kind but the tables that share its range (DHT c4, JPG c8, DAC cc).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """media_type: "image/png", …; width and height in pixels, as the header states them."""

    media_type: str
    width: int
    height: int


def inspect(data: bytes) -> PictureInfo:
    """Raises ModelError, with what helps, for what is no picture of a known kind, or too large a one."""
    if len(data) > PICTURE_BYTES:
        raise too_much(f"A picture may have {PICTURE_BYTES // 2**20} MiB at most; this one has {_mib(len(data))}.")
    try:
        info = _read(data)
    except (struct.error, IndexError):
        raise unreadable() from None
    if info is None:
        raise unreadable(f"One of the files is no picture that a model can be shown. Send {FORMATS}.")
    if info.width < 1 or info.height < 1:
        raise unreadable()
    if info.width * info.height > PICTURE_PIXELS:
        raise too_much(
            f"A picture may have {PICTURE_PIXELS // 1_000_000} megapixels at most; this one has {info.width} × "
            f"{info.height}. Make it smaller."
        )
    return info


def pictures_of(history: Iterable[ChatMessage]) -> tuple[bytes, ...]:
    return tuple(picture for message in history for picture in message.pictures)


def check_pictures(pictures: Sequence[bytes]) -> None:
    """Those of one conversation. Raises ModelError as `inspect`, and for too many."""
    if len(pictures) > PICTURES:
        raise too_many()
    if sum(map(len, pictures)) > PICTURES_BYTES:
        raise too_much(f"The pictures of a conversation may have {PICTURES_BYTES // 2**20} MiB together at most.")
    if sum(info.width * info.height for info in map(inspect, pictures)) > PICTURES_PIXELS:
        raise too_much(
            f"The pictures of a conversation may have {PICTURES_PIXELS // 1_000_000} megapixels together at most. "
            "Make them smaller."
        )


class PictureRoom:
    """What a conversation may show at a time, filled from its newest message on."""

    def __init__(self) -> None:
        self._count, self._bytes, self._pixels = PICTURES, PICTURES_BYTES, PICTURES_PIXELS

    def newest(self, pictures: Sequence[bytes]) -> tuple[bytes, ...]:
        """Those of a message, if there is room for all of them; else none, nor any of the messages before it.

        Raises ModelError, as `inspect`.
        """
        self._count -= len(pictures)
        self._bytes -= sum(map(len, pictures))
        self._pixels -= sum(info.width * info.height for info in map(inspect, pictures))
        return tuple(pictures) if min(self._count, self._bytes, self._pixels) >= 0 else ()


def too_many() -> ModelError:
    return too_much(f"A conversation may have {PICTURES} pictures at most. Leave out older ones.")


def no_vision() -> ModelError:
    return ModelError(
        "This model cannot see pictures. Choose one with vision, or leave the picture out.",
        name="MODEL_OPERATION_NOT_SUPPORTED",
        code=52416,
        typed_fields={"reason": "no_vision"},
    )


def too_much(sentence: str) -> ModelError:
    return ModelError(sentence, name="REQUEST_REJECTED_BY_POLICY", code=52420, typed_fields={"reason": "limit"})


def unreadable(sentence: str = "One of the pictures is damaged: it cannot be read. Send it again.") -> ModelError:
    return ModelError(sentence, name="PLUGIN_REQUEST_VALIDATION_FAILED", code=53852, typed_fields={"reason": "picture"})


def _read(data: bytes) -> PictureInfo | None:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return PictureInfo("image/gif", *struct.unpack_from("<HH", data, 6))
    if data[:2] == b"BM":
        return _bmp(data)
    return None


def _png(data: bytes) -> PictureInfo | None:
    if data[12:16] != b"IHDR":
        return None
    return PictureInfo("image/png", *struct.unpack_from(">II", data, 16))


def _jpeg(data: bytes) -> PictureInfo | None:
    """The first frame header: behind it there is no second picture that a decoder would take."""
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        while data[at] == 0xFF:  # any number of them may fill
            at += 1
        marker = data[at]
        at += 1
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2:
            return None
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return PictureInfo("image/jpeg", width, height)
        at += length


def _webp(data: bytes) -> PictureInfo | None:
    chunk, body = data[12:16], data[20:]
    if chunk == b"VP8X":
        width, height = (int.from_bytes(body[start : start + 3], "little") + 1 for start in (4, 7))
        if len(body) < 10:
            return None
    elif chunk == b"VP8L":
        if body[0] != 0x2F:
            return None
        (bits,) = struct.unpack_from("<I", body, 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        if body[3:6] != b"\x9d\x01\x2a":
            return None
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", body, 6))
    else:
        return None
    return PictureInfo("image/webp", width, height)


def _bmp(data: bytes) -> PictureInfo | None:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    elif 16 <= header <= 124:
        width, height = struct.unpack_from("<ii", data, 18)
    else:
        return None
    return PictureInfo("image/bmp", width, abs(height))  # a negative height: its rows begin at the top


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
