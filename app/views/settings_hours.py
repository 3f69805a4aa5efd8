"""Serving hours on the Settings page: a switch with two times, and the days on which they begin."""

from __future__ import annotations

from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.i18n import tr
from app.presenters.settings import SettingsPresenter
from app.presenters.settings_rows import Row
from app.theme import Theme
from app.views.settings_row import SettingsRow
from app.widgets.check_box import CheckBox
from app.widgets.label import Label
from app.widgets.number import TimeField
from app.widgets.switch import ROW_SIZE, Switch

HOURS, FROM, TO, DAYS = "manners.hours", "manners.hours_from", "manners.hours_to", "manners.hours_days"


class HoursRow(SettingsRow):
    def __init__(self, presenter: SettingsPresenter, theme: Theme, row: Row) -> None:
        self._presenter = presenter
        label = tr(row.label)
        self.switch = Switch(theme, label, size=ROW_SIZE)
        self.begin = TimeField(theme, tr("Serving begins at"))
        self.end = TimeField(theme, tr("Serving ends at"))
        between = Label(tr("to", "between two times"), tone="text2")
        super().__init__(
            theme,
            label,
            tr(row.hint),
            self.switch,
            self.begin,
            between,
            self.end,
            words=(*row.words, HOURS, FROM, TO),
        )
        self.switch.clicked.connect(lambda on: presenter.set(HOURS, "true" if on else "false"))
        self.begin.chosen.connect(lambda text: presenter.set(FROM, text))
        self.end.chosen.connect(lambda text: presenter.set(TO, text))
        presenter.changed.connect(self._take)
        presenter.failed.connect(self._fail)
        self.refresh()

    def texts(self) -> tuple[str, ...]:
        return (*super().texts(), self.begin.text(), self.end.text())

    def refresh(self) -> None:
        on = self._presenter.on(HOURS)
        self.switch.setChecked(on)
        self.begin.show_value(self._presenter.value(FROM))
        self.end.show_value(self._presenter.value(TO))
        self.begin.setEnabled(on)
        self.end.setEnabled(on)

    def _take(self, key: str) -> None:
        if key in (HOURS, FROM, TO):
            self.set_note("")
            self.refresh()

    def _fail(self, key: str, error: object) -> None:
        if key in (HOURS, FROM, TO):
            self.show_failure(error)


class DaysRow(SettingsRow):
    """The last day that is left cannot be taken away: no day at all would be the switch above."""

    def __init__(self, presenter: SettingsPresenter, theme: Theme, row: Row) -> None:
        self._presenter = presenter
        locale = QLocale()
        self.boxes = {
            str(day): CheckBox(
                theme,
                locale.standaloneDayName(day, QLocale.FormatType.ShortFormat),
                name=locale.standaloneDayName(day),
            )
            for day in range(1, 8)
        }
        days = QWidget()
        days.setAccessibleName(tr(row.label))
        line = QHBoxLayout(days)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        for day, box in self.boxes.items():
            line.addWidget(box)
            box.clicked.connect(lambda _on=False, day=day: self._toggle(day))
        super().__init__(theme, tr(row.label), tr(row.hint), days, words=(*row.words, DAYS))
        presenter.changed.connect(self._take)
        presenter.failed.connect(self._fail)
        self.refresh()

    def texts(self) -> tuple[str, ...]:
        return (*super().texts(), *(box.accessibleName() for box in self.boxes.values()))

    def refresh(self) -> None:
        on, chosen = self._presenter.on(HOURS), self._presenter.value(DAYS)
        for day, box in self.boxes.items():
            box.setChecked(day in chosen)
            box.setEnabled(on and (len(chosen) > 1 or day not in chosen))

    def _toggle(self, day: str) -> None:
        chosen = set(self._presenter.value(DAYS)) ^ {day}
        self._presenter.set(DAYS, "".join(sorted(chosen)))

    def _take(self, key: str) -> None:
        if key in (HOURS, DAYS):
            self.set_note("")
            self.refresh()

    def _fail(self, key: str, error: object) -> None:
        if key == DAYS:
            self.show_failure(error)
