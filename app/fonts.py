"""The interface font, which the program brings along: a machine without Inter would break lines elsewhere.

Letters that Inter lacks (Arabic, Chinese, emoji) come from the system's fonts, as Qt finds them.
"""

from __future__ import annotations

import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QFont, QFontDatabase

FAMILY = "Inter"
FILES = ("Regular", "Medium", "SemiBold", "Bold", "Italic")


def interface_font(system: QFont) -> QFont:
    """Inter in the size of the system's interface font; that font itself where Qt cannot read our files."""
    if not _load():
        return system
    font = QFont(system)
    font.setFamilies([FAMILY, *system.families()])
    return font


def _load() -> bool:
    folder = resources.files("resources.fonts")
    # Always the same files, by name: a folder's order is not ours.
    return all(_add(folder / f"Inter-{name}.otf") for name in FILES)


def _add(file: Traversable) -> bool:
    # Fonts of files that lie there are mapped; a copy of all five is 2 MB. Elsewhere than on Linux an open font could
    # not be replaced by an update.
    if sys.platform == "linux" and isinstance(file, Path):
        return QFontDatabase.addApplicationFont(str(file)) >= 0
    return QFontDatabase.addApplicationFontFromData(QByteArray(file.read_bytes())) >= 0
