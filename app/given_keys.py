"""What a start of the program may be given to open: a `qvac://` link, a key, a picture of a QR code. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from qvac_core.codec.key_text import KeyCheck, read_key

LINKS = ("qvac:", "pear:")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def is_link(text: str) -> bool:
    """A link of ours, or a key without one; also one that is not right: the window says what is wrong with it."""
    return text.casefold().lstrip().startswith(LINKS) or read_key(text).check is KeyCheck.KEY


def picture_path(text: str) -> Path | None:
    """The absolute path of a picture file that a text names, also as a file:// address; whether it is there is open."""
    if text.casefold().startswith("file:"):
        from urllib.request import url2pathname  # it comes with all of http

        text = url2pathname(urlsplit(text).path)
    if "://" in text or not text.casefold().endswith(PICTURES):
        return None
    try:
        return Path(text).absolute()
    except (OSError, ValueError):
        return None


def given_key(arguments: Sequence[str]) -> str:
    """The link or the picture among the arguments of a start, as `app.cli` made it absolute; "" = there is none."""
    return next((text for text in arguments if not text.startswith("-") and (is_link(text) or picture_path(text))), "")
