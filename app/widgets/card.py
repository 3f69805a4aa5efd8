"""Cards: a bordered surface with a title row whose acts sit at the right. No card stands in a card."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label, restyle

TITLE_ROW = 40
PADDING = 16
CARD_FOOT = 4  # below a table: it is opaque and would cut the card's rounded corners


class Card(QFrame):
    """`body` is the layout below the title row; `add_wide` puts a widget (a table) from edge to edge into it."""

    def __init__(self, title: str = "", hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName(title)
        self.outer = QVBoxLayout(self)
        self.outer.setContentsMargins(1, 1, 1, 1)
        self.outer.setSpacing(0)
        self.title_row = QHBoxLayout()
        self.title_row.setContentsMargins(PADDING - 1, 0, PADDING - 1, 0)
        self.title_row.setSpacing(8)
        self.title = Label(title, weight=600)
        self.hint = ElidedLabel(hint, scale="hint", tone="text3")
        self._titles = QHBoxLayout()
        self._titles.setSpacing(8)
        if title:
            self._titles.addWidget(self.title)
            self._titles.addWidget(self.hint)
            self.title_row.addLayout(self._titles)
            self.title_row.addStretch(1)
            holder = QWidget()
            holder.setMinimumHeight(TITLE_ROW)
            holder.setLayout(self.title_row)
            self.hint.setVisible(bool(hint))  # now that it is in the card: before, it would be a window of its own
            self.outer.addWidget(holder)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.outer.addLayout(self.body)

    def set_hint(self, text: str) -> None:
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    def add_beside_title(self, widget: QWidget, *, space: int = 0) -> None:
        self._titles.addSpacing(space)
        self._titles.addWidget(widget)

    def add_act(self, widget: QWidget) -> None:
        self.title_row.addWidget(widget)

    def fit_acts(self, texts: Mapping[Button, str], room: int) -> None:
        """Where the title row is too long for so many pixels, as in German, icons stay of its acts, the first before.

        room: 0 = not known yet.
        """
        for button, text in texts.items():
            _show_text(button, text)
        for button, text in texts.items():
            shrinks = 0 if self.hint.isHidden() else self.hint.sizeHint().width()  # the hint gives way first
            if room and self.title_row.sizeHint().width() - shrinks > room:
                _show_text(button, "")
                button.setToolTip(text)

    def add_wide(self, widget: QWidget, stretch: int = 0) -> None:
        self.body.addWidget(widget, stretch)

    def add_padded(self, widget: QWidget, *, top: int = 0, bottom: int = PADDING) -> QWidget:
        """Add `widget` with the card's side padding; returns the holder, which is what to hide."""
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(PADDING - 1, top, PADDING - 1, bottom)
        layout.addWidget(widget)
        self.body.addWidget(holder)
        return holder


def _show_text(button: Button, text: str) -> None:
    if text != button.text():
        button.setText(text)
        button.setToolTip("")
        button.setProperty("iconOnly", "false" if text else "true")
        restyle(button)


def rule() -> QFrame:
    """A line of 1 px across a card."""
    line = QFrame()
    line.setObjectName("rule")
    line.setFixedHeight(1)
    return line
