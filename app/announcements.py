"""What is said to people who use a screen reader, beside what they find on screen: the one place that announces.

On Linux `QAccessible.Event.Alert` reaches nobody; an announcement does, on every platform.
"""

from __future__ import annotations

import re

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

from app.i18n import tr
from qvac_core.core.state import DownloadChanged

_SENTENCE_ENDS = re.compile(r"""[.!?:;…]+["'”’»)\]]*(?=\s)|[。！？]+|\n""")


def announce(widget: QWidget, text: str, *, assertive: bool = False) -> None:
    """Say `text` once what is being said has ended; `assertive` says it at once, for what went wrong."""
    if not text or not QAccessible.isActive():
        return
    event = QAccessibleAnnouncementEvent(widget, text)
    politeness = QAccessible.AnnouncementPoliteness
    event.setPoliteness(politeness.Assertive if assertive else politeness.Polite)
    QAccessible.updateAccessibility(event)


class DownloadSpeech:
    """Says that a download begins and that it is done; how far it is can be read, and what failed has its panel."""

    def __init__(self, window: QWidget) -> None:
        self._window = window
        self._running: set[str] = set()

    def take(self, event: object) -> None:
        if not isinstance(event, DownloadChanged):
            return
        name = event.title or event.model
        if event.done:
            announce(self._window, tr("{model} is on this machine now.", model=name))
        elif event.moves and event.error is None and event.model not in self._running:
            announce(self._window, tr("Downloading {model}.", model=name))
        if event.moves and event.error is None:
            self._running.add(event.model)
        else:
            self._running.discard(event.model)


def whole_sentences(text: str, start: int) -> int:
    """Where the last whole sentence or line of `text` ends, at or after `start`; `start` when none has ended."""
    end = start
    for match in _SENTENCE_ENDS.finditer(text, start):
        end = match.end()
    return end
