"""A person's own message: a soft bubble at the end of the line, its corner at the speaker nearly square."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QAccessible, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.attached import PictureChip
from app.widgets.chat.branch_arrows import BranchArrows, place_words
from app.widgets.chat.code_block import CodeBlock
from app.widgets.chat.long_text import FOLDED, IN_COMPOSER, UNFOLDED, amount, cut, fits
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.chat.markdown import Block, BlockKind, question_blocks
from app.widgets.chat.prose_block import ProseBlock
from app.widgets.chat.question_edit import QuestionEdit
from app.widgets.label import Label
from qvac_core.core.state import Message

WIDEST = 560
PENCIL = 34  # what the act beside a bubble takes
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
    branch_wanted = Signal(str)  # the id of another message of this place
    edited = Signal(str)  # ask this in its place
    editing_changed = Signal(str)  # what is written so far, "" once it is left

    def __init__(self, theme: Theme, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._message = message
        self._column = WIDEST
        self._busy = False
        self.edit: QuestionEdit | None = None
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
        self.unseen = Label(scale="hint", tone="warn")
        self.unseen.hide()
        self._layout.addWidget(self.unseen, 0, Qt.AlignmentFlag.AlignTrailing)
        self.pencil = Button(theme, kind="flat", icon="pencil", name=tr("Edit my message"), size="small")
        self.pencil.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.pencil.clicked.connect(self.begin_edit)
        self.said_edited = Label(tr("edited"), scale="hint", tone="text3")
        self.branches = BranchArrows(theme)
        self.branches.wanted.connect(self.branch_wanted)
        self._beside = QHBoxLayout()  # the pencil of a message that stands alone
        self._beside.setSpacing(4)
        self._beside.addStretch(1)
        self._beside.addWidget(self.pencil, 0, Qt.AlignmentFlag.AlignBottom)
        self._beside.addWidget(self.bubble)
        self._below = QHBoxLayout()  # and of one of several
        self._below.setSpacing(6)
        self._below.addStretch(1)
        self._below.addWidget(self.said_edited)
        self._below.addWidget(self.branches)
        self._layout.addLayout(self._beside)
        self._layout.addLayout(self._below)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._show()

    @property
    def message(self) -> Message:
        return self._message

    def show_message(self, message: Message) -> None:
        """The same message: it has another id, or there are other branches beside it now."""
        self._message = message
        self._show_branches()

    def show_unseen(self, model: str) -> None:
        """This model, which answered, was not shown the pictures; "": it was, or there are none."""
        said = tr("not seen by {model}", model=model) if model and self.pictures else ""
        if said != self.unseen.text():
            self.unseen.setText(said)
            self.unseen.setVisible(bool(said))
            self._name()

    def fit(self, column: int, *, narrow: bool) -> None:
        self._column = column
        self.bubble.fit(max(60, column - PENCIL))
        if self.edit is not None:
            self.edit.fit(min(WIDEST, column))

    def settle(self) -> None:
        self._layout.activate()

    def set_busy(self, busy: bool) -> None:
        """The conversation is being answered: it has one answer at a time."""
        self._busy = busy
        if self.branches.isVisibleTo(self):  # each change goes over the accessibility bus
            self.branches.setEnabled(not busy)
        if self.edit is not None:
            self.edit.set_busy(busy)

    # --- Editing

    @property
    def editable(self) -> bool:
        return fits(self._message.text, IN_COMPOSER)

    def begin_edit(self) -> None:
        self.open_edit(self._message.text)
        if self.edit is not None:
            self.unfolding.emit()
            self.edit.begin()

    def open_edit(self, text: str) -> None:
        """With this in it, which may be what was written before the conversation was left."""
        if self.edit is not None or not self.editable:
            return
        self.edit = QuestionEdit(self._theme, text)
        self.edit.asked.connect(self._ask)
        self.edit.left.connect(self.end_edit)
        self.edit.changed.connect(self.editing_changed)
        self.edit.set_busy(self._busy)
        self.edit.fit(min(WIDEST, self._column))
        for widget in (self.bubble, self.pencil):
            widget.hide()
        self._beside.addWidget(self.edit)
        self.edit.show()
        self._show_branches()

    def end_edit(self) -> None:
        if self.edit is None:
            return
        old, self.edit = self.edit, None
        self._beside.removeWidget(old)
        old.hide()
        old.deleteLater()
        self.bubble.show()
        self._show_branches()
        self.editing_changed.emit("")

    def _ask(self, text: str) -> None:
        self.end_edit()
        self.edited.emit(text)

    def _show_branches(self) -> None:
        message = self._message
        several = len(message.branches) > 1
        self.branches.show_message(message)
        self.branches.setEnabled(not self._busy)
        if self.edit is not None:
            self.branches.hide()
        self.said_edited.setVisible(several and message.branches[0] != message.id and self.edit is None)
        place = self._below if several else self._beside
        if place.indexOf(self.pencil) < 0:
            (self._beside if several else self._below).removeWidget(self.pencil)
            if several:
                place.addWidget(self.pencil)
            else:
                place.insertWidget(1, self.pencil, 0, Qt.AlignmentFlag.AlignBottom)
        # One that the core does not have yet has nothing to be a branch of.
        self.pencil.setVisible(self.edit is None and not message.id.startswith("asked-"))
        self.pencil.setEnabled(self.editable)
        self.pencil.setToolTip(
            tr("Edit my message") if self.editable else tr("Too long to be edited here: copy it into the message field")
        )
        self._name()

    def retheme(self) -> None:
        self.bubble.retheme()

    def anchors(self) -> tuple[QWidget, ...]:
        return (self.bubble,)

    def blocks(self) -> tuple[QWidget, ...]:
        if self.edit is not None:
            return self.edit.stops()
        stops: tuple[QWidget, ...] = tuple(
            block.text if isinstance(block, CodeBlock) else block for block in self.bubble.blocks
        )
        if self.bubble.fold.text():
            stops = (*stops, self.bubble.fold)
        pencil = (self.pencil,) if self.pencil.isVisible() and self.pencil.isEnabled() else ()
        return (*stops, *self.branches.stops, *pencil)

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
        self._shown = shown
        self.bubble.show_text(shown, act)
        self._show_branches()

    def _name(self) -> None:
        said = [tr("Picture {name}.", name=picture.name) for picture in self._message.pictures]
        if self.unseen.text():
            said.append(f"{self.unseen.text()}.")
        if self.branches.isVisibleTo(self):
            said.append(tr("Version {place}.", place=place_words(self._message)))
        name = tr("I wrote: {text}", text=" ".join((self._shown, *said)))
        if name != self.accessibleName():
            self.setAccessibleName(name)

    def _fold_or_open(self) -> None:
        if not fits(self._message.text, UNFOLDED):
            open_long_text(self._theme, tr("My message"), self._message.text, self.window())
            return
        self.unfolding.emit()
        self._folded = not self._folded
        self._show()
        self.bubble.fit(max(60, self._column - PENCIL))
