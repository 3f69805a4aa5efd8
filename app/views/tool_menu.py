"""The wrench in the composer: which servers of tools the open conversation uses, and why none can be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from app import tool_words
from app.i18n import listed, tr
from app.presenters.tools import ChatTools
from app.theme import Theme
from app.widgets.chat.composer import Composer
from app.widgets.menu import Menu


class ToolMenu:
    """`manage`: where servers are set up."""

    def __init__(self, tools: ChatTools, theme: Theme, composer: Composer, manage: Callable[[], None]) -> None:
        self._tools, self._theme, self._composer, self._manage = tools, theme, composer, manage
        self.menu: Menu | None = None
        composer.wrench.clicked.connect(self.open)
        tools.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        button, tools = self._composer.wrench, self._tools
        chosen = tools.chosen
        button.setChecked(bool(chosen) and not tools.hindrance)
        button.setEnabled(not tools.hindrance)
        if tools.hindrance:
            button.setToolTip(tools.hindrance)
        elif chosen:
            button.setToolTip(tr("Tools: {names}", names=listed(chosen)))
        else:
            button.setToolTip(tr("Tools: none"))
        button.setAccessibleDescription(button.toolTip())

    def open(self) -> None:
        self.refresh()  # a click has turned it over
        tools = self._tools
        if tools.hindrance:
            return
        menu = self.menu = Menu(self._composer)
        menu.setToolTipsVisible(True)
        for entry in tools.servers.entries:
            name = entry.server.name
            action = menu.addAction(name.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(name in tools.chosen)
            action.setToolTip(tool_words.server_words(entry))
            action.toggled.connect(partial(tools.use, name))
        if tools.servers.entries:
            menu.addSeparator()
        manage = tr("Set up tools…") if tools.servers.entries else tr("Add tools…")
        menu.addAction(self._theme.icon("settings"), manage, self._manage)
        menu.open_below(self._composer.wrench)
