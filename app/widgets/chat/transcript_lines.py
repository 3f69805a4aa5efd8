"""Lines of a transcript with their times: a click on one, or Enter, plays from there; the playing one stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QPoint, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTextCursor,
    QTextTable,
)
from PySide6.QtWidgets import QApplication, QScrollArea, QWidget

from app.announcements import announce
from app.theme import Theme
from app.transcript_words import clock, line
from app.widgets.chat.prose_block import ProseBlock
from app.widgets.focus import KEYBOARD_REASONS
from qvac_core.core.transcript import TranscriptLine

CELL = 4  # px around a cell
RADIUS = 4


class TranscriptLines(ProseBlock):
    """Some of the lines, the first one being number `first` of all."""

    play_wanted = Signal(int)  # number of a line
    pause_wanted = Signal()  # or go on

    def __init__(self, theme: Theme, name: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, scale="body", parent=parent)
        self.setAccessibleName(name)
        self._lines: Sequence[TranscriptLine] = ()
        self._first = 0
        self._playing = -1  # number of a line
        self._current = -1  # that the keys are at
        self._pressed: QPoint | None = None
        self.playable = False

    @property
    def playing(self) -> int:
        return self._playing

    @property
    def current(self) -> int:
        return self._current

    def show_lines(self, lines: Sequence[TranscriptLine], first: int, time_column: int) -> None:
        self._lines, self._first = lines, first
        self.set_html(self._rows_html(time_column))
        if not first <= self._current < first + len(lines):
            self._current = -1

    def show_playing(self, number: int) -> None:
        """-1: none."""
        if number != self._playing:
            self._playing = number
            self.viewport().update()

    def row_rect(self, number: int) -> QRectF:
        """In the viewport; empty where that line is not one of these."""
        table, row = self._table(), number - self._first
        if table is None or not 0 <= row < table.rows():
            return QRectF()
        layout = self.document().documentLayout()
        cell = table.cellAt(row, 1)
        top = layout.blockBoundingRect(cell.firstCursorPosition().block()).top()
        bottom = layout.blockBoundingRect(cell.lastCursorPosition().block()).bottom()
        return QRectF(0, top - CELL, self.viewport().width(), bottom - top + 2 * CELL)

    def line_at(self, place: QPoint) -> int:
        """-1: none."""
        cursor = self.cursorForPosition(place)
        table: QTextTable | None = cursor.currentTable()
        return -1 if table is None else self._first + table.cellAt(cursor).row()

    def _table(self) -> QTextTable | None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.NextBlock)
        table: QTextTable | None = cursor.currentTable()
        return table

    def _rows_html(self, column: int) -> str:
        if not self._lines:
            return ""
        fixed = escape(self._theme.fixed_font().family(), quote=True)
        pale = self._theme.tokens.text3
        time = f"font-family: '{fixed}'; color: {pale}; white-space: nowrap"
        rows = (
            f'<tr><td align="right" width="{column}"><p style="{time}">{clock(piece.start_ms)}</p></td>'
            f"<td><p>{escape(piece.text)}</p></td></tr>"
            for piece in self._lines
        )
        return f'<table border="0" cellspacing="0" cellpadding="{CELL}" width="100%">{"".join(rows)}</table>'

    # --- Qt

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._current = -1  # the ring is the keyboard's
        self._pressed = event.position().toPoint() if event.button() == Qt.MouseButton.LeftButton else None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        place = event.position().toPoint()
        if not self.playable or pressed is None or self.textCursor().hasSelection():
            return
        if (place - pressed).manhattanLength() < QApplication.startDragDistance() and (at := self.line_at(place)) >= 0:
            self.play_wanted.emit(at)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self._pressed = None  # selects a word
        super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and not event.modifiers() and self._lines:
            self._step(-1 if key == Qt.Key.Key_Up else 1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.playable and self._current >= 0:
            self.play_wanted.emit(self._current)
        elif key == Qt.Key.Key_Space and self.playable:
            self.pause_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _step(self, step: int) -> None:
        last = self._first + len(self._lines) - 1
        self._current = min(last, max(self._first, self._current + step)) if self._current >= 0 else self._first
        self.viewport().update()
        announce(self, line(self._lines[self._current - self._first]))
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QScrollArea):
            parent = parent.parentWidget()
        if parent is not None and (inside := parent.widget()) is not None:
            centre = self.viewport().mapTo(inside, self.row_rect(self._current).center()).toPoint()
            parent.ensureVisible(centre.x(), centre.y(), 0, 40)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in KEYBOARD_REASONS and self._lines and self._current < 0:
            self._step(0)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        self._paint(self._playing, ring=False)
        super().paintEvent(event)
        if self.hasFocus():
            self._paint(self._current, ring=True)

    def _paint(self, number: int, *, ring: bool) -> None:
        rect = self.row_rect(number) if number >= 0 else QRectF()
        if rect.isEmpty():
            return
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if ring:
            painter.setPen(QPen(self._theme.colour("accent"), 2))
            rect.adjust(1, 1, -1, -1)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.colour("sel"))
        painter.drawRoundedRect(rect, RADIUS, RADIUS)
        painter.end()


def time_column(theme: Theme, lines: Sequence[TranscriptLine]) -> int:
    """Width of it: as wide as the longest time, which has as many letters as the last one."""
    last = clock(lines[-1].start_ms) if lines else ""
    metrics = QFontMetricsF(theme.fixed_font("body"))
    return math.ceil(metrics.horizontalAdvance(last)) + 2 * CELL + 2


def line_at_time(lines: Sequence[TranscriptLine], position_ms: int) -> int:
    """The number of the line that is heard then, or was last; -1 before the first."""
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        if lines[middle].start_ms <= position_ms:
            low = middle + 1
        else:
            high = middle
    return low - 1
