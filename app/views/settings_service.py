"""The provider without a window on the Settings page: a service of the system, installed and removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent

from app.announcements import announce
from app.i18n import tr
from app.presenters.settings_rows import Row
from app.service import LOG, Services, service_command
from app.tasks import Tasks
from app.theme import Theme
from app.views.settings_row import SettingsRow
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from qvac_core.errors import QvacError
from qvac_core.store.folders import DataDir

logger = logging.getLogger(__name__)
FindServices = Callable[[DataDir], Services]


class ServiceRow(SettingsRow):
    """Shows what the system has, read anew whenever it is seen."""

    def __init__(self, theme: Theme, row: Row, folder: DataDir, find: FindServices, tasks: Tasks) -> None:
        self._folder, self._find, self._tasks = folder, find, tasks
        self._busy = False
        self.install = Button(theme, tr("Install…"), name=tr("Install the service"))
        self.remove = Button(theme, tr("Remove"), name=tr("Remove the service"))
        super().__init__(theme, tr(row.label), tr(row.hint), self.install, self.remove, words=row.words)
        self.install.clicked.connect(self.ask)
        self.remove.clicked.connect(lambda: self._start(self._remove()))
        self._show(there=False, obstacle="")
        self.install.setEnabled(False)  # until the system was asked

    def read(self) -> None:
        if not self._busy:
            self._start(self._read())

    def ask(self) -> Dialog:
        sentence = tr(
            "It shares what is switched on under Share my GPU, for the people there, from each log-in on. While a "
            "window of QVAC Desktop runs, that one shares, and the service waits until it is closed."
        )
        dialog = Dialog(self._theme, tr("Share without a window?"), sentence, tr("Install"), parent=self.window())
        dialog.accepted.connect(lambda: self._start(self._install()))
        dialog.open()
        return dialog

    # --- What the system does

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(work, self._failed)

    async def _read(self) -> None:
        there, obstacle = await asyncio.to_thread(self._look)
        self._show(there=there, obstacle=obstacle)

    def _look(self) -> tuple[bool, str]:
        try:
            services = self._find(self._folder)
            if services.there():
                return True, ""
            services.check()
        except QvacError as error:
            logger.info("no services here: %s", error.message)
            return False, tr(
                "This system runs no services for this user here. What starts programs on it can start "
                "“qvac-desktop provider”."
            )
        return False, ""

    async def _install(self) -> None:
        self._wait()
        services = self._find(self._folder)
        log = self._folder.root / LOG
        try:
            await asyncio.to_thread(services.install, service_command((), self._folder), log)
        finally:
            await self._ended()
        self._tell(tr("Installed. It shares whenever no window of QVAC Desktop runs."))

    async def _remove(self) -> None:
        self._wait()
        try:
            there = await asyncio.to_thread(self._find(self._folder).remove)
        finally:
            await self._ended()
        self._tell(tr("The service is removed.") if there else tr("There was no service any more."))

    def _wait(self) -> None:
        self._busy = True
        for button in (self.install, self.remove):
            button.setEnabled(False)

    async def _ended(self) -> None:
        self._busy = False
        await self._read()

    # --- What is shown

    def _show(self, *, there: bool, obstacle: str) -> None:
        focused = self.install.hasFocus() or self.remove.hasFocus()
        self.install.setVisible(not there)
        self.remove.setVisible(there)
        self.remove.setEnabled(True)
        self.install.setEnabled(not obstacle)
        if there and not self.note.text():
            self.set_note(tr("Installed. It shares whenever no window of QVAC Desktop runs."))
        elif not there:
            self.set_note(obstacle)
        if focused:  # not lost with the button that is gone; after the click has ended
            QTimer.singleShot(0, self, lambda: (self.remove if there else self.install).setFocus())

    def _tell(self, said: str) -> None:
        self.set_note(said)
        announce(self, said)

    def _failed(self, error: QvacError) -> None:
        self.set_note(error.message, "danger")
        announce(self, error.message, assertive=True)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.read()
