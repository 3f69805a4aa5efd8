"""The whole of a long text in a window of its own, filled in idle slices, with Copy for the text as it is."""

from __future__ import annotations

from itertools import islice

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.chat.long_text import VIEWER_LINE, amount, short_lines
from app.widgets.label import Label
from app.widgets.own_font import keep_font

SIZE = (720, 520)
LINES_PER_SLICE = 200


class LongTextBox(QDialog):
    def __init__(self, theme: Theme, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(*SIZE)
        self._lines = short_lines(text)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        keep_font(self.text, theme, lambda: theme.fixed_font("hint"))
        self.text.setAccessibleName(title)
        self.text.setTabChangesFocus(True)
        broken = any(len(line) > VIEWER_LINE for line in text.split("\n"))
        said = amount(text)
        if broken:
            said = tr("{amount}. Long lines are broken here; a copy has them whole.", amount=said)
        self.copy = CopyButton(theme, text, text=tr("Copy all"))
        self.close_button = Button(theme, tr("Close"))
        self.close_button.setDefault(True)
        self.close_button.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(Label(said, scale="hint", tone="text3"), 1)
        buttons.addWidget(self.copy)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 12)
        layout.setSpacing(10)
        layout.addWidget(Label(title, weight=600))
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)
        self._slices = QTimer(self)
        self._slices.setInterval(0)
        self._slices.timeout.connect(self._add_lines)
        self._slices.start()

    @property
    def filling(self) -> bool:
        return self._slices.isActive()

    def _add_lines(self) -> None:
        lines = list(islice(self._lines, LINES_PER_SLICE))
        if not lines:
            self._slices.stop()
            return
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(("\n" if cursor.position() else "") + "\n".join(lines))


def open_long_text(theme: Theme, title: str, text: str, parent: QWidget) -> LongTextBox:
    box = LongTextBox(theme, title, text, parent)
    box.open()
    return box
