"""A label that can show where a searched word stands in it, and whose lines stand apart as the design wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.theme import Theme
from app.widgets.label import restyle


class MarkedLabel(QLabel):
    """Plain text that wraps; `mark` underlays the words that were found. Read aloud without marks."""

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
        super().__init__(parent)
        self._theme = theme
        self._plain = ""
        self._pitch = 115 if scale == "body" else 120
        self._words: tuple[str, ...] = ()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setProperty("scale", scale)
        self.setProperty("tone", tone)
        self.setProperty("strength", str(weight))
        self.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme.changed.connect(self._render)
        self.set_plain(text)

    @property
    def plain(self) -> str:
        return self._plain

    def set_plain(self, text: str) -> None:
        self._plain = text
        self.setAccessibleName(text)
        self._render()

    def mark(self, words: Sequence[str]) -> None:
        if tuple(words) != self._words:
            self._words = tuple(words)
            self._render()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LayoutDirectionChange:
            self._render()

    def set_tone(self, tone: str) -> None:
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            restyle(self)

    def _render(self) -> None:
        # A text that does not say its direction, as a name, begins where its page begins.
        side = "right" if self.isRightToLeft() else "left"
        style = f"line-height:{self._pitch}%; margin:0"
        self.setText(f'<p align="{side}" style="{style}">{self._marked()}</p>' if self._plain else "")
        # Whoever measures next must get the new height.
        self.updateGeometry()

    def _marked(self) -> str:
        if not self._words:
            return escape(self._plain)
        pattern = re.compile("|".join(re.escape(word) for word in self._words), re.IGNORECASE)
        accent, soft = self._theme.colour("accent").name(), self._theme.colour("accent_soft").name()
        parts, end = [], 0
        for match in pattern.finditer(self._plain):
            parts.append(escape(self._plain[end : match.start()]))
            found = escape(match[0])
            parts.append(f'<span style="background:{soft}; color:{accent}; font-weight:600">{found}</span>')
            end = match.end()
        return "".join((*parts, escape(self._plain[end:])))
