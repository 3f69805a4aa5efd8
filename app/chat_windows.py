"""The windows beside the main one: opened, kept for the next start, brought back, closed.

A closed window ends nothing that runs. The last window that is seen follows the rules of the tray (app/background.py).
What is kept of each: the conversation, its place on the screen, and the key of what is written in it before it is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QSize, QTimer
from PySide6.QtWidgets import QWidget

from app.tasks import Tasks
from app.window_place import place_of, put_back
from qvac_core.errors import QvacError
from qvac_core.late_dataclass import dataclass

if TYPE_CHECKING:
    from app.chat_window import ChatWindow
    from app.window import MainWindow

OPEN, MAIN, SIZE = "windows.open", "windows.main", "windows.size"  # settings
NEW = "+"  # how the keys begin of conversations in other windows than the first that nobody has written in yet
MOST = 12  # that are brought back: a broken file opens no hundred
STEP = 32  # pixels from the window that it was opened from
REMEMBER_MS = 600


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one window."""

    conversation_id: str
    place: str
    draft_key: str


class ChatWindows(QObject):
    def __init__(self, main: MainWindow) -> None:
        super().__init__(main)
        self._main = main
        self._tasks = Tasks()
        self.all: list[ChatWindow] = []
        self._front: QWidget = main
        self._size = QSize()
        self._restored = self._hidden = False
        self._last = ""  # what was kept
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(REMEMBER_MS)
        self._soon.timeout.connect(self.remember)

    # --- Which there are

    @property
    def front(self) -> QWidget:
        """The window that somebody used last, of those that are there to be seen; else the main one."""
        seen = self.seen()
        return self._front if self._front in seen or not seen else seen[-1]

    def seen(self) -> list[QWidget]:
        """Windows on the screen or in the task list."""
        return [window for window in (self._main, *self.all) if window.isVisible()]

    def is_last(self, window: QWidget) -> bool:
        return not [other for other in self.seen() if other is not window]

    def is_front(self, window: QWidget) -> None:
        self._front = window

    # --- Opening

    def open(self, conversation_id: str = "") -> ChatWindow:
        """A window with that conversation, "" for a new one; beside the one in front."""
        window = self._make(self._free_key())
        window.resize(self._size.expandedTo(window.minimumSize()) if self._size.isValid() else window.first_size())
        beside = self.front
        room = window.screen().availableGeometry()
        place = beside.pos() + QPoint(STEP, STEP)
        place.setX(max(room.left(), min(place.x(), room.right() - window.width())))
        place.setY(max(room.top(), min(place.y(), room.bottom() - window.height())))
        window.move(place)
        self._bring(window, conversation_id)
        self.remember_soon()
        return window

    def _make(self, draft_key: str) -> ChatWindow:
        from app.chat_window import ChatWindow

        window = ChatWindow(self._main, draft_key)
        window.chat_page.window_wanted.connect(self.open)
        window.closed.connect(lambda: self._close(window))
        window.activated.connect(lambda: self.is_front(window))
        window.changed.connect(self.remember_soon)
        self._main.settings.write_as_set(window.chat_page)
        self.all.append(window)
        return window

    def _bring(self, window: ChatWindow, conversation_id: str) -> None:
        window.show_first()
        self._tasks.start(window.load(conversation_id), self._not_done)

    def _free_key(self) -> str:
        used = {window.chat.draft_key for window in self.all} | self._main.chat.drafts.written
        return next(key for number in range(2, len(used) + 3) if (key := f"{NEW}{number}") not in used)

    # --- Closing

    def _close(self, window: ChatWindow) -> None:
        if self.is_last(window):
            self._main.close_last(window)
            return
        self._size = window.size()
        self.all.remove(window)
        if self._front is window:
            self._front = self._main
        window.hide()
        self.remember()
        self._tasks.start(window.end(), self._not_done)

    def bring_back(self) -> None:
        """The main window comes out of the tray, in which the program began."""
        if self._hidden:
            self._hidden = False
            for window in self.all:
                window.show()

    def hide(self) -> None:
        for window in self.all:
            window.hide()

    async def close(self) -> None:
        """The program ends."""
        self._soon.stop()
        self.hide()
        await self._tasks.close()
        for window in self.all:
            await window.chat.close()
            window.deleteLater()

    # --- Kept

    def remember_soon(self) -> None:
        if self._restored and not self._soon.isActive():
            self._soon.start()

    def remember(self) -> None:
        """What is open now. Nothing before the windows of the last run are back."""
        self._soon.stop()
        if not self._restored:
            return
        main = self._main.chat
        entries = [{"conversation": w.chat.open_id, "place": place_of(w), "draft": w.chat.draft_key} for w in self.all]
        writes = bool(main.drafts.get(main.draft_key).message)
        texts = {
            OPEN: json.dumps(entries) if entries else "",
            MAIN: main.open_id or (NEW if writes else ""),
            SIZE: f"{self._size.width()}x{self._size.height()}" if self._size.isValid() else "",
        }
        if repr(texts) != self._last:
            self._last = repr(texts)
            for name, text in texts.items():
                self._main.remember(name, text)

    async def main_conversation(self) -> str | None:
        """What the main window showed: an id, "" for a new one that is being written, None where nothing was kept."""
        kept = await self._setting(MAIN)
        return "" if kept == NEW else kept or None

    async def restore(self) -> None:
        """Of the last run. What is written in a window that does not come back is a conversation from now on."""
        known = {conversation.id for conversation in self._main.chat.conversations}
        chats = self._main.chat.chats
        width, _, height = (await self._setting(SIZE)).partition("x")
        if width.isdecimal() and height.isdecimal():
            self._size = QSize(int(width), int(height)).boundedTo(self._main.screen().availableSize())
        back: list[tuple[ChatWindow, Kept]] = []
        for kept in _read(await self._setting(OPEN)):
            gone = kept.conversation_id and kept.conversation_id not in known
            if gone and not chats.drafts.get(kept.draft_key).message:
                continue
            if kept.draft_key in [window.chat.draft_key for window in self.all]:
                continue
            window = self._make(kept.draft_key)
            window.resize(window.first_size())
            put_back(window, kept.place)
            back.append((window, kept))
        for key in sorted(chats.drafts.written - {window.chat.draft_key for window in self.all}):
            if key.startswith(NEW):
                await chats.keep_unwritten(key, self._main.chat.target)
        self._hidden = not self._main.isVisible()  # it begins in the tray
        for window, kept in back:
            window.setVisible(not self._hidden)
            await window.load(kept.conversation_id if kept.conversation_id in known else "")
        self._restored = True
        if back and self._main.isVisible():
            self._main.activateWindow()
        self._main.chat.opened.connect(self.remember_soon)

    async def _setting(self, key: str) -> str:
        return await self._main.core.call(lambda core: core.setting(key))

    def _not_done(self, error: QvacError) -> None:
        self._main.notice.show_notice(error.message, "")


def _read(text: str) -> Iterator[Kept]:
    """Somebody may have edited the file: what is no window is left out."""
    try:
        entries = json.loads(text or "[]")
    except ValueError:
        return
    for entry in entries[:MOST] if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        conversation_id, place, draft_key = (str(entry.get(name, "")) for name in ("conversation", "place", "draft"))
        if draft_key.startswith(NEW):
            yield Kept(conversation_id, place, draft_key)
