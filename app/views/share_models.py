"""Models I share: a switch for each, what it takes, how it stands; and how to get one when there is none."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app import words
from app.i18n import tr
from app.presenters.share import SharePresenter
from app.presenters.share_rows import MODEL_COLUMNS, MODEL_DROP, model_rows
from app.theme import Theme
from app.views.share_options import ModelOptionsDialog
from app.widgets.button import Button
from app.widgets.card import CARD_FOOT, Card
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.meter import Part, PartsMeter
from app.widgets.table import ROW_TWO_LINES, Table
from qvac_core.core.model_options import OptionsOfModel
from qvac_core.core.state import DownloadChanged, DownloadState, ErrorInfo, SharedModel

MEGABYTE = 1_000_000


class ModelsCard(Card):
    """`library_wanted`: a model is to be found in the Library. `servers_wanted`: one of another server."""

    library_wanted = Signal()
    servers_wanted = Signal()

    def __init__(self, presenter: SharePresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("Models I share"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self.free = Button(theme, tr("Free the GPU"), size="small", name=tr("Free the memory of unused models"))
        self.add_act(self.free)
        self.add = Button(theme, tr("Add…"), icon="plus", size="small", name=tr("Add a model"))
        self.add_act(self.add)
        self.table = Table(
            theme, tr("Models I share"), MODEL_COLUMNS, row_height=ROW_TWO_LINES, drop=MODEL_DROP, open_at_least=130
        )
        self.add_wide(self.table)
        download = Button(theme, tr("Get a small model"), kind="primary", icon="download")
        open_file = Button(theme, tr("Open file…"), icon="folder-open", name=tr("Open a model file"))
        self.get = download
        self.empty = EmptyState(
            theme,
            "hard-drive",
            tr("No model in the library"),
            tr("Download a small one to begin with, or open a GGUF file of yours."),
            [download, open_file],
        )
        self.add_wide(self.empty)
        self.memory = PartsMeter(theme, tr("Memory for models"))
        self._memory_holder = self.add_padded(self.memory, top=8, bottom=10)
        self.progress = DownloadPanel(theme)
        self._progress_holder = self.add_padded(self.progress, top=8, bottom=12)
        self.error = ErrorPanel(theme)
        self._error_holder = self.add_padded(self.error, top=8, bottom=12)
        self._error_holder.hide()
        self.body.addSpacing(CARD_FOOT)
        self.table.toggled.connect(presenter.set_model_shared)
        self.table.menu_wanted.connect(self.open_menu)
        self.free.clicked.connect(presenter.free_models)
        presenter.gauges.changed.connect(self._show_memory)
        self.add.clicked.connect(self._open_add_menu)
        open_file.clicked.connect(self.choose_file)
        download.clicked.connect(presenter.get_small_model)
        self.progress.cancel.clicked.connect(presenter.cancel_download)
        self.error.dismissed.connect(self._error_holder.hide)
        presenter.models_changed.connect(self.refresh)
        presenter.download_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        presenter = self._presenter
        self.table.show_rows(model_rows(presenter.models))
        empty = not presenter.models and presenter.download is None
        self.table.setVisible(bool(presenter.models))
        self.empty.setVisible(empty)
        self.free.setVisible(any(model.state == "loaded" for model in presenter.models))
        self._show_memory()
        self._progress_holder.setVisible(presenter.download is not None)
        if presenter.download is not None:
            self.progress.show_progress(presenter.download)

    def _open_add_menu(self) -> None:
        menu = Menu(self)
        menu.addAction(self._theme.icon("hard-drive"), tr("From the library…"), self.library_wanted.emit)
        menu.addAction(self._theme.icon("folder-open"), tr("Open a model file…"), self.choose_file)
        menu.addAction(self._theme.icon("cable"), tr("Models of another server…"), self.servers_wanted.emit)
        menu.open_below(self.add)

    def _show_memory(self) -> None:
        """What models take of the memory that they are loaded into, and what is left of it, or of the cap."""
        presenter = self._presenter
        now, gpu = presenter.gauges.now, presenter.gauges.gpu
        total, used = (gpu.total_bytes, gpu.used_bytes) if gpu else (now.total_bytes, now.used_bytes) if now else (0, 0)
        held = sum(model.memory_bytes for model in presenter.models if model.state == "loaded")
        self._memory_holder.setVisible(total > 0 and bool(presenter.models))
        if not total:
            return
        other = max(0, used - held)
        parts = [
            Part(held, tr("{size} models", size=words.size(held)) if held else tr("no model loaded")),
            Part(other, tr("{size} other", size=words.size(other)), "text3"),
        ]
        left, cap = max(0, total - held - other), presenter.options.cap_mb
        if cap:
            left = max(0, min(left, cap * MEGABYTE - held))
            rest = tr("cap {cap}, {size} free", cap=words.size(cap * MEGABYTE), size=words.size(left))
        else:
            rest = tr("{size} free", size=words.size(left))
        self.memory.show_parts(parts, total, rest)

    def open_menu(self, name: str, point: QPoint) -> None:
        model = next((model for model in self._presenter.models if model.name == name), None)
        if model is not None and model.ability:
            self.menu_of(model).popup(point)

    def menu_of(self, model: SharedModel) -> Menu:
        menu = Menu(self)
        settings = menu.addAction(self._theme.icon("sliders-horizontal"), tr("Settings…"))
        settings.triggered.connect(lambda: self.open_options(model))
        text = tr("Stop sharing") if model.shared else tr("Share")
        share = menu.addAction(text)
        share.triggered.connect(lambda: self._presenter.set_model_shared(model.name, not model.shared))
        if model.server:
            return menu
        copy = menu.addAction(tr("Guests may copy its file"))
        copy.setCheckable(True)
        copy.setChecked(model.copyable)
        copy.triggered.connect(lambda on: self._presenter.set_model_copyable(model.name, on))
        return menu

    def open_options(self, model: SharedModel) -> None:
        options = self._presenter.options

        def show(found: OptionsOfModel) -> None:
            ModelOptionsDialog(options, self._theme, model, found, self.window()).open()

        options.ask(model.name, show)

    def choose_file(self) -> None:
        dialog = QFileDialog(
            self.window(), tr("Add a model"), str(Path.home()), tr("Models (*.gguf *.bin);;All files (*)")
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self._presenter.add_model_file(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        self.error.show_error(error)

    def clear_error(self) -> None:
        self.error.clear()
        self._error_holder.hide()


class DownloadPanel(QWidget):
    """A download: what, how much, how fast, how long still; and a way out."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label(weight=600)
        self.amount = Label(scale="hint", tone="text3")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(tr("Download"))
        self.rate = Label(scale="hint", tone="text2")
        self.cancel = Button(theme, tr("Cancel"), kind="flat", size="small", name=tr("Cancel the download"))
        top, bottom = QHBoxLayout(), QHBoxLayout()
        for row in (top, bottom):
            row.setSpacing(8)
        top.addWidget(self.title, 1)
        top.addWidget(self.amount)
        bottom.addWidget(self.rate, 1)
        bottom.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(top)
        layout.addWidget(self.bar)
        layout.addLayout(bottom)

    def show_progress(self, download: DownloadChanged) -> None:
        name = download.title or download.model
        self.title.setText(tr("Downloading {model}", model=name) if name else tr("Downloading a small model"))
        if download.total <= 0:
            self.bar.setRange(0, 0)
            self.amount.setText("")
            self.rate.setText(tr("Asking where to get it from…"))
            return
        self.bar.setRange(0, 1000)
        self.bar.setValue(round(1000 * download.downloaded / download.total))
        self.amount.setText(words.pair_of_sizes(download.downloaded, download.total))
        if download.state is DownloadState.QUEUED:
            self.rate.setText(tr("Waits until another one is here."))
        elif download.state is DownloadState.CHECKING:
            self.rate.setText(tr("Checking that every byte is right"))
        elif download.rate > 0:
            left = words.whole_duration((download.total - download.downloaded) / download.rate)
            self.rate.setText(tr("{rate}, about {time} left", rate=words.rate(download.rate), time=left))
        else:
            self.rate.setText(tr("Waiting for the first bytes…"))
