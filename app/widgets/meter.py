"""How much of something is used: a thin bar with its label and value, and a bar of several parts with their legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAccessible, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.i18n import listed
from app.theme import Theme
from app.widgets.label import ElidedLabel, Label

HEIGHT = 4
HEIGHT_IN_CARD = 6
WARN_ABOVE = 0.8
DOT = 8


@dataclass(frozen=True, slots=True)
class Part:
    """`amount` in the unit of the whole; `text` says it in words; `tone` is a token of the theme."""

    amount: float
    text: str = ""
    tone: str = "accent"


class Bar(QWidget):
    """The painted bar alone: parts side by side, the rest of the whole is track. Decoration: words stand beside it."""

    accessible_role = QAccessible.Role.ProgressBar
    accessible_leaf = True

    def __init__(self, theme: Theme, name: str, *, height: int = HEIGHT, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._name = name
        self._bar_height = height
        self._parts: tuple[Part, ...] = ()
        self._total = 1.0
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(60, self._bar_height)

    def minimumSizeHint(self) -> QSize:
        return QSize(16, self._bar_height)

    def show_parts(self, parts: Sequence[Part], total: float, said: str) -> None:
        """`said`: what the bar shows, in words."""
        if (self._parts, self._total) != (tuple(parts), total):
            self._parts, self._total = tuple(parts), total
            self.update()
        self.setAccessibleName(f"{self._name}, {said}" if said else self._name)

    def fractions(self) -> tuple[float, ...]:
        """Where each part ends, from 0 to 1."""
        ends, end = [], 0.0
        for part in self._parts:
            end += max(0.0, part.amount) / self._total if self._total > 0 else 0.0
            ends.append(min(1.0, end))
        return tuple(ends)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        whole = QRectF(0, (self.height() - self._bar_height) / 2, self.width(), self._bar_height)
        radius = min(2.0, self._bar_height / 2)
        painter.setBrush(self._theme.colour("track"))
        painter.drawRoundedRect(whole, radius, radius)
        begin = 0.0
        for part, end in zip(self._parts, self.fractions(), strict=True):
            left, right = begin * whole.width(), end * whole.width()
            gap = 1.0 if begin > 0 and right - left > 2 else 0.0  # parts stay two where colours are not seen
            if part.amount > 0:
                box = QRectF(left + gap, whole.top(), max(1.0, right - left - gap), whole.height())
                if self.isRightToLeft():
                    box.moveLeft(whole.width() - box.right())
                painter.setBrush(self._theme.colour(part.tone))
                painter.drawRoundedRect(box, radius, radius)
            begin = end
        painter.end()


class Meter(QWidget):
    """Label at the start, value at the end, the bar below; amber above 80 %."""

    def __init__(self, theme: Theme, label: str, *, height: int = HEIGHT, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = label
        self.label = Label(label, scale="hint", tone="text3")
        self.value = Label(scale="hint", weight=600)
        self.bar = Bar(theme, label, height=height)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.label, 1)
        row.addWidget(self.value)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.bar)

    def show_value(self, fraction: float, text: str) -> None:
        """`fraction` of the whole, 0 to 1; `text`: the value with its unit."""
        self.value.setText(text)
        tone = "warn" if fraction > WARN_ABOVE else "accent"
        self.bar.show_parts([Part(fraction, text, tone)], 1.0, text)


class PartsMeter(QWidget):
    """What fills a whole: the bar, then a dot and words for each part, and what is left at the end."""

    def __init__(self, theme: Theme, name: str, *, height: int = HEIGHT_IN_CARD, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.bar = Bar(theme, name, height=height)
        self._legend = QHBoxLayout()
        self._legend.setSpacing(6)
        self._legends: list[tuple[_Dot, ElidedLabel]] = []
        self.rest = Label(scale="hint", weight=600)
        self._legend.addStretch(1)
        self._legend.addWidget(self.rest)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.bar)
        layout.addLayout(self._legend)

    def show_parts(self, parts: Sequence[Part], total: float, rest: str) -> None:
        """`rest` says what is left of `total`."""
        while len(self._legends) < len(parts):
            dot, label = _Dot(self._theme), ElidedLabel(scale="hint", tone="text2")
            place = 3 * len(self._legends)
            for offset, widget in enumerate((dot, label)):
                self._legend.insertWidget(place + offset, widget)
            self._legend.insertSpacing(place + 2, 8)
            self._legends.append((dot, label))
        for place, (dot, label) in enumerate(self._legends):
            shown = place < len(parts)
            dot.setVisible(shown)
            label.setVisible(shown)
            if shown:
                dot.set_tone(parts[place].tone)
                label.setText(parts[place].text)
        self.rest.setText(rest)
        self.bar.show_parts(parts, total, listed([*(part.text for part in parts), rest]))


class _Dot(QWidget):
    """The colour of a part, beside its words."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._tone = "accent"
        self.setFixedSize(DOT, DOT)
        theme.changed.connect(self.update)

    def set_tone(self, tone: str) -> None:
        self._tone = tone
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.colour(self._tone))
        painter.drawEllipse(self.rect())
        painter.end()
