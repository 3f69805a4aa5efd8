"""The log: what ended, newest first, by request, by person and by day; filtered, exported, kept for as long as said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLocale, QPoint, QSize, Qt, QTime, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QHeaderView, QMenu, QWidget

from app import words
from app.announcements import announce
from app.i18n import later, number, tr, trn
from app.presenters.share import SharePresenter
from app.presenters.share_log import LogView
from app.presenters.share_rows import (
    DAY_COLUMNS,
    DAY_DROP,
    LOG_COLUMNS,
    LOG_DROP,
    PEOPLE_COLUMNS,
    PEOPLE_DROP,
    day_rows,
    log_rows,
    people_rows,
)
from app.presenters.table_rows import Column
from app.theme import Theme
from app.views.receipts_dialog import ReceiptsDialog
from app.views.share_contents import ContentsDialog
from app.views.share_dialogs import confirm
from app.widgets.button import Button
from app.widgets.card import CARD_FOOT, PADDING, Card, rule
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.hour_bars import HourBars
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.own_width import keep_width
from app.widgets.search_field import SearchField
from app.widgets.segmented import Segmented
from app.widgets.table import ROW_LOG, Table
from qvac_core.codec.key_text import short_key
from qvac_core.core.history_state import Contents, LogQuery, LogTotals
from qvac_core.core.receipts_room import ReceiptQuery, ReceiptSide
from qvac_core.core.state import ErrorInfo, LogEntry

Choices = Sequence[tuple[str, str]]  # value and text
Change = Callable[[str], LogQuery]

FILTER_MS = 150
ROWS_AT_LEAST = 6
ROWS_DENSE = 4
NARROW = 780  # below: the hint goes
VIEWS = (
    (LogView.REQUESTS, later("Requests")),
    (LogView.PEOPLE, later("Per person")),
    (LogView.DAYS, later("Per day")),
)
ENDINGS = (
    ("", later("Any ending")),
    ("done", later("Done")),
    ("stopped", later("Stopped")),
    ("left", later("The guest left")),
    ("failed", later("Failed")),
)
KINDS = (
    ("", later("Any kind")),
    ("completionStream", later("Chat")),
    ("embed", later("Embeddings")),
    ("transcribe", later("Speech")),
    ("translate", later("Translation")),
    ("copyModel", later("Copies of models")),
)
TIMES: tuple[tuple[int, str], ...] = (
    (0, later("Any time")),
    (1, later("Today")),
    (7, later("Last 7 days")),
    (30, later("Last 30 days")),
)
KEPT_DAYS = (7, 30, 90, 365, 0)
KEPT_ROWS = (1_000, 10_000, 100_000, 0)


class LogTable(Table):
    """Takes the room that is left: it asks for no more than its fewest rows."""

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.minimumHeight())


class LogCard(Card):
    """`start_wanted`: the empty state of a machine that does not share offers to start."""

    start_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Log"), tr("no prompts or answers"), parent=parent)
        self._least = ROWS_AT_LEAST
        self._share, self._log, self._theme = presenter, presenter.history, theme
        self.view = Segmented(tr("Log"), [(view.value, tr(text)) for view, text in VIEWS])
        # Beside the title, before what is said of it.
        self._titles.insertWidget(1, self.view)
        self.filter = SearchField(theme, tr("Filter the log"), tr("Filter"))
        self.filter.setProperty("measure", "small")
        keep_width(self.filter, theme, 140)
        self.narrow = Button(theme, kind="flat", icon="list-filter", size="small", name=tr("Show only some of the log"))
        self.export = Button(theme, tr("Export"), icon="download", size="small", name=tr("Export the log"))
        self.more = Button(theme, kind="flat", icon="ellipsis", size="small", name=tr("More about the log"))
        for act in (self.filter, self.narrow, self.export, self.more):
            self.add_act(act)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self.table = self._table(tr("Log"), LOG_COLUMNS, LOG_DROP)
        self.people = self._table(tr("Log, per person"), PEOPLE_COLUMNS, PEOPLE_DROP)
        self.days = self._table(tr("Log, per day"), DAY_COLUMNS, DAY_DROP)
        self._build_empty(theme)
        self._build_foot()
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.setInterval(FILTER_MS)
        self._wait.timeout.connect(self._search)
        self._connect()
        theme.changed.connect(self._themed)
        self._themed()
        self.refresh()

    def _table(self, name: str, columns: Sequence[Column], drop: Sequence[int]) -> Table:
        table = LogTable(
            self._theme,
            name,
            columns,
            row_height=ROW_LOG,
            fit=False,
            drop=drop,
            open_at_least=150,
        )
        # All rows are equally high: nothing is to be measured when thousands of them are there.
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.add_wide(table, 1)
        return table

    def _connect(self) -> None:
        self.filter.textChanged.connect(lambda _text: self._wait.start())
        self.view.chosen.connect(lambda value: self._log.show(LogView(value)))
        self.narrow.clicked.connect(self._open_filters)
        self.export.clicked.connect(self.ask_file)
        self.more.clicked.connect(self._open_menu)
        self.error.dismissed.connect(self._error_holder.hide)
        self.table.menu_wanted.connect(self.open_row_menu)
        self.people.menu_wanted.connect(self._open_person_menu)
        bar = self.table.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        self._log.said.connect(self._say)
        share = self._share
        for signal in (
            self._log.changed,
            share.rules_changed,
            share.sharing_changed,
            share.models_changed,
            share.running_changed,
        ):
            signal.connect(self.refresh)

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
        self.clear_search = Button(theme, tr("Clear filter"))
        self.clear_search.clicked.connect(self._clear_filter)
        self.no_hit = EmptyState(theme, "search", "", tr("Searched names, models and endings."), [self.clear_search])
        for state in (self.off, self.quiet, self.no_hit):
            self.add_wide(state, 1)

    def _build_foot(self) -> None:
        self.foot_line = rule()
        self.add_wide(self.foot_line)
        self.foot_title = Label(scale="hint", weight=600)
        self.foot = Label(scale="hint", tone="text2")
        self.kept = Label(scale="hint", tone="text3")
        self.foot_row = QWidget()
        row = QHBoxLayout(self.foot_row)
        row.setContentsMargins(PADDING - 1, 7, PADDING - 1, 3)
        row.setSpacing(12)
        row.addWidget(self.foot_title)
        row.addWidget(self.foot)
        self.hours = HourBars(self._theme)
        row.addWidget(self.hours, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        row.addWidget(self.kept)
        self.add_wide(self.foot_row)
        self.body.addSpacing(CARD_FOOT)

    # --- Showing

    def refresh(self) -> None:
        log, share = self._log, self._share
        self.view.show_choice(log.view.value)
        empty = not log.entries and not log.totals.requests
        requests, people = log.view is LogView.REQUESTS, log.view is LogView.PEOPLE
        if requests:
            self.table.show_rows(log_rows(log.entries, share.name_of, share.clock(), share.label_of))
        elif people:
            self.people.show_rows(people_rows(log.people, share.name_of, share.clock()))
        else:
            self.days.show_rows(day_rows(log.days))
        self.table.setVisible(not empty and requests)
        self.people.setVisible(not empty and people)
        self.days.setVisible(not empty and log.view is LogView.DAYS)
        self._show_empty(empty)
        for widget in (self.view, self.filter, self.narrow, self.export, self.more):
            widget.setVisible(not empty or log.filtered)
        self._show_hint(empty)
        self._show_foot(empty)

    def _show_empty(self, empty: bool) -> None:
        log, share = self._log, self._share
        text = log.query.text
        self.no_hit.title.setText(tr("Nothing contains “{text}”", text=text) if text else tr("No request is like that"))
        self.no_hit.setVisible(empty and log.filtered)
        self.off.setVisible(empty and not log.filtered and not share.on)
        # One filled button on the page: without a model it is the one that gets one.
        self.start.set_kind("primary" if share.models else "quiet")
        self.quiet.title.setText(tr("No requests yet") if not share.running else tr("No request has ended yet"))
        self.quiet.sentence.setText(
            tr("The log keeps who, when and how much, never what.")
            if share.running
            else tr(
                "Requests appear above while they run, with a Stop for each. "
                "The log keeps who, when and how much, never what."
            )
        )
        self.quiet.setVisible(empty and not log.filtered and share.on)

    def _show_hint(self, empty: bool) -> None:
        log = self._log
        keeps = log.keeps_contents
        self.hint.setText(tr("with questions and answers") if keeps else tr("no prompts or answers"))
        self.hint.set_tone("warn" if keeps else "text3")
        self.hint.setVisible((keeps or not empty) and self.width() >= NARROW * self._theme.breadth)

    def _show_foot(self, empty: bool) -> None:
        log = self._log
        found = log.filtered
        self.foot_title.setText(tr("Found") if found else tr("Today"))
        sums = log.totals if found else log.today
        self.foot.setText(_sums(sums) if sums.requests else tr("no requests"))
        busiest = max(range(24), key=lambda hour: log.hours[hour])
        self.hours.show_hours(
            log.hours,
            trn(
                "Requests by hour. The most were at {hour}: %n request.",
                "Requests by hour. The most were at {hour}: %n requests.",
                log.hours[busiest],
                hour=QLocale().toString(QTime(busiest, 0), QLocale.FormatType.ShortFormat),
            ),
        )
        self._show_hours()
        self.kept.setText(
            trn("kept for %n day", "kept for %n days", log.log_days) if log.log_days else tr("kept until you clear it")
        )
        for widget in (self.foot_line, self.foot_row):
            widget.setVisible(not empty)
        icon = "accent" if replace(log.query, text="") != LogQuery() else "text2"
        self.narrow.setIcon(self._theme.icon("list-filter", icon))

    def _show_hours(self) -> None:
        """Where there is room for them."""
        log = self._log
        self.hours.setVisible(not log.filtered and any(log.hours) and self.width() >= NARROW * self._theme.breadth)

    def _scrolled(self, value: int) -> None:
        bar = self.table.verticalScrollBar()
        if value >= bar.maximum() - bar.pageStep():
            self._log.more()

    def _say(self, sentence: str) -> None:
        self.foot.setText(sentence)
        announce(self.window(), sentence)

    # --- Filter

    def _search(self) -> None:
        self._log.search(self.filter.text().strip())

    def _clear_filter(self) -> None:
        self.filter.clear()
        self._wait.stop()
        self._log.narrow(LogQuery())

    def _open_filters(self) -> None:
        self.filter_menu().open_below(self.narrow)

    def filter_menu(self) -> Menu:
        query, share = self._log.query, self._share
        menu = Menu(self)
        people = [
            ("", tr("Anybody")),
            *((key.public_key, _named(key.name, key.public_key)) for key in share.rules.keys),
        ]
        if query.public_key and all(key != query.public_key for key, _ in people):
            people.append((query.public_key, short_key(query.public_key)))
        models = [("", tr("Any model")), *((name, share.label_of(name)) for name in self._log.models)]
        self._choices(menu, tr("Who"), people, query.public_key, lambda key: replace(query, public_key=key))
        self._choices(menu, tr("Model"), models, query.model, lambda name: replace(query, model=name))
        endings = [(value, tr(text)) for value, text in ENDINGS]
        self._choices(menu, tr("Ending"), endings, query.ending, lambda ending: replace(query, ending=ending))
        kinds = [(value, tr(text)) for value, text in KINDS]
        self._choices(menu, tr("Kind"), kinds, query.method, lambda method: replace(query, method=method))
        times = [(str(days), tr(text)) for days, text in TIMES]
        self._choices(
            menu, tr("Time"), times, self._days_of(query), lambda days: replace(query, since=self._since(days))
        )
        menu.addSeparator()
        menu.addAction(tr("Clear filter"), self._clear_filter).setEnabled(self._log.filtered)
        return menu

    def _choices(self, menu: QMenu, title: str, choices: Choices, chosen: str, change: Change) -> None:
        submenu = menu.addMenu(title)
        for value, text in choices:
            action = submenu.addAction(text.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(value == chosen)
            action.triggered.connect(partial(self._narrow_by, change, value))

    def _narrow_by(self, change: Change, value: str) -> None:
        self._log.narrow(change(value))

    def _since(self, days: str) -> float | None:
        """From midnight on: today, or of so many days with it."""
        if days == "0":
            return None
        today = datetime.fromtimestamp(self._share.clock()).replace(hour=0, minute=0, second=0, microsecond=0)
        return (today - timedelta(days=int(days) - 1)).timestamp()

    def _days_of(self, query: LogQuery) -> str:
        return next((str(days) for days, _ in TIMES if self._since(str(days)) == query.since), "")

    # --- Acts

    def open_row_menu(self, request_id: str, point: QPoint) -> None:
        entry = next((entry for entry in self._log.entries if entry.id == request_id), None)
        if entry is not None:
            self.row_menu(entry).popup(point)

    def row_menu(self, entry: LogEntry) -> Menu:
        log, query = self._log, self._log.query
        menu = Menu(self)
        who = _named(self._share.name_of(entry.remote_public_key), entry.remote_public_key)
        only = menu.addAction(tr("Only {name}", name=who))
        only.triggered.connect(lambda: log.narrow(replace(query, public_key=entry.remote_public_key)))
        if entry.model:
            model = menu.addAction(tr("Only {name}", name=self._share.label_of(entry.model)))
            model.triggered.connect(lambda: log.narrow(replace(query, model=entry.model)))
        menu.addSeparator()
        receipt = menu.addAction(self._theme.icon("file-text"), tr("Receipt…"))
        receipt.triggered.connect(lambda: self.show_receipts(entry.id))
        if log.has_contents:
            show = menu.addAction(self._theme.icon("eye"), tr("Question and answer…"))
            show.triggered.connect(lambda: log.contents(entry.id, self._show_contents))
        return menu

    def show_receipts(self, request_id: str = "") -> None:
        """Of one request, or of all that this machine served."""
        query = ReceiptQuery(ReceiptSide.GIVEN, id=request_id)
        presenter = self._log.receipts(query, self._share.name_of, self._share.label_of)
        ReceiptsDialog(presenter, self._theme, self.window()).open()

    def _open_person_menu(self, public_key: str, point: QPoint) -> None:
        menu = Menu(self)
        menu.addAction(tr("Requests of this person"), lambda: self._show_person(public_key))
        menu.popup(point)

    def _show_person(self, public_key: str) -> None:
        self._log.narrow(replace(self._log.query, public_key=public_key))
        self._log.show(LogView.REQUESTS)

    def _show_contents(self, contents: Contents | None) -> None:
        ContentsDialog(self._theme, contents, self.window()).open()

    def _open_menu(self) -> None:
        self.card_menu().open_below(self.more)

    def card_menu(self) -> Menu:
        log = self._log
        menu = Menu(self)
        days = [(str(days), _days(days)) for days in sorted({*KEPT_DAYS, log.log_days}, key=lambda n: n or 1 << 30)]
        rows = [(str(rows), _rows(rows)) for rows in sorted({*KEPT_ROWS, log.log_rows}, key=lambda n: n or 1 << 60)]
        self._settings(menu.addMenu(tr("Keep for")), "sharing.log_days", days, str(log.log_days))
        self._settings(menu.addMenu(tr("Keep at most")), "sharing.log_rows", rows, str(log.log_rows))
        menu.addSeparator()
        menu.addAction(self._theme.icon("file-text"), tr("Receipts…"), self.show_receipts)
        menu.addSeparator()
        keep = menu.addAction(tr("Keep questions and answers…"))
        keep.setCheckable(True)
        keep.setChecked(log.keeps_contents)
        keep.triggered.connect(self.ask_keep)
        if log.has_contents:
            forget = menu.addAction(self._theme.icon("trash-2", "danger"), tr("Forget questions and answers…"))
            forget.triggered.connect(self.ask_forget)
        menu.addSeparator()
        clear = menu.addAction(self._theme.icon("trash-2", "danger"), tr("Clear log…"))
        clear.triggered.connect(self.ask_clear)
        return menu

    def _settings(self, menu: QMenu, name: str, choices: list[tuple[str, str]], chosen: str) -> None:
        for value, text in choices:
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(value == chosen)
            action.triggered.connect(partial(self._log.set_setting, name, value))

    def ask_keep(self) -> None:
        """On: after a question, for it is about other people's words. Off: at once."""
        if self._log.keeps_contents:
            self._log.keep_contents(False)
            return
        confirm(
            self._theme,
            tr("Keep questions and answers?"),
            tr(
                "Guests with QVAC Desktop are told before they send, and only what they send from then on is kept, on "
                "this machine, where only you can read it. Of other guests, who cannot be told, nothing is kept. It is "
                "cleared with the log."
            ),
            tr("Keep and tell guests"),
            lambda: self._log.keep_contents(True),
            self.window(),
        )

    def ask_forget(self) -> None:
        confirm(
            self._theme,
            tr("Forget questions and answers?"),
            tr("What was said is forgotten for good. Who, when and how much stay in the log."),
            tr("Forget them"),
            self._log.forget_contents,
            self.window(),
        )

    def ask_clear(self) -> None:
        confirm(
            self._theme,
            tr("Clear the log?"),
            tr("What was used, by whom and when is forgotten. The counts of today go on."),
            tr("Clear log"),
            self._log.clear,
            self.window(),
        )

    def ask_file(self) -> None:
        day = f"{datetime.fromtimestamp(self._share.clock()):%Y-%m-%d}"
        title = tr("Export what is found") if self._log.filtered else tr("Export the log")
        start = str(Path.home() / f"qvac-log-{day}.csv")
        dialog = QFileDialog(self.window(), title, start, tr("Table, CSV (*.csv);;JSON (*.json)"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.selectFile(start)
        dialog.setDefaultSuffix("csv")
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix("json" if "*.json" in chosen else "csv"))
        dialog.fileSelected.connect(lambda name: self._log.export(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def fit_rows(self, dense: bool) -> None:
        """dense: rows a little lower, and fewer of them."""
        self._least = ROWS_DENSE if dense else ROWS_AT_LEAST
        for table in (self.table, self.people, self.days):
            table.set_row_height(ROW_LOG - 2 if dense else ROW_LOG)
        self._themed()

    def _themed(self) -> None:
        for table in (self.table, self.people, self.days):
            height = table.delegate.row_height()
            table.verticalHeader().setDefaultSectionSize(height)
            table.setMinimumHeight(table.header_height() + self._least * height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_hint(not self._log.entries and not self._log.totals.requests)
        self._show_hours()

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()


def _sums(totals: LogTotals) -> str:
    return "   ".join(
        (
            trn("%n request", "%n requests", totals.requests),
            trn("%n person", "%n people", totals.people),
            tr("{count} tokens", count=words.short_count(totals.tokens)),
            tr("{time} of computing", time=words.whole_duration(totals.ms / 1000)),
        )
    )


def _named(name: str, public_key: str) -> str:
    return name or short_key(public_key)


def _days(days: int) -> str:
    return trn("%n day", "%n days", days) if days else tr("Until I clear it")


def _rows(rows: int) -> str:
    return tr("{count} requests", count=number(rows)) if rows else tr("Any number of requests")
