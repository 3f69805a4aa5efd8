"""A small window that floats below its button and goes away on Esc or a click elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPropertyAnimation, QRect, Qt
from PySide6.QtGui import QAccessible, QBitmap, QGuiApplication, QPainter, QResizeEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app.accessible import tell_opened
from app.theme import Theme

FADE_MS = 90
GAP = 4
RADIUS = 8  # as in the sheet


class Popup(QWidget):
    """`body` is its layout. The frame inside is what the sheet styles; the corners around it are not there."""

    accessible_role = QAccessible.Role.Dialog

    def __init__(self, theme: Theme, name: str, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup | Qt.WindowType.FramelessWindowHint)
        self._theme = theme
        # Without a compositor, what is see-through is black on X11; whether there is one, Qt 6 does not tell.
        self._cut = QGuiApplication.platformName() == "xcb"
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground, not self._cut)
        self.setAccessibleName(name)
        self.frame = QFrame()
        self.frame.setObjectName("popup")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.frame)
        self.body = QVBoxLayout(self.frame)
        self.body.setContentsMargins(12, 12, 12, 12)
        self.body.setSpacing(8)
        self._fade = QPropertyAnimation(self, b"windowOpacity", self)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._cut:
            self.setMask(self.shape())

    def shape(self) -> QBitmap:
        """The window without its corners."""
        bits = QBitmap(self.size())
        bits.fill(Qt.GlobalColor.color0)
        painter = QPainter(bits)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(Qt.GlobalColor.color1)
        painter.drawRoundedRect(self.rect(), RADIUS, RADIUS)
        painter.end()
        return bits

    def open_below(self, anchor: QWidget, *, align_end: bool = False) -> None:
        self.adjustSize()
        corner = anchor.mapToGlobal(QPoint(0, anchor.height() + GAP))
        right = align_end != (self.layoutDirection() == Qt.LayoutDirection.RightToLeft)
        x = corner.x() + (anchor.width() - self.width() if right else 0)
        y = corner.y()
        area = anchor.screen().availableGeometry()
        if y + self.height() > area.bottom():
            y = anchor.mapToGlobal(QPoint(0, 0)).y() - GAP - self.height()
        self._open(QPoint(x, y), area)

    def open_at_point(self, place: QPoint) -> None:
        """place: on the screen, of its first corner; it is moved so that all of it is seen."""
        self.adjustSize()
        area = self.screen().availableGeometry()
        x = place.x() - (self.width() if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else 0)
        self._open(QPoint(x, min(place.y(), area.bottom() - self.height() - GAP)), area)

    def _open(self, place: QPoint, area: QRect) -> None:
        x = max(area.left() + GAP, min(place.x(), area.right() - self.width() - GAP))
        self.move(x, max(area.top(), place.y()))
        duration = self._theme.duration(FADE_MS)
        if duration:
            self.setWindowOpacity(0.0)
            self._fade.setDuration(duration)
            self._fade.setStartValue(0.0)
            self._fade.setEndValue(1.0)
            self._fade.start()
        self.show()
        tell_opened(self)
