"""What is said to people who use a screen reader, beside what they find on screen: the one place that announces.

On Linux `QAccessible.Event.Alert` reaches nobody; an announcement does, on every platform.
"""

from __future__ import annotations

import re

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

_SENTENCE_ENDS = re.compile(r"""[.!?:;…]+["'”’»)\]]*(?=\s)|[。！？]+|\n""")


def announce(widget: QWidget, text: str, *, assertive: bool = False) -> None:
    """Say `text` once what is being said has ended; `assertive` says it at once, for what went wrong."""
    if not text or not QAccessible.isActive():
        return
    event = QAccessibleAnnouncementEvent(widget, text)
    politeness = QAccessible.AnnouncementPoliteness
    event.setPoliteness(politeness.Assertive if assertive else politeness.Polite)
    QAccessible.updateAccessibility(event)


def whole_sentences(text: str, start: int) -> int:
    """Where the last whole sentence or line of `text` ends, at or after `start`; `start` when none has ended."""
    end = start
    for match in _SENTENCE_ENDS.finditer(text, start):
        end = match.end()
    return end
