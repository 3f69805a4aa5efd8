"""Widths of what holds texts: the design's, for its font, and wider where the font in force runs wider."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.theme import Theme

UNBOUND = 16_777_215  # Qt's QWIDGETSIZE_MAX: no longer a most
MOST = 1.4  # of the design's; beyond that texts wrap or are cut, and the window keeps its shape


def grown(theme: Theme, width: int) -> int:
    """In pixels, for the font in force."""
    return round(width * min(MOST, theme.breadth))


def keep_width(widget: QWidget, theme: Theme, width: int, *, least: bool = False, most: bool = False) -> None:
    """Fixed, or the least or the most; now and at every change of the theme, as long as the widget lives."""
    _Follower(widget, theme, width, least, most)


class _Follower(QObject):
    """Dies with its widget, and its connection with it."""

    def __init__(self, widget: QWidget, theme: Theme, width: int, least: bool, most: bool) -> None:
        super().__init__(widget)
        self._theme, self._width, self._least, self._most = theme, width, least, most
        theme.changed.connect(self._apply)
        self._apply()

    def _apply(self) -> None:
        widget, width = self.parent(), grown(self._theme, self._width)
        if not isinstance(widget, QWidget):
            return
        if self._least:
            widget.setMinimumWidth(width)
        elif self._most:
            widget.setMaximumWidth(width)
        else:
            widget.setFixedWidth(width)
