"""A small question in its own window: what will happen, Cancel, and the act in its own words."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.button import Button, CopyButton
from app.widgets.dialog import PROGRAM
from app.widgets.label import Label
from app.widgets.own_width import keep_width

WIDTH = 420


class QuestionBox(QDialog):
    """Opens without a loop of its own; `accepted` fires for the act."""

    def __init__(
        self, theme: Theme, title: str, sentence: str, act: str, *, kind: str = "primary", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(PROGRAM)  # its heading says the rest
        self.setAccessibleName(title)
        keep_width(self, theme, WIDTH)
        self.title = Label(title, weight=600, wrap=True)
        self.sentence = Label(sentence, tone="text2", wrap=True)
        self.cancel = Button(theme, tr("Cancel"))
        self.act = Button(theme, act, kind=kind)
        self.cancel.clicked.connect(self.reject)
        self.act.clicked.connect(self.accept)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(8)
        self.buttons.addStretch(1)
        self.buttons.addWidget(self.cancel)
        self.buttons.addWidget(self.act)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(16, 16, 16, 12)
        self.body.setSpacing(8)
        self.body.addWidget(self.title)
        self.body.addWidget(self.sentence)
        self.body.addSpacing(4)
        self.body.addStretch(1)
        self.body.addLayout(self.buttons)
        first = self.act if kind == "primary" else self.cancel
        first.setDefault(True)
        first.setFocus()


def ask_to_delete(theme: Theme, title: str, delete: Callable[[], None], parent: QWidget) -> QuestionBox:
    box = QuestionBox(
        theme,
        tr("Delete “{title}”?", title=title),
        tr("Its messages are removed from this machine. This cannot be undone."),
        tr("Delete conversation"),
        kind="danger",
        parent=parent,
    )
    box.accepted.connect(delete)
    box.open()
    return box


def ask_to_open(theme: Theme, address: str, open_it: Callable[[], None], parent: QWidget) -> QuestionBox:
    """A link of an answer: the whole address is shown first, for its words may say something else."""
    mail = address.startswith("mailto:")
    question = tr("Write to this address in your mail program?") if mail else tr("Open this address in your browser?")
    box = QuestionBox(theme, question, address, tr("Open"), parent=parent)
    box.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.buttons.insertWidget(0, CopyButton(theme, address, text=tr("Copy address"), kind="flat"))
    box.accepted.connect(open_it)
    box.open()
    return box


def ask_for_name(theme: Theme, title: str, name: str, rename: Callable[[str], None], parent: QWidget) -> QuestionBox:
    box = QuestionBox(theme, title, tr("This name is yours; nobody else sees it."), tr("Rename"), parent=parent)
    field = QLineEdit(name)
    field.setAccessibleName(tr("Name"))
    field.selectAll()
    box.body.insertWidget(2, field)
    field.textChanged.connect(lambda text: box.act.setEnabled(bool(text.strip())))
    box.accepted.connect(lambda: rename(field.text().strip()))
    field.setFocus()
    box.open()
    return box
