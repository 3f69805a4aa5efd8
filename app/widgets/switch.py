"""The switch: off is an outline with a small knob, on is filled with a large one; shape says it, not only colour."""

from __future__ import annotations

from PySide6.QtCore import Property, QEasingCurve, QPointF, QPropertyAnimation, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.focus import ring_after
from app.widgets.toggle_clicks import ToggleClicks

MAIN_SIZE = QSize(44, 24)
ROW_SIZE = QSize(32, 18)
KNOB_MS = 120
RING = 3


def paint_switch(
    painter: QPainter, theme: Theme, rect: QRectF, position: float, *, enabled: bool = True, mirrored: bool = False
) -> None:
    """Paint a switch into `rect`; `position` runs from 0 (off) to 1 (on). `mirrored`: on is at the left."""
    painter.save()
    if mirrored:
        painter.translate(rect.left() + rect.right(), 0)
        painter.scale(-1, 1)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    radius = rect.height() / 2
    on = position >= 0.5
    if on:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("accent" if enabled else "track"))
        painter.drawRoundedRect(rect, radius, radius)
    else:
        width = 1.5
        painter.setPen(QPen(theme.colour("ctl" if enabled else "border"), width))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inner = rect.adjusted(width / 2, width / 2, -width / 2, -width / 2)
        painter.drawRoundedRect(inner, radius, radius)
    small, large = rect.height() * 0.27, rect.height() * 0.38
    knob = small + (large - small) * position
    x = rect.left() + radius + (rect.width() - rect.height()) * position
    painter.setPen(Qt.PenStyle.NoPen)
    knob_token = "onacc" if on else "ctl"
    painter.setBrush(theme.colour(knob_token if enabled else "text3"))
    painter.drawEllipse(QPointF(x, rect.center().y()), knob, knob)
    painter.restore()


class Switch(ToggleClicks, QAbstractButton):
    """Acts at once. `toggled` fires for the user and for code alike; connect `clicked` for intents."""

    def __init__(self, theme: Theme, name: str, *, size: QSize = MAIN_SIZE, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._size = size
        self._position = 0.0
        self._ring = False
        self.setCheckable(True)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._animation = QPropertyAnimation(self, b"position", self)
        self._animation.setEasingCurve(QEasingCurve.Type.OutCubic)
        self.toggled.connect(self._move_knob)
        self.toggle_clicks()
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(self._size.width() + 2 * RING, self._size.height() + 2 * RING)

    def _get_position(self) -> float:
        return self._position

    def _set_position(self, position: float) -> None:
        self._position = position
        self.update()

    position = Property(float, _get_position, _set_position)

    def _move_knob(self, on: bool) -> None:
        self._animation.stop()
        if not self.isVisible():
            self._set_position(1.0 if on else 0.0)
            return
        self._animation.setDuration(self._theme.duration(KNOB_MS))
        self._animation.setStartValue(self._position)
        self._animation.setEndValue(1.0 if on else 0.0)
        self._animation.start()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusOutEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        rect = QRectF(RING, RING, self._size.width(), self._size.height())
        mirrored = self.isRightToLeft()
        paint_switch(painter, self._theme, rect, self._position, enabled=self.isEnabled(), mirrored=mirrored)
        if self._ring and self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            outer = QRectF(self.rect()).adjusted(1, 1, -1, -1)
            painter.drawRoundedRect(outer, outer.height() / 2, outer.height() / 2)
        painter.end()
