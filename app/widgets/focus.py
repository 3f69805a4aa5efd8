"""The focus ring that only a keyboard brings up.

Qt focuses a button on a mouse click too; the sheet's ring asks for the property that this mixin keeps.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QPushButton

from app.widgets.label import restyle

KEYBOARD_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


class KeyboardFocusButton(QPushButton):
    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if event.reason() in KEYBOARD_REASONS:
            self.setProperty("keyboardFocus", "true")
            restyle(self)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if self.property("keyboardFocus") == "true":
            self.setProperty("keyboardFocus", "false")
            restyle(self)
