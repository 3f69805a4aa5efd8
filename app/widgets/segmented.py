"""Two or three choices side by side, one of them in force."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from app.widgets.focus import KeyboardFocusButton


class Segmented(QWidget):
    """`chosen` fires for clicks only, never for `show_choice`."""

    chosen = Signal(str)

    def __init__(self, name: str, choices: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._buttons: dict[str, KeyboardFocusButton] = {}
        group = QButtonGroup(self)
        group.setExclusive(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for index, (value, text) in enumerate(choices):
            button = KeyboardFocusButton(text)
            place = "first" if index == 0 else "last" if index == len(choices) - 1 else "middle"
            button.setProperty("segment", place)
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setAccessibleName(f"{name}: {text}".rstrip("…"))
            button.clicked.connect(lambda _checked=False, value=value: self.chosen.emit(value))
            group.addButton(button)
            layout.addWidget(button)
            self._buttons[value] = button

    @property
    def choice(self) -> str:
        return next((value for value, button in self._buttons.items() if button.isChecked()), "")

    def show_choice(self, value: str) -> None:
        self._buttons[value].setChecked(True)

    def button(self, value: str) -> KeyboardFocusButton:
        return self._buttons[value]
