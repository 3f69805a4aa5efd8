"""What a picture says beside itself is gone, and the picture is the same."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from qvac_core.engines.picture_metadata import without_metadata
from tests.pictures import chessboard, encoded, shades

SECRETS = (b"Hauptstr", b"Canon", b"2026:11", b"a person")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif(orientation: int = 1) -> Image.Exif:
    """As a phone writes it: camera, time, a place, a comment."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "Canon"
    tags[0x0132] = "2026:11:30 12:00:00"
    tags[0x9286] = "Hauptstr. 1"
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return tags


def taken(kind: str, **how: Any) -> bytes:
    image = Image.open(io.BytesIO(shades()))
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Author", "a person")
        notes.add_itxt("Place", "Hauptstr. 1")
        how |= {"pnginfo": notes}
    if kind == "JPEG":
        how |= {"comment": b"a person"}
    if kind in ("JPEG", "WEBP"):
        how |= {"xmp": b"<x>a person</x>"}
    return encoded(image, kind, exif=exif(), icc_profile=SRGB, **how)


def upright(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_time_and_names_are_gone_and_the_picture_is_the_same(kind: str) -> None:
    before = taken(kind)
    assert any(secret in before for secret in SECRETS)
    after = without_metadata(before)
    assert not [secret for secret in SECRETS if secret in after]
    one, other = (Image.open(io.BytesIO(data)) for data in (before, after))
    assert one.tobytes() == other.tobytes()
    assert other.info.get("icc_profile") == SRGB
    assert not other.getexif()
    assert without_metadata(after) == after


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_a_photo_that_lies_on_its_side_still_stands_up(orientation: int, order: bytes) -> None:
    tags = exif(orientation)
    tags.endian = "<" if order == b"II" else ">"
    before = encoded(Image.open(io.BytesIO(chessboard())), "JPEG", exif=tags)
    after = without_metadata(before)
    assert upright(before).tobytes() == upright(after).tobytes()
    assert dict(Image.open(io.BytesIO(after)).getexif()) == ({0x0112: orientation} if orientation > 1 else {})
    assert not [secret for secret in SECRETS if secret in after]


@pytest.mark.parametrize("data", [shades("GIF"), shades("BMP"), b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"text"])
def test_other_kinds_are_left_as_they_are(data: bytes) -> None:
    assert without_metadata(data) == data


@given(
    cut=st.integers(0, 4000),
    kind=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    at=st.integers(2, 800),
    byte=st.integers(0, 255),
)
def test_a_damaged_file_is_never_more_than_it_was(cut: int, kind: str, at: int, byte: int) -> None:
    data = bytearray(taken(kind)[:cut])
    if at < len(data):
        data[at] = byte
    assert len(without_metadata(bytes(data))) <= len(data)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_pictures_without_any_are_the_same_bytes(kind: str) -> None:
    assert without_metadata(chessboard(kind)) == chessboard(kind)
