"""The models of this machine: what each takes and when it was used, the disk, the folder, and what removing frees."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app import words
from app.i18n import tr
from app.presenters import library_rows as rows
from app.presenters.library import LibraryPresenter
from app.theme import Theme
from app.views.library_dialogs import FreeUpDialog, ask_to_move, ask_to_remove
from app.widgets.button import Button
from app.widgets.card import Card, rule
from app.widgets.elided_label import ElidedLabel
from app.widgets.empty_state import EmptyState
from app.widgets.error_panel import Act, ErrorPanel
from app.widgets.label import Label
from app.widgets.menu import Menu
from app.widgets.meter import Part, PartsMeter
from app.widgets.own_font import keep_font
from app.widgets.table import ROW_TWO_LINES, Table
from qvac_core.core.library_state import Kind, ModelHere, ModelsFolder, Move, MoveState
from qvac_core.core.state import ErrorInfo

FIRST_SHOWN = 3
STEPS = 1000
LINK_PAD = 3  # the link's own, taken back so that texts end where others do


class HereCard(Card):
    """`find_wanted`: somebody without a model wants to look for one."""

    find_wanted = Signal()

    def __init__(self, presenter: LibraryPresenter, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(tr("On this machine"), parent=parent)
        self._presenter, self._theme = presenter, theme
        self._all = False
        self._always_all = False
        self.show_all = Button(theme, tr("Show all"), kind="flat", size="small")
        self.free_up = Button(theme, tr("Free up…"), icon="trash-2", size="small", name=tr("Free up disk space"))
        self.add = Button(theme, tr("Add…"), icon="plus", size="small", name=tr("Open a model file"))
        self.add_act(self.show_all)
        self.add_act(self.free_up)
        self.add_act(self.add)
        self.error = ErrorPanel(theme, compact=True)
        self._error_holder = self.add_padded(self.error, top=4, bottom=12)
        self._error_holder.hide()
        self._line = rule()
        self.add_wide(self._line)
        self.table = Table(theme, tr("On this machine"), rows.here_columns(), row_height=ROW_TWO_LINES, header=False)
        self.add_wide(self.table)
        self._foot_line = rule()
        self.add_wide(self._foot_line)
        self.disk = PartsMeter(theme, tr("Disk"))
        self.move_panel = MovePanel(theme)
        self.path = ElidedLabel(scale="hint", tone="text2", middle=True)
        self.change = Button(theme, tr("Change folder…"), kind="link")
        self.change.setProperty("scale", "hint")
        self.add_padded(self._make_foot(), top=8, bottom=8)
        use = Button(theme, kind="primary")
        find = Button(theme, tr("Find a model"), icon="search")
        open_file = Button(theme, tr("Open file…"), icon="folder-open", name=tr("Open a model file"))
        self.use_found, self.find_model, self.open_file = use, find, open_file
        self.empty = EmptyState(theme, "hard-drive", tr("No model on this machine"), "", [use, find, open_file])
        self.body.insertWidget(0, self.empty)
        self._connect()
        self.refresh()

    def _make_foot(self) -> QWidget:
        holder = QWidget()
        self._folder_label = Label(tr("Folder"), scale="hint", tone="text3")
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._folder_label)
        line.addWidget(self.path)
        line.addStretch(1)
        line.addWidget(self.change)
        line.setContentsMargins(0, 0, -LINK_PAD, 0)
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.disk)
        layout.addWidget(self.move_panel)
        layout.addLayout(line)
        return holder

    def _connect(self) -> None:
        presenter = self._presenter
        self.show_all.clicked.connect(self._toggle_all)
        self.free_up.clicked.connect(self.ask_to_free_up)
        self.change.clicked.connect(self.choose_folder)
        self.table.menu_wanted.connect(self.open_menu)
        self.table.delete_wanted.connect(self.ask_to_remove)
        self.move_panel.cancel.clicked.connect(lambda: presenter.cancel_move())
        self.use_found.clicked.connect(lambda: presenter.use_found([p.id for p in presenter.usable_near]))
        self.find_model.clicked.connect(lambda: self.find_wanted.emit())
        self.open_file.clicked.connect(self.choose_file)
        self.add.clicked.connect(self.choose_file)
        self.error.dismissed.connect(self._error_holder.hide)
        for signal in (presenter.models_changed, presenter.near_changed, presenter.folder_changed):
            signal.connect(self.refresh)

    # --- Shown

    def set_narrow(self, narrow: bool) -> None:
        """Where the card has the page to itself, all models are shown."""
        self._always_all = narrow
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_acts()

    def _fit_acts(self) -> None:
        self.fit_acts({self.add: tr("Add…"), self.free_up: tr("Free up…")}, self.width() - 2)

    def tick(self) -> None:
        self._show_rows()

    def refresh(self) -> None:
        presenter = self._presenter
        empty = not presenter.models and presenter.models_known
        self.empty.setVisible(empty)
        self._show_nothing()
        for widget in (self._line, self.table, self._foot_line):
            widget.setVisible(not empty)
        self.set_hint(rows.here_hint(presenter.models) if presenter.models else "")
        self.free_up.setVisible(any(model.ours for model in presenter.models))
        self.show_all.setVisible(len(presenter.models) > FIRST_SHOWN and not self._always_all)
        self.show_all.setText(tr("Show fewer") if self._all else tr("Show all"))
        self.show_all.setAccessibleName(tr("Show fewer models") if self._all else tr("Show all models"))
        self._fit_acts()
        self._show_rows()
        self._show_folder(presenter.folder)

    def shown_models(self) -> list[ModelHere]:
        """Those used last first."""
        models = sorted(self._presenter.models, key=lambda model: -(model.last_used or 0.0))
        return models if self._all or self._always_all else models[:FIRST_SHOWN]

    def _show_rows(self) -> None:
        self.table.show_rows(rows.here_rows(self.shown_models(), self._presenter.clock()))

    def _show_nothing(self) -> None:
        sentence, count = rows.nothing_here(self._presenter.programs)
        self.empty.sentence.setText(sentence)
        self.use_found.setVisible(count > 0)
        self.open_file.setVisible(count == 0)
        self.add.setVisible(bool(self._presenter.models))  # without any the empty state has it
        self.use_found.setText(rows.use_words(count))
        self.use_found.setAccessibleName(rows.use_words(count))
        self.find_model.set_kind("quiet" if count else "primary")

    def _show_folder(self, folder: ModelsFolder | None) -> None:
        known = folder is not None
        self._folder_label.setVisible(known)
        self.path.setVisible(known)
        self.change.setVisible(known)
        move = folder.move if folder is not None else None
        moving = move is not None and move.state is MoveState.RUNNING
        self.disk.setVisible(known and not moving)
        self.move_panel.setVisible(moving)
        if folder is None:
            return
        self.path.setText(str(folder.path))
        keep_font(self.path, self._theme, lambda: self._theme.fixed_font("hint"))
        self.change.setEnabled(not folder.given and not moving)
        why = tr("It was named on the command line, for this start.") if folder.given else ""
        self.change.setToolTip(why or (tr("The models are being moved.") if moving else ""))
        self.disk.setVisible(not folder.missing and not moving)
        parts = []
        if folder.models_bytes:
            parts.append(Part(folder.models_bytes, tr("{size} models", size=words.size(folder.models_bytes))))
        if folder.part_bytes:
            said = tr("{size} on their way", size=words.size(folder.part_bytes))
            parts.append(Part(folder.part_bytes, said, "live"))
        parts.append(Part(folder.other_bytes, tr("{size} other files", size=words.size(folder.other_bytes)), "text3"))
        total = sum(part.amount for part in parts) + folder.free_bytes
        self.disk.show_parts(parts, total, tr("{size} free", size=words.size(folder.free_bytes)))
        if move is not None and moving:
            self.move_panel.show_move(move)
        if folder.missing:
            title = tr("The models folder is not there.")
            sentence = tr("Connect the disk that holds {folder}, or choose another folder.", folder=str(folder.path))
            self.show_error(ErrorInfo("MODELS_FOLDER_MISSING", 0, title, sentence))

    def show_error(self, error: ErrorInfo) -> None:
        self._error_holder.show()
        acts = [Act(tr("Other folder…"), self.choose_folder)] if error.name == "MODELS_FOLDER_MISSING" else []
        self.error.show_error(error, acts)

    def clear_error(self) -> None:
        folder = self._presenter.folder
        if folder is None or not folder.missing:
            self.error.clear()
            self._error_holder.hide()

    # --- Acts

    def _toggle_all(self) -> None:
        self._all = not self._all
        self.refresh()

    def open_menu(self, name: str, place: QPoint) -> None:
        presenter = self._presenter
        model = presenter.model(name)
        if model is None:
            return
        menu = Menu(self)
        if model.kind is Kind.CHAT:
            menu.addAction(self._theme.icon("message-square"), tr("Chat with it"), partial(presenter.chat_with, name))
        if model.kind is not None:
            share = tr("Stop sharing it") if model.shared else tr("Share it")
            act = partial(presenter.set_shared, name, not model.shared)
            menu.addAction(self._theme.icon("users"), share, act)
        menu.addSeparator()
        folder = QUrl.fromLocalFile(str(model.path.parent))
        show = partial(QDesktopServices.openUrl, folder)
        menu.addAction(self._theme.icon("folder-open"), tr("Show in its folder"), show)
        copy = partial(QGuiApplication.clipboard().setText, str(model.path))
        menu.addAction(self._theme.icon("copy"), tr("Copy its path"), copy)
        menu.addSeparator()
        remove = tr("Remove…") if model.ours else tr("Stop using it…")
        menu.addAction(self._theme.icon("trash-2", "danger"), remove, partial(self.ask_to_remove, name))
        menu.popup(place)

    def ask_to_remove(self, name: str) -> None:
        presenter = self._presenter
        presenter.ask_removal(
            name, lambda removal: ask_to_remove(removal, self._theme, partial(presenter.remove, [name]), self.window())
        )

    def ask_to_free_up(self) -> None:
        presenter = self._presenter

        def show(models: tuple[ModelHere, ...]) -> None:
            FreeUpDialog(models, presenter.clock(), self._theme, presenter.remove, self.window()).open()

        presenter.ask_to_free_up(show)

    def choose_folder(self) -> None:
        folder = self._presenter.folder
        start = str(folder.path if folder is not None and not folder.missing else Path.home())
        dialog = QFileDialog(self.window(), tr("A folder for models"), start)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda name: self.change_folder(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def change_folder(self, path: Path) -> None:
        """Asks first where something would be moved."""
        presenter, folder = self._presenter, self._presenter.folder
        if folder is None or path == folder.path:
            return
        if folder.models_bytes + folder.part_bytes and not folder.missing:
            ask_to_move(folder, path, self._theme, partial(presenter.change_folder, path), self.window())
        else:
            presenter.change_folder(path)

    def choose_file(self) -> None:
        kinds = ";;".join((tr("Models (*.gguf *.bin)"), tr("All files (*)")))
        dialog = QFileDialog(self.window(), tr("Add a model"), str(Path.home()), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self._presenter.add_file(Path(name)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


class MovePanel(QWidget):
    """The models on their way to another folder."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.title = ElidedLabel(weight=500, middle=True)
        self.amount = Label(scale="hint", tone="text3")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, STEPS)
        self.bar.setAccessibleName(tr("Moving the models"))
        self.rate = ElidedLabel(scale="hint", tone="text3")
        self.cancel = Button(theme, tr("Cancel"), kind="flat", size="small", name=tr("Cancel moving the models"))
        top, bottom = QHBoxLayout(), QHBoxLayout()
        for line, first, last in ((top, self.title, self.amount), (bottom, self.rate, self.cancel)):
            line.setSpacing(8)
            line.addWidget(first)
            line.addStretch(1)
            line.addWidget(last)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(top)
        layout.addWidget(self.bar)
        layout.addLayout(bottom)

    def show_move(self, move: Move) -> None:
        self.title.setText(tr("Moving to {folder}", folder=str(move.to)))
        self.amount.setText(words.pair_of_sizes(move.done_bytes, move.total_bytes))
        self.bar.setValue(round(STEPS * move.done_bytes / move.total_bytes) if move.total_bytes else 0)
        if move.rate > 0 and move.left_seconds is not None:
            left = words.whole_duration(move.left_seconds)
            self.rate.setText(tr("{rate}/s, about {time} left", rate=words.size(move.rate), time=left))
        else:
            self.rate.setText(move.file)
        self.bar.setAccessibleDescription(self.rate.text())
