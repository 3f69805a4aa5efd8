"""The face of a key: 5x5 mirrored cells from its hash, in one of eight hues. Always beside a name or short key."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

CELLS = 5
# White cells stand on every one of them with at least 4.5.
HUES = ("#2E7D4F", "#4B5DB0", "#A6522A", "#5A6472", "#7C4A9E", "#9A3B5B", "#1F6E7E", "#6B6A1C")


@lru_cache(maxsize=1024)
def pattern(public_key: str) -> tuple[str, tuple[bool, ...]]:
    """The hue and the 25 cells of a key, row by row, mirrored left to right."""
    digest = hashlib.blake2b(public_key.lower().encode(), digest_size=4).digest()
    bits = int.from_bytes(digest, "big")
    hue = HUES[bits >> 29]
    half = [[bool(bits >> (row * 3 + column) & 1) for column in range(3)] for row in range(CELLS)]
    # A key of nothing but holes, or nothing but cells, would be no face.
    half[2][2] = True
    half[0][0] = False
    return hue, tuple(row[min(column, CELLS - 1 - column)] for row in half for column in range(CELLS))


def paint_avatar(painter: QPainter, rect: QRectF, public_key: str) -> None:
    hue, cells = pattern(public_key)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(hue))
    radius = rect.width() * 0.18
    painter.drawRoundedRect(rect, radius, radius)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    # Whole device pixels, or neighbouring cells show hairlines between them.
    ratio = painter.device().devicePixelRatio()
    cell = int(rect.width() * 0.72 / CELLS * ratio) / ratio
    left = rect.left() + round((rect.width() - cell * CELLS) / 2 * ratio) / ratio
    top = rect.top() + round((rect.height() - cell * CELLS) / 2 * ratio) / ratio
    for index, on in enumerate(cells):
        if on:
            row, column = divmod(index, CELLS)
            painter.fillRect(QRectF(left + column * cell, top + row * cell, cell, cell), QColor("#FFFFFF"))
    painter.restore()


class Avatar(QWidget):
    """Decoration: the name beside it is what a screen reader reads."""

    def __init__(self, public_key: str, size: int = 22, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._public_key = public_key
        self._size = size
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(size, size)

    @property
    def public_key(self) -> str:
        return self._public_key

    def set_key(self, public_key: str) -> None:
        self._public_key = public_key
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._size, self._size)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_avatar(painter, QRectF(0, 0, self._size, self._size), self._public_key)
        painter.end()
