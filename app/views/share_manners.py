"""Manners: when this machine serves nobody although it shares. The card tells how rules stand, the dialog sets them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.i18n import tongue, tr
from app.presenters.manners_words import RuleLine, rule_lines
from app.presenters.share_manners import MannersPresenter
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import PADDING, Card
from app.widgets.check_box import CheckBox
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.icon_label import IconLabel
from app.widgets.label import Label
from app.widgets.number import Number, TimeField
from app.widgets.switch import ROW_SIZE, Switch
from qvac_core.core.state import ErrorInfo, PauseReason

A_MONDAY = datetime(2026, 11, 30)
# The switches of the rules that ask the machine something.
SWITCHES = {
    PauseReason.HOURS: "hours",
    PauseReason.ACTIVE: "while_active",
    PauseReason.OTHER_PROGRAM: "other_gpu",
    PauseReason.BATTERY: "on_battery",
}


class MannersCard(Card):
    def __init__(self, presenter: MannersPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Manners"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self.edit = Button(theme, tr("Edit…"), size="small", name=tr("Edit the manners"))
        self.add_act(self.edit)
        self._lines: list[RuleLine] = []
        self._rows = QVBoxLayout()
        self._rows.setContentsMargins(PADDING - 1, 0, PADDING - 1, PADDING - 4)
        self._rows.setSpacing(4)
        self.body.addLayout(self._rows)
        self.none = Label(
            tr("No rule: guests are served whenever sharing is on."), tone="text3", scale="hint", wrap=True
        )
        self._rows.addWidget(self.none)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.error.dismissed.connect(self._error_holder.hide)
        self.edit.clicked.connect(self.open_dialog)
        presenter.changed.connect(self.refresh)
        self.refresh()

    @property
    def lines(self) -> tuple[RuleLine, ...]:
        return tuple(self._lines)

    def refresh(self) -> None:
        presenter = self._presenter
        lines = rule_lines(presenter.rules, presenter.settings, presenter.clock())
        if lines == self._lines:
            return
        self._lines = lines
        while self._rows.count() > 1:
            item = self._rows.takeAt(1)
            if item is not None and (row := item.widget()) is not None:
                row.hide()
                row.deleteLater()
        for line in lines:
            self._rows.addWidget(_row(line, self._theme))
        self.none.setVisible(not lines)

    def tick(self) -> None:
        self.refresh()

    def open_dialog(self) -> None:
        MannersDialog(self._presenter, self._theme, self.window()).open()

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()


def _row(line: RuleLine, theme: Theme) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    row.addWidget(IconLabel(theme, line.icon, "text2"))
    row.addWidget(Label(line.text, tone="text2", wrap=True), 1)
    row.addWidget(Label(line.state, tone=line.tone, scale="hint"))
    holder.setToolTip(line.tooltip)
    return holder


class MannersDialog(Dialog):
    """Every change acts at once; Close closes."""

    def __init__(self, presenter: MannersPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        sentence = tr("While one of these holds, guests stay connected and are told when to ask again.")
        super().__init__(theme, tr("Manners"), sentence, "", cancel=tr("Close"), parent=parent)
        self._presenter = presenter
        self.switches: dict[str, Switch] = {}
        self._hints: dict[str, Label] = {}
        self.begin, self.end = TimeField(theme, tr("Serve from")), TimeField(theme, tr("Serve until"))
        self.days = {
            day: CheckBox(theme, tongue().weekday(day_, short=True), name=tongue().weekday(day_))
            for day, day_ in ((day, A_MONDAY + timedelta(days=day - 1)) for day in range(1, 8))
        }
        self.minutes = Number(theme, tr("Minutes until this machine counts as unused"), 1, 24 * 60, unit=tr("min"))
        self.amount = Number(theme, tr("Memory of the GPU that counts as need"), 1, 1_000_000, step=100, unit="MB")
        self._add("hours", tr("Serve only at certain hours"), tr("By this machine's clock; over midnight, too."))
        self._add_indented(self.begin, Label(tr("to")), self.end)
        self._add_indented(*self.days.values())
        self._add("while_active", tr("Pause while I use this machine"), tr("Until it is left alone for so long:"))
        self._add_indented(self.minutes)
        self._add("other_gpu", tr("Pause while another program needs the GPU"), tr("Once others hold so much of it:"))
        self._add_indented(self.amount)
        self._add("on_battery", tr("Pause on battery"), "")
        self._add("cut_running", tr("End answers that run, too"), tr("Else they finish, and nobody is cut off."))
        self.error = ErrorPanel(theme)
        self.body.addSpacing(8)
        self.body.addWidget(self.error)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        presenter = self._presenter
        self.begin.chosen.connect(partial(presenter.set, "hours_from"))
        self.end.chosen.connect(partial(presenter.set, "hours_to"))
        self.minutes.chosen.connect(lambda value: presenter.set("active_minutes", str(value)))
        self.amount.chosen.connect(lambda value: presenter.set("other_gpu_mb", str(value)))
        for box in self.days.values():
            box.clicked.connect(self._choose_days)
        presenter.changed.connect(self.refresh)
        presenter.failed.connect(self._show_error)

    def _add(self, name: str, text: str, hint: str) -> None:
        switch = Switch(self._theme, text, size=ROW_SIZE)
        switch.clicked.connect(lambda on: self._switched(name, on))
        self.switches[name] = switch
        label = Label(text, weight=500, wrap=True)
        label.setBuddy(switch)
        said = self._hints[name] = Label(hint, tone="text3", scale="hint", wrap=True)
        said.setVisible(bool(hint))
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(label)
        texts.addWidget(said)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addLayout(texts, 1)
        row.addWidget(switch)
        self.body.addSpacing(10)
        self.body.addLayout(row)

    def _add_indented(self, *widgets: QWidget) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in widgets:
            row.addWidget(widget)
        row.addStretch(1)
        self.body.addLayout(row)

    def _switched(self, name: str, on: bool) -> None:
        self.error.clear()
        self._presenter.set(name, "true" if on else "false")

    def _choose_days(self) -> None:
        chosen = "".join(str(day) for day, box in self.days.items() if box.isChecked())
        if chosen:
            self._presenter.set("hours_days", chosen)
        else:
            self.refresh()  # on no day at all is what the switch is for

    def refresh(self) -> None:
        settings = self._presenter.settings
        for name, switch in self.switches.items():
            switch.setChecked(self._presenter.is_on(name))
        for field, name in ((self.begin, "hours_from"), (self.end, "hours_to")):
            field.show_value(settings.get(name, ""))
            field.setEnabled(self._presenter.is_on("hours"))
        for day, box in self.days.items():
            box.setChecked(str(day) in settings.get("hours_days", ""))
            box.setEnabled(self._presenter.is_on("hours"))
        self.minutes.show_value(int(settings.get("active_minutes") or 5))
        self.minutes.setEnabled(self._presenter.is_on("while_active"))
        self.amount.show_value(int(settings.get("other_gpu_mb") or 1000))
        self.amount.setEnabled(self._presenter.is_on("other_gpu"))
        for rule in self._presenter.rules:
            if rule.unknown:
                name = SWITCHES[rule.reason]
                self._hints[name].setText(tr(rule.unknown))
                self._hints[name].set_tone("warn")
                self._hints[name].show()

    def _show_error(self, place: str, error: ErrorInfo) -> None:
        if place == "manners":
            self.error.show_error(error)
            self.fit()
