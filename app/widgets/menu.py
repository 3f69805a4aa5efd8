"""A menu that pops up below a button or at a place, and is gone once it has closed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from app.accessible import tell_opened


class Menu(QMenu):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        # An item that assistive technology presses leaves the menu open, in front of whatever the item opens.
        self.triggered.connect(self.close)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        tell_opened(self)

    def open_below(self, anchor: QWidget) -> None:
        self.popup(anchor.mapToGlobal(anchor.rect().bottomLeft()))
