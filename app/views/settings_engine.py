"""The engines on the Settings page: those that are here, which one answers, and a build for this machine's GPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QProgressBar, QWidget

from app.announcements import announce
from app.engine_build import EngineBuild, Kind, Progress
from app.i18n import tr
from app.presenters.settings_rows import Row
from app.tasks import Tasks
from app.theme import Theme
from app.views.settings_row import SettingsRow
from app.widgets.button import Button
from app.widgets.combo import Combo
from app.widgets.icon_label import IconLabel
from app.words import duration
from qvac_core.engines import available
from qvac_core.engines.available import EngineKind
from qvac_core.errors import ModelError, QvacError
from qvac_core.frozen import is_frozen

PAUSE = 500  # milliseconds between two looks at how far it is
BAR_WIDTH = 160

ShowText = Callable[[str, str, str, QWidget], object]
"""A text to read and copy: title, sentence, text, for whom."""


class EngineRow(SettingsRow):
    """One kind of engine: here or not, in use or beside."""

    def __init__(self, theme: Theme, row: Row, kind: EngineKind) -> None:
        self._kind = kind
        self._sign = IconLabel(theme, "circle", "text3")
        if kind is EngineKind.SERVER:
            label = tr("llama.cpp, as it came")
        else:
            label = tr("llama.cpp, for many chats at once") if is_frozen() else tr("llama.cpp, compiled here")
        super().__init__(theme, label, " ", words=row.words, start=self._sign)
        self.refresh()

    def refresh(self) -> None:
        there = self._kind in available.installed()
        self.setProperty("absent", not there)
        if not there:
            return
        name = available.describe(self._kind)
        used = _used() == self._kind
        self.set_hint(tr("{name}. In use.", name=name) if used else tr("{name}. It is there as well.", name=name))
        self._sign.set_icon("circle-check" if used else "circle", "accent" if used else "text3")


class NoEngineRow(SettingsRow):
    """Nothing here can run a model, and why."""

    def __init__(self, theme: Theme, row: Row) -> None:
        super().__init__(theme, tr("No engine"), " ", words=row.words)
        self.refresh()

    def refresh(self) -> None:
        try:
            available.choose()
        except ModelError as error:
            self.set_hint(error.message)
            self.setProperty("absent", False)
        else:
            self.setProperty("absent", True)


class BuildRow(SettingsRow):
    """Build for this GPU: which toolkit, then the bar, Cancel, and the log. `built`: another engine is here now."""

    built = Signal()

    def __init__(self, theme: Theme, row: Row, build: EngineBuild, tasks: Tasks, show_text: ShowText) -> None:
        self._build, self._tasks, self._show_text = build, tasks, show_text
        self._kinds: tuple[Kind, ...] = ()
        self._progress = Progress(0)
        self._last = ""
        self.kind = Combo(theme, tr("Build for"))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(BAR_WIDTH)
        self.bar.setAccessibleName(tr("How far the build is"))
        self.begin = Button(theme, tr("Build"), name=tr("Build the engine for this GPU"))
        self.cancel = Button(theme, tr("Cancel"), name=tr("Cancel the build"))
        controls = (self.kind, self.bar, self.begin, self.cancel)
        super().__init__(theme, tr("Build for this GPU"), " ", *controls, words=row.words)
        self.act.setText(tr("Show the log"))
        self.act.setAccessibleName(tr("Show the log of the build"))
        self.act.clicked.connect(self.open_log)
        self.begin.clicked.connect(self._begin)
        self.cancel.clicked.connect(build.cancel)
        self._look = QTimer(self)
        self._look.setInterval(PAUSE)
        self._look.timeout.connect(self._show_progress)
        self.refresh()

    def refresh(self) -> None:
        """What can be built may have changed: a compiler was installed."""
        if self._build.running:
            return
        obstacle = self._build.obstacle()
        self._kinds = () if obstacle else self._build.kinds()
        shown = tuple(self.kind.itemData(place) for place in range(self.kind.count()))
        if shown != tuple(kind.name for kind in self._kinds):
            self.kind.clear()
            for kind in self._kinds:
                self.kind.addItem(kind.title, kind.name)
        told = tr("Compiles llama.cpp where this program was unpacked, 4 to 25 minutes. Quitting ends it.")
        self.set_hint(obstacle or " ".join(filter(None, (told, self._build.lacking()))))
        self._show_controls(running=False)

    def _show_controls(self, *, running: bool) -> None:
        self.kind.setVisible(not running and len(self._kinds) > 1)
        self.begin.setVisible(not running and bool(self._kinds))
        self.bar.setVisible(running)
        self.cancel.setVisible(running)
        self._ends.setVisible(running or bool(self._kinds))

    # --- A build

    def _begin(self) -> None:
        if self._build.running or not self._kinds:
            return
        kind = str(self.kind.currentData() or self._kinds[0].name)
        self._last, self._progress = kind, Progress(0)
        self._tasks.start(self._run(kind), self._failed)

    async def _run(self, kind: str) -> None:
        focused = self.begin.hasFocus()
        self._show_controls(running=True)
        if focused:
            self.cancel.setFocus()
        self.act.hide()
        self._look.start()
        self._show_progress()
        try:
            await asyncio.to_thread(self._build.run, kind, self._take)
        finally:
            focused = self.cancel.hasFocus()
            self._look.stop()
            self.refresh()
            if focused:
                self.begin.setFocus()
        said = tr("The engine is built. Models that are loaded from now on use it.")
        self.set_note(said)
        announce(self, said)
        self.built.emit()

    def _take(self, progress: Progress) -> None:
        """From the thread of the build: shown when it is looked at."""
        self._progress = progress

    def _show_progress(self) -> None:
        progress = self._progress
        self.bar.setRange(0, 0 if progress.share < 0 else 100)
        if progress.share >= 0:
            self.bar.setValue(round(progress.share * 100))
        time = duration(progress.seconds)
        if progress.share < 0:
            self.set_note(tr("Preparing, {time} so far.", time=time))
        else:
            share = round(progress.share * 100)
            self.set_note(tr("Compiling, {share} % after {time}.", share=share, time=time))

    def _failed(self, error: QvacError) -> None:
        cancelled = error.name == "BUILD_CANCELLED"
        self.set_note(error.message, "text2" if cancelled else "danger")
        self.act.setVisible(not cancelled)
        announce(self, error.message, assertive=not cancelled)

    def open_log(self) -> None:
        sentence = tr("The end of it stands last.")
        self._show_text(tr("Log of the build"), sentence, self._build.log(self._last), self)

    def showEvent(self, event: QShowEvent) -> None:
        self.refresh()
        super().showEvent(event)


def engine_rows(
    theme: Theme, row: Row, build: EngineBuild, tasks: Tasks, show_text: ShowText, changed: Callable[[], None]
) -> tuple[SettingsRow, ...]:
    """What computes, and how another one comes here. changed: other rows are to be seen now."""
    none = NoEngineRow(theme, row)
    engines = tuple(EngineRow(theme, row, kind) for kind in EngineKind)
    if build.packaged:
        return (none, *engines)
    building = BuildRow(theme, row, build, tasks, show_text)

    def refresh() -> None:
        none.refresh()
        for engine in engines:
            engine.refresh()
        changed()

    building.built.connect(refresh)
    return (none, *engines, building)


def _used() -> str:
    try:
        return available.choose()
    except ModelError:
        return ""
