"""Running now: who uses which model, how fast, since when, and Stop."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.i18n import tr, trn
from app.presenters.share import SharePresenter
from app.presenters.share_rows import RUNNING_COLUMNS, RUNNING_DROP, running_rows
from app.theme import Theme
from app.widgets.badge import Badge
from app.widgets.card import CARD_FOOT, Card, rule
from app.widgets.error_panel import ErrorPanel
from app.widgets.table import Table
from qvac_core.core.state import ErrorInfo


class RunningCard(Card):
    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Running now"), parent=parent)
        self._presenter = presenter
        self.slots = Badge()
        self.waiting = Badge(tone="warn")
        self._titles.insertWidget(1, self.slots)
        self._titles.insertWidget(2, self.waiting)
        self.line = rule()
        self.add_wide(self.line)
        self.table = Table(
            theme, tr("Running now"), RUNNING_COLUMNS, header=False, drop=RUNNING_DROP, open_at_least=110
        )
        self.add_wide(self.table)
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
        # Nothing runs: the title says so, and the card takes no more room than that.
        self.set_hint(tr("nothing is running") if count == 0 else self._busy_models())
        waiting = sum(request.place > 0 for request in presenter.running.values())
        at_work = count - waiting
        self.slots.setText(
            trn("{count} of %n slot", "{count} of %n slots", presenter.slots, count=at_work)
            if presenter.slots >= at_work
            else trn("%n running", "%n running", at_work)
        )
        self.slots.setVisible(count > 0)
        self.waiting.setText(trn("%n waits", "%n wait", waiting))
        self.waiting.setVisible(waiting > 0)

    def _busy_models(self) -> str:
        """Why somebody waits: how many answers at once the model makes that they wait for."""
        presenter = self._presenter
        waited_for = {request.model for request in presenter.running.values() if request.place}
        model = next((model for model in presenter.models if model.name in waited_for), None)
        if model is None:
            return ""
        return trn("{model} has %n slot", "{model} has %n slots", model.slots, model=model.display_name or model.name)

    def tick(self) -> None:
        presenter = self._presenter
        self.table.show_rows(
            running_rows(
                presenter.running.values(), presenter.stopping, presenter.name_of, presenter.clock(), presenter.label_of
            )
        )

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
