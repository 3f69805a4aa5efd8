"""The log: what ended, newest first, with a filter and Clear. It knows no prompts and no answers."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.i18n import tr
from app.presenters.share import SharePresenter
from app.presenters.share_rows import LOG_COLUMNS, LOG_DROP, log_rows
from app.theme import Theme
from app.views.share_dialogs import confirm
from app.widgets.button import Button
from app.widgets.card import CARD_FOOT, Card
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.menu import Menu
from app.widgets.search_field import SearchField
from app.widgets.table import ROW_LOG, Table
from qvac_core.core.state import ErrorInfo

FILTER_MS = 150
ROWS_AT_LEAST = 6


class LogCard(Card):
    """`start_wanted`: the empty state of a machine that does not share offers to start."""

    start_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Log"), tr("no prompts or answers are kept"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self.filter = SearchField(theme, tr("Filter the log"), tr("Filter"))
        self.filter.setProperty("measure", "small")
        self.filter.setFixedWidth(150)
        self.more = Button(theme, kind="flat", icon="ellipsis", size="small", name=tr("More about the log"))
        self.add_act(self.filter)
        self.add_act(self.more)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.table = Table(
            theme, tr("Log"), LOG_COLUMNS, row_height=ROW_LOG, fit=False, drop=LOG_DROP, open_at_least=150
        )
        self.add_wide(self.table, 1)
        self._build_empty(theme)
        self.body.addSpacing(CARD_FOOT)
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(FILTER_MS)
        self._wait.timeout.connect(self._search)
        self.filter.textChanged.connect(lambda _text: self._wait.start())
        self.more.clicked.connect(self._open_menu)
        self.error.dismissed.connect(self._error_holder.hide)
        for signal in (
            presenter.log_changed,
            presenter.rules_changed,
            presenter.sharing_changed,
            presenter.models_changed,
            presenter.running_changed,
        ):
            signal.connect(self.refresh)
        theme.changed.connect(self._themed)
        self._themed()
        self.refresh()

    def _build_empty(self, theme: Theme) -> None:
        self.start = Button(theme, tr("Start sharing"), kind="primary")
        self.start.clicked.connect(self.start_wanted)
        self.off = EmptyState(
            theme,
            "power",
            tr("Not sharing"),
            tr("Once you share, each request is written down here: who, when and how much, never what."),
            [self.start],
        )
        self.quiet = EmptyState(theme, "gauge", "", "")
        self.clear_search = Button(theme, tr("Clear search"))
        self.clear_search.clicked.connect(self.filter.clear)
        self.no_hit = EmptyState(theme, "search", "", tr("Searched names, models and endings."), [self.clear_search])
        for state in (self.off, self.quiet, self.no_hit):
            self.add_wide(state, 1)

    def refresh(self) -> None:
        presenter = self._presenter
        self.table.show_rows(log_rows(presenter.log, presenter.name_of, presenter.clock()))
        empty, filtered = not presenter.log, bool(presenter.filter)
        self.table.setVisible(not empty)
        self.no_hit.title.setText(tr("Nothing contains “{filter}”", filter=presenter.filter))
        self.no_hit.setVisible(empty and filtered)
        self.off.setVisible(empty and not filtered and not presenter.on)
        # One filled button on the page: without a model it is the one that gets one.
        self.start.set_kind("primary" if presenter.models else "quiet")
        self.quiet.title.setText(tr("No requests yet") if not presenter.running else tr("No request has ended yet"))
        keeps = tr("The log keeps who, when and how much, never what.")
        runs = tr("Requests appear above while they run, with a Stop for each.")
        self.quiet.sentence.setText(keeps if presenter.running else f"{runs} {keeps}")
        self.quiet.setVisible(empty and not filtered and presenter.on)
        for widget in (self.filter, self.more, self.hint):
            widget.setVisible(not empty or filtered)

    def _search(self) -> None:
        self._presenter.set_filter(self.filter.text().strip())

    def _open_menu(self) -> None:
        menu = Menu(self)
        menu.addAction(self._theme.icon("trash-2", "danger"), tr("Clear log…")).triggered.connect(self.ask_clear)
        menu.open_below(self.more)

    def ask_clear(self) -> None:
        confirm(
            self._theme,
            tr("Clear the log?"),
            tr("What was used, by whom and when is forgotten. The counts of today go on."),
            tr("Clear log"),
            self._presenter.clear_log,
            self.window(),
        )

    def _themed(self) -> None:
        rows = ROWS_AT_LEAST * self.table.delegate.row_height()
        self.table.setMinimumHeight(self.table.header_height() + rows)

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()
