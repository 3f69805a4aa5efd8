"""A small window with one question: title, explanation, fields, and the buttons at the end.

Opened with `open()`, never `exec()`: a nested event loop under qasync would run other coroutines inside this one.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLayout, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.focus import came_by_keyboard, forget_tab, hand_on_focus
from app.widgets.label import Label
from app.widgets.own_width import keep_width

WIDTH = 460
PROGRAM = "QVAC Desktop"


class Dialog(QDialog):
    """`body` takes the fields; `accepted` fires for the confirm button. Deletes itself when done."""

    def __init__(
        self,
        theme: Theme,
        title: str,
        sentence: str,
        confirm: str,
        *,
        kind: str = "primary",
        cancel: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setWindowTitle(PROGRAM)  # its heading says the rest
        self.setAccessibleName(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        keep_width(self, theme, WIDTH, least=True)
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        # The layout's own least height is that of texts wrapped far narrower than this window ever is.
        layout.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        layout.setSpacing(8)
        layout.addWidget(Label(title, scale="answer", weight=600, wrap=True))
        self.sentence = Label(sentence, tone="text2", wrap=True)
        self.sentence.setVisible(bool(sentence))
        layout.addWidget(self.sentence)
        self.body = QVBoxLayout()
        self.body.setSpacing(4)
        layout.addLayout(self.body)
        layout.addSpacing(8)
        layout.addStretch(1)
        self.cancel = Button(theme, cancel or tr("Cancel"))
        self.confirm = Button(theme, confirm, kind=kind)
        self.cancel.clicked.connect(self.reject)
        self.confirm.clicked.connect(self.accept)
        # Enter takes the safe way out of a destructive question, and the only way out where there is one.
        self._first = self.confirm if confirm and kind != "danger" else self.cancel
        self._first.setDefault(True)
        self.buttons = row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.confirm)
        self.confirm.setVisible(bool(confirm))
        layout.addLayout(row)

    def setVisible(self, visible: bool) -> None:
        by_keyboard = came_by_keyboard()
        super().setVisible(visible)
        if visible and not by_keyboard and (focus := self.focusWidget()) is not None:
            forget_tab(focus)

    def showEvent(self, event: QShowEvent) -> None:
        self.fit()
        if self.focusWidget() is None:
            self._first.setFocus()
        super().showEvent(event)

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            needed = self._layout.totalHeightForWidth(self.width())
            if needed > self.height():  # a text came, or is a longer one
                self.resize(self.width(), needed)
        return done

    def focusNextPrevChild(self, next_: bool) -> bool:
        return hand_on_focus(lambda: super(Dialog, self).focusNextPrevChild(next_))

    def fit(self) -> None:
        """As tall as the texts are at this width."""
        width = max(WIDTH, self._layout.minimumSize().width())
        self.resize(width, self._layout.totalHeightForWidth(width))

    def add_field(self, label: str, field: QWidget) -> None:
        """A field with its label above."""
        self.body.addSpacing(8)
        text = Label(label, scale="hint", tone="text2", weight=500)
        text.setBuddy(field)
        if not field.accessibleName():
            field.setAccessibleName(label)
        self.body.addWidget(text)
        self.body.addWidget(field)


def is_above(dialog: QWidget, window: QWidget) -> bool:
    """Whether a dialog belongs to that window, also by way of other dialogs."""
    above: QWidget | None = dialog
    while above is not None and above is not window:
        above = above.parentWidget()
    return above is window
