"""An answer as it is spoken: that it begins, its sentences as they are complete, and how it ended."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from app.announcements import announce, whole_sentences

PAUSE_MS = 1000


class AnswerSpeech:
    """`text` gives what is on screen of the answer, without marks of Markdown. A row that is not seen is silent."""

    def __init__(self, row: QWidget, text: Callable[[], str]) -> None:
        self._row = row
        self._text = text
        self._said = 0
        self._waiting = ""
        self._pause = QTimer(row)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._say_sentences)

    def wait(self, words: str) -> None:
        """Nothing has come yet: what is being done, said once for each stage and not for each percent of it."""
        stage = words.partition(",")[0]
        if stage != self._waiting:
            self._waiting = stage
            self._say(stage)

    def grow(self) -> None:
        if not self._pause.isActive():
            self._pause.start()

    def end(self, words: str) -> None:
        """Say the rest, and then `words`."""
        self._pause.stop()
        text = self._text()
        rest, self._said = text[self._said :].strip(), len(text)
        self._say(f"{rest}\n{words}".strip())

    def _say_sentences(self) -> None:
        text = self._text()
        end = whole_sentences(text, self._said)
        said, self._said = text[self._said : end].strip(), end
        self._say(said)

    def _say(self, text: str) -> None:
        if self._row.isVisible():
            announce(self._row, text)
