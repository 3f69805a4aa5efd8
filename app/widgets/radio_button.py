"""A radio button that assistive technology can choose, not only check."""

from __future__ import annotations

from PySide6.QtWidgets import QRadioButton, QWidget

from app.widgets.toggle_clicks import ToggleClicks


class RadioButton(ToggleClicks, QRadioButton):
    """Connect `clicked`."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.toggle_clicks()
