"""How much came in each hour of a day: 24 bars in the line of a text, painted; read aloud as one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QAccessible, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.theme import Theme

HOURS = 24
BAR, GAP, HIGH = 3, 1, 14
LEAST = 1  # pixels, of an hour without anything


class HourBars(QWidget):
    accessible_role = QAccessible.Role.Chart
    accessible_leaf = True

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.hours: tuple[int, ...] = (0,) * HOURS
        self.setFixedSize(self.sizeHint())
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(HOURS * (BAR + GAP) - GAP, HIGH)

    def show_hours(self, hours: Sequence[int], sentence: str) -> None:
        """hours: how much, from midnight on. sentence: what they say in words."""
        self.hours = tuple(hours)
        self.setToolTip(sentence)
        self.setAccessibleName(sentence)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        most = max(1, *self.hours)
        for hour, count in enumerate(self.hours):
            high = max(LEAST, round(HIGH * count / most))
            place = HOURS - 1 - hour if self.isRightToLeft() else hour
            painter.fillRect(place * (BAR + GAP), HIGH - high, BAR, high, self._theme.colour("accent"))
        painter.end()
