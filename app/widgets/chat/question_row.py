"""A person's own message: a soft bubble at the end of the line, its corner at the speaker nearly square."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QAccessible, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.attached import PictureChip
from app.widgets.chat.code_block import CodeBlock
from app.widgets.chat.long_text import FOLDED, UNFOLDED, amount, cut, fits
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.chat.markdown import Block, BlockKind, question_blocks
from app.widgets.chat.prose_block import ProseBlock
from qvac_core.core.state import Message

WIDEST = 560
PADDING_X, PADDING_TOP, PADDING_BOTTOM = 12, 9, 6  # a line's spare room is below its letters
SPACING = 6
RADIUS, SPEAKER_RADIUS = 12, 3


class Bubble(QWidget):
    """`fold`: the act below a text of which only the beginning is shown."""

    link_activated = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.blocks: list[ProseBlock | CodeBlock] = []
        self.fold = Button(theme, "", kind="link", size="small")
        self.fold.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(PADDING_X, PADDING_TOP, PADDING_X, PADDING_BOTTOM)
        self._layout.setSpacing(SPACING)
        self._layout.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeading)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str, fold: str) -> None:
        """`fold`: what the act says, "" for none."""
        for old in self.blocks:
            self._layout.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.blocks = [self._make(block) for block in question_blocks(text)]
        for place, block in enumerate(self.blocks):
            self._layout.insertWidget(place, block)
            block.show()
        self.fold.setText(fold)
        self.fold.setAccessibleName(fold)
        self.fold.setVisible(bool(fold))

    def retheme(self) -> None:
        for block in self.blocks:
            block.retheme()

    def fit(self, column: int) -> None:
        limit = max(60, min(WIDEST, column) - 2 * PADDING_X)
        prose = [block for block in self.blocks if isinstance(block, ProseBlock)]
        width = max((block.natural_width(limit) for block in prose), default=0)
        if len(prose) < len(self.blocks):
            width = limit
        if self.fold.text():
            width = max(width, min(limit, self.fold.sizeHint().width()))
        heights = [block.fit(width) for block in self.blocks]
        if self.fold.text():
            heights.append(self.fold.sizeHint().height())
        height = sum(heights) + SPACING * max(0, len(heights) - 1)
        self.setFixedSize(width + 2 * PADDING_X, height + PADDING_TOP + PADDING_BOTTOM)

    def _make(self, block: Block) -> ProseBlock | CodeBlock:
        if block.kind is BlockKind.CODE:
            code = CodeBlock(self._theme)
            code.show_code(block.code, block.language)
            return code
        prose = ProseBlock(self._theme, scale="body")
        prose.setAccessibleName(tr("My message"))
        prose.set_html(block.html)
        prose.link_activated.connect(self.link_activated)
        return prose

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
    """A long message is folded: `unfolding` before more of it is shown, so that the list stays where it is."""

    accessible_role = QAccessible.Role.ListItem

    link_activated = Signal(str)
    unfolding = Signal()

    def __init__(self, theme: Theme, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._message = message
        self._column = WIDEST
        self._folded = not fits(message.text, FOLDED)
        self.bubble = Bubble(theme)
        self.bubble.link_activated.connect(self.link_activated)
        self.bubble.fold.clicked.connect(self._fold_or_open)
        self.pictures = [PictureChip(theme, p.name, 0, removable=False) for p in message.pictures]
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(SPACING)
        for chip in self.pictures:
            self._layout.addWidget(chip, 0, Qt.AlignmentFlag.AlignTrailing)
        self._layout.addWidget(self.bubble, 0, Qt.AlignmentFlag.AlignTrailing)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._show()

    @property
    def message(self) -> Message:
        return self._message

    def fit(self, column: int, *, narrow: bool) -> None:
        self._column = column
        self.bubble.fit(column)

    def settle(self) -> None:
        self._layout.activate()

    def retheme(self) -> None:
        self.bubble.retheme()

    def anchors(self) -> tuple[QWidget, ...]:
        return (self.bubble,)

    def blocks(self) -> tuple[QWidget, ...]:
        stops = tuple(block.text if isinstance(block, CodeBlock) else block for block in self.bubble.blocks)
        return (*stops, self.bubble.fold) if self.bubble.fold.text() else stops

    def _show(self) -> None:
        text = self._message.text
        shown = cut(text, FOLDED) if self._folded else text
        act = ""
        if not fits(text, UNFOLDED):
            act = tr("Open all of it ({amount})", amount=amount(text))
        elif self._folded:
            act = tr("Show all of it ({amount})", amount=amount(text))
        elif not fits(text, FOLDED):
            act = tr("Show less")
        self.bubble.show_text(shown, act)
        shows = "".join(" " + tr("Picture {name}.", name=picture.name) for picture in self._message.pictures)
        self.setAccessibleName(tr("I wrote: {text}", text=f"{shown}{shows}"))

    def _fold_or_open(self) -> None:
        if not fits(self._message.text, UNFOLDED):
            open_long_text(self._theme, tr("My message"), self._message.text, self.window())
            return
        self.unfolding.emit()
        self._folded = not self._folded
        self._show()
        self.bubble.fit(self._column)
