"""A menu that pops up below a button or at a place, and is gone once it has closed; a list of languages in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from app.accessible import tell_opened
from app.languages import Choice, parts
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
    menu: QMenu, theme: Theme, title: str, choices: Sequence[Choice], chosen: Callable[[str], None]
) -> None:
    """A submenu of languages; `chosen` is called with the code. What translation models do stands by itself."""
    submenu = menu.addMenu(theme.icon("languages"), title)
    menus: dict[tuple[str, ...], QMenu] = {(): submenu}
    last = ""
    for choice in choices:
        by_model = "model" if parts(choice.code)[0] else "chat"
        if last not in ("", by_model):
            submenu.addSeparator()
        last = by_model
        for depth in range(1, len(choice.menus) + 1):
            path = choice.menus[:depth]
            if path not in menus:
                menus[path] = menus[path[:-1]].addMenu(path[-1])
        menus[choice.menus].addAction(choice.name, partial(chosen, choice.code))
