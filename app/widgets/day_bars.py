"""Bars of days: one for each, with its words as tooltip and for screen readers; the limit as a dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QAccessible, QFocusEvent, QHelpEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.announcements import announce
from app.i18n import listed
from app.theme import Theme

GAP = 3
LEAST = 1.0  # pixels of a day without anything
SPOKEN = 7  # days that a screen reader is told at once; the arrows walk all


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    amount: float
    warn: bool = False


class DayBars(QWidget):
    accessible_role = QAccessible.Role.Chart
    accessible_leaf = True

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._name = theme, name
        self._bars: tuple[Bar, ...] = ()
        self._limit, self._limit_label = 0.0, ""
        self._at = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(64)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(240, 80)

    def show_bars(self, bars: Sequence[Bar], limit: float = 0.0, limit_label: str = "") -> None:
        """limit: of a day, 0 = none; `limit_label` says it."""
        self._bars, self._limit, self._limit_label = tuple(bars), limit, limit_label
        self.setAccessibleName(self._name)
        self.setAccessibleDescription(listed([bar.label for bar in reversed(self._bars[-SPOKEN:])]))
        self.update()

    def boxes(self) -> list[QRectF]:
        if not self._bars:
            return []
        top = self.fontMetrics().height() + 4 if self._limit_label else 0
        most = max([self._limit, *(bar.amount for bar in self._bars)]) or 1.0
        width = (self.width() + GAP) / len(self._bars)
        boxes = []
        for place, bar in enumerate(self._bars):
            height = max(LEAST, bar.amount / most * (self.height() - top))
            left = place * width
            box = QRectF(left, self.height() - height, max(1.0, width - GAP), height)
            if self.isRightToLeft():
                box.moveLeft(self.width() - box.right())
            boxes.append(box)
        return boxes

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for place, (bar, box) in enumerate(zip(self._bars, self.boxes(), strict=True)):
            painter.setBrush(self._theme.colour("warn" if bar.warn else "accent"))
            painter.drawRect(box)
            if place == self._at and self.hasFocus():
                painter.setPen(QPen(self._theme.colour("text"), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(box.adjusted(-1, -2, 1, -1))
                painter.setPen(Qt.PenStyle.NoPen)
        if self._limit_label:
            most = max([self._limit, *(bar.amount for bar in self._bars)]) or 1.0
            top = self.fontMetrics().height() + 4
            y = self.height() - self._limit / most * (self.height() - top)
            painter.setPen(QPen(self._theme.colour("ctl"), 1, Qt.PenStyle.DashLine))
            painter.drawLine(0, round(y), self.width(), round(y))
            painter.setPen(self._theme.colour("text3"))
            side = Qt.AlignmentFlag.AlignRight if self.isRightToLeft() else Qt.AlignmentFlag.AlignLeft
            place_of_words = QRectF(0, y - top, self.width(), top - 2)
            painter.drawText(place_of_words, side | Qt.AlignmentFlag.AlignBottom, self._limit_label)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            place = self._place_at(event.pos())
            QToolTip.showText(event.globalPos(), self._bars[place].label if place >= 0 else "", self)
            return True
        return super().event(event)

    def _place_at(self, point: QPoint) -> int:
        if not self._bars:
            return -1
        place = int(point.x() * len(self._bars) / max(1, self.width()))
        place = min(max(place, 0), len(self._bars) - 1)
        return len(self._bars) - 1 - place if self.isRightToLeft() else place

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The arrows walk the days, and each is said."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()), 0)
        if not step or not self._bars:
            super().keyPressEvent(event)
            return
        step = -step if self.isRightToLeft() else step
        start = len(self._bars) - 1 if self._at < 0 else self._at
        self._at = min(max(start + step, 0), len(self._bars) - 1)
        announce(self, self._bars[self._at].label)
        self.setToolTip(self._bars[self._at].label)
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._at = len(self._bars) - 1
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()
