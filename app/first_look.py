"""What the window was left with, read from the settings file itself: it is on the screen before the core has started.

What is wrong in the file is nothing here; the core tells about that.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from app.theme import Theme

LOOKS = ("theme", "text_size", "contrast", "code_font")


def read(settings_file: Path) -> dict[str, str]:
    """The texts and whole numbers at the top of the file, as texts; none where it cannot be read."""
    try:
        kept = tomllib.loads(settings_file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: str(value) for name, value in kept.items() if isinstance(value, str | int)}


def put_on(theme: Theme, kept: dict[str, str]) -> None:
    """Before the first widget is made: another sheet later polishes every widget once more."""
    setting, size, contrast, font = (kept.get(name, "") for name in LOOKS)
    theme.use(setting, int(size) if size.isdecimal() else 100, contrast, font)
