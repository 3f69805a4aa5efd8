"""The Chat tab: the side list, the conversation, and the first screen while nothing was chosen.

Below 1080 px the side list is an overlay.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from app.i18n import tr
from app.presenters import chat_groups
from app.presenters.chat import ChatPresenter
from app.theme import Theme
from app.views.chat_archive import ArchiveMenus
from app.views.chat_conversation import Conversation
from app.widgets.chat.conversation_list import ConversationList
from app.widgets.chat.question_box import QuestionBox, ask_for_name, ask_to_delete
from app.widgets.dialog import is_above
from app.widgets.menu import Menu
from app.widgets.own_width import grown
from qvac_core.core.state import ProviderEntry

if TYPE_CHECKING:
    from app.views.chat_first_start import FirstStart
    from app.views.chat_parameters import ParametersPanel
    from app.views.chat_provider_dialog import ProviderDialog

SIDE_WIDTH = 252
OVERLAY_WIDTH = 284
NARROW_BELOW = 1080
COVERED_BELOW = 840  # the parameters cover the conversation
NO_LIMIT = 16_777_215  # Qt's own


class ChatPage(QWidget):
    network_wanted = Signal()
    tools_wanted = Signal()
    library_wanted = Signal()
    window_wanted = Signal(str)  # one more, with that conversation; "" for a new one
    main_wanted = Signal()

    def __init__(self, presenter: ChatPresenter, theme: Theme, *, beside: bool = False) -> None:
        """beside: in a window of its own, beside the main one."""
        super().__init__()
        self._beside = beside
        self.setObjectName("chatPage")
        self._presenter = presenter
        self._theme = theme
        self._narrow = False
        self.dialog: ProviderDialog | None = None
        self.question: QuestionBox | None = None
        self.side = ConversationList(theme)
        self.conversation = Conversation(presenter, theme)
        self.archive = ArchiveMenus(presenter.archive, theme, self)
        self.side.menu_opening.connect(self._add_window)
        self.side.menu_opening.connect(self.archive.add_export)
        self.side.list_menu_opening.connect(self.archive.add_all)
        self.scrim = Scrim(self)
        self.scrim.installEventFilter(self)
        self.side.installEventFilter(self)
        self._chat = QWidget()
        self._row = QHBoxLayout(self._chat)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self.side.setFixedWidth(grown(theme, SIDE_WIDTH))
        theme.changed.connect(self._fit)
        self._row.addWidget(self.side)
        self._row.addWidget(self.conversation, 1)
        self.stack = QStackedWidget()
        self.stack.addWidget(self._chat)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.stack)
        self._connect()
        self._add_shortcuts()
        self._show_first_start()

    # --- What many a window never shows is made when it is asked for

    @cached_property
    def first_start(self) -> FirstStart:
        from app.views.chat_first_start import FirstStart

        first = FirstStart(self._presenter, self._theme)
        first.provider_wanted.connect(self.add_provider)
        first.here_wanted.connect(self._presenter.chat_here)
        self.stack.addWidget(first)
        return first

    @cached_property
    def parameters(self) -> ParametersPanel:
        from app.views.chat_parameters import ParametersPanel

        panel = ParametersPanel(self._presenter.settings, self._theme)
        panel.hide()
        self._row.addWidget(panel)
        panel.closed.connect(self.toggle_parameters)
        return panel

    @property
    def _first_start_shown(self) -> bool:
        return self.stack.currentWidget() is not self._chat

    @property
    def _parameters_shown(self) -> bool:
        return "parameters" in self.__dict__ and self.parameters.isVisibleTo(self)

    def regions(self) -> list[QWidget]:
        """Where F6 stops, in order."""
        if self._first_start_shown:
            return [self.first_start.key, self.first_start.share, self.first_start.get]
        conversation = self.conversation
        stops: list[QWidget] = [self.side.view, conversation.bar.picker, conversation.messages]
        beside = self.parameters.regions() if self._parameters_shown else []
        return [*stops, conversation.composer.text, *beside]

    def _connect(self) -> None:
        presenter, side = self._presenter, self.side
        presenter.conversations_changed.connect(self._show_conversations)
        presenter.opened.connect(self._show_conversations)
        presenter.first_start_changed.connect(self._show_first_start)
        side.chosen.connect(self._choose)
        side.new_wanted.connect(self._new)
        side.searched.connect(presenter.search)
        side.renamed.connect(presenter.rename)
        side.pinned.connect(presenter.pin)
        side.delete_wanted.connect(self.ask_to_delete)
        self.conversation.provider_wanted.connect(self.add_provider)
        self.conversation.network_wanted.connect(self.network_wanted)
        self.conversation.tools_wanted.connect(self.tools_wanted)
        self.conversation.comparison_wanted.connect(self.compare)
        self.conversation.bar.panel_wanted.connect(self._open_side)
        popup = self.conversation.bar.popup
        popup.add_wanted.connect(self.add_provider)
        popup.library_wanted.connect(self.library_wanted)
        popup.menu_wanted.connect(self._open_provider_menu)
        popup.rename_wanted.connect(self._rename_provider)
        popup.remove_wanted.connect(self._remove_provider)
        self.conversation.bar.menu_wanted.connect(self._fill_menu)
        self.conversation.composer.tune.clicked.connect(self.toggle_parameters)

    # --- Conversations

    def _show_conversations(self) -> None:
        presenter = self._presenter
        shown = presenter.found if presenter.found is not None else presenter.conversations
        self.side.show_rows(
            chat_groups.rows(
                shown,
                presenter.now,
                presenter.drafts.written - {presenter.open_id},
                asking=presenter.chats.asking,
                hits=presenter.hits,
                open_now=presenter.conversation if presenter.found else None,
            ),
            presenter.open_id,
            searching=presenter.search_text,
            of=len(presenter.conversations),
        )

    def _show_first_start(self) -> None:
        first = self._presenter.first_start
        if first == self._first_start_shown:
            return
        self.stack.setCurrentWidget(self.first_start if first else self._chat)
        if first:
            self.first_start.focus_first()
        else:
            self.conversation.composer.text.setFocus()

    def _choose(self, conversation_id: str) -> None:
        self._close_side()
        self._presenter.open_hit(conversation_id)

    def _new(self) -> None:
        self._close_side()
        self.conversation.composer.text.setFocus()
        self._presenter.new_conversation()

    def _new_window(self) -> None:
        self.window_wanted.emit("")

    def _add_window(self, menu: QMenu, conversation_id: str, _title: str) -> None:
        menu.addAction(
            self._theme.icon("external-link"),
            tr("Open in a new window"),
            lambda: self.window_wanted.emit(conversation_id),
        )

    def ask_to_delete(self, conversation_id: str) -> None:
        found = next((c for c in self._presenter.conversations if c.id == conversation_id), None)
        if found is not None:
            self.question = ask_to_delete(
                self._theme,
                found.title or tr(chat_groups.UNTITLED),
                lambda: self._presenter.delete(conversation_id),
                self,
            )

    # --- Providers

    def add_provider(self, key: str = "", name: str = "") -> ProviderDialog:
        # In front of the dialog that is open, if one is.
        modal = QApplication.activeModalWidget()
        above = modal if modal is not None and is_above(modal, self.window()) else self
        from app.views.chat_provider_dialog import ProviderDialog  # not before the window is seen

        dialog = ProviderDialog(self._presenter, self._theme, above, key=key, name=name)
        dialog.chosen.connect(self._presenter.set_target)
        dialog.here_wanted.connect(self._presenter.chat_here)
        dialog.network_wanted.connect(self.network_wanted)
        dialog.destroyed.connect(lambda: self._forget_dialog(dialog))
        self.dialog = dialog
        dialog.open()
        return dialog

    def open_for_key(self) -> ProviderDialog:
        """The question for a provider, for a key that comes from outside: the open one if nothing was entered there."""
        if (dialog := self.dialog) is not None and not dialog.connecting and not dialog.key.text().strip():
            return dialog
        return self.add_provider()

    def _forget_dialog(self, dialog: ProviderDialog) -> None:
        if self.dialog is dialog:
            self.dialog = None

    # --- Menu and keyboard

    def _fill_menu(self, menu: QMenu) -> None:
        presenter = self._presenter
        conversation = presenter.conversation
        menu.addAction(tr("New conversation"), QKeySequence("Ctrl+N"), self._new)
        menu.addAction(tr("New window"), QKeySequence("Ctrl+Shift+N"), self._new_window)
        if conversation is not None:
            self._add_window(menu, conversation.id, conversation.title)
        if self._beside:
            menu.addAction(tr("Show the main window"), self.main_wanted.emit)
        menu.addSeparator()
        menu.addAction(tr("Add a provider…"), QKeySequence("Ctrl+Shift+A"), self.add_provider)
        menu.addSeparator()
        again = menu.addAction(tr("Answer again"), QKeySequence("Ctrl+R"), presenter.retry)
        again.setEnabled(not presenter.busy and bool(presenter.messages))
        menu.addAction(tr("Parameters of this conversation"), QKeySequence("Ctrl+."), self.toggle_parameters)
        menu.addAction(tr("Tools of this conversation…"), self.conversation.tools.open)
        copy = menu.addAction(tr("Copy the last answer"), QKeySequence("Ctrl+Shift+C"), self._copy_answer)
        copy.setEnabled(presenter.last_answer() is not None)
        if conversation is not None:
            menu.addSeparator()
            # In a dialog: the editor in the list is no element of the accessible tree.
            menu.addAction(tr("Rename the conversation…"), QKeySequence("F2"), self._rename_conversation)
            pinned = conversation.pinned
            menu.addAction(tr("Unpin") if pinned else tr("Pin"), lambda: presenter.pin(conversation.id, not pinned))
            self.archive.add_export(menu, conversation.id, conversation.title)
            menu.addAction(tr("Delete the conversation…"), lambda: self.ask_to_delete(conversation.id))
        menu.addSeparator()
        self.archive.add_all(menu)
        provider = presenter.provider(presenter.target.provider_key)
        if provider is not None:
            menu.addSeparator()
            self._add_machine(menu, provider, tr("Manage {name}…", name=provider.name))
            menu.addAction(tr("Rename {name}…", name=provider.name), lambda: self._rename_provider(provider.public_key))
            menu.addAction(tr("Remove {name}…", name=provider.name), lambda: self._remove_provider(provider.public_key))
        if presenter.providers:
            menu.addSeparator()
            # Each of them: one that was never reached cannot be chosen to answer.
            every = menu.addMenu(tr("Providers"))
            for known in presenter.providers:
                self._fill_provider(every.addMenu(known.name.replace("&", "&&")), known.public_key)

    def _fill_provider(self, menu: QMenu, key: str) -> None:
        if (provider := self._presenter.provider(key)) is not None:
            self._add_machine(menu, provider, tr("Manage this machine…"))
        menu.addAction(self._theme.icon("pencil"), tr("Rename…"), lambda: self._rename_provider(key))
        menu.addAction(
            self._theme.icon("circle-check"), tr("Compare with another provider…"), lambda: self.compare(key)
        )
        menu.addAction(self._theme.icon("copy"), tr("Copy key"), lambda: QGuiApplication.clipboard().setText(key))
        menu.addSeparator()
        menu.addAction(self._theme.icon("trash-2", "danger"), tr("Remove…"), lambda: self._remove_provider(key))

    def _add_machine(self, menu: QMenu, provider: ProviderEntry, text: str) -> None:
        """Where its owner has marked this key as one of their own."""
        if provider.terms is not None and provider.terms.mine:
            menu.addAction(self._theme.icon("monitor"), text, lambda: self.manage(provider.public_key))

    def manage(self, key: str) -> None:
        """Open a machine of one's own."""
        from app.views.my_machine_dialog import MyMachineDialog  # seldom needed, and not before the window is seen

        self.conversation.bar.popup.close()
        if (provider := self._presenter.provider(key)) is not None:
            MyMachineDialog(self._presenter.machine(provider), self._theme, self.window()).open()

    def compare(self, key: str, model: str = "") -> None:
        """Whether this provider computes with the model file that it names."""
        from app.views.spot_check_dialog import SpotCheckDialog  # seldom needed, and not before the window is seen

        self.conversation.bar.popup.close()
        if (provider := self._presenter.provider(key)) is not None:
            presenter = self._presenter.spot_check(provider)
            SpotCheckDialog(presenter, self._theme, self.window(), model=model).open()

    def _open_provider_menu(self, key: str, place: QPoint) -> None:
        popup = self.conversation.bar.popup
        menu = Menu(popup)
        self._fill_provider(menu, key)
        menu.popup(place)

    def _add_shortcuts(self) -> None:
        for keys, act in (
            ("Ctrl+N", self._new),
            ("Ctrl+Shift+A", self.add_provider),
            ("Ctrl+.", self.toggle_parameters),
            ("Ctrl+K", self.conversation.bar.open_picker),
            ("Ctrl+F", self._search),
            ("F2", self._rename),
            ("Ctrl+R", self._presenter.retry),
            ("Ctrl+Shift+C", self._copy_answer),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _search(self) -> None:
        if self._narrow:
            self._open_side()
        self.side.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.side.search.selectAll()

    def _copy_answer(self) -> None:
        answer = self._presenter.last_answer()
        if answer is not None:
            QGuiApplication.clipboard().setText(answer.text)

    def _rename(self) -> None:
        """F2: a click on a conversation opens it and leads on to the message field, so the key counts there, too."""
        if not self.side.rename_current():
            self._rename_conversation()

    def _rename_conversation(self) -> None:
        conversation = self._presenter.conversation
        if conversation is not None:
            self.question = ask_for_name(
                self._theme,
                tr("Rename the conversation"),
                conversation.title,
                lambda name: self._presenter.rename(conversation.id, name),
                self,
            )

    def _rename_provider(self, key: str) -> None:
        self.conversation.bar.popup.close()
        provider = self._presenter.provider(key)
        if provider is not None:
            self.question = ask_for_name(
                self._theme,
                tr("Rename {name}", name=provider.name),
                provider.name,
                lambda name: self._presenter.rename_provider(key, name),
                self,
            )

    def _remove_provider(self, key: str) -> None:
        self.conversation.bar.popup.close()
        provider = self._presenter.provider(key)
        if provider is not None:
            self.question = QuestionBox(
                self._theme,
                tr("Remove {name}?", name=provider.name),
                tr("Conversations with it stay. To use it again you need its key."),
                tr("Remove provider"),
                kind="danger",
                parent=self,
            )
            self.question.accepted.connect(lambda: self._presenter.remove_provider(key))
            self.question.open()

    # --- Parameters

    def toggle_parameters(self) -> None:
        """Beside the conversation; in its place where there is no room for both."""
        shown = self._parameters_shown
        if shown:
            self.parameters.keep_instructions()
        panel = self.parameters
        self._place_parameters()
        panel.setVisible(not shown)
        self.conversation.composer.tune.setChecked(not shown)
        if shown:
            self.conversation.composer.text.setFocus()
        else:
            self.parameters.raise_()
            self.parameters.preset.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _place_parameters(self) -> None:
        if "parameters" not in self.__dict__:
            return
        panel, covers = self.parameters, self.width() < COVERED_BELOW
        if covers and panel.parentWidget() is not self:
            shown = panel.isVisibleTo(self)
            self._row.removeWidget(panel)
            panel.setParent(self)
            panel.setMinimumWidth(0)
            panel.setMaximumWidth(NO_LIMIT)
            panel.setVisible(shown)
        elif not covers and panel.parentWidget() is self:
            shown = panel.isVisibleTo(self)
            panel.keep_width()
            self._row.addWidget(panel)
            panel.setVisible(shown)
        if covers:
            panel.setGeometry(self.rect())
            panel.raise_()

    # --- Wide and narrow

    @property
    def narrow(self) -> bool:
        return self._narrow

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """To the width, and to how wide the font in force runs."""
        wider = grown(self._theme, SIDE_WIDTH) - SIDE_WIDTH
        narrow = self.width() < NARROW_BELOW + wider
        if narrow != self._narrow:
            self._set_narrow(narrow)
        self.side.setFixedWidth(grown(self._theme, OVERLAY_WIDTH if narrow else SIDE_WIDTH))
        self._place_side()
        self._place_parameters()

    def _set_narrow(self, narrow: bool) -> None:
        self._narrow = narrow
        self._close_side()
        if narrow:
            self._row.removeWidget(self.side)
            self.side.setParent(self)
            self.side.hide()
        else:
            self._row.insertWidget(0, self.side)
            self.side.show()
        self.conversation.set_narrow(narrow)

    def _open_side(self) -> None:
        if not self._narrow:
            return
        self._place_side()
        for widget in (self.scrim, self.side):
            widget.show()
            widget.raise_()
        self.side.search.setFocus()

    def _close_side(self) -> None:
        self.scrim.hide()
        if self._narrow:
            self.side.hide()

    def _place_side(self) -> None:
        self.scrim.setGeometry(self.rect())
        if self._narrow:
            wide = self.side.width()
            x = self.width() - wide if self.isRightToLeft() else 0
            self.side.setGeometry(x, 0, wide, self.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.scrim and isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonPress:
            self._close_side()
            return True
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if watched is self.side and escape and event.type() == QEvent.Type.KeyPress and self._narrow:
            self._close_side()
            self.conversation.composer.text.setFocus()
            return True
        return super().eventFilter(watched, event)


class Scrim(QWidget):
    """What lies under the open side list is dimmed; a click there closes the list."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.hide()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 90))
        painter.end()
