"""What stands where nothing is yet: icon tile, one line, one sentence, at most two acts."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.theme import Theme
from app.widgets.button import Button
from app.widgets.icon_label import IconTile
from app.widgets.label import Label
from app.widgets.own_width import keep_width

SENTENCE_WIDTH = 300


class EmptyState(QWidget):
    def __init__(
        self,
        theme: Theme,
        icon: str,
        title: str,
        sentence: str,
        acts: Sequence[Button] = (),
        *,
        hint: str = "",
        tone: str = "accent",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.title = Label(title, scale="answer", weight=600, wrap=True)
        self.sentence = Label(sentence, tone="text2", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 24)
        layout.setSpacing(0)
        layout.addStretch(1)
        layout.addWidget(IconTile(theme, icon, tone), 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(12)
        texts = QGridLayout()
        texts.setSpacing(4)
        texts.setColumnStretch(0, 1)
        texts.setColumnStretch(2, 1)
        for line, label in enumerate((self.title, self.sentence)):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            keep_width(label, theme, SENTENCE_WIDTH)
            texts.addWidget(label, line, 1)
        layout.addLayout(texts)
        layout.addSpacing(4)
        if hint:
            below = Label(hint, scale="hint", tone="text3")
            layout.addSpacing(8)
            layout.addWidget(below, 0, Qt.AlignmentFlag.AlignHCenter)
        if acts:
            row = QHBoxLayout()
            row.setSpacing(8)
            row.addStretch(1)
            for act in acts:
                row.addWidget(act)
            row.addStretch(1)
            layout.addSpacing(8)
            layout.addLayout(row)
        layout.addStretch(1)
