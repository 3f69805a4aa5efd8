"""The bar above the conversation: who answers, and the menu with every act of this tab."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.presenters import chat_picker
from app.presenters.chat import ChatPresenter
from app.presenters.chat_words import context, provider_state
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.chat.picker import PickerButton, PickerPopup
from app.widgets.menu import Menu

HEIGHT = 52


class ChatBar(QWidget):
    """Narrow: a button for the side list and one for a new conversation appear."""

    panel_wanted = Signal()
    menu_wanted = Signal(object)  # the QMenu to fill

    def __init__(self, presenter: ChatPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._theme = theme
        self._narrow = False
        self.panel = Button(theme, kind="flat", icon="panel-left", name=tr("Conversations"))
        self.picker = PickerButton(theme)
        self.new = Button(theme, kind="flat", icon="square-pen", name=tr("New conversation"))
        self.more = Button(theme, kind="flat", icon="ellipsis", name=tr("More for this conversation"))
        self.popup = PickerPopup(theme, self)
        self.panel.clicked.connect(self.panel_wanted)
        self.new.clicked.connect(presenter.new_conversation)
        self.more.clicked.connect(self._open_menu)
        self.picker.clicked.connect(self.open_picker)
        self.popup.chosen.connect(presenter.set_target)
        self.popup.connect_wanted.connect(presenter.connect_provider)
        self.popup.download_wanted.connect(presenter.download_default)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 1)
        layout.setSpacing(6)
        layout.addWidget(self.panel)
        layout.addWidget(self.picker)
        layout.addStretch(1)
        layout.addWidget(self.new)
        layout.addWidget(self.more)
        self.setFixedHeight(HEIGHT)
        for signal in (presenter.target_changed, presenter.providers_changed, presenter.models_changed):
            signal.connect(self.refresh)
        self.set_narrow(False)
        self.refresh()

    def set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self.panel.setVisible(narrow)
        self.new.setVisible(narrow)
        self.refresh()

    def open_picker(self) -> None:
        self._show_groups()
        self.popup.open_at(self.picker)

    def refresh(self) -> None:
        target = self._presenter.target
        provider = self._presenter.provider(target.provider_key) if target.provider_key else None
        state = provider_state(provider) if provider is not None else ""
        online = provider is not None and provider.state == "online"
        reach = "reachable, " if online else ""
        self.picker.show_target(
            self._presenter.target_name(target),
            state=f"{reach}{state}".replace(" ms", " milliseconds"),
            distance=state,
            model=self._presenter.model_name(target),
            context="" if self._narrow else context(self._presenter.directory.context_tokens(target)),
            local=not target.provider_key,
            online=online,
        )
        if self.popup.isVisible():
            self._show_groups()

    def _show_groups(self) -> None:
        target = self._presenter.target
        self.popup.show_groups(chat_picker.groups(self._presenter.models, self._presenter.providers, target), target)

    def _open_menu(self) -> None:
        menu = Menu(self)
        self.menu_wanted.emit(menu)
        menu.open_below(self.more)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colour("surface"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._theme.colour("border"))
        painter.end()
