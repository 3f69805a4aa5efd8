"""The mark where another machine went on: a dashed line with one sentence, read out as text of the answer."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAccessible, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.core_words import told
from app.theme import Theme
from app.widgets.chat.bidi import isolated

ICON = 16
GAP = 8
SHORTEST_LINE = 24
THIS_MACHINE = "This machine"


class Seam(QWidget):
    accessible_role = QAccessible.Role.StaticText

    def __init__(self, theme: Theme, sentence: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sentence = sentence
        self._shown = told(sentence)
        self.setAccessibleName(self._shown)
        self.setToolTip(self._shown)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.fit(400)

    @property
    def sentence(self) -> str:
        return self._sentence

    @property
    def token(self) -> str:
        return "local" if THIS_MACHINE in self._sentence else "accent"

    def set_sentence(self, sentence: str) -> None:
        self._sentence = sentence
        self._shown = told(sentence)
        self.setAccessibleName(self._shown)
        self.setToolTip(self._shown)
        self.fit(self.width())
        self.update()

    def retheme(self) -> None:
        self.update()

    def fit(self, width: int) -> int:
        height = max(ICON, self._text_height(width)) + 8
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)
        return height

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def _text_width(self, width: int) -> int:
        return max(80, width - 2 * (SHORTEST_LINE + GAP) - ICON - GAP)

    def _text_height(self, width: int) -> int:
        flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft
        metrics = QFontMetrics(self._theme.font("hint"))
        return metrics.boundingRect(0, 0, self._text_width(width), 10_000, int(flags), self._shown).height()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self._theme.font("hint"))
        metrics = painter.fontMetrics()
        room = self._text_width(self.width())
        text_width = min(room, metrics.horizontalAdvance(self._shown) + 1)
        middle = self.height() / 2
        left = (self.width() - ICON - GAP - text_width) / 2
        colour = self._theme.colour(self.token)
        pen = QPen(colour, 1)
        pen.setDashPattern([3, 2])
        painter.setPen(pen)
        y = round(middle) + 0.5
        painter.drawLine(QRectF(0, y, left - GAP, 0).topLeft(), QRectF(0, y, left - GAP, 0).topRight())
        right = left + ICON + GAP + text_width + GAP
        painter.drawLine(QRectF(right, y, 0, 0).topLeft(), QRectF(right, y, self.width() - right, 0).topRight())
        icon = "laptop" if self.token == "local" else "waypoints"
        pixmap = self._theme.pixmap(icon, self.token, ICON, self.devicePixelRatioF())
        painter.drawPixmap(round(left), round(middle - ICON / 2), pixmap)
        painter.setPen(colour)
        flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(left + ICON + GAP, 0, text_width + 1, self.height()), int(flags), isolated(self._shown))
        painter.end()
