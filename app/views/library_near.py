"""Models near by: those of other programs, used where they lie, and those that a machine beside this one lets copy."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.i18n import tr
from app.presenters.library import LibraryPresenter
from app.presenters.library_rows import near_columns, near_rows
from app.theme import Theme
from app.widgets.card import CARD_FOOT, Card, rule
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.table import ROW_TWO_LINES, Table
from qvac_core.core.state import ErrorInfo


class NearCard(Card):
    """`shown`: the table shows what a neighbour has."""

    shown = Signal()

    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Found near you"), tr("nothing is copied until you say so"), parent=parent)
        self._presenter = presenter
        self.error = ErrorPanel(theme, compact=True)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.add_wide(rule())
        self.table = Table(theme, tr("Found near you"), near_columns(), row_height=ROW_TWO_LINES, header=False)
        self.add_wide(self.table)
        self.nothing = EmptyState(
            theme,
            "folder-open",
            tr("Nothing was found"),
            tr(
                "Models of LM Studio, Ollama, Jan and others show here, and what machines beside this one let you copy."
            ),
        )
        self.add_wide(self.nothing)
        self.body.addSpacing(CARD_FOOT)
        self.table.pressed.connect(self._act)
        self.error.dismissed.connect(self._error_holder.hide)
        presenter.near_changed.connect(self.refresh)
        presenter.found_changed.connect(self.refresh)
        self.refresh()

    @property
    def empty(self) -> bool:
        return not self.table.rows.rows and not self._error_holder.isVisibleTo(self)

    def refresh(self) -> None:
        presenter = self._presenter
        shown = presenter.neighbour.id if presenter.neighbour is not None else ""
        rows = near_rows(
            presenter.usable_near, presenter.neighbours, presenter.busy_programs, lambda neighbour: neighbour == shown
        )
        self.table.show_rows(rows)
        self.table.setVisible(bool(rows))
        self.nothing.setVisible(not rows)

    def _act(self, key: str) -> None:
        if any(neighbour.id == key for neighbour in self._presenter.neighbours):
            self._presenter.show_neighbour(key)
            self.shown.emit()
        else:
            self._presenter.use_found([key])

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
