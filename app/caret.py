"""The caret blinks while somebody writes. Later it stands still: each blink would wake the program and paint it.

Desktops do the same (GTK's gtk-cursor-blink-timeout, of ten seconds).
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QGuiApplication

RESTS_AFTER_MS = 10_000


class RestingCaret(QObject):
    """Of every text field of the program. A system whose carets do not blink is left alone."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        # PySide (6.11) forgets what belongs to hints that nobody holds.
        self._hints = QGuiApplication.styleHints()
        self._method = QGuiApplication.inputMethod()
        self.flash_ms = self._hints.cursorFlashTime()
        self.rest = QTimer(self)
        self.rest.setSingleShot(True)
        self.rest.setInterval(RESTS_AFTER_MS)
        self.rest.timeout.connect(lambda: self._hints.setCursorFlashTime(0))
        if self.flash_ms > 0:
            self._method.cursorRectangleChanged.connect(self._moved)
            self.rest.start()

    def _moved(self) -> None:
        """By a letter, a key, a click, or a field that got the focus."""
        if not self._hints.cursorFlashTime():
            self._hints.setCursorFlashTime(self.flash_ms)
        self.rest.start()

    def close(self) -> None:
        self.rest.stop()
        if self.flash_ms > 0:
            self._method.cursorRectangleChanged.disconnect(self._moved)
        self._hints.setCursorFlashTime(self.flash_ms)
