"""A QR code, always dark on white with its quiet zone: cameras read no inverted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.focus import ring_after
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import segno
else:
    segno = Lazy("segno")

QUIET_ZONE = 2  # modules; the standard says 4, the white card around adds the rest
WHITE, BLACK = QColor("#FFFFFF"), QColor("#101512")


def qr_modules(text: str) -> tuple[tuple[bool, ...], ...]:
    """The dark modules, row by row, without quiet zone. Upper-case hex packs into the smaller alphanumeric
    mode, and a screen needs no more than level L: a key then has 29 modules a side."""
    code = segno.make(text, error="l", micro=False)
    return tuple(tuple(bool(module) for module in row) for row in code.matrix)


def paint_qr(painter: QPainter, rect: QRectF, modules: tuple[tuple[bool, ...], ...]) -> None:
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(WHITE)
    painter.drawRoundedRect(rect, 6, 6)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    count = len(modules)
    ratio = painter.device().devicePixelRatio()
    # Whole device pixels per module where there is room, else neighbours show hairlines.
    whole = int(rect.width() * ratio / (count + 2 * QUIET_ZONE))
    module = whole / ratio
    left = rect.left() + round((rect.width() - module * count) / 2 * ratio) / ratio
    top = rect.top() + round((rect.height() - module * count) / 2 * ratio) / ratio
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            if dark:
                painter.fillRect(QRectF(left + x * module, top + y * module, module, module), BLACK)
    painter.restore()


class Qr(QAbstractButton):
    """Shows `text`; a click (Space, Enter) asks for the large one."""

    def __init__(self, theme: Theme, size: int, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._size = size
        self._modules: tuple[tuple[bool, ...], ...] = ()
        self._ring = False
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(size, size)

    def set_text(self, text: str) -> None:
        self._modules = qr_modules(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._size, self._size)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._ring = ring_after(event, self._ring)
        super().focusOutEvent(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._modules:
            paint_qr(painter, QRectF(self.rect()), self._modules)
        if self._ring and self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()
