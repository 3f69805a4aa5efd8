"""A menu that pops up below a button or at a place, and is gone once it has closed; a list of languages in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from app.accessible import tell_opened
from app.i18n import tr
from app.languages import OF_MANY, Choice, parts
from app.theme import Theme

FIRST = 2  # the language that was used last, and the system's


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
    """A submenu of languages; `chosen` is called with the code. What translation models do stands by itself; then
    the first two of the others and those that many speak, and a list to search for the rest.
    """
    submenu = menu.addMenu(theme.icon("languages"), title)
    menus: dict[tuple[str, ...], QMenu] = {(): submenu}
    by_models = [choice for choice in choices if parts(choice.code)[0]]
    by_chat = [choice for choice in choices if not parts(choice.code)[0]]
    for choice in by_models:
        for depth in range(1, len(choice.menus) + 1):
            path = choice.menus[:depth]
            if path not in menus:
                menus[path] = menus[path[:-1]].addMenu(path[-1])
        menus[choice.menus].addAction(choice.name, partial(chosen, choice.code))
    if by_models and by_chat:
        submenu.addSeparator()
    few = [choice for place, choice in enumerate(by_chat) if place < FIRST or choice.code in OF_MANY]
    for choice in few:
        submenu.addAction(choice.name, partial(chosen, choice.code))
    if len(few) < len(by_chat):
        submenu.addSeparator()
        submenu.addAction(tr("Another language…"), partial(_search, menu, theme, title, by_chat, chosen))


def _search(menu: QMenu, theme: Theme, title: str, choices: Sequence[Choice], chosen: Callable[[str], None]) -> None:
    from app.widgets.language_popup import LanguagePopup

    # The menu is gone by the time that somebody chooses.
    parent, place = menu.parentWidget(), menu.pos()
    assert parent is not None
    LanguagePopup(theme, title, choices, chosen, parent).open_at(place)
