"""The interface font, which the program brings along: a machine without Inter would break lines elsewhere.

Letters that Inter lacks (Arabic, Chinese, emoji) come from the system's fonts, as Qt finds them.
"""

from __future__ import annotations

from importlib import resources

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
    return all(
        QFontDatabase.addApplicationFontFromData(QByteArray((folder / f"Inter-{name}.otf").read_bytes())) >= 0
        for name in FILES
    )
