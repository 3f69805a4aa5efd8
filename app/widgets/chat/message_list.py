"""The conversation: one row per message, which follows a growing answer unless the person has scrolled up.

The newest rows are made at once, older ones in idle slices ahead of who scrolls up. The design's "Proven in Qt" has the
measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QContextMenuEvent,
    QFocusEvent,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QHBoxLayout, QScrollArea, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

from app.i18n import tr
from app.languages import Choice
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.long_text import ANSWER
from app.widgets.chat.marks import mark, marked
from app.widgets.focus import KEYBOARD_REASONS
from app.widgets.menu import Menu, add_languages
from qvac_core.core.state import TRANSCRIPT, ErrorInfo, Message
from qvac_core.lazy import Lazy

# What a message is shown with: a window that opens shows none yet.
if TYPE_CHECKING:
    from app.widgets.chat import answer_row, question_row, transcript_row, translation_box

    Row: TypeAlias = question_row.QuestionRow | answer_row.AnswerRow | transcript_row.TranscriptRow
    DescribeTranscript: TypeAlias = Callable[[Message], transcript_row.TranscriptFacts]
else:
    answer_row, question_row, transcript_row, translation_box = (
        Lazy(f"app.widgets.chat.{name}") for name in ("answer_row", "question_row", "transcript_row", "translation_box")
    )

COLUMN = 736
NARROW_MARGIN = 28
TOP, BOTTOM, SPACING = 16, 12, 16
FIRST_ROWS = 20
ROWS_PER_SLICE = 4
# Blocks of text that are made in one turn of the loop; each takes 2 ms.
ROW_BLOCKS = (3, 1)  # what an answer's row, and a question's, cost beside their text
FIRST_BLOCKS, BLOCKS_PER_SLICE = 40, 16
FAR_FROM_END = 120  # px: from here on a button leads there
SCREENS_ABOVE = 3  # of older rows are made ahead of who scrolls up
NEAR_END = 8  # px: who is this close to the end is following


class MessageList(QScrollArea):
    accessible_role = QAccessible.Role.List

    link_activated = Signal(str)
    regenerate = Signal(str)  # the id of the answer
    receipt_wanted = Signal(str)  # the same
    tool_decided = Signal(str, str, object)  # id of an answer, id of its call of a tool, Decision
    go_on = Signal()  # the last answer
    branch_wanted = Signal(str)  # the id of a message
    edited = Signal(str, str)  # the id of my message, what is to be asked in its place
    transcript_made = Signal(object)  # TranscriptRow: to be connected
    translation_wanted = Signal(str, str, str)  # message id, text, the code of a language
    translation_stopped = Signal(str)
    translation_again = Signal(str)
    translation_dismissed = Signal(str)
    quote_wanted = Signal(str)  # to ask about what is selected

    def __init__(
        self,
        theme: Theme,
        describe: answer_row.Describe,
        describe_transcript: DescribeTranscript | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._describe = describe
        self._describe_transcript = describe_transcript or (
            lambda message: transcript_row.TranscriptFacts(describe(message))
        )
        self._rows: dict[str, Row] = {}
        self._order: list[str] = []  # ids of the rows that are made, first to last
        self._older: list[Message] = []  # not made yet, first to last
        # By message: what holds it, and it.
        self._translations: dict[str, tuple[QWidget, translation_box.TranslationBox]] = {}
        self.languages: tuple[Choice, ...] = ()  # to translate into
        self._following = True
        self._ours = False
        self._narrow = False
        self._current: str | None = None
        self._marked = ""
        self._to_mark: list[str] = []  # ids of rows out of sight that still show what was searched before
        self._to_beginning = False  # a person wants to be there, and it is not made yet
        self._busy = False
        self._edits: dict[str, str] = {}  # what is being written in the place of a message, by its id
        self._canvas = Canvas(self)
        self._layout = QVBoxLayout(self._canvas)
        self._layout.setSpacing(SPACING)
        self._layout.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        self._layout.addStretch(1)
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(self._make_older)
        self._marking = QTimer(self)
        self._marking.setInterval(0)
        self._marking.timeout.connect(self._mark_on)
        self.to_end = Button(theme, tr("To the end"), icon="arrow-down", size="small", name=tr("Go to the end"))
        self.to_end.setParent(self)
        self.to_end.setToolTip(tr("End"))
        self.to_end.clicked.connect(self._go_to_end)
        self.to_end.hide()
        self.setWidget(self._canvas)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Messages"))
        self.verticalScrollBar().valueChanged.connect(self._moved)
        self.verticalScrollBar().rangeChanged.connect(self._grew)
        theme.changed.connect(self._retheme)

    # --- Content

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(self._rows[message_id] for message_id in self._order)

    @property
    def following(self) -> bool:
        return self._following

    @property
    def waiting_rows(self) -> int:
        """Messages that have no row yet."""
        return len(self._older)

    def show_messages(self, messages: Sequence[Message]) -> None:
        self._slices.stop()
        self._to_beginning = False
        for message_id in list(self._order):
            self._drop(message_id)
        self._current = None
        self._following = True
        first = len(messages) - _affordable(messages, FIRST_ROWS, FIRST_BLOCKS)
        self._older = list(messages[:first])
        for message in messages[first:]:
            self._append(message)
        self.settle()
        self.scroll_to_end()
        if self._older:
            self._slices.start()

    def add(self, message: Message) -> None:
        """A new message at the end. My own question is always brought into view."""
        if self._order:
            self._refresh(self._order[-1])
        self._append(message)
        if message.role in ("user", TRANSCRIPT):
            self._following = True
        row = self._rows[message.id]
        if message.status == "streaming" and isinstance(row, answer_row.AnswerRow):
            row.speak()

    def show_path(self, messages: Sequence[Message]) -> None:
        """Another path of the same conversation: what both have in common stays as it is, where it is."""
        ids = [message.id for message in (*self._older, *(row.message for row in self.rows))]
        kept = 0
        while kept < min(len(ids), len(messages)) and ids[kept] == messages[kept].id:
            kept += 1
        if kept < len(self._older) or len(messages) - kept > FIRST_ROWS:
            self.show_messages(messages)
            return
        self._older = list(messages[: len(self._older)])
        for message in messages[len(self._older) : kept]:
            self.change(message)
        wanted, place = {message.id for message in messages[kept:]}, None
        gone = [id for id in self._order[kept - len(self._older) :] if id not in wanted]
        if gone:
            first = self._rows[gone[0]]
            place = first.mapTo(self.viewport(), QPoint(0, 0)).y()
        had_focus = self._current in gone or any(self._holds_focus(self._rows[id]) for id in gone)
        for message_id in gone:
            self._drop(message_id)
        for message in messages[kept:]:
            if message.id in self._rows:
                self._to_last(message.id)
            else:
                self._append(message)
        if not gone or not messages[kept:]:
            return
        if had_focus:
            self.setFocus(Qt.FocusReason.OtherFocusReason)
            self._set_current(messages[kept].id)
        if messages[-1].status == "streaming":
            self.scroll_to_end()
        else:
            self._following = False
            self.settle()
            y = self._rows[messages[kept].id].y()
            self._set_range_and_value(y - (place or 0))

    def reveal(self, message_id: str) -> None:
        """Bring a message into view, at the first place of what is marked in it."""
        while message_id not in self._rows and self._older:
            self._make_older()
        row = self._rows.get(message_id)
        if row is None:
            return
        self._following = False
        if message_id in self._to_mark:
            self._to_mark.remove(message_id)
            mark(row, self._marked, self._theme)
        self.settle()
        y = row.y()
        for text, cursor in marked(row)[:1]:
            y = text.mapTo(self._canvas, text.cursorRect(cursor).topLeft()).y() - self.viewport().height() // 3
        self._set_range_and_value(max(0, y - SPACING))
        self._current = message_id
        self._canvas.update()
        self._show_to_end()

    def mark(self, text: str) -> None:
        """Where this text stands; "" marks nothing."""
        if text != self._marked:
            self._marked = text
            top = self.verticalScrollBar().value()
            sight = range(top, top + self.viewport().height())
            self._to_mark = []
            for message_id in self._order:
                row = self._rows[message_id]
                if row.y() < sight.stop and row.geometry().bottom() >= sight.start:
                    mark(row, text, self._theme)
                else:
                    self._to_mark.append(message_id)
            self._marking.start()

    def _mark_on(self) -> None:
        """A slice of what is out of sight: a key that is typed waits for no long conversation."""
        for message_id in self._to_mark[-ROWS_PER_SLICE:]:
            if (row := self._rows.get(message_id)) is not None:
                mark(row, self._marked, self._theme)
        del self._to_mark[-ROWS_PER_SLICE:]
        if not self._to_mark:
            self._marking.stop()

    def rename(self, message_id: str, message: Message) -> None:
        """My question has reached the core: it has the id of there."""
        row = self._rows.get(message_id)
        if not isinstance(row, question_row.QuestionRow):
            return
        self._rows[message.id] = self._rows.pop(message_id)
        self._order[self._order.index(message_id)] = message.id
        if self._current == message_id:
            self._current = message.id
        row.show_message(message)

    def edit_last_question(self) -> bool:
        """Whether there is one that can be edited."""
        rows = [row for row in self.rows if isinstance(row, question_row.QuestionRow)]
        if not rows or not rows[-1].pencil.isVisibleTo(rows[-1]) or not rows[-1].editable:
            return False
        self._set_current(rows[-1].message.id)
        self._edit(rows[-1])
        return True

    def _holds_focus(self, row: QWidget) -> bool:
        focused = QApplication.focusWidget()
        return focused is not None and row.isAncestorOf(focused)

    def change(self, message: Message) -> None:
        row = self._rows.get(message.id)
        if isinstance(row, question_row.QuestionRow):
            if row.message is not message:
                row.show_message(message)
        elif isinstance(row, answer_row.AnswerRow):
            row.show_message(message, self._describe(message))
            if message.stats is not None and message.stats.blind:
                self._tell_unseen(self._order.index(message.id))
        elif isinstance(row, transcript_row.TranscriptRow):
            row.show_message(message, self._describe_transcript(message))

    def remove(self, message_id: str) -> None:
        if message_id in self._rows:
            self._drop(message_id)

    def refresh(self) -> None:
        """Names, stages or remedies changed: ask for the facts of every answer again."""
        for message_id in self._order:
            self._refresh(message_id)

    def set_busy(self, busy: bool) -> None:
        """Nothing can be asked anew, nor another branch be shown, while an answer streams."""
        if busy != self._busy:
            self._busy = busy
            for row in self._rows.values():
                if not isinstance(row, transcript_row.TranscriptRow):
                    row.set_busy(busy)

    def scroll_to_end(self) -> None:
        self._following = True
        self._to_end()

    def set_narrow(self, narrow: bool) -> None:
        if narrow != self._narrow:
            self._narrow = narrow
            self._fit_all()

    def _append(self, message: Message) -> None:
        row = self._make(message)
        self._rows[message.id] = row
        self._order.append(message.id)
        self._layout.insertWidget(self._layout.count() - 1, row)
        row.show()  # at once: the layout would show it a turn of the loop later, and count it as hidden until then
        self._tell_unseen(len(self._order) - 1)

    def _tell_unseen(self, place: int) -> None:
        """The pictures of a question say so where whoever answered was not shown them."""
        if not 0 < place < len(self._order):
            return
        question, answer = self._rows[self._order[place - 1]], self._rows[self._order[place]]
        if not isinstance(question, question_row.QuestionRow) or not question.pictures:
            return
        if isinstance(answer, answer_row.AnswerRow):
            stats = answer.message.stats
            question.show_unseen(stats.model if stats is not None and stats.blind else "")

    def _to_last(self, message_id: str) -> None:
        """A row that stands elsewhere in this path; what is below it goes along."""
        self._order.remove(message_id)
        self._order.append(message_id)
        holders = [self._translations[message_id][0]] if message_id in self._translations else []
        for widget in (self._rows[message_id], *holders):
            self._layout.removeWidget(widget)
            self._layout.insertWidget(self._layout.count() - 1, widget)

    def _make(self, message: Message) -> Row:
        row: Row
        if message.role == "user":
            row = question = question_row.QuestionRow(self._theme, message)
            row.link_activated.connect(self.link_activated)
            row.unfolding.connect(self._stay)
            row.branch_wanted.connect(self.branch_wanted)
            row.edited.connect(lambda text: self.edited.emit(question.message.id, text))
            row.editing_changed.connect(lambda text: self._keep_edit(question, text))
            if (begun := self._edits.get(message.id)) is not None:
                row.open_edit(begun)
        elif message.role == TRANSCRIPT:
            row = transcript_row.TranscriptRow(self._theme, message, self._describe_transcript(message))
            row.unfolding.connect(self._stay)
            self.transcript_made.emit(row)
        else:
            row = answer_row.AnswerRow(self._theme, message, self._describe(message))
            row.link_activated.connect(self.link_activated)
            row.regenerate.connect(partial(self.regenerate.emit, message.id))
            row.go_on.connect(self.go_on)
            row.receipt_wanted.connect(partial(self.receipt_wanted.emit, message.id))
            row.branch_wanted.connect(self.branch_wanted)
            row.translate.connect(partial(self._translate_all, row))
            row.unfolding.connect(self._stay)
            row.tool_decided.connect(partial(self.tool_decided.emit, message.id))
        if not isinstance(row, transcript_row.TranscriptRow):
            row.set_busy(self._busy)
        if self._marked:
            mark(row, self._marked, self._theme)
        row.fit(self._column(), narrow=self._narrow)
        return row

    def _make_older(self) -> None:
        """A slice of older rows on top; what is in view stays where it is."""
        first = len(self._older) - _affordable(self._older, ROWS_PER_SLICE, BLOCKS_PER_SLICE)
        slice_, self._older = self._older[first:], self._older[:first]
        anchor = self._anchor()
        for message in reversed(slice_):
            self._rows[message.id] = row = self._make(message)
            self._order.insert(0, message.id)
            self._layout.insertWidget(0, row)
            row.show()
            self._tell_unseen(1)
        self._back_to(anchor)
        if not self._older:
            self._slices.stop()
            if self._to_beginning:
                self._to_beginning = False
                self.verticalScrollBar().setValue(0)
        elif self._is_far_from_beginning():
            self._slices.stop()

    def _is_far_from_beginning(self) -> bool:
        """What is above is enough to scroll through while more is made."""
        return not self._to_beginning and self.verticalScrollBar().value() > SCREENS_ABOVE * self.viewport().height()

    def _refresh(self, message_id: str) -> None:
        self.change(self._rows[message_id].message)

    # --- Translations, below their messages

    def show_translation(
        self, message_id: str, language: str, text: str, *, running: bool, error: ErrorInfo | None, seam: str = ""
    ) -> None:
        """language: its name, as it is told."""
        if message_id not in self._rows:
            return
        if message_id not in self._translations:
            self._translations[message_id] = self._make_translation(message_id, language)
        _, box = self._translations[message_id]
        box.show_language(language)
        box.show_translation(text, running=running, error=error, seam=seam)

    def drop_translation(self, message_id: str) -> None:
        if message_id in self._translations:
            holder, _ = self._translations.pop(message_id)
            self._layout.removeWidget(holder)
            holder.hide()
            holder.deleteLater()

    def translation(self, message_id: str) -> translation_box.TranslationBox | None:
        return self._translations[message_id][1] if message_id in self._translations else None

    def _make_translation(self, message_id: str, language: str) -> tuple[QWidget, translation_box.TranslationBox]:
        row = self._rows[message_id]
        box = translation_box.TranslationBox(self._theme, language)
        box.stop_wanted.connect(lambda: self.translation_stopped.emit(message_id))
        box.again_wanted.connect(lambda: self.translation_again.emit(message_id))
        box.dismissed.connect(lambda: self.translation_dismissed.emit(message_id))
        holder = QWidget()
        layout = QHBoxLayout(holder)
        layout.setContentsMargins(answer_row.FACE + answer_row.GAP, 0, 0, 0)
        layout.addWidget(box)
        holder.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        box.fit(self._column() - answer_row.FACE - answer_row.GAP)
        self._layout.insertWidget(self._layout.indexOf(row) + 1, holder)
        holder.show()
        return holder, box

    def _translate_all(self, row: Row, language: str) -> None:
        message = row.message
        text = row.transcript.text if isinstance(row, transcript_row.TranscriptRow) else message.text
        self.translation_wanted.emit(message.id, text, language)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """One for all texts of the conversation."""
        by_key = event.reason() == QContextMenuEvent.Reason.Keyboard
        widget = QApplication.focusWidget() if by_key else QApplication.widgetAt(event.globalPos())
        text, row = self._text_of(widget)
        if text is not None and row is not None:
            place = text.mapToGlobal(text.cursorRect().bottomLeft()) if by_key else event.globalPos()
            self.menu_for(text, row, event.globalPos()).popup(place)

    def menu_for(self, text: QTextEdit, row: Row, place: QPoint) -> Menu:
        selected = text.textCursor().selection().toPlainText()
        menu = Menu(self)
        menu.addAction(self._theme.icon("copy"), tr("Copy"), text.copy).setEnabled(bool(selected))
        link = text.anchorAt(text.viewport().mapFromGlobal(place))
        if link:
            menu.addAction(tr("Copy the link"), partial(QGuiApplication.clipboard().setText, link))
        menu.addAction(tr("Select all"), text.selectAll)
        menu.addSeparator()
        if selected:
            menu.addAction(
                self._theme.icon("message-square"), tr("Ask about this"), partial(self.quote_wanted.emit, selected)
            )
            wanted = partial(self.translation_wanted.emit, row.message.id, selected)
            add_languages(menu, self._theme, tr("Translate the selection to"), self.languages, wanted)
        elif row.message.status != "streaming":
            add_languages(menu, self._theme, tr("Translate to"), self.languages, partial(self._translate_all, row))
        return menu

    def _text_of(self, widget: QWidget | None) -> tuple[QTextEdit | None, Row | None]:
        """The text that a widget is, or is a part of, and the row it stands in."""
        text: QTextEdit | None = None
        while widget is not None and widget is not self:
            if text is None and isinstance(widget, QTextEdit):
                text = widget
            if isinstance(widget, Row):
                return text, widget
            widget = widget.parentWidget()
        return text, None

    def _drop(self, message_id: str) -> None:
        self.drop_translation(message_id)
        row = self._rows.pop(message_id)
        self._order.remove(message_id)
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _retheme(self) -> None:
        for row in self._rows.values():
            row.retheme()
        for _, box in self._translations.values():
            box.retheme()
        self._fit_all()

    # --- Following

    def _moved(self, value: int) -> None:
        if not self._ours:
            self._following = value >= self.verticalScrollBar().maximum() - NEAR_END
        if self._older and not self._slices.isActive() and not self._is_far_from_beginning():
            self._slices.start()
        self._show_to_end()

    def _go_to_end(self) -> None:
        self.scroll_to_end()
        self._show_to_end()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_to_end(self) -> None:
        """Where the end is out of view by more than some lines."""
        bar = self.verticalScrollBar()
        away = not self._following and bar.value() < bar.maximum() - FAR_FROM_END
        if away:
            wanted = self.to_end.sizeHint()
            x = (self.width() - wanted.width()) // 2
            self.to_end.setGeometry(x, self.height() - wanted.height() - 8, wanted.width(), wanted.height())
            self.to_end.raise_()
        if away != self.to_end.isVisibleTo(self):
            self.to_end.setVisible(away)

    def _grew(self, _minimum: int, _maximum: int) -> None:
        if self._following:
            self._to_end()

    def _stay(self) -> None:
        """What opens below a press is read from its beginning."""
        self._following = False

    def _to_end(self) -> None:
        self._set_value(self.verticalScrollBar().maximum())

    def _set_value(self, value: int) -> None:
        self._ours = True
        self.verticalScrollBar().setValue(value)
        self._ours = False

    # --- Geometry

    def _column(self) -> int:
        margin = NARROW_MARGIN if self._narrow else NARROW_MARGIN // 2
        return max(200, min(COLUMN, self.width() - 2 * margin) if not self._narrow else self.width() - 2 * margin)

    def resizeEvent(self, event: QResizeEvent) -> None:
        anchor = self._anchor()
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit_all(anchor)

    def _fit_all(self, anchor: tuple[QWidget, int] | None = None) -> None:
        """Give every row its width at once and put what was in view back, before anything is painted."""
        anchor = anchor or self._anchor()
        column = self._column()
        # Centred in the window, not in what the scroll bar leaves, so that it lines up with the composer.
        side = (self.width() - column) // 2
        self._layout.setContentsMargins(side, TOP, max(0, self.viewport().width() - side - column), BOTTOM)
        for row in self._rows.values():
            row.fit(column, narrow=self._narrow)
        for _, box in self._translations.values():
            box.fit(column - answer_row.FACE - answer_row.GAP)
        self._back_to(anchor)

    def settle(self) -> None:
        """Lay everything out now; without this the heights come with the next turn of the loop."""
        for row in self._rows.values():
            row.settle()
        for holder, box in self._translations.values():
            box.settle()
            if (inner := holder.layout()) is not None:
                inner.activate()
        self._layout.activate()
        width = self.viewport().width()
        self._canvas.resize(width, max(self.viewport().height(), self._canvas.wanted_height(width)))

    def _anchor(self) -> tuple[QWidget, int] | None:
        """The first block that begins in view and where its top is, or None while the end is followed."""
        if self._following:
            return None
        top, height = self.verticalScrollBar().value(), self.viewport().height()
        partly: QWidget | None = None
        for row in self.rows:
            if row.geometry().bottom() < top:
                continue
            for block in row.anchors():
                y = block.mapTo(self._canvas, QPoint(0, 0)).y()
                if top <= y < top + height:
                    return block, y - top
                if y < top:
                    partly = block
        return (partly, partly.mapTo(self._canvas, QPoint(0, 0)).y() - top) if partly is not None else None

    def _set_range_and_value(self, value: int) -> None:
        bar = self.verticalScrollBar()
        self._ours = True
        bar.setRange(0, max(0, self._canvas.height() - self.viewport().height()))
        bar.setValue(value)
        self._ours = False

    def _back_to(self, anchor: tuple[QWidget, int] | None) -> None:
        self.settle()
        if anchor is not None:
            block, offset = anchor
            self._set_range_and_value(block.mapTo(self._canvas, QPoint(0, 0)).y() - offset)
        elif self._following:
            self._to_end()

    # --- Keyboard: the list is one stop; arrows walk messages, Enter goes into one, Esc comes back

    @property
    def current(self) -> Row | None:
        return self._rows.get(self._current) if self._current is not None else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        alt = event.modifiers() & Qt.KeyboardModifier.AltModifier
        if alt and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step_branch(-1 if (key == Qt.Key.Key_Left) != self.isRightToLeft() else 1)
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self._order:
            self._step(-1 if key == Qt.Key.Key_Up else 1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.current is not None:
            self._enter(self.current)
        elif key == Qt.Key.Key_End:
            self.scroll_to_end()
        elif key == Qt.Key.Key_Home:
            self._to_beginning = bool(self._older)
            self.verticalScrollBar().setValue(0)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._current = None  # the ring is the keyboard's
        self._canvas.update()
        super().mousePressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in KEYBOARD_REASONS and self._order:
            self._set_current(self._current if self._current in self._rows else self._order[-1])

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._canvas.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Inside a message: Tab walks its blocks and acts, Esc goes back to the list."""
        row = self.current
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and row is not None:
            stops = self._stops(row)
            if event.key() == Qt.Key.Key_Escape:
                if isinstance(row, question_row.QuestionRow):
                    row.end_edit()
                self.setFocus(Qt.FocusReason.ShortcutFocusReason)
                return True
            if event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab) and watched in stops:
                step = 1 if event.key() == Qt.Key.Key_Tab else -1
                index = stops.index(watched) + step
                if 0 <= index < len(stops):
                    self._focus_stop(stops[index])
                    return True
                self.setFocus(Qt.FocusReason.TabFocusReason)
                return True
        return super().eventFilter(watched, event)

    def _step_branch(self, step: int) -> None:
        """Of the message that has the ring."""
        row = self.current
        if isinstance(row, question_row.QuestionRow) and row.edit is None:
            (row.branches.before if step < 0 else row.branches.after).click()
        elif isinstance(row, answer_row.AnswerRow):
            (row.stats.branches.before if step < 0 else row.stats.branches.after).click()

    def _edit(self, row: question_row.QuestionRow) -> None:
        row.begin_edit()
        for stop in self._stops(row):
            stop.removeEventFilter(self)
            stop.installEventFilter(self)
        self.settle()
        self.ensureWidgetVisible(row, 0, SPACING)

    def _keep_edit(self, row: question_row.QuestionRow, text: str) -> None:
        if text:
            self._edits[row.message.id] = text
        else:
            self._edits.pop(row.message.id, None)
            if self._holds_focus(row) or QApplication.focusWidget() is None:
                self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _step(self, step: int) -> None:
        index = self._order.index(self._current) if self._current in self._order else len(self._order)
        self._set_current(self._order[max(0, min(len(self._order) - 1, index + step))])

    def _set_current(self, message_id: str | None) -> None:
        self._current = message_id
        if message_id is not None:
            row = self._rows[message_id]
            self.ensureWidgetVisible(row, 0, SPACING)
            if isinstance(row, answer_row.AnswerRow):
                row.name_for_reading()
            QAccessible.updateAccessibility(QAccessibleEvent(row, QAccessible.Event.Focus))
        self._canvas.update()

    def _enter(self, row: Row) -> None:
        stops = self._stops(row)
        for stop in stops:
            stop.removeEventFilter(self)
            stop.installEventFilter(self)
        if stops:
            self._focus_stop(stops[0])

    def _stops(self, row: Row) -> tuple[QWidget, ...]:
        box = self.translation(row.message.id)
        return (*row.blocks(), *(box.stops() if box is not None else ()))

    def _focus_stop(self, stop: QWidget) -> None:
        stop.setFocus(Qt.FocusReason.TabFocusReason)
        self.ensureWidgetVisible(stop, 0, SPACING)

    def ring(self) -> QRectF | None:
        """Where the focus ring is painted, in the canvas."""
        row = self.current
        if row is None or not self.hasFocus():
            return None
        return QRectF(row.geometry()).adjusted(-6, -5, 6, 5)


def _affordable(messages: Sequence[Message], rows: int, blocks: int) -> int:
    """How many of the last messages are made at once: at most `rows` with about `blocks`, at least one."""
    count = 0
    for message in reversed(messages[-rows:]):
        paragraphs = message.text.count("\n\n", 0, ANSWER.letters)
        blocks -= ROW_BLOCKS[message.role == "user"] + min(BLOCKS_PER_SLICE, paragraphs)
        if blocks < 0 and count:
            break
        count += 1
    return count


class Canvas(QWidget):
    def __init__(self, owner: MessageList) -> None:
        super().__init__()
        self._owner = owner
        self.setObjectName("conversation")

    def wanted_height(self, width: int) -> int:
        layout = self.layout()
        if layout is None:
            return 0
        return layout.heightForWidth(width) if layout.hasHeightForWidth() else layout.sizeHint().height()

    def minimumSizeHint(self) -> QSize:
        # A layout's own minimum counts wrapped labels at their narrowest, which leaves room below the last message.
        return QSize(0, self.wanted_height(self.width()))

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = self._owner._theme
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour("surface"))
        ring = self._owner.ring()
        if ring is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colour("accent"), 2))
            painter.drawRoundedRect(ring, 8, 8)
        painter.end()
