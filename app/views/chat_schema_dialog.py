"""The JSON schema that answers of a conversation keep to, with a check while it is written."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from app.i18n import tr
from app.presenters.chat_settings import schema_fault
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.label import Label
from app.widgets.own_font import keep_font
from app.widgets.own_width import keep_width

CHECK_MS = 200
LONGEST = 60_000  # letters; the engine takes no more
EXAMPLE = """{
  "type": "object",
  "properties": {
    "title": {"type": "string"},
    "count": {"type": "integer"}
  },
  "required": ["title", "count"]
}"""


class SchemaDialog(Dialog):
    """`chosen`: the text, also of a schema that cannot be used: then the panel says so."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, schema: str, parent: QWidget) -> None:
        super().__init__(
            theme,
            tr("Answer as JSON"),
            tr("Answers keep to this JSON schema. Whoever computes them holds the model to it."),
            tr("Use this schema"),
            parent=parent,
        )
        keep_width(self, theme, 560, least=True)
        self.text = QPlainTextEdit()
        keep_font(self.text, theme, theme.fixed_font)
        self.text.setAccessibleName(tr("JSON schema"))
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setProperty("kind", "field")
        self.text.setMinimumHeight(240)
        self.text.setPlainText(schema or EXAMPLE)
        self.verdict = Label(tone="text3", wrap=True)
        self.body.addWidget(self.text)
        self.body.addWidget(self.verdict)
        self.clear = Button(theme, tr("Answer as text"), kind="flat")
        self.clear.clicked.connect(self._as_text)
        self.clear.setVisible(bool(schema))
        self.body.addWidget(self.clear)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(CHECK_MS)
        self._soon.timeout.connect(self._check)
        self.text.textChanged.connect(self._soon.start)
        self.accepted.connect(lambda: self.chosen.emit(self.text.toPlainText()[:LONGEST].strip()))
        self._checking: asyncio.Task[None] | None = None
        self.finished.connect(self._end)
        self._soon.start()

    def _as_text(self) -> None:
        self.text.setPlainText("")
        self.accept()

    def _check(self) -> None:
        text = self.text.toPlainText()
        if self._checking is not None:
            self._checking.cancel()
        if len(text) > LONGEST:
            self._show(tr("The schema is too long."))
        else:
            self._checking = asyncio.get_event_loop().create_task(self._look(text))

    async def _look(self, text: str) -> None:
        self._show(await schema_fault(text), empty=not text.strip())

    def _show(self, fault: str, *, empty: bool = False) -> None:
        self.verdict.set_tone("warn" if fault else "text3")
        if empty:
            self.verdict.setText(tr("Without a schema, answers are text."))
        else:
            self.verdict.setText(fault or tr("This schema can be used."))

    def _end(self) -> None:
        self._soon.stop()
        if self._checking is not None:
            self._checking.cancel()
