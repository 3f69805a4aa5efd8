"""A combo box with the design's chevron and rows that obey the sheet."""

from __future__ import annotations

from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QListView, QWidget

from app.theme import Theme

CHEVRON = 16


class Combo(QComboBox):
    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        # With the built-in view the padding of rows is ignored.
        self.setView(QListView())
        self.setAccessibleName(name)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        inset = (self.height() - CHEVRON) // 2
        x = inset if self.isRightToLeft() else self.width() - CHEVRON - inset
        pixmap = self._theme.pixmap("chevron-down", "text2", CHEVRON, self.devicePixelRatioF())
        painter.drawPixmap(x, inset, pixmap)
        painter.end()
