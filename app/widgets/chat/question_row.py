"""A person's own message: a soft bubble at the end of the line, its corner at the speaker nearly square."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.chat.markdown import question_html
from app.widgets.chat.prose_block import ProseBlock
from qvac_core.core.state import Message

WIDEST = 560
PADDING_X, PADDING_TOP, PADDING_BOTTOM = 12, 9, 6  # a line's spare room is below its letters
RADIUS, SPEAKER_RADIUS = 12, 3


class Bubble(QWidget):
    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.text = ProseBlock(theme, scale="body")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(PADDING_X, PADDING_TOP, PADDING_X, PADDING_BOTTOM)
        layout.addWidget(self.text)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def fit(self, column: int) -> None:
        width = self.text.natural_width(max(60, min(WIDEST, column) - 2 * PADDING_X))
        height = self.text.fit(width)
        self.setFixedSize(width + 2 * PADDING_X, height + PADDING_TOP + PADDING_BOTTOM)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        path = QPainterPath()
        path.addRoundedRect(rect, RADIUS, RADIUS)
        corner = QPainterPath()
        left = rect.left() if self.isRightToLeft() else rect.right() - RADIUS
        corner.addRoundedRect(QRectF(left, rect.bottom() - RADIUS, RADIUS, RADIUS), SPEAKER_RADIUS, SPEAKER_RADIUS)
        painter.fillPath(path.united(corner), self._theme.colour("accent_soft"))
        painter.end()


class QuestionRow(QWidget):
    link_activated = Signal(str)

    def __init__(self, theme: Theme, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = message
        self.bubble = Bubble(theme)
        self.bubble.text.set_html(f'<p style="white-space: pre-wrap">{question_html(message.text)}</p>')
        self.bubble.text.setAccessibleName("My message")
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addStretch(1)
        self._layout.addWidget(self.bubble, 0, Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"I wrote: {message.text}")

    @property
    def message(self) -> Message:
        return self._message

    def fit(self, column: int, *, narrow: bool) -> None:
        self.bubble.fit(column)

    def settle(self) -> None:
        self._layout.activate()

    def retheme(self) -> None:
        self.bubble.text.retheme()

    def anchors(self) -> tuple[QWidget, ...]:
        return (self.bubble,)

    def blocks(self) -> tuple[QWidget, ...]:
        return (self.bubble.text,)
