"""Running now: who uses which model, how fast, since when, and Stop."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.i18n import tr, trn
from app.presenters.share import SharePresenter
from app.presenters.share_rows import RUNNING_COLUMNS, RUNNING_DROP, running_rows
from app.theme import Theme
from app.widgets.badge import Badge
from app.widgets.card import CARD_FOOT, PADDING, Card, rule
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.table import Table
from qvac_core.core.state import ErrorInfo


class RunningCard(Card):
    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Running now"), parent=parent)
        self._presenter = presenter
        self.slots = Badge()
        self.add_beside_title(self.slots)
        self.line = rule()
        self.add_wide(self.line)
        self.table = Table(
            theme, tr("Running now"), RUNNING_COLUMNS, header=False, drop=RUNNING_DROP, open_at_least=110
        )
        self.add_wide(self.table)
        self._nothing = self.add_padded(Label(tr("Nothing is running."), tone="text2"), bottom=PADDING - CARD_FOOT)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=8, bottom=12)
        self._error_holder.hide()
        self.body.addSpacing(CARD_FOOT)
        self.table.pressed.connect(presenter.stop)
        self.error.dismissed.connect(self._error_holder.hide)
        for signal in (presenter.running_changed, presenter.models_changed, presenter.rules_changed):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        count = len(presenter.running)
        self.tick()
        self.table.setVisible(count > 0)
        self.line.setVisible(count > 0)
        self._nothing.setVisible(count == 0)
        self.slots.setText(
            trn("{count} of %n slot", "{count} of %n slots", presenter.slots, count=count)
            if presenter.slots >= count
            else trn("%n running", "%n running", count)
        )
        self.slots.setVisible(count > 0)

    def tick(self) -> None:
        presenter = self._presenter
        self.table.show_rows(
            running_rows(presenter.running.values(), presenter.stopping, presenter.name_of, presenter.clock())
        )

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
