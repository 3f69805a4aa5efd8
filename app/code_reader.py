"""The process that finds the QR codes in a picture: that on its standard input, their texts as JSON on its output.

`python -m app.code_reader`, or `THE-APP --code-reader` where the app is frozen. Pictures come from strangers, and
decoders are where hostile files do harm: one that crashes the decoder, or fills the memory, ends this process alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import struct
import sys
import warnings
from collections.abc import Iterator

from PIL import Image, ImageFilter, ImageOps

from qvac_core.engines.pictures import PICTURE_BYTES, PICTURE_PIXELS, inspect, too_much
from qvac_core.errors import ModelError

OPTION = "--code-reader"
_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
# The largest picture takes 50 MB as grey and 200 MB in colours; more than this is a picture that lies.
MEMORY_LIMIT = 2 * 1024**3  # bytes
CPU_LIMIT = 30  # seconds
# Codes of a picture, and letters of one, that are handed on: a key has 71.
MOST_CODES = 16
LONGEST_TEXT = 4096
# Below, a picture is looked at once more, enlarged: codes of one pixel a module and blurred ones are found then.
ENLARGED = 1500  # pixels of the longer side
_SHORTER = 1200  # pixels, of a photo that is looked at once more, smaller


TOO_LARGE, UNREADABLE = "too large", "unreadable"


class PictureError(Exception):
    """`kind`: TOO_LARGE or UNREADABLE."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def main() -> int:
    _limit()
    data = sys.stdin.buffer.read(PICTURE_BYTES + 1)
    try:
        said: dict[str, object] = {"texts": read_codes(data)}
    except PictureError as error:
        said = {"error": error.kind}
    sys.stdout.buffer.write(json.dumps(said).encode())
    sys.stdout.flush()
    return 0


def read_codes(data: bytes) -> list[str]:
    """The texts of all QR codes in a picture, the clearest first. Raises PictureError."""
    try:
        inspect(data)
    except ModelError as error:
        raise PictureError(TOO_LARGE if error.code == too_much("").code else UNREADABLE) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd but readable files
        try:
            with Image.open(io.BytesIO(data), formats=_KINDS) as opened:
                if opened.width * opened.height > PICTURE_PIXELS:  # a header that says two things
                    raise PictureError(UNREADABLE)
                opened.load()
                planes = list(_grey(opened))
        except (OSError, ValueError, SyntaxError, TypeError, EOFError, KeyError, IndexError, struct.error) as error:
            # What Pillow's plugins raise on files that break their format's rules.
            raise PictureError(UNREADABLE) from error
        except (OverflowError, MemoryError, Image.DecompressionBombError) as error:
            raise PictureError(UNREADABLE) from error
    for plane in planes:
        for look in _looks(plane):
            if texts := _codes(look):
                return texts
    return []


def _grey(picture: Image.Image) -> Iterator[Image.Image]:
    """As grey on white; then what is see-through in it, where that is the code."""
    if picture.mode.startswith("I"):  # 16 bits of grey; plain conversion would cut them off at 255
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if not picture.has_transparency_data:
        yield picture.convert("L")
        return
    coloured = picture.convert("RGBA")
    paper = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
    yield Image.alpha_composite(paper, coloured).convert("L")
    yield coloured.getchannel("A")


def _looks(grey: Image.Image) -> Iterator[Image.Image]:
    """The picture with a margin, as codes at its very edge need one; then what helps small, blurred and noisy ones."""
    fill = 255 if grey.getpixel((0, 0)) != 0 else 0
    margin = max(8, max(grey.size) // 20)
    yield grey
    framed = ImageOps.expand(grey, margin, fill)
    yield framed
    longer = max(grey.size)
    if longer <= ENLARGED:
        for factor in (2, 3, 4):
            large = framed.resize((framed.width * factor, framed.height * factor), Image.Resampling.BICUBIC)
            yield large
            yield ImageOps.autocontrast(large.filter(ImageFilter.GaussianBlur(factor)), cutoff=2)
            yield large.filter(ImageFilter.UnsharpMask(radius=3 * factor, percent=300, threshold=0))
    else:
        for shorter in (_SHORTER, _SHORTER // 2):
            small = framed.copy()
            small.thumbnail((shorter * 2, shorter * 2), Image.Resampling.BOX)
            yield ImageOps.autocontrast(small, cutoff=2)
    yield framed.filter(ImageFilter.MedianFilter(5))


def _codes(grey: Image.Image) -> list[str]:
    import zxingcpp

    shape = memoryview(grey.tobytes()).cast("B", (grey.height, grey.width))
    found = zxingcpp.read_barcodes(shape, formats=zxingcpp.barcode_formats_from_str("QRCode"))
    texts = [code.text[:LONGEST_TEXT] for code in found if code.valid and code.text]
    return list(dict.fromkeys(texts))[:MOST_CODES]


def _limit() -> None:
    """Where the system can: no more memory and time than a picture needs."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with contextlib.suppress(OSError, ValueError):  # macOS knows the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


if __name__ == "__main__":
    sys.exit(main())
