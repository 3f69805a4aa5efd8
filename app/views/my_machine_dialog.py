"""A machine of one's own, from afar: its models and downloads, its log, and whether it shares."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCompleter,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from app.i18n import later, listed, tr
from app.presenters.library_rows import fraction
from app.presenters.my_machine import (
    LOG_COLUMNS,
    LOG_DROP,
    MODEL_COLUMNS,
    MODEL_DROP,
    MyMachinePresenter,
    download_words,
)
from app.presenters.table_rows import Row
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.card import rule
from app.widgets.dialog import Dialog
from app.widgets.elided_label import ElidedLabel
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.own_width import keep_width
from app.widgets.segmented import Segmented
from app.widgets.status_line import StatusLine
from app.widgets.table import ROW_LOG, ROW_TWO_LINES, Table
from qvac_core.core.download_state import DownloadChanged, DownloadState
from qvac_core.core.my_machines_state import DownloadThere
from qvac_core.core.state import ErrorInfo
from qvac_core.models import all_models

WIDTH = 600
TABLE_LEAST = 220  # pixels that the open column has before others are dropped
ROWS_SHOWN = 6
STEPS = 1000
PAUSES: tuple[tuple[str, float | None], ...] = (
    (later("For half an hour"), 30.0),
    (later("For an hour"), 60.0),
    (later("For four hours"), 240.0),
    (later("Until I resume"), None),
)


class MyMachineDialog(Dialog):
    """`presenter` is this dialog's own."""

    def __init__(self, presenter: MyMachinePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, presenter.name, "", "", cancel=tr("Close"), parent=parent)
        presenter.setParent(self)
        self._presenter = presenter
        self.question: Dialog | None = None
        keep_width(self, theme, WIDTH, least=True)
        self.line = StatusLine(theme)
        self.pause = Button(theme, tr("Pause"), icon="pause", name=tr("Pause sharing there"))
        self.resume = Button(theme, tr("Resume"), icon="play", name=tr("Resume sharing there"))
        self.error = ErrorPanel(theme)
        self.views = Segmented(tr("What is shown"), (("models", tr("Models")), ("log", tr("Log"))))
        self.views.show_choice("models")
        self.models = Table(
            theme,
            tr("Models of {name}", name=presenter.name),
            MODEL_COLUMNS,
            fit=False,
            row_height=ROW_TWO_LINES,
            drop=MODEL_DROP,
            open_at_least=TABLE_LEAST,
        )
        self.log = Table(
            theme,
            tr("Requests at {name}", name=presenter.name),
            LOG_COLUMNS,
            fit=False,
            row_height=ROW_LOG,
            drop=LOG_DROP,
            open_at_least=TABLE_LEAST // 2,
        )
        self.nothing = Label(tone="text2", wrap=True)
        self.no_log = Label(tr("Nobody has asked it for anything yet."), tone="text2", wrap=True)
        self.wanted = QLineEdit()
        self.wanted.setAccessibleName(tr("Model to download there"))
        self.wanted.setPlaceholderText(tr("A model’s name, or its address"))
        names = QCompleter(sorted(model.name for model in all_models() if not model.is_projector), self)
        names.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        names.setFilterMode(Qt.MatchFlag.MatchContains)
        self.wanted.setCompleter(names)
        self.get = Button(theme, tr("Download"), icon="download", name=tr("Download the model there"))
        self.downloads = QVBoxLayout()
        self.downloads.setSpacing(0)
        self.rows: dict[str, DownloadThereRow] = {}
        self._lay_out()
        self._connect()
        self.refresh()
        presenter.look()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.line, 1)
        top.addWidget(self.pause)
        top.addWidget(self.resume)
        self.body.addSpacing(4)
        self.body.addLayout(top)
        self.body.addWidget(self.error)
        self.body.addSpacing(6)
        self.body.addWidget(self.views, 0, Qt.AlignmentFlag.AlignLeading)
        self.body.addSpacing(2)
        self.models_page, self.log_page = QWidget(), QWidget()
        column = QVBoxLayout(self.models_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.nothing)
        column.addWidget(self.models)
        column.addStretch(1)
        column.addLayout(self.downloads)
        get = QHBoxLayout()
        get.setSpacing(8)
        get.addWidget(self.wanted, 1)
        get.addWidget(self.get)
        column.addLayout(get)
        lines = QVBoxLayout(self.log_page)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addWidget(self.no_log)
        lines.addWidget(self.log)
        lines.addStretch(1)
        self.body.addWidget(self.models_page, 1)
        self.body.addWidget(self.log_page, 1)
        self.log_page.hide()

    def _connect(self) -> None:
        presenter = self._presenter
        self.pause.clicked.connect(lambda: self.pause_menu().open_below(self.pause))
        self.resume.clicked.connect(presenter.resume)
        self.views.chosen.connect(self._show_view)
        self.models.pressed.connect(self._press)
        self.models.menu_wanted.connect(lambda name, place: self.model_menu(name).popup(place))
        self.models.delete_wanted.connect(self.ask_to_remove)
        self.get.clicked.connect(self._download)
        self.wanted.returnPressed.connect(self._download)
        self.wanted.textChanged.connect(self._show_get)
        presenter.changed.connect(self.refresh)
        presenter.failed.connect(self._show_error)
        self.finished.connect(presenter.stop)

    # --- What is so

    def refresh(self) -> None:
        presenter, state = self._presenter, self._presenter.state
        clause, tone = presenter.clause
        icon = {"accent": "circle-check", "danger": "circle-x", "warn": "pause"}.get(tone, "clock")
        facts = presenter.failure.message if presenter.failure is not None else presenter.facts
        self.line.show_status(icon, clause, facts, tone)
        there = state is not None and presenter.failure is None
        self.pause.setVisible(there and state is not None and not state.paused)
        self.resume.setVisible(there and state is not None and state.paused)
        self.models.setEnabled(there)
        rows = presenter.model_rows()
        _show_table(self.models, rows, self.nothing)
        self.nothing.setText(tr("It has no model yet.") if there else "")
        _show_table(self.log, presenter.log_rows(), self.no_log)
        self._show_downloads(state.downloads if state is not None else ())
        self.wanted.setEnabled(there)
        self._show_get()
        self._fit_now()

    def _fit_now(self) -> None:
        """What came into a page or went is counted at once, not once its layout has heard of it."""
        if self.isVisible():
            for page in (self.models_page, self.log_page):
                if (layout := page.layout()) is not None:
                    layout.activate()
            self.fit()

    def _show_get(self) -> None:
        self.get.setEnabled(self.wanted.isEnabled() and bool(self.wanted.text().strip()))
        self.get.setToolTip("" if self.get.isEnabled() else tr("Write a model’s name or address first"))

    def _show_downloads(self, downloads: tuple[DownloadThere, ...]) -> None:
        wanted = {one.model: one for one in downloads}
        for model in [model for model in self.rows if model not in wanted]:
            row = self.rows.pop(model)
            self.downloads.removeWidget(row)
            row.hide()
            row.deleteLater()
        for model, one in wanted.items():
            if model not in self.rows:
                self.rows[model] = DownloadThereRow(self._theme)
                self.rows[model].cancel.clicked.connect(partial(self._cancel, model))
                self.downloads.addWidget(self.rows[model])
                self.rows[model].show()  # not with Qt's next turn: a layout counts what is shown
            self.rows[model].show_download(one)

    def _show_view(self, view: str) -> None:
        self.models_page.setVisible(view != "log")
        self.log_page.setVisible(view == "log")
        self._fit_now()
        self._presenter.want_log(view == "log")

    def _show_error(self, error: ErrorInfo) -> None:
        self.error.show_error(error, [Act(tr("Look again"), self._look_again, icon="refresh-cw")])
        self._fit_now()

    def _look_again(self) -> None:
        self.error.clear()
        self._presenter.look()

    # --- Intents

    def pause_menu(self) -> Menu:
        menu = Menu(self)
        for text, minutes in PAUSES:
            menu.addAction(tr(text), partial(self._presenter.pause, minutes))
        return menu

    def model_menu(self, name: str) -> Menu:
        presenter = self._presenter
        model = presenter.model(name)
        menu = Menu(self)
        if model is not None and model.state == "loaded":
            menu.addAction(tr("Unload"), partial(presenter.unload, name))
        elif model is not None and model.state == "idle":
            menu.addAction(tr("Load"), partial(presenter.load, name))
        menu.addSeparator()
        icon = self._theme.icon("trash-2", "danger")
        menu.addAction(icon, tr("Remove from that machine…"), partial(self.ask_to_remove, name))
        return menu

    def _press(self, name: str) -> None:
        model = self._presenter.model(name)
        if model is not None and model.state == "loaded":
            self._presenter.unload(name)
        elif model is not None:
            self._presenter.load(name)

    def ask_to_remove(self, name: str) -> None:
        label = self._presenter.label_of(name)
        dialog = self.question = Dialog(
            self._theme,
            tr("Remove {model} from {name}?", model=label, name=self._presenter.name),
            tr("Its file is deleted there, and its guests can use it no more. To have it again it is downloaded anew."),
            tr("Remove"),
            kind="danger",
            parent=self,
        )
        dialog.accepted.connect(lambda: self._presenter.remove(name))
        dialog.finished.connect(self._forget_question)
        dialog.open()

    def _forget_question(self) -> None:
        self.question = None

    def _download(self) -> None:
        if self.get.isEnabled():
            self._presenter.download(self.wanted.text())
            self.wanted.clear()

    def _cancel(self, model: str) -> None:
        self._presenter.cancel(model)


class DownloadThereRow(QWidget):
    """One download there: title, how much of it has come, what it does, and Cancel."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.title = ElidedLabel(weight=500)
        self.amount = Label(scale="hint", tone="text3")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.state = Label(scale="hint", tone="text3", wrap=True)
        self.cancel = Button(theme, kind="flat", icon="x", size="small", name=tr("Cancel the download"))
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.title)
        top.addStretch(1)
        top.addWidget(self.amount)
        top.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 6)
        layout.setSpacing(4)
        layout.addWidget(rule())
        layout.addLayout(top)
        layout.addWidget(self.bar)
        layout.addWidget(self.state)

    def show_download(self, one: DownloadThere) -> None:
        amount, said = download_words(one)
        self.title.setText(one.title)
        self.amount.setText(amount)
        self.state.setText(said)
        self.state.set_tone("danger" if one.state is DownloadState.FAILED else "text3")
        self.cancel.setVisible(one.state is not None and one.state is not DownloadState.DONE)
        name = tr("Cancel the download of {model}", model=one.title)
        self.cancel.setAccessibleName(name)
        self.cancel.setToolTip(name)
        moving = one.state in (None, DownloadState.RUNNING, DownloadState.CHECKING)
        if one.total <= 0 and moving:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, STEPS)
            arrived = fraction(DownloadChanged(one.model, one.downloaded, one.total, 0.0))
            whole = one.state in (DownloadState.DONE, DownloadState.CHECKING)
            self.bar.setValue(STEPS if whole else round(STEPS * arrived))
        self.bar.setAccessibleName(tr("Download of {model}", model=one.title))
        self.bar.setAccessibleDescription(said)
        self.setAccessibleName(listed(tuple(filter(None, (one.title, amount, said)))))


def _show_table(table: Table, rows: list[Row], nothing: Label) -> None:
    table.show_rows(rows)
    shown = min(max(1, len(rows)), ROWS_SHOWN)
    table.setFixedHeight(table.header_height() + shown * table.delegate.row_height() + 2)
    table.setVisible(bool(rows))
    nothing.setVisible(not rows)
