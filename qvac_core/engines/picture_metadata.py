"""What a picture file says beside its picture, taken out before it leaves this machine: where, when, by which camera.

The picture itself is untouched, bit for bit. What decides how it looks stays: colour profiles, Adobe's colour transform
and the orientation, alone of all EXIF. Sources: JPEG (ITU T.81, B.2.4.6), EXIF 2.32 (4.6, tag 274), PNG third edition
(11.3), WebP (RFC 9649, 2.7.1.5).
"""

from __future__ import annotations

import struct

_EXIF = b"Exif\x00\x00"
_ORIENTATION, _SHORT = 0x0112, 3
_JPEG_COMMENT = 0xFE
_JPEG_APPLICATION = range(0xE0, 0xF0)
_JPEG_SCAN = 0xDA
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
# JFIF, the colour profile, and Adobe's colour transform, by marker and how their content begins.
_JPEG_KEPT = ((0xE0, b"JFIF\x00"), (0xE2, b"ICC_PROFILE\x00"), (0xEE, b"Adobe"))
_PNG_DROPPED = frozenset((b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"))
_WEBP_DROPPED = frozenset((b"EXIF", b"XMP "))
_WEBP_FLAGS = 0x08 | 0x04  # of VP8X: has EXIF, has XMP


def without_metadata(picture: bytes) -> bytes:
    """The same picture; one of another kind, or that does not end as it should, as it is.

    A decoder judges what is damaged, and tells it better than this could.
    """
    try:
        if picture.startswith(b"\xff\xd8\xff"):
            return _jpeg(picture)
        if picture.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(picture)
        if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
            return _webp(picture)
    except (struct.error, IndexError):
        pass
    return picture


def _jpeg(data: bytes) -> bytes:
    """Segments up to the first scan; from there on nothing of these kinds has a place."""
    kept = [data[:2]]
    at = 2
    while True:
        start = at
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if start + 1 >= at:  # no marker where one has to be
            return data
        if marker == _JPEG_SCAN:
            return b"".join([*kept, data[start:]])
        if marker in _JPEG_BARE:
            kept.append(data[start:at])
            continue
        (length,) = struct.unpack_from(">H", data, at)
        content = data[at + 2 : at + length]
        end = at + length
        if length < 2 or end > len(data):
            return data
        at = end
        if marker == 0xE1 and content.startswith(_EXIF):
            kept.append(_orientation_alone(content[len(_EXIF) :]))
        elif marker == _JPEG_COMMENT or (marker in _JPEG_APPLICATION and not _is_kept(marker, content)):
            continue
        else:
            kept.append(data[start:end])


def _is_kept(marker: int, content: bytes) -> bool:
    return any(marker == kept and content.startswith(begin) for kept, begin in _JPEG_KEPT)


def _orientation_alone(tiff: bytes) -> bytes:
    """An EXIF segment of one entry; empty where the picture stands upright."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return b""
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for number in range(entries):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * number)
        if (tag, kind, count) == (_ORIENTATION, _SHORT, 1) and 1 < value <= 8:
            entry = struct.pack(">HHIHH", _ORIENTATION, _SHORT, 1, value, 0)
            body = _EXIF + b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
            return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return b""


def _png(data: bytes) -> bytes:
    kept = [data[:8]]
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return data
        if kind not in _PNG_DROPPED:
            kept.append(data[at:end])
        if kind == b"IEND":  # what follows is no part of it
            break
        at = end
    return b"".join(kept)


def _webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        return data
    kept = []
    at = 12
    while at + 8 <= size + 8:
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2
        if end > size + 8:
            return data
        chunk = data[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if kind not in _WEBP_DROPPED:
            kept.append(chunk)
        at = end
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
