"""The app's own icon and the tray's, rendered from `resources` at every size that systems ask for.

Four states, four shapes. The files are drawn for 16, 22 and 32 px; others take the one below.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib import resources

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from app.tokens import DARK, LIGHT
from app.tray_words import TrayState

SIZES = (16, 20, 22, 24, 32, 40, 48, 64, 128, 256)
TRAY_SIZES = (16, 18, 20, 22, 24, 32, 44, 48, 64)
# Desktops whose bar is dark as they come, whatever their theme (names of XDG_CURRENT_DESKTOP).
DARK_BARS = {"GNOME", "UNITY", "XFCE", "X-CINNAMON", "BUDGIE", "PANTHEON"}
LARGE_FROM = 24  # below, the icon is drawn anew and not only made smaller


@cache
def app_icon() -> QIcon:
    icon = QIcon()
    for size in SIZES:
        icon.addPixmap(_pixmap(_file("app-icon", "large" if size >= LARGE_FROM else "small"), size))
    return icon


@cache
def tray_icon(state: TrayState, dark_bar: bool) -> QIcon:
    """dark_bar: of the bar it stands on. macOS colours it by itself, after its shape."""
    theme = DARK if dark_bar else LIGHT
    icon = QIcon()
    for size in TRAY_SIZES:
        drawn_for = max(known for known in (16, 22, 32) if known <= size)
        source = _file("tray", f"{state.value}-{drawn_for}").replace(b"currentColor", theme.text.encode())
        source = source.replace(LIGHT.live.encode(), theme.live.encode())
        icon.addPixmap(_pixmap(source.replace(LIGHT.danger.encode(), theme.danger.encode()), size))
    icon.setIsMask(sys.platform == "darwin")
    return icon


def bar_is_dark(scheme: Qt.ColorScheme, environ: Mapping[str, str] = os.environ) -> bool:
    """As far as a system says so: some bars are dark in a light theme too, Windows has a setting of its own."""
    if sys.platform == "win32":
        return not _windows_bar_is_light()
    desktops = environ.get("XDG_CURRENT_DESKTOP", "").upper().split(":")
    return scheme is Qt.ColorScheme.Dark or bool(DARK_BARS & set(desktops))


if sys.platform == "win32":

    def _windows_bar_is_light() -> bool:
        import winreg

        key = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as handle:
                return bool(winreg.QueryValueEx(handle, "SystemUsesLightTheme")[0])
        except OSError:
            return False


def _file(folder: str, name: str) -> bytes:
    return (resources.files("resources") / folder / f"{name}.svg").read_bytes()


def _pixmap(source: bytes, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source)).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap
