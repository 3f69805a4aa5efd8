"""The name of a key, as it stands on a keyboard."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.own_font import keep_font

HEIGHT = 20


class KeyCap(QLabel):
    def __init__(self, theme: Theme, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setObjectName("keyCap")
        keep_font(self, theme, lambda: theme.fixed_font("hint"))
        self.setMinimumHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
