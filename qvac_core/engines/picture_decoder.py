"""A picture as a model is shown it: decoded by Pillow, upright, without transparency, no larger than a model can use.

Worker process only, on the thread of one answer. Not by llama.cpp's own reader (stb_image; what that does not know it
hands to an ffmpeg it finds): that is no decoder for files of strangers, knows no WebP, and shows photos of phones lying
on their side. What llama.cpp gets is a PNG of ours.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings

from PIL import ExifTags, Image

from qvac_core.engines.pictures import PICTURE_PIXELS, inspect, unreadable
from qvac_core.errors import ModelError

# The longer side, in pixels. Models take from 336 to about 2,000.
LONGEST_SIDE = 2048
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
# EXIF 2.32, tag 274: what makes a picture of each orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PAPER = (255, 255, 255)  # behind what is transparent

# Pictures that are decoded at a time, in one worker: the largest takes 400 MB while that lasts.
_one_at_a_time = threading.Lock()


def prepared(data: bytes) -> bytes:
    """As PNG. Blocking: tens of milliseconds, for the largest a second. Raises ModelError when it cannot be read."""
    inspect(data)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd but readable files
        try:
            return _as_png(data)
        except (
            *(OSError, ValueError, SyntaxError, TypeError, EOFError, KeyError, IndexError, OverflowError),
            struct.error,
        ) as error:
            # What Pillow's plugins raise on files that break their format's rules.
            raise unreadable() from error
        except Image.DecompressionBombError as error:
            raise unreadable() from error
        except MemoryError as error:
            raise ModelError(
                "There is not enough memory to read a picture. Send a smaller one.",
                name="COMPLETION_FAILED",
                code=52406,
            ) from error


def _as_png(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        if opened.width * opened.height > PICTURE_PIXELS:  # a header that says two things
            raise unreadable()
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # JPEG: decode no more than is needed
        opened.load()
        picture = _in_eight_bits(_upright(opened))
        if max(picture.size) > LONGEST_SIDE:
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        _on_paper(picture).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _upright(picture: Image.Image) -> Image.Image:
    """As it was meant to be seen. By the orientation alone: Pillow's own way writes all of the EXIF anew, and fails on
    an entry elsewhere in it that is of another type than usual.
    """
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError, IndexError):
        return picture
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """In RGB, or RGBA where it is transparent in parts."""
    if picture.mode.startswith("I"):  # 16 bits of grey; plain conversion would cut them off at 255
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _on_paper(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    paper = Image.new("RGBA", picture.size, (*_PAPER, 255))
    return Image.alpha_composite(paper, picture).convert("RGB")
