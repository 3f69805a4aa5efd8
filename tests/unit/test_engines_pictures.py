"""What a picture is by its first bytes, what is refused before it is decoded, and what a model is shown of it."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from qvac_core.engines.picture_decoder import LONGEST_SIDE, prepared
from qvac_core.engines.pictures import (
    PICTURE_BYTES,
    PICTURE_PIXELS,
    PICTURES,
    PictureInfo,
    check_pictures,
    inspect,
)
from qvac_core.errors import ModelError
from tests.pictures import declared, encoded, shades

KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp"}
DAMAGED, TOO_MUCH = "PLUGIN_REQUEST_VALIDATION_FAILED", "REQUEST_REJECTED_BY_POLICY"


def refusal(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        inspect(data)
    return caught.value


def shown(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(prepared(data)))
    assert image.format == "PNG" and image.mode == "RGB"
    return image


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_says_what_it_is_and_is_shown_in_all_its_colours(kind: str) -> None:
    written = 0
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"):
        try:
            data = encoded(Image.new(mode, (31, 17)), kind)
        except (OSError, ValueError):
            continue  # this format has no such colours
        written += 1
        assert inspect(data) == PictureInfo(KINDS[kind], 31, 17)
        assert shown(data).size == (31, 17)
    assert written >= 4


@pytest.mark.parametrize(
    "how", [{"lossless": True}, {"lossless": False}, {"lossless": False, "exif": b"Exif\x00\x00II*\x00"}]
)
def test_all_three_kinds_of_webp(how: dict[str, object]) -> None:
    data = encoded(Image.new("RGB", (300, 200)), "WEBP", **how)
    assert inspect(data) == PictureInfo("image/webp", 300, 200)


def test_progressive_jpegs_with_much_before_the_frame() -> None:
    data = encoded(
        Image.new("RGB", (300, 200)),
        "JPEG",
        progressive=True,
        comment=b"x" * 60_000,
        exif=b"Exif\x00\x00" + bytes(60_000),
    )
    assert inspect(data) == PictureInfo("image/jpeg", 300, 200)


def test_what_is_declared_too_large_is_refused_undecoded() -> None:
    side = int(PICTURE_PIXELS**0.5)
    assert inspect(declared(side, side)).width == side
    for width, height in ((side + 1, side + 1), (PICTURE_PIXELS + 1, 1), (2**31 - 1, 2**31 - 1)):
        error = refusal(declared(width, height))
        assert (error.name, error.typed_fields) == (TOO_MUCH, {"reason": "limit"})
        assert f"{width} × {height}" in error.message
        with pytest.raises(ModelError, match="50 megapixels"):
            prepared(declared(width, height))
    bmp = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    struct.pack_into("<ii", bmp, 18, 8000, -8000)
    assert refusal(bytes(bmp)).name == TOO_MUCH
    jpeg = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, 8000, 8000)
    assert refusal(bytes(jpeg)).name == TOO_MUCH


def test_bytes_and_numbers_have_bounds_of_their_own() -> None:
    assert refusal(shades() + bytes(PICTURE_BYTES)).name == TOO_MUCH
    check_pictures([shades()] * PICTURES)
    for many in ([shades()] * (PICTURES + 1), [declared(7000, 7000)] * 3, [shades() + bytes(15 << 20)] * 3):
        with pytest.raises(ModelError, match="at most"):
            check_pictures(many)


@pytest.mark.parametrize(
    "data", [b"", b"GIF", b"%PDF-1.7", b"RIFF\x00\x00\x00\x00WAVE", b"<svg/>", b"\x00\x00\x00\x1cftypheic", b"ID3"]
)
def test_what_is_no_picture_is_told_what_would_be_one(data: bytes) -> None:
    error = refusal(data)
    assert error.name == DAMAGED and "PNG, JPEG, WebP, GIF or BMP" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_anywhere_is_shown_in_part_or_refused_by_name(kind: str) -> None:
    data = shades(kind)
    for length in range(0, len(data), 7):
        try:
            assert shown(data[:length]).size == (40, 30)
        except ModelError as error:
            assert error.name == DAMAGED


@given(st.sampled_from(list(KINDS)), st.data())
def test_any_bytes_are_a_picture_or_a_named_refusal(kind: str, data: st.DataObject) -> None:
    start = bytearray(shades(kind)[: data.draw(st.integers(0, 64))])
    for _ in range(data.draw(st.integers(0, 4))):
        if start:
            start[data.draw(st.integers(0, len(start) - 1))] = data.draw(st.integers(0, 255))
    try:
        inspect(bytes(start) + data.draw(st.binary(max_size=64)))
    except ModelError as error:
        assert error.name in (DAMAGED, TOO_MUCH)


def test_a_photo_of_a_phone_is_upright_and_no_larger_than_a_model_can_use() -> None:
    image = Image.new("RGB", (3000, 1000), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 1500, 1000))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    upright = shown(encoded(image, "JPEG", exif=exif))
    assert upright.size == (round(LONGEST_SIDE * 1000 / 3000), LONGEST_SIDE)
    above, below = (upright.getpixel((300, y)) for y in (100, LONGEST_SIDE - 100))
    assert isinstance(above, tuple) and isinstance(below, tuple)
    assert above[2] > 200 and below[0] > 200


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(struct.pack("<HHIf", 0x100, 11, 1, 40.0), id="a width that is no whole number"),
        pytest.param(struct.pack("<HHI4s", 0x128, 2, 2, b"2"), id="a unit that is text"),
    ],
)
def test_an_odd_entry_of_a_photo_does_not_hide_it(entry: bytes) -> None:
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    directory = struct.pack("<H", 2) + b"".join(sorted((entry, orientation))) + bytes(4)
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + directory
    assert shown(encoded(Image.new("RGB", (40, 30)), "JPEG", exif=exif)).size == (30, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_turned_as_pillow_does(orientation: int) -> None:
    image = Image.open(io.BytesIO(shades()))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "PNG", exif=exif)
    assert shown(data).tobytes() == ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").tobytes()


def test_what_is_transparent_is_shown_on_white_and_grey_keeps_its_shade() -> None:
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert shown(encoded(half)).getpixel((0, 0)) == (255, 255, 255)
    assert shown(encoded(half.resize((3000, 3000)))).getpixel((9, 9)) == (255, 255, 255)
    assert shown(encoded(Image.new("I;16", (4, 4), 32768))).getpixel((0, 0)) == (128, 128, 128)


def test_of_an_animation_the_first_picture_is_shown() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        first = shown(data).getpixel((4, 4))
        assert isinstance(first, tuple) and first[0] > 200
