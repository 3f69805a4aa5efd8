"""What was asked and answered in one request, where the owner keeps that: plain text of a stranger, never rich."""

from __future__ import annotations

from PySide6.QtWidgets import QPlainTextEdit, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.dialog import Dialog
from qvac_core.core.history_state import Contents


class ContentsDialog(Dialog):
    def __init__(self, theme: Theme, contents: Contents | None, parent: QWidget | None = None) -> None:
        sentence = "" if contents is not None else tr("Nothing was kept of this request: its guest had not been told.")
        super().__init__(theme, tr("Question and answer"), sentence, "", cancel=tr("Close"), parent=parent)
        self.question, self.answer = QPlainTextEdit(), QPlainTextEdit()
        if contents is None:
            return
        for field, text, label in (
            (self.question, contents.question, tr("The guest asked")),
            (self.answer, contents.answer, tr("The model answered")),
        ):
            field.setReadOnly(True)
            field.setPlainText(text)
            self.add_field(label, field)
