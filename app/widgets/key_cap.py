"""The name of a key, as it stands on a keyboard."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QWidget

from app.theme import Theme

HEIGHT = 20


class KeyCap(QLabel):
    def __init__(self, theme: Theme, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setObjectName("keyCap")
        self.setFont(theme.fixed_font("hint"))
        self.setFixedHeight(HEIGHT)
