"""Rows of a person's limits: a switch and its value. Off says what holds then, and is never an empty field."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.i18n import tr
from app.theme import Theme
from app.widgets.label import Label
from app.widgets.number import DateTimeField, Number, TimeField
from app.widgets.switch import ROW_SIZE, Switch

FIELD_WIDTH = 120  # pixels at the design's font; wider where a value needs it
ROW_HEIGHT = 46


class LimitRow(QWidget):
    """`wanted(value)`: None when it is switched off. start: what a switch that goes on begins with."""

    def __init__(
        self,
        theme: Theme,
        text: str,
        hint: str,
        otherwise: str,
        fields: list[QWidget],
        wanted: Callable[[bool], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.switch = Switch(theme, text, size=ROW_SIZE)
        self.switch.setAccessibleDescription(hint)
        label = Label(text, weight=500, wrap=True)
        label.setBuddy(self.switch)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label)
        self.hint = Label(hint, tone="text3", scale="hint", wrap=True)
        self.hint.setVisible(bool(hint))
        texts.addWidget(self.hint)
        values = QWidget()
        line = QHBoxLayout(values)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addStretch(1)
        for field in fields:
            line.addWidget(field)
        self.otherwise = Label(otherwise, tone="text3")
        said = QWidget()
        words = QHBoxLayout(said)
        words.setContentsMargins(0, 0, 8, 0)
        words.addStretch(1)
        words.addWidget(self.otherwise)
        self._values = QStackedWidget()
        self._values.addWidget(said)
        self._values.addWidget(values)
        self._values.setMinimumWidth(round(FIELD_WIDTH * theme.breadth))
        row = QHBoxLayout(self)
        row.setContentsMargins(15, 4, 15, 4)
        row.setSpacing(8)
        row.addLayout(texts, 1)
        row.addWidget(self.switch)
        row.addWidget(self._values)
        self.setMinimumHeight(ROW_HEIGHT)
        self.switch.clicked.connect(wanted)

    @property
    def values_width(self) -> int:
        """In pixels: what its value takes."""
        return max(self._values.sizeHint().width(), self._values.minimumWidth())

    def set_values_width(self, width: int) -> None:
        """In pixels, at least: switches of rows with short values stand below each other."""
        self._values.setMinimumWidth(width)

    def show_on(self, on: bool) -> None:
        self.switch.setChecked(on)
        self._values.setCurrentIndex(int(on))


class NumberRow(LimitRow):
    """chosen: a number, or None for no limit."""

    def __init__(
        self,
        theme: Theme,
        text: str,
        hint: str,
        otherwise: str,
        low: int,
        start: int,
        step: int,
        chosen: Callable[[int | None], None],
    ) -> None:
        self.field = Number(theme, text, low, 2**31 - 1, step=step)
        self._start = start
        super().__init__(theme, text, hint, otherwise, [self.field], lambda on: chosen(self._start if on else None))
        self.field.chosen.connect(chosen)

    def show_value(self, value: int | None) -> None:
        self.show_on(value is not None)
        if value is not None:
            self._start = value  # what was switched off comes back with its number
            if not self.field.hasFocus() or self.field.value() != value:
                self.field.show_value(value)


class HoursRow(LimitRow):
    """chosen: "08:00-20:00", "" for any."""

    def __init__(self, theme: Theme, chosen: Callable[[str], None]) -> None:
        self.begin, self.end = TimeField(theme, tr("Hours begin at")), TimeField(theme, tr("Hours end at"))
        self._hours = "08:00-20:00"
        self._chosen = chosen
        super().__init__(
            theme,
            tr("Hours"),
            tr("Besides your own serving hours"),
            tr("at any hour"),
            [self.begin, Label(tr("to", "between two times"), tone="text2"), self.end],
            lambda on: chosen(self._hours if on else ""),
        )
        for field in (self.begin, self.end):
            field.chosen.connect(self._take)

    def _take(self, _text: str) -> None:
        self._chosen(f"{self.begin.text_value}-{self.end.text_value}")

    def show_value(self, hours: str) -> None:
        self.show_on(bool(hours))
        if hours:
            self._hours = hours
            begin, _, end = hours.partition("-")
            self.begin.show_value(begin)
            self.end.show_value(end)


class ExpiryRow(LimitRow):
    """chosen: Unix seconds, None for no end. start: what a switch that goes on begins with, as it is then."""

    def __init__(self, theme: Theme, start: Callable[[], float], chosen: Callable[[float | None], None]) -> None:
        self.field = DateTimeField(theme, tr("Access ends"))
        super().__init__(
            theme,
            tr("Access ends"),
            "",
            tr("not by itself"),
            [self.field],
            lambda on: chosen(start() if on else None),
        )
        self.field.chosen.connect(chosen)

    def show_value(self, moment: float | None) -> None:
        self.show_on(moment is not None)
        if moment is not None:
            self.field.show_value(moment)
