"""Rows of the Settings page about this program and this machine: start at login, engine, data, reports, licences."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import PySide6
from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeySequence, QShowEvent
from PySide6.QtWidgets import QFileDialog, QPlainTextEdit, QWidget

from app.autostart import Autostart, StartAtLogin
from app.i18n import later, listed, tr
from app.presenters.settings_rows import Row
from app.recent_log import recent_log, shortened
from app.tasks import Tasks
from app.theme import Theme
from app.views.settings_row import SettingsRow
from app.widgets.button import Button, CopyButton
from app.widgets.dialog import Dialog
from app.widgets.key_cap import KeyCap
from app.widgets.own_font import keep_font
from app.widgets.switch import ROW_SIZE, Switch
from app.words import size
from qvac_core.core.error_text import describe
from qvac_core.engines import available
from qvac_core.frozen import packaged_licences
from qvac_core.store.data_move import DataMove, plan_move
from qvac_core.store.folders import DataDir

PACKAGE = "qvac-desktop"
SHORTCUTS = (
    (later("Share my GPU, Chat"), ("Ctrl+1", "Ctrl+2")),
    (later("Library"), ("Ctrl+L",)),
    (later("Settings"), ("Ctrl+,",)),
    (later("Sharing on and off"), ("Ctrl+Shift+S",)),
    (later("New conversation"), ("Ctrl+N",)),
    (later("New window"), ("Ctrl+Shift+N",)),
    (later("Close the window"), ("Ctrl+W",)),
    (later("Add a provider"), ("Ctrl+Shift+A",)),
    (later("Find a provider or a model"), ("Ctrl+K",)),
    (later("Parameters of this conversation"), ("Ctrl+.",)),
    (later("Answer again"), ("Ctrl+R",)),
    (later("Copy the last answer"), ("Ctrl+Shift+C",)),
    (later("Rename the conversation"), ("F2",)),
    (later("Hold to talk"), ("Ctrl+Shift+Space",)),
    (later("Search"), ("Ctrl+F",)),
    (later("Next part of the window"), ("F6",)),
    (later("Quit"), ("Ctrl+Q",)),
)


class AutostartRow(SettingsRow):
    """Shows what the system has, read anew whenever it is seen and when the window gets the focus."""

    def __init__(self, theme: Theme, row: Row, autostart: Autostart, tasks: Tasks) -> None:
        self._autostart, self._tasks = autostart, tasks
        label = tr(row.label)
        self.switch = Switch(theme, label, size=ROW_SIZE)
        super().__init__(theme, label, tr(row.hint) if row.hint else "", self.switch, words=row.words)
        self.switch.clicked.connect(self._turn)

    def read(self) -> None:
        self._tasks.start(self._read(), self.show_failure_of)

    def show_failure_of(self, error: Exception) -> None:
        self.show_failure(describe(error))  # type: ignore[arg-type]

    async def _read(self) -> None:
        self._show(await asyncio.to_thread(self._autostart.state))

    def _turn(self, on: bool) -> None:
        async def turn() -> None:
            try:
                await asyncio.to_thread(self._autostart.turn_on if on else self._autostart.turn_off)
            finally:
                await self._read()

        self._tasks.start(turn(), self.show_failure_of)

    def _show(self, state: StartAtLogin) -> None:
        self.switch.setChecked(state.on)
        self.switch.setEnabled(state.possible)
        self.set_note(state.reason)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.read()


class FolderRow(SettingsRow):
    """Where everything lies, how much it is, and to which other place it moves.

    `move_wanted(plan)`: once this program has ended, which begins again there.
    """

    move_wanted = Signal(object)  # DataMove

    def __init__(
        self,
        theme: Theme,
        row: Row,
        folder: DataDir,
        tasks: Tasks,
        stop: threading.Event,
        models: Callable[[], str] = lambda: "",
    ) -> None:
        """stop: measuring ends, the window closes. models: the models folder as the settings name it."""
        self._models = models
        self._folder, self._tasks, self._stop = folder, tasks, stop
        self._measuring = False
        self.open = Button(theme, tr("Open"), icon="folder-open", name=tr("Open the data folder"))
        self.move_away = Button(theme, tr("Move…"), name=tr("Move the data folder"))
        super().__init__(theme, tr(row.label), str(folder.root), self.open, self.move_away, words=row.words)
        self.open.clicked.connect(self._open)
        self.move_away.clicked.connect(self.choose)
        if folder.explicit:
            self.move_away.setEnabled(False)
            self.set_note(
                tr(
                    "It was chosen by --data-dir or QVAC_DESKTOP_HOME. To move it, quit, move it yourself and "
                    "name its new place."
                )
            )

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._measuring:
            self._measuring = True
            self._tasks.start(self._measure(), lambda _error: None)

    async def _measure(self) -> None:
        root, models, stop = self._folder.root, self._folder.models_folder, self._stop
        whole, of_models = await asyncio.to_thread(lambda: (_bytes_in(root, stop), _bytes_in(models, stop)))
        self._measuring = False
        if stop.is_set():
            return
        self.set_hint(
            tr(
                "{folder}: {size}, of them models {models}",
                folder=self._folder.root,
                size=size(whole),
                models=size(of_models),
            )
        )

    # --- To another place

    def choose(self) -> QFileDialog:
        dialog = QFileDialog(self.window(), tr("Move the data folder"), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.plan(Path(path)))
        dialog.open()
        return dialog

    def plan(self, target: Path) -> None:
        """Ask whether to move there, or say why it cannot be."""
        self.set_note("")
        self._tasks.start(self._plan(target), lambda error: self.show_failure(describe(error)))

    async def _plan(self, target: Path) -> None:
        move = await asyncio.to_thread(plan_move, self._folder, target, self._models())
        sentence = tr(
            "QVAC Desktop closes, copies {size} to {folder}, checks the copy, and opens again there. Only then the old "
            "files are removed.",
            size=size(move.size),
            folder=move.target,
        )
        dialog = Dialog(
            self._theme, tr("Move the data folder?"), sentence, tr("Move and restart"), parent=self.window()
        )
        dialog.accepted.connect(lambda: self._want(move))
        dialog.open()

    def _want(self, move: DataMove) -> None:
        self.set_note(tr("It moves at the next restart."))
        self.move_wanted.emit(move)

    def _open(self) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder.root))):
            self.set_note(tr("No program here opens folders. The path is above."), "danger")


class ReportRow(SettingsRow):
    """What to send to who mends the program; the person sees all of it first."""

    def __init__(self, theme: Theme, row: Row, facts: Callable[[], Sequence[str]]) -> None:
        self._facts = facts
        self.show_report = Button(theme, tr("Show…"), name=tr("Show what to report"))
        super().__init__(theme, tr(row.label), tr(row.hint), self.show_report, words=row.words)
        self.show_report.clicked.connect(self.open)

    def open(self) -> Dialog:
        text = "\n".join((*about_this_program(), *self._facts(), "", recent_log.text))
        sentence = tr("Keys are shortened. Nothing of it leaves this machine unless you send it.")
        dialog = TextDialog(self._theme, tr("Report a problem"), sentence, shortened(text), self)
        dialog.open()
        return dialog


class TextDialog(Dialog):
    """A text to read and to copy."""

    def __init__(self, theme: Theme, title: str, sentence: str, text: str, parent: QWidget) -> None:
        super().__init__(theme, title, sentence, "", cancel=tr("Close"), parent=parent.window())
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setAccessibleName(title)
        keep_font(self.text, theme, lambda: theme.fixed_font("hint"))
        self.text.setMinimumSize(560, 320)
        self.text.setTabChangesFocus(True)
        self.body.addWidget(self.text)
        self.copy = CopyButton(theme, text, text=tr("Copy"), name=tr("Copy all of it"))
        self.buttons.insertWidget(0, self.copy)


class AboutRows:
    """Version, parts, licences."""

    def __init__(self, theme: Theme, row: Row) -> None:
        self._theme = theme
        self.licences = Button(theme, tr("Show"), name=tr("Show the licences"))
        version = tr("Version {version}", version=importlib.metadata.version(PACKAGE))
        about = listed((version, *about_this_program()[1:]), " · ")
        self.version = SettingsRow(theme, "QVAC Desktop", about, words=row.words)
        self.licence = SettingsRow(
            theme,
            tr("Licences"),
            tr("Apache 2.0; the parts used have their own."),
            self.licences,
            words=row.words,
        )
        self.licences.clicked.connect(self.open)

    def open(self) -> Dialog:
        dialog = TextDialog(self._theme, tr("Licences"), "", licences(), self.licence)
        dialog.open()
        return dialog


def shortcut_rows(theme: Theme) -> tuple[SettingsRow, ...]:
    rows = []
    for label, keys in SHORTCUTS:
        shown = [QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in keys]
        rows.append(SettingsRow(theme, tr(label), "", *(KeyCap(theme, text) for text in shown), words=keys, dense=True))
    return tuple(rows)


def about_this_program() -> tuple[str, ...]:
    """Of what it consists, for people and for reports."""
    return (
        f"QVAC Desktop {importlib.metadata.version(PACKAGE)}",
        *(f"llama.cpp: {available.describe(kind)}" for kind in available.installed()),
        f"Python {platform.python_version()}",
        f"Qt {PySide6.__version__}",
        f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def licences() -> str:
    """Ours, and the notices of what comes along; in a packaged program the texts of all that is in the package."""
    if (packaged := packaged_licences()) is not None:
        try:
            return packaged.read_text(encoding="utf-8", errors="replace")
        except OSError:
            pass  # taken out by somebody: ours are in the program
    found = importlib.metadata.distribution(PACKAGE)
    texts = [found.read_text(f"licenses/{name}") for name in ("NOTICE", "LICENSE")]
    return "\n\n".join(filter(None, texts)) or tr("The files of the licences are not with this copy.")


def _bytes_in(folder: Path, stop: threading.Event) -> int:
    """Of what is there just now; what cannot be read counts nothing. Ends early once `stop` is set."""
    total = 0
    for path in folder.rglob("*"):
        if stop.is_set():
            break
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except OSError:
            continue
    return total
