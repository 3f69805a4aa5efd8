"""An answer's text on screen: one widget per block; new text touches only the blocks that it changed."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.card import rule
from app.widgets.chat.answer_text import Part, SeamMark, ToolMark
from app.widgets.chat.code_block import CodeBlock
from app.widgets.chat.markdown import BlockKind
from app.widgets.chat.prose_block import ProseBlock
from app.widgets.chat.seam import Seam
from app.widgets.chat.tool_card import ToolCard

SPACING = 8
QUOTE_BAR = 3
HEADING_SPACE = 8
RULE_HEIGHT = 9
# A block takes 2 ms to make; a long answer's come in idle slices.
BLOCKS_PER_SLICE = 16

BlockWidget = ProseBlock | CodeBlock | Seam | ToolCard | QFrame


class MarkdownView(QWidget):
    link_activated = Signal(str)
    decided = Signal(str, object)  # id of a call of a tool, Decision

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._parts: list[Part] = []
        self._widgets: list[BlockWidget] = []
        self._to_come: tuple[Part, ...] = ()  # all parts of the text, where not all of them have a widget yet
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(lambda: self._show(self._to_come))
        self._column = 0
        self._caret = ""
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(SPACING)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    @property
    def widgets(self) -> tuple[BlockWidget, ...]:
        return tuple(self._widgets)

    @property
    def filling(self) -> bool:
        """Whether parts are still to come in idle slices."""
        return self._slices.isActive()

    def show_parts(self, parts: tuple[Part, ...], *, caret: str = "") -> None:
        """`caret`: the token of the block that marks the growing end, "" when it does not grow."""
        self._show(parts, caret=caret)

    def _show(self, all_parts: tuple[Part, ...], *, caret: str | None = None) -> None:
        parts = all_parts[: len(self._widgets) + BLOCKS_PER_SLICE]
        caret = self._caret if caret is None else caret
        self._to_come = all_parts if len(parts) < len(all_parts) else ()
        if self._to_come:
            self._slices.start()
        else:
            self._slices.stop()
        growing = bool(caret)
        for index, part in enumerate(parts):
            if index < len(self._parts) and self._parts[index] == part:
                continue
            self._put(index, part, growing=growing and index == len(parts) - 1)
        for widget in self._widgets[len(parts) :]:
            self._drop(widget)
        del self._widgets[len(parts) :]
        if self._caret and not growing:
            self._finish_code()
        self._parts = list(parts)
        self._caret = caret
        for widget in self._widgets:
            if isinstance(widget, ProseBlock):
                widget.set_caret(caret if widget is self._widgets[-1] else "")

    @property
    def plain_text(self) -> str:
        """What is on screen, block by block, without marks of Markdown."""
        return "\n".join(filter(None, map(_plain, self._widgets)))

    def fit(self, column: int) -> None:
        self._column = column
        for widget in self._widgets:
            self._fit(widget)

    def settle(self) -> None:
        self._layout.activate()

    def retheme(self) -> None:
        for widget in self._widgets:
            if isinstance(widget, ProseBlock | CodeBlock | Seam | ToolCard):
                widget.retheme()
                self._fit(widget)
        self.update()

    def _put(self, index: int, part: Part, *, growing: bool) -> None:
        old = self._widgets[index] if index < len(self._widgets) else None
        widget = old if old is not None and _fits(old, part) else self._make(part)
        if widget is not old:
            if old is not None:
                self._drop(old)
                self._widgets[index] = widget
            else:
                self._widgets.append(widget)
            self._layout.insertWidget(index, widget)
            widget.show()  # a layout shows new widgets a turn of the loop later
        self._fill(index, widget, part, growing=growing)
        self._fit(widget)

    def _make(self, part: Part) -> BlockWidget:
        if isinstance(part, SeamMark):
            return Seam(self._theme, part.sentence)
        if isinstance(part, ToolMark):
            card = ToolCard(self._theme)
            card.decided.connect(self.decided)
            return card
        if part.kind is BlockKind.CODE:
            return CodeBlock(self._theme)
        if part.kind is BlockKind.RULE:
            line = rule()
            line.setFixedHeight(1)
            return line
        prose = ProseBlock(self._theme, quote=part.kind is BlockKind.QUOTE)
        prose.link_activated.connect(self.link_activated)
        return prose

    def _fill(self, index: int, widget: BlockWidget, part: Part, *, growing: bool) -> None:
        if isinstance(part, SeamMark):
            if isinstance(widget, Seam):
                widget.set_sentence(part.sentence)
        elif isinstance(part, ToolMark):
            if isinstance(widget, ToolCard):
                widget.show_mark(part)
        elif isinstance(widget, CodeBlock):
            widget.show_code(part.code, part.language, growing=growing)
        elif isinstance(widget, ProseBlock):
            widget.set_space_above(HEADING_SPACE if part.level and index else 0)
            widget.set_html(part.html, growing=growing)

    def _finish_code(self) -> None:
        """Colour what a long block left plain while it grew."""
        for widget in self._widgets:
            if isinstance(widget, CodeBlock):
                widget.text.colour()

    def _fit(self, widget: BlockWidget) -> None:
        if self._column and isinstance(widget, ProseBlock | CodeBlock | Seam | ToolCard):
            widget.fit(self._column)

    def _drop(self, widget: BlockWidget) -> None:
        self._layout.removeWidget(widget)
        widget.hide()
        widget.deleteLater()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        for widget in self._widgets:
            if isinstance(widget, ProseBlock) and widget.indent:
                x = widget.x() if not self.isRightToLeft() else widget.geometry().right() - QUOTE_BAR
                painter.fillRect(x, widget.y(), QUOTE_BAR, widget.height(), self._theme.colour("border"))
        painter.end()


def _plain(widget: BlockWidget) -> str:
    if isinstance(widget, CodeBlock):
        return widget.code
    if isinstance(widget, Seam):
        return widget.sentence
    if isinstance(widget, ToolCard):
        return widget.plain_text
    return widget.toPlainText() if isinstance(widget, ProseBlock) else ""


def _fits(widget: BlockWidget, part: Part) -> bool:
    """Whether a widget can show a part; a block that changes its kind gets a new one."""
    if isinstance(part, SeamMark):
        return isinstance(widget, Seam)
    if isinstance(part, ToolMark):
        return isinstance(widget, ToolCard) and (widget.use is None or widget.use.id == part.use.id)
    if part.kind is BlockKind.CODE:
        return isinstance(widget, CodeBlock)
    if part.kind is BlockKind.RULE:
        return isinstance(widget, QFrame) and not isinstance(widget, CodeBlock | ProseBlock | ToolCard)
    return isinstance(widget, ProseBlock) and bool(widget.indent) == (part.kind is BlockKind.QUOTE)
