"""A menu that pops up below a button or at a place, and is gone once it has closed; a list of languages in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from app.accessible import tell_opened
from app.theme import Theme


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


def add_languages(
    menu: QMenu, theme: Theme, title: str, languages: Sequence[tuple[str, str]], chosen: Callable[[str], None]
) -> None:
    """A submenu of (code, name); `chosen` is called with the code."""
    submenu = menu.addMenu(theme.icon("languages"), title)
    for code, name in languages:
        submenu.addAction(name, partial(chosen, code))
