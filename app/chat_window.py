"""One more window with a chat: the Chat tab alone, over the same conversations, drafts and answers as all others.

Share, Library and Settings are pages of the main window alone: they show this machine, and there is one of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QAccessible, QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.i18n import tr
from app.opening import Opening
from app.presenters.chat import ChatPresenter
from app.presenters.chat_groups import UNTITLED
from app.views.chat_page import ChatPage
from app.views.knock_notice import KnockNotice
from app.widgets.focus import hand_on_focus, next_stop
from app.words import one_line

if TYPE_CHECKING:
    from app.window import MainWindow

FIRST_SIZE = (900, 720)
TITLE_LETTERS = 80


class ChatWindow(QWidget):
    """`activated`: it is the one in front now; `closed`: somebody closed it; `changed`: what it shows, or its place."""

    accessible_role = QAccessible.Role.Window

    activated = Signal()
    closed = Signal()
    changed = Signal()

    def __init__(self, main: MainWindow, draft_key: str) -> None:
        super().__init__()
        theme = main.theme
        self._main = main
        self.chat = ChatPresenter(main.core, self, chats=main.chat.chats, draft_key=draft_key)
        self.chat_page = ChatPage(self.chat, theme, beside=True)
        self.knocks = KnockNotice(main.share, theme)
        self.setMinimumSize(main.minimumSize())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.knocks)
        column.addWidget(self.chat_page, 1)
        self.chat.opened.connect(self._show_title)
        self.chat.opened.connect(self.changed)
        self.chat.conversations_changed.connect(self._show_title)
        self.chat.share_requested.connect(main.show_share)
        self.chat_page.network_wanted.connect(main.show_network)
        self.chat_page.library_wanted.connect(main.show_library)
        self.chat_page.tools_wanted.connect(main.show_tools)
        self.chat_page.main_wanted.connect(main.come_forward)
        self.knocks.all_wanted.connect(main.show_share)
        self.knocks.begin()
        self._opening = Opening(self, self.chat_page, lambda: None)
        for keys, act in (
            ("Ctrl+1", main.show_share),
            ("Ctrl+2", main.show_chat),
            ("Ctrl+L", main.show_library),
            ("Ctrl+,", main.show_settings),
            ("Ctrl+Shift+S", main.turn_sharing),
            ("Ctrl+Q", main.ask_to_leave),
            ("Ctrl+Shift+N", lambda: self.chat_page.window_wanted.emit("")),
            ("Ctrl+W", self.close),
            ("F6", lambda: next_stop(self, self.regions())),
        ):
            QShortcut(QKeySequence(keys), self).activated.connect(act)
        self._show_title()

    async def load(self, conversation_id: str) -> None:
        """conversation_id: the one to open, "" for a new one."""
        await self.chat.load(conversation_id)
        self._opening.begin()

    async def end(self) -> None:
        """It is closed and the program goes on: what was begun in it comes to its end, what is written is kept."""
        self.chat_page.conversation.dictation.leave()
        await self.chat.end()
        self.deleteLater()

    def regions(self) -> list[QWidget]:
        """Where F6 stops."""
        return [region for region in self.chat_page.regions() if region.isVisible() and region.isEnabled()]

    def open_given(self, text: str) -> None:
        """A `qvac://` link or the path of a picture; "" = nothing."""
        self._opening.open(text)

    def first_size(self) -> QSize:
        return QSize(*FIRST_SIZE).boundedTo(self.screen().availableSize()).expandedTo(self.minimumSize())

    def _show_title(self) -> None:
        conversation = self.chat.conversation
        title = one_line(conversation.title) if conversation is not None else ""
        self.setWindowTitle(title[:TITLE_LETTERS] or tr(UNTITLED))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.activated.emit()

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self.closed.emit()

    def focusNextPrevChild(self, next_: bool) -> bool:
        return hand_on_focus(lambda: super(ChatWindow, self).focusNextPrevChild(next_))

    def show_first(self) -> None:
        """With the focus where somebody writes."""
        self.show()
        self.chat_page.conversation.composer.text.setFocus(Qt.FocusReason.OtherFocusReason)
