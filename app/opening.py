"""A key that comes from outside: a link or a picture handed over by a start, or dropped on the window.

It opens the question for a provider on the Chat tab, filled in. Nothing connects before its user says so.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QMimeData, QObject
from PySide6.QtWidgets import QWidget

from app.given_keys import is_link, picture_path
from app.views.chat_page import ChatPage
from app.views.key_sources import KeyDrops


class Opening(QObject):
    """`to_front`: brings the Chat tab to the front. What comes before `begin` waits for it."""

    def __init__(self, window: QWidget, page: ChatPage, to_front: Callable[[], None]) -> None:
        super().__init__(window)
        self._page = page
        self._to_front = to_front
        self._waiting: list[str] | None = []
        drops = KeyDrops(window)
        drops.dropped.connect(self._take)

    def begin(self) -> None:
        """The core is there, and what it keeps is shown."""
        waiting, self._waiting = self._waiting or [], None
        for text in waiting[-1:]:  # of several that came so early the last one is meant
            self.open(text)

    def open(self, text: str) -> None:
        """A link, a key, or the path of a picture; "" is nothing."""
        if not text:
            return
        if self._waiting is not None:
            self._waiting.append(text)
            return
        path = None if is_link(text) else picture_path(text)
        if path is None and not is_link(text):
            return
        self._to_front()
        dialog = self._page.open_for_key()
        if path is not None:
            dialog.sources.read_file(path)
        else:
            dialog.offer_text(text)

    def _take(self, given: QMimeData) -> None:
        if self._waiting is None:
            self._to_front()
            self._page.open_for_key().sources.take(given)
