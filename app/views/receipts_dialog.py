"""Receipts of one request or of all: who signed what was served, and Export for whoever is to check it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from app.announcements import announce
from app.i18n import tr
from app.presenters.receipts import COLUMNS, DROP, ReceiptsPresenter
from app.theme import Theme
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.own_width import keep_width
from app.widgets.table import ROW_LOG, Table
from qvac_core.core.state import ErrorInfo

TABLE_WIDTH = 640
ROWS_SHOWN = 8


class ReceiptsDialog(Dialog):
    """`presenter` is this dialog's own. `comparison_wanted`: of a provider, by its key."""

    comparison_wanted = Signal(str)

    def __init__(self, presenter: ReceiptsPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        sentence = (
            tr(
                "You and the provider sign what was served, behind each answer. It proves that both agreed on it, and "
                "not what was computed."
            )
            if presenter.as_guest
            else tr(
                "You and your guest sign what was served, behind each answer. It proves that both agreed on it, and "
                "not what was computed."
            )
        )
        super().__init__(theme, tr("Receipts"), sentence, "", cancel=tr("Close"), parent=parent)
        presenter.setParent(self)
        self._presenter = presenter
        self.table = Table(
            theme, tr("Receipts"), COLUMNS, row_height=ROW_LOG, fit=False, drop=DROP, open_at_least=TABLE_WIDTH
        )
        keep_width(self.table, theme, TABLE_WIDTH, least=True)
        self.nothing = Label(
            tr("There is no receipt. They come between two of QVAC Desktop, once something was served."),
            tone="text2",
            wrap=True,
        )
        self.error = ErrorPanel(theme)
        self.error.hide()
        self.told = Label(tone="text2", wrap=True)
        self.export = Button(theme, tr("Export…"), icon="download", name=tr("Export the receipts"))
        self.export.clicked.connect(self.ask_file)
        self.buttons.insertWidget(0, self.export)
        self.compare = Button(
            theme, tr("Compare with another provider…"), name=tr("Compare its answers with another provider's")
        )
        self.compare.clicked.connect(self._compare)
        self.buttons.insertWidget(1, self.compare)
        self.body.addSpacing(8)
        for widget in (self.error, self.table, self.nothing, self.told):
            self.body.addWidget(widget)
        presenter.changed.connect(self.refresh)
        presenter.said.connect(self._say)
        presenter.failed.connect(self._show_error)
        self.refresh()
        presenter.load()

    def refresh(self) -> None:
        rows = self._presenter.rows
        self.table.show_rows(rows)
        self.table.setFixedHeight(
            self.table.header_height() + min(max(1, len(rows)), ROWS_SHOWN) * self.table.delegate.row_height() + 2
        )
        self.table.setVisible(bool(rows))
        self.nothing.setVisible(not rows)
        self.export.setEnabled(self._presenter.exportable)
        self.compare.setVisible(self._presenter.as_guest and bool(rows))
        self.told.setVisible(bool(self.told.text()))
        if self.isVisible():
            self.fit()

    def _compare(self) -> None:
        """Of the row that is chosen, else of the first."""
        place = max(0, self.table.currentIndex().row())
        key = self._presenter.kept[place].peer
        self.reject()
        self.comparison_wanted.emit(key)

    def ask_file(self) -> None:
        start = str(Path.home() / "qvac-receipts.jsonl")
        dialog = QFileDialog(self, tr("Export the receipts"), start, tr("Receipts (*.jsonl)"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.selectFile(start)
        dialog.setDefaultSuffix("jsonl")
        dialog.fileSelected.connect(lambda name: self._presenter.export(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _say(self, sentence: str) -> None:
        self.error.hide()
        self.told.setText(sentence)
        announce(self, sentence)
        self.refresh()

    def _show_error(self, error: ErrorInfo) -> None:
        self.error.show_error(error)
        self.fit()
