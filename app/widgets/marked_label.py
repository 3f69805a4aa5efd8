"""A label that can show where a searched word stands in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtGui import QFont, QTextCharFormat, QTextLayout
from PySide6.QtWidgets import QWidget

from app.theme import Theme
from app.widgets.label import Label


class MarkedLabel(Label):
    """Plain text that wraps; `mark` underlays the words that were found. Read aloud without marks.

    Marks are formats of its lines. As rich text each label would be a document: a search that marked a hundred and
    seventy of them made the window stand still for a quarter of a second.
    """

    def __init__(
        self,
        theme: Theme,
        text: str = "",
        *,
        scale: str = "body",
        tone: str = "text",
        weight: int = 400,
        parent: QWidget | None = None,
    ) -> None:
        self._theme = theme
        self._words: tuple[str, ...] = ()
        self._formats: list[QTextLayout.FormatRange] | None = None  # not made yet
        super().__init__(text, scale=scale, tone=tone, weight=weight, wrap=True, parent=parent)
        theme.changed.connect(self._recolour)

    def mark(self, words: Sequence[str]) -> None:
        if tuple(words) == self._words:
            return
        before, self._words = self.marks(), tuple(words)
        self._formats = None
        if before != self.marks():
            self.remeasure()

    def marks(self) -> list[tuple[int, int]]:
        """Where the words stand in the text: first letter, letters."""
        if not self._words:
            return []
        pattern = "|".join(re.escape(word) for word in self._words)
        return [(found.start(), len(found[0])) for found in re.finditer(pattern, self.text(), re.IGNORECASE)]

    def setText(self, text: str) -> None:
        super().setText(text)
        self._formats = None

    def _recolour(self) -> None:
        self._formats = None
        self.update()

    def formats(self) -> list[QTextLayout.FormatRange]:
        if self._formats is None:
            self._formats = self._made() if self._words else []
        return self._formats

    def _made(self) -> list[QTextLayout.FormatRange]:
        text, formats = self.text(), []
        for start, length in self.marks():
            found = QTextLayout.FormatRange()
            # Qt counts what UTF-16 counts.
            found.start = _units(text[:start])
            found.length = _units(text[start : start + length])
            found.format = self._format()
            formats.append(found)
        return formats

    def _format(self) -> QTextCharFormat:
        mark = QTextCharFormat()
        mark.setBackground(self._theme.colour("accent_soft"))
        mark.setForeground(self._theme.colour("accent"))
        mark.setFontWeight(QFont.Weight.DemiBold)
        return mark


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
