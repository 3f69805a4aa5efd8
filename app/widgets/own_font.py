"""A font that a widget has for itself, which the sheet does not give it, and which follows text size and code font."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QWidget

from app.theme import Theme


def keep_font(widget: QWidget, theme: Theme, font: Callable[[], QFont]) -> None:
    """`font` is asked now and at every change of the theme, as long as the widget lives."""
    _Follower(widget, theme, font)


class _Follower(QObject):
    """Dies with its widget, and its connection with it."""

    def __init__(self, widget: QWidget, theme: Theme, font: Callable[[], QFont]) -> None:
        super().__init__(widget)
        self._font = font
        theme.changed.connect(self._apply)
        self._apply()

    def _apply(self) -> None:
        widget = self.parent()
        if isinstance(widget, QWidget):
            widget.setFont(self._font())
