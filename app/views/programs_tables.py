"""Models by the names that programs use, and the calls of programs: those that run, then the recent ones."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QClipboard, QGuiApplication
from PySide6.QtWidgets import QHeaderView, QWidget

from app.announcements import announce
from app.i18n import tr, trn
from app.presenters.program_rows import CALL_COLUMNS, CALL_DROP, MODEL_COLUMNS, MODEL_DROP, call_rows, model_rows
from app.presenters.programs import ProgramsPresenter
from app.theme import Theme
from app.views.share_log import LogTable
from app.widgets.button import Button
from app.widgets.card import CARD_FOOT, PADDING, Card
from app.widgets.empty_state import EmptyState
from app.widgets.own_width import keep_width
from app.widgets.search_field import SearchField
from app.widgets.table import ROW_LOG, Table

FIRST_MODELS = 3
FILTER_WIDTH = 150
LINK_PAD = 3  # of a link's button, taken back so that edges align
FEWEST_CALLS = 4
TICK_MS = 1000


class ModelsCard(Card):
    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Models by name"), parent=parent)
        self._presenter = presenter
        self._all = False
        self.filter = SearchField(theme, tr("Filter the models"), tr("Filter"))
        self.filter.setProperty("measure", "small")
        keep_width(self.filter, theme, FILTER_WIDTH)
        self.add_act(self.filter)
        self.table = Table(
            theme,
            tr("Models by name"),
            MODEL_COLUMNS,
            row_height=ROW_LOG,
            header=False,
            drop=MODEL_DROP,
            open_at_least=220,
        )
        self.add_wide(self.table)
        self.show_all = Button(theme, kind="link")
        link = self.add_padded(self.show_all, top=2, bottom=4).layout()
        assert link is not None
        link.setContentsMargins(PADDING - 1 - LINK_PAD, 2, PADDING, 4)
        self.nothing = EmptyState(
            theme,
            "hard-drive",
            tr("No model yet"),
            tr("Models of the Library and those of the providers that answer show here, with the names for programs."),
        )
        self.add_wide(self.nothing)
        self.body.addSpacing(CARD_FOOT)
        self.filter.textChanged.connect(lambda _text: self.refresh())
        self.show_all.clicked.connect(self._toggle)
        self.table.pressed.connect(self._copy)
        presenter.models_changed.connect(self.refresh)
        self.refresh()

    def _toggle(self) -> None:
        self._all = not self._all
        self.refresh()

    def refresh(self) -> None:
        models = self._presenter.models
        rows = model_rows(models, self.filter.text())
        more = len(rows) > FIRST_MODELS
        self.table.show_rows(rows if self._all else rows[:FIRST_MODELS])
        self.table.setVisible(bool(rows))
        self.show_all.setVisible(more)
        self.show_all.setText(tr("Show fewer") if self._all else tr("Show all {count}", count=len(rows)))
        self.nothing.setVisible(not models)
        machines = len({model.offer.provider_key for model in models})
        count = trn("%n model", "%n models", len(models))
        of = trn("%n machine", "%n machines", machines)
        self.set_hint(tr("{models} from {machines}", models=count, machines=of) if models else "")

    def _copy(self, key: str) -> None:
        QGuiApplication.clipboard().setText(key, QClipboard.Mode.Clipboard)
        announce(self, tr("Copied."))


class CallsCard(Card):
    def __init__(self, presenter: ProgramsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Recent calls"), tr("no contents are kept"), parent=parent)
        self._presenter = presenter
        self.clear = Button(theme, tr("Clear"), kind="flat", size="small", name=tr("Clear the recent calls"))
        self.add_act(self.clear)
        self.table = LogTable(
            theme, tr("Recent calls"), CALL_COLUMNS, row_height=ROW_LOG, fit=False, drop=CALL_DROP, open_at_least=120
        )
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.table.setMinimumHeight(self.table.header_height() + FEWEST_CALLS * ROW_LOG)
        self.add_wide(self.table, 1)
        self.nothing = EmptyState(
            theme,
            "terminal",
            tr("No program has called yet"),
            tr("Each call is written down here: which program, who answered, how much. Never what was said."),
        )
        self.add_wide(self.nothing, 1)
        self.body.addSpacing(CARD_FOOT)
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self.refresh)
        self.clear.clicked.connect(presenter.clear_calls)
        self.table.pressed.connect(self._stop)
        self.table.delete_wanted.connect(self._stop)
        presenter.calls_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        self.table.show_rows(call_rows(presenter.calls, presenter.clock()))
        self.table.setVisible(bool(presenter.calls))
        self.nothing.setVisible(not presenter.calls)
        self.clear.setEnabled(any(call.ended for call in presenter.calls))
        # Seconds go on while something runs and somebody looks.
        runs = self.isVisible() and any(not call.ended for call in presenter.calls)
        if runs != self._tick.isActive():
            (self._tick.start if runs else self._tick.stop)()

    def _stop(self, key: str) -> None:
        if any(call.id == key and not call.ended for call in self._presenter.calls):
            self._presenter.stop_call(key)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)  # type: ignore[arg-type]
        self._tick.stop()
