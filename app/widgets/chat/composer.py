"""Where a message is written: grows with its text, Enter sends, and Stop stands where Send stood."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QBuffer, QEvent, QMimeData, QObject, QRectF, Qt, Signal
from PySide6.QtGui import (
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app.announcements import announce
from app.i18n import later, tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.attached import Attached
from app.widgets.chat.hold_to_talk import Gesture, HoldToTalk
from app.widgets.chat.long_text import IN_COMPOSER, fits
from app.widgets.chat.pasted import Pasted
from app.widgets.chat.voice_row import VoiceRow
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from qvac_core.core.state import Draft

WIDEST = 760
RADIUS = 12
ROOMY = 720
MOST_LINES = 8
PRIVACY = later("The provider's owner can technically read what you send.")
PRIVACY_SHORT = later("The owner can technically read this.")
KEPT = later("{name} keeps what you write in its log.")
KEPT_SHORT = later("The owner keeps what you write.")
PRIVATE = later("Computed on this machine. Nothing leaves it.")
PRIVATE_SHORT = later("Nothing leaves this machine.")
LEFT = later("This was waiting for its turn and was not sent.")
WAITS = later("Sent when this answer ends. Esc takes it back.")


class Composer(QFrame):
    """The page takes the text on `submitted` and calls `clear` once the question is on its way."""

    submitted = Signal(str)
    stop = Signal()
    recall = Signal()
    edited = Signal()  # by the person: `draft` is another one now
    discard_voice = Signal()
    files_given = Signal(list)  # of Path: pasted, or dropped on the text

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._left = False
        self._filling = False
        self._answering = False
        self._stopping = False
        self._local = False
        self._narrow = False
        self._waiting = False
        self._short = False  # the long sentence about privacy has no room
        self._keeper = ""
        self.text = ComposerText(theme)
        self.text.send.connect(self._submit)
        self.text.recall.connect(self.recall)
        self.text.escaped.connect(self._escape)
        self.text.textChanged.connect(self._text_changed)
        self.text.focus_changed.connect(self.update)
        self.attached = Attached(theme)
        self.pasted = Pasted(theme)
        self.text.pasted.connect(self.pasted.add)
        self.pasted.changed.connect(self._text_changed)
        self._eye = IconLabel(theme, "eye", "text3")
        self.privacy = Label(scale="hint", tone="text3")
        self.privacy.setMinimumWidth(1)  # the short sentence takes its place where there is no room
        self.room = Label(scale="hint", tone="text3")
        self.button = Button(theme, tr("Send"), kind="primary", icon="send", name=tr("Send the message"))
        self.button.clicked.connect(self._pressed)
        self.clip = Button(theme, kind="flat", icon="paperclip", name=tr("Add files: sound, video, pictures, text"))
        self.text.files.connect(self.files_given)
        self.talk = HoldToTalk(self)
        self.mic = MicButton(theme, self.talk)
        self.voice = VoiceRow(theme)
        self.voice.hide()
        below = QHBoxLayout()
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(6)
        tools = QHBoxLayout()
        tools.setSpacing(2)
        tools.addWidget(self.clip)
        tools.addWidget(self.mic)
        self.tune = Button(theme, kind="flat", icon="sliders-horizontal", name=tr("Parameters of this conversation"))
        self.tune.setToolTip(tr("Parameters (Ctrl+.)"))
        self.tune.setCheckable(True)
        tools.addWidget(self.tune)
        self.wrench = Button(theme, kind="flat", icon="wrench", name=tr("Tools of this conversation"))
        self.wrench.setCheckable(True)
        tools.addWidget(self.wrench)
        below.addLayout(tools)
        below.addWidget(self.voice, 1)
        below.addWidget(self._eye)
        below.addWidget(self.privacy, 1)
        below.addWidget(self.room)
        below.addSpacing(6)
        below.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 9, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.attached)
        layout.addWidget(self.pasted)
        layout.addWidget(self.text)
        layout.addLayout(below)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self.text)
        self.show_state(name="", local=False, answering=False)

    @property
    def waiting(self) -> bool:
        """The text is to be sent as soon as the running answer ends."""
        return self._waiting

    @property
    def message(self) -> str:
        """What Send sends: what was written, then what was pasted beside it."""
        return self.draft.message

    @property
    def draft(self) -> Draft:
        return Draft(self.text.toPlainText(), self.pasted.texts, self._waiting)

    def show_draft(self, draft: Draft, *, left: bool = False) -> None:
        """In the place of what is there. `left`: it waited, and was not sent."""
        self._filling = True
        self.pasted.clear()
        self.set_text(draft.text)
        for text in draft.pasted:
            self.pasted.add(text)
        self._filling = False
        self._waiting, self._left = draft.waiting, left
        self._show()

    def follow(self, draft: Draft, *, left: bool = False) -> None:
        """As `show_draft`, of what is written in another window: the caret stays between the letters where it is."""
        if draft.pasted != self.pasted.texts or not fits(draft.text, IN_COMPOSER):
            self.show_draft(draft, left=left)
            return
        self._filling = True
        self.text.follow(draft.text)
        self._filling = False
        self._waiting, self._left = draft.waiting, left
        self._show()

    def show_state(self, *, name: str, local: bool, answering: bool, keeps_contents: bool = False) -> None:
        """keeps_contents: the owner of that machine keeps what is asked and answered, and said so."""
        self._keeper = name if keeps_contents and not local else ""
        if answering != self._answering:
            self._stopping = False
        self._answering, self._local = answering, local
        to = tr("Ask {name}", name=name) if name and not local else tr("Ask this machine")
        self.text.show_placeholder(tr("Ask the next thing; it waits until this answer ends") if answering else to)
        self._show()

    def show_room(self, used: int, of: str, used_words: str) -> None:
        """Tokens of the conversation against the model's context; nothing when either is not known."""
        self.room.setText(tr("{used} of {all} tokens", used=used_words, all=of) if used and of else "")
        self.room.setVisible(bool(self.room.text()) and not self._narrow and not self.talking)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc of whatever has the focus in here."""
        if event.key() == Qt.Key.Key_Escape and self.talking:
            self._escape()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The whole box is the field for whoever clicks into it."""
        self.text.setFocus(Qt.FocusReason.MouseFocusReason)
        event.accept()

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if (self.width() < ROOMY) != self._short:
            self._short = not self._short
            self._show()

    # --- Talking

    @property
    def talking(self) -> bool:
        return self.voice.isVisibleTo(self)

    def show_talking(self, talking: bool) -> None:
        if talking == self.talking:
            return
        for widget in (self.clip, self.tune, self.wrench, self._eye, self.privacy, self.room, self.button):
            widget.setVisible(not talking)
        self.voice.setVisible(talking)
        self.text.setReadOnly(talking)
        if talking:
            self.voice.bars.start()
            self.text.begin_dictation()
            if not self.mic.isDown():  # Qt releases a button that loses the focus
                self.text.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.voice.bars.stop()
            self.talk.reset()
            self.text.setFocus(Qt.FocusReason.OtherFocusReason)
        self.mic.show_state()
        self.update()
        self._show()

    def show_dictated(self, settled: str, unsettled: str) -> None:
        self._filling = True
        self.text.show_dictated(settled, unsettled)
        self._filling = False

    def insert_dictated(self, text: str) -> None:
        """In the place of what was shown while it was said; "" leaves what was written before."""
        self.show_dictated(text.strip(), "")
        self.text.end_dictation()
        if text.strip():
            self._text_changed()

    def clear(self) -> None:
        self._waiting = False
        self.text.clear()
        self.pasted.clear()
        self._show()

    def set_text(self, text: str) -> None:
        """Replaces what is there; a text too long to be edited becomes a chip."""
        self.pasted.clear()
        self.text.setPlainText(text if fits(text, IN_COMPOSER) else "")
        if not fits(text, IN_COMPOSER):
            self.pasted.add(text)
        cursor = self.text.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        self.text.setTextCursor(cursor)

    def add_text(self, text: str) -> None:
        """Behind what is written; too long to be edited, it becomes a chip."""
        if fits(self.text.toPlainText() + text, IN_COMPOSER):
            cursor = self.text.textCursor()
            cursor.movePosition(cursor.MoveOperation.End)
            cursor.insertText(text)
            self.text.setTextCursor(cursor)
        else:
            self.pasted.add(text.strip())
        self.text.setFocus(Qt.FocusReason.OtherFocusReason)

    def quote(self, text: str) -> None:
        """Something to ask about, before what is asked."""
        lines = "".join(f"> {line}\n" for line in text.strip().splitlines())
        before = self.text.toPlainText()
        self.add_text(f"{'' if not before or before.endswith(chr(10)) else chr(10)}{lines}\n")

    def fit(self) -> None:
        self.text.fit()

    def _show(self) -> None:
        if self._answering:
            self.button.set_kind("stop")
            self.button.set_icon("loader-circle" if self._stopping else "square")
            self.button.setText(tr("Stopping…") if self._stopping else tr("Stop"))
            self.button.setAccessibleName(tr("Stop the answer"))
            self.button.setEnabled(not self._stopping)
            self.button.setToolTip("Esc")
        else:
            self.button.set_kind("primary")
            self.button.set_icon("send")
            self.button.setText(tr("Send"))
            self.button.setAccessibleName(tr("Send the message"))
            empty = not self.message
            self.button.setEnabled(not empty)
            self.button.setToolTip(tr("Write something first") if empty else tr("Enter"))
        self.privacy.setText(self._privacy())
        warned = bool(self._keeper) and not (self._waiting or self._left or self._local)
        self.privacy.set_tone("warn" if warned else "text3")
        self.privacy.setToolTip(tr(KEPT, name=self._keeper) if warned else "")
        late = self._waiting or self._left
        self._eye.set_icon("clock" if late else "laptop" if self._local else "eye", self._eye_token())

    def _privacy(self) -> str:
        if self._waiting:
            return tr(WAITS)
        if self._left:
            return tr(LEFT)
        if self._local:
            return tr(PRIVATE_SHORT) if self._narrow or self._short else tr(PRIVATE)
        if self._keeper:
            return tr(KEPT_SHORT) if self._narrow or self._short else tr(KEPT, name=self._keeper)
        return tr(PRIVACY_SHORT) if self._narrow or self._short else tr(PRIVACY)

    def _eye_token(self) -> str:
        if self._waiting or self._left:
            return "text3"
        return "local" if self._local else "warn" if self._keeper else "text3"

    def _pressed(self) -> None:
        if self._answering:
            self._stop()
        else:
            self._submit()
        self.text.setFocus()

    def _submit(self) -> None:
        if self.talking:  # nothing is sent before Send
            self.talk.finish()
            return
        text = self.message
        if not text:
            return
        if self._answering:
            self._waiting = True
            self._show()
            self.edited.emit()
            announce(self, WAITS)
            return
        self.submitted.emit(text)

    def _escape(self) -> None:
        if self.talking:
            self.discard_voice.emit()
        elif self._waiting:
            self._waiting = False
            self._show()
            self.edited.emit()
        elif self._answering:
            self._stop()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._show()
            self.stop.emit()

    def _text_changed(self) -> None:
        if not self._filling:
            self._waiting = self._left = False
            self._show()
            self.edited.emit()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        marked = self.text.hasFocus() or self.talking
        width = 2 if marked else 1
        painter.setPen(QPen(self._theme.colour("accent" if marked else "ctl"), width))
        painter.setBrush(self._theme.colour("surface"))
        inset = width / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), RADIUS, RADIUS)
        painter.end()


class MicButton(Button):
    """Hold it to talk, or tap it and tap it again; assistive technology presses it, which is a tap."""

    def __init__(self, theme: Theme, talk: HoldToTalk, parent: QWidget | None = None) -> None:
        super().__init__(theme, kind="flat", icon="mic", name=tr("Hold to talk"), parent=parent)
        self._talk = talk
        self.pressed.connect(talk.press)
        self.released.connect(talk.let_go)
        talk.locked.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        state = self._talk.state
        self.set_kind("flat" if state is Gesture.IDLE else "talk")
        self.set_icon("square" if state is Gesture.LOCKED else "mic")
        self.setAccessibleName(tr("Stop and insert what was said") if state is Gesture.LOCKED else tr("Hold to talk"))
        self.setToolTip(
            tr("Stop and insert") if state is Gesture.LOCKED else tr("Hold to talk, or tap (Ctrl+Shift+Space)")
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter, which has no release of its own on a button, is a tap."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self._talk.press()
            self._talk.let_go()
        else:
            super().keyPressEvent(event)


class ComposerText(QPlainTextEdit):
    send = Signal()
    recall = Signal()
    escaped = Signal()
    focus_changed = Signal()
    pasted = Signal(str)  # a text that would make the editor slow
    files = Signal(list)  # of Path
    picture = Signal(bytes)  # PNG

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.enter_sends = True  # else Ctrl+Enter alone does; Shift+Enter never
        self._said_at = self._said = 0  # where what is being said is shown, and how long it is
        self._gap = ""
        self._replaced = ""
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setAccessibleName(tr("Message"))
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(4)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.textChanged.connect(self.fit)
        self.installEventFilter(self)
        theme.changed.connect(self._apply_theme)
        self._apply_theme()
        self.fit()

    def show_placeholder(self, text: str) -> None:
        self.setPlaceholderText(text)
        self.viewport().update()  # QPlainTextEdit (6.11) does not paint it by itself, unlike QTextEdit and QLineEdit

    def follow(self, text: str) -> None:
        """Only what differs is replaced."""
        old = self.toPlainText()
        if old == text:
            return
        start = _alike(old, text)
        rest, new = old[start:], text[start:]
        end = _alike(rest[::-1], new[::-1])
        cursor = QTextCursor(self.document())
        cursor.setPosition(_units(old[:start]))
        cursor.setPosition(_units(old[: len(old) - end]), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(new[: len(new) - end])

    # --- What is said, between what is written

    def begin_dictation(self) -> None:
        """Where the cursor is; what is selected is replaced."""
        cursor = self.textCursor()
        self._replaced = cursor.selectedText().replace("\u2029", "\n")
        cursor.removeSelectedText()
        self._said_at, self._said = cursor.position(), 0
        before = self.document().characterAt(self._said_at - 1) if self._said_at else " "
        self._gap = "" if before.isspace() or before == "\u2029" else " "

    def show_dictated(self, settled: str, unsettled: str) -> None:
        settled = settled.lstrip()
        gap = self._gap if settled or unsettled.strip() else ""
        shown = unsettled if settled else unsettled.lstrip()
        cursor = self.textCursor()
        cursor.joinPreviousEditBlock() if self._said else cursor.beginEditBlock()
        cursor.setPosition(self._said_at)
        cursor.setPosition(self._said_at + self._said, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(gap + settled, QTextCharFormat())
        pale = QTextCharFormat()
        pale.setForeground(self._theme.colour("text3"))
        cursor.insertText(shown, pale)
        cursor.setCharFormat(QTextCharFormat())
        cursor.endEditBlock()
        self._said = cursor.position() - self._said_at
        self.setTextCursor(cursor)

    def end_dictation(self) -> None:
        """What was selected before comes back where nothing took its place."""
        cursor = self.textCursor()
        if not self._said and self._replaced:
            cursor.insertText(self._replaced)
        self._replaced = ""
        following = self.document().characterAt(cursor.position())
        if self._said and following.isalnum():
            cursor.insertText(" ")
        self._said = 0
        self.setTextCursor(cursor)

    def fit(self) -> None:
        """As high as the text, from one line to some; beyond that it scrolls."""
        lines = 0
        block = self.document().begin()
        while block.isValid():
            lines += max(1, block.layout().lineCount())
            block = block.next()
        shown = max(1, min(MOST_LINES, lines))
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded if lines > MOST_LINES else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        height = shown * self.fontMetrics().lineSpacing() + 2 * int(self.document().documentMargin()) + 2
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        return source.hasImage() or super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Paste and drop."""
        files = [Path(url.toLocalFile()) for url in source.urls() if url.isLocalFile()]
        if files:
            self.files.emit(files)
            return
        if source.hasImage() and not source.hasText():
            self.picture.emit(_png(source.imageData()))
            return
        text = source.text()
        if source.hasText() and not fits(self.toPlainText() + text, IN_COMPOSER):
            self.pasted.emit(text)
        else:
            super().insertFromMimeData(source)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.focus_changed.emit()
        if event.type() == QEvent.Type.Resize:
            self.fit()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        enter = key in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        modifiers = event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if enter and not modifiers & Qt.KeyboardModifier.ShiftModifier and (self.enter_sends or control):
            self.send.emit()
        elif key == Qt.Key.Key_Escape:
            self.escaped.emit()
        elif key == Qt.Key.Key_Up and not self.toPlainText():
            self.recall.emit()
        else:
            super().keyPressEvent(event)

    def _apply_theme(self) -> None:
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(QPalette.ColorRole.Text, self._theme.colour("text"))
        palette.setColor(QPalette.ColorRole.PlaceholderText, self._theme.colour("text3"))
        self.setPalette(palette)


def _alike(one: str, other: str) -> int:
    """How many letters at their beginnings are the same."""
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        len(min(one, other, key=len)),
    )


def _units(text: str) -> int:
    """Letters as Qt counts them: those beyond the first 65,536 are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _png(image: object) -> bytes:
    """What was copied out of another program, as a file."""
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    if isinstance(image, QImage):
        image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())
