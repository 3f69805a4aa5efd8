"""Tells assistive technology what changed in a text that grows: the difference, at most once a second.

Qt itself reports a text that is written anew as all of it removed and all of it inserted, at every token. On Linux each
report crosses a bus to the screen reader: an answer of 300 words was 350 kB there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAccessible, QAccessibleTextInsertEvent, QAccessibleTextRemoveEvent
from PySide6.QtWidgets import QTextEdit

PAUSE_MS = 1000


class TextChanges:
    """Write inside `with changes.quiet():`; what is different afterwards is reported in its own time."""

    def __init__(self, view: QTextEdit) -> None:
        self._view = view
        self._told: str | None = None  # None: nobody has been told anything about this text
        self._pause = QTimer(view)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._tell)

    @contextmanager
    def quiet(self, *, growing: bool = True) -> Iterator[None]:
        """`growing`: the text is being written before the reader's eyes; otherwise it is simply there."""
        document = self._view.document()
        if self._told is None and growing and QAccessible.isActive():
            self._told = self._view.toPlainText()
        # The widget's own reports hang on the document's signals; its layout and painting do not.
        blocked = document.blockSignals(True)
        try:
            yield
        finally:
            document.blockSignals(blocked)
        if not QAccessible.isActive():
            self._told = None
        elif self._told is not None and not self._pause.isActive():
            self._pause.start()

    def _tell(self) -> None:
        old, new = self._told, self._view.toPlainText()
        self._told = new
        if old is None or old == new:
            return
        differ = (index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
        same = next(differ, min(len(old), len(new)))
        if old[same:]:
            QAccessible.updateAccessibility(QAccessibleTextRemoveEvent(self._view, same, old[same:]))
        if new[same:]:
            QAccessible.updateAccessibility(QAccessibleTextInsertEvent(self._view, same, new[same:]))
