"""A block of code: language and Copy above, the lines below in the theme's colours, scrolled sideways by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFont,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextLayout,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import CopyButton
from app.widgets.chat.text_changes import TextChanges
from app.widgets.label import Label
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    from app.widgets.chat import highlight
else:
    highlight = Lazy("app.widgets.chat.highlight")

HEADER_HEIGHT = 30
PADDING = 12
RADIUS = 8
LINE_HEIGHT = 1.5  # of the font's size
SCROLL_BAR = 10
# Past this many lines a growing block is coloured at line ends only: lexing all of it costs more than a frame.
LEX_AT_LINE_ENDS = 200
TAIL_LINES = 16
# Longer code is coloured in idle slices, these many lines each.
COLOUR_AT_ONCE = 3_000  # letters
LINES_PER_SLICE = 100


class CodeBlock(QFrame):
    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._code = ""
        self._language = ""
        self.language = Label(scale="small", tone="text3")
        self._named = False
        self.copy = CopyButton(theme, kind="flat", size="small", name=tr("Copy code"))
        self.copy.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.text = CodeText(theme)
        header = QHBoxLayout()
        header.setContentsMargins(PADDING, 0, 6, 0)
        header.setSpacing(8)
        header.addWidget(self.language, 1)
        header.addWidget(self.copy)
        holder = QWidget()
        holder.setFixedHeight(HEADER_HEIGHT)
        holder.setLayout(header)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(holder)
        layout.addSpacing(1)
        layout.addWidget(self.text)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)

    @property
    def code(self) -> str:
        return self._code

    def show_code(self, code: str, language: str, *, growing: bool = False) -> None:
        if language != self._language or not self._named:
            self._named = True
            self.language.setText(language or tr("text"))
            name = tr("Code, {language}", language=language) if language else tr("Code")
            self.text.setAccessibleName(name)
            self.copy.setAccessibleName(tr("Copy code, {language}", language=language or tr("text")))
        changed = code != self._code or language != self._language
        self._code, self._language = code, language
        self.copy.value = code
        if changed:
            self.text.show_code(code, language, growing=growing)

    def retheme(self) -> None:
        self.text.retheme()
        self.update()

    def fit(self, width: int) -> int:
        """Take a width; returns the height that follows from it."""
        height = HEADER_HEIGHT + 3 + self.text.fit(width - 2)
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)
        return height

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("border"), 1))
        painter.setBrush(QColor(self._theme.tokens.code.background))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.fillRect(QRectF(1, HEADER_HEIGHT + 1, self.width() - 2, 1), self._theme.colour("border"))
        painter.end()


class CodeText(QTextEdit):
    """Not QPlainTextEdit: that one has no line height, and a fixed font's own is too tight to read."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._code = ""
        self._language = ""
        self._coloured: list[tuple[highlight.Span, ...]] = []
        self._changes = TextChanges(self)
        self._to_colour: Iterator[tuple[highlight.Span, ...]] = iter(())
        self._next_line = 0
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(self._colour_slice)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setAcceptRichText(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setLineWrapMode(QTextEdit.LineWrapMode.NoWrap)
        self.setWordWrapMode(QTextOption.WrapMode.NoWrap)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self._apply_theme()

    def show_code(self, code: str, language: str, *, growing: bool) -> None:
        with self._changes.quiet(growing=growing):
            self._write(code, language, growing=growing)

    def _write(self, code: str, language: str, *, growing: bool) -> None:
        cursor = QTextCursor(self.document())
        self._slices.stop()
        if self._code and code.startswith(self._code) and language == self._language:
            # Only the end is written, so that whatever is selected stays selected.
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(code[len(self._code) :])
        else:
            self.setPlainText(code)
            self._set_margins()
            cursor.select(QTextCursor.SelectionType.Document)
            cursor.setBlockFormat(self._line_format())
            self._coloured = []
        self._code, self._language = code, language
        if growing:
            self._colour_end()
        else:
            self.colour()

    def retheme(self) -> None:
        self._apply_theme()
        with self._changes.quiet(growing=False):
            cursor = QTextCursor(self.document())
            cursor.select(QTextCursor.SelectionType.Document)
            cursor.setBlockFormat(self._line_format())
            self._coloured = []
            self.colour()

    def fit(self, width: int) -> int:
        size = self.document().size()
        height = math.ceil(size.height())
        if math.ceil(self.document().idealWidth()) > width:
            height += SCROLL_BAR
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)
        return height

    def colour(self) -> None:
        """Colour the lines whose spans changed; a line that keeps its colours is not touched."""
        self._slices.stop()
        if len(self._code) <= COLOUR_AT_ONCE:
            self._show_colours(0, highlight.spans(self._code, self._language))
        else:
            self._to_colour, self._next_line = highlight.line_spans(self._code, self._language), 0
            self._slices.start()

    @property
    def colouring(self) -> bool:
        """Whether idle slices still colour it."""
        return self._slices.isActive()

    def _colour_slice(self) -> None:
        lines = list(islice(self._to_colour, LINES_PER_SLICE))
        if not lines:
            self._slices.stop()
            return
        self._show_colours(self._next_line, lines)
        self._next_line += len(lines)

    def _colour_end(self) -> None:
        """Colour code that grows: its last lines are lexed alone.

        Where they disagree with what the same lines had before, something open (a string, a comment) reaches into
        them from above: then all of it is lexed.
        """
        lines = self._code.split("\n")
        start = len(lines) - TAIL_LINES
        if start <= 0:
            self.colour()
            return
        tail = highlight.spans("\n".join(lines[start:]), self._language)
        known = self._coloured[start:-1]
        if known and tail[: len(known)] == known:
            self._show_colours(start, tail)
        elif len(lines) <= LEX_AT_LINE_ENDS or not lines[-1]:
            self.colour()

    def _show_colours(self, start: int, lines: Sequence[tuple[highlight.Span, ...]]) -> None:
        formats = {role: self._format(role) for role in ("keyword", "string", "comment", "number", "function")}
        block = self.document().findBlockByNumber(start)
        dirty: tuple[int, int] | None = None  # of the document's letters; one call: each costs a walk over all lines
        for index, line in enumerate(lines, start):
            if not block.isValid():
                break
            if index >= len(self._coloured) or self._coloured[index] != line:
                ranges = []
                for span in line:
                    part = QTextLayout.FormatRange()
                    part.start, part.length, part.format = span.start, span.length, formats[span.role]
                    ranges.append(part)
                block.layout().setFormats(ranges)
                dirty = (dirty[0] if dirty else block.position(), block.position() + block.length())
            block = block.next()
        if dirty is not None:
            with self._changes.quiet(growing=False):
                self.document().markContentsDirty(dirty[0], dirty[1] - dirty[0])
        self._coloured[start : start + len(lines)] = lines

    def _format(self, role: str) -> QTextCharFormat:
        form = QTextCharFormat()
        form.setForeground(QColor(getattr(self._theme.tokens.code, role)))
        return form

    def _line_format(self) -> QTextBlockFormat:
        form = QTextBlockFormat()
        size = self._font().pointSizeF() * 96 / 72
        form.setLineHeight(round(size * LINE_HEIGHT), QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        return form

    def _set_margins(self) -> None:
        frame = self.document().rootFrame()
        form = frame.frameFormat()
        form.setMargin(PADDING)
        # A line of a fixed height has its spare room above the letters.
        form.setTopMargin(PADDING - 4)
        frame.setFrameFormat(form)

    def _font(self) -> QFont:
        return self._theme.fixed_font("hint")

    def _apply_theme(self) -> None:
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, self._theme.colour("text"))
        palette.setColor(QPalette.ColorRole.Highlight, self._theme.colour("accent"))
        palette.setColor(QPalette.ColorRole.HighlightedText, self._theme.colour("onacc"))
        self.setPalette(palette)
        self.document().setDefaultFont(self._font())
        self.setTabStopDistance(4 * self.fontMetrics().horizontalAdvance(" "))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Sideways is ours; up and down belongs to the conversation."""
        sideways = abs(event.angleDelta().x()) > abs(event.angleDelta().y())
        if sideways or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            super().wheelEvent(event)
        else:
            event.ignore()
