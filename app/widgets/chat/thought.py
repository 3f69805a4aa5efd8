"""What a model thought before its answer: one line, folded, that opens to the text."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app.i18n import tr, trn
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.long_text import UNFOLDED, amount, cut, fits
from app.widgets.chat.long_text_box import open_long_text
from app.widgets.chat.markdown import clean
from app.widgets.chat.prose_block import ProseBlock

SPACING = 4


class Thought(QWidget):
    """`unfolding` before the text opens, so that the list stays where it is. A very long one opens in a window."""

    unfolding = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._thinking = ""
        self._running = False
        self._open = False
        self._width = 0
        self.line = Button(theme, tr("Thought"), kind="flat", icon="chevron-right", size="small")
        self.line.clicked.connect(self._toggle)
        self.text = ProseBlock(theme, scale="body", quote=True)
        self.text.setAccessibleName(tr("What the model thought"))
        self.text.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(self.line, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self.text)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def is_open(self) -> bool:
        return self._open

    def show_thinking(self, thinking: str, *, running: bool) -> None:
        """`running`: the answer has not begun. Nothing is shown of a model that did not think."""
        if (thinking, running) == (self._thinking, self._running):
            return
        self._thinking, self._running = thinking, running
        self.setVisible(bool(thinking.strip()))
        self._show()

    def fit(self, width: int) -> None:
        self._width = width
        if self._open:
            self.text.fit(width)

    def settle(self) -> None:
        layout = self.layout()
        if layout is not None:
            layout.activate()

    def retheme(self) -> None:
        self.text.retheme()

    def _show(self) -> None:
        words = len(self._thinking.split())
        counted = trn("%n word", "%n words", words)
        said = tr("Thinking…") if self._running else tr("Thought · {counted}", counted=counted)
        self.line.setText(said)
        spoken = tr("Thinking") if self._running else tr("Thought, {counted}", counted=counted)
        folded = tr("open") if self._open else tr("folded")
        self.line.setAccessibleName(f"{spoken}, {folded}")
        self.line.set_icon("chevron-down" if self._open else "chevron-right")
        self.text.setVisible(self._open)
        if self._open:
            html = escape(cut(clean(self._thinking).strip(), UNFOLDED))
            self.text.set_html(f'<p style="white-space: pre-wrap">{html}</p>', growing=self._running)
            if self._width:
                self.text.fit(self._width)

    def _toggle(self) -> None:
        if not self._open and not self._running and not fits(self._thinking, UNFOLDED):
            open_long_text(
                self._theme, tr("Thought ({amount})", amount=amount(self._thinking)), self._thinking, self.window()
            )
            return
        self.unfolding.emit()
        self._open = not self._open
        self._show()
