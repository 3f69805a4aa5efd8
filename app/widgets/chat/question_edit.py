"""A question of mine while it is written anew: Enter asks it, Esc leaves it as it was."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.label import Label

MOST_LINES = 12
RADIUS = 12


class QuestionEdit(QWidget):
    """`changed` after each key, so that nothing written is lost when the conversation is left."""

    asked = Signal(str)
    left = Signal()
    changed = Signal(str)
    grew = Signal()

    def __init__(self, theme: Theme, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._busy = False
        self.text = EditText()
        self.text.setPlainText(text)
        self.text.setAccessibleName(tr("My message, to be asked anew"))
        hint = Label(tr("The answers so far are kept."), scale="hint", tone="text3")
        self.cancel = Button(theme, tr("Cancel"), size="small")
        self.ask = Button(theme, tr("Ask"), kind="primary", size="small", name=tr("Ask this instead"))
        self.cancel.clicked.connect(self.left)
        self.ask.clicked.connect(self._ask)
        self.text.entered.connect(self._ask)
        self.text.escaped.connect(self.left)
        self.text.textChanged.connect(self._changed)
        acts = QHBoxLayout()
        acts.setSpacing(8)
        acts.addWidget(hint, 1)
        acts.addWidget(self.cancel)
        acts.addWidget(self.ask)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.text)
        layout.addLayout(acts)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._changed()

    def stops(self) -> tuple[QWidget, ...]:
        return (self.text, self.cancel, self.ask)

    def fit(self, width: int) -> None:
        self.setFixedWidth(width)
        self._fit_height()

    def set_busy(self, busy: bool) -> None:
        """An answer streams: this one is asked after it."""
        self._busy = busy
        self._show_ask()

    def begin(self) -> None:
        cursor = self.text.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        self.text.setTextCursor(cursor)
        self.text.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _ask(self) -> None:
        if self.text.toPlainText().strip() and not self._busy:
            self.asked.emit(self.text.toPlainText().strip())

    def _show_ask(self) -> None:
        self.ask.setEnabled(bool(self.text.toPlainText().strip()) and not self._busy)
        self.ask.setToolTip(tr("When the answer that is coming has ended") if self._busy else "")

    def _changed(self) -> None:
        self._show_ask()
        self._fit_height()
        self.changed.emit(self.text.toPlainText())

    def _fit_height(self) -> None:
        lines = 0
        block = self.text.document().begin()
        while block.isValid() and lines <= MOST_LINES:
            lines += max(1, block.layout().lineCount())
            block = block.next()
        wanted = max(1, min(MOST_LINES, lines)) * self.text.fontMetrics().lineSpacing() + 10
        if wanted != self.text.minimumHeight():
            self.text.setFixedHeight(wanted)
            self.grew.emit()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.colour("accent"), 2))
        painter.setBrush(self._theme.colour("surface"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), RADIUS, RADIUS)
        painter.end()


class EditText(QPlainTextEdit):
    entered = Signal()
    escaped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.entered.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.escaped.emit()
        else:
            super().keyPressEvent(event)
