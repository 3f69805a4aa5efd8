"""The identity of this machine: its name, its backup, another one in its place, and what becomes of the present key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.identity_state import FoundBackup, OwnIdentity
from qvac_core.core.interface import CoreInterface
from qvac_core.core.state import ErrorInfo, IdentityChanged, SettingChanged
from qvac_core.errors import QvacError

Do = Callable[[], Coroutine[Any, Any, None]]
MACHINE_NAME = "machine_name"  # of the settings


class IdentityPresenter(QObject):
    """`changed`: name or keys. Failures go to the one who asked, else `failed(place, ErrorInfo)`."""

    changed = Signal()
    failed = Signal(str, object)

    def __init__(self, core: CoreProxy, tasks: Tasks, parent: QObject | None = None) -> None:
        """tasks: of whoever owns this; ended with it."""
        super().__init__(parent)
        self._core = core
        self._tasks = tasks
        self.name = ""
        self.own = OwnIdentity("", "")
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.name = await self._core.call(lambda core: core.setting(MACHINE_NAME))
        self.own = await self._core.call(lambda core: core.identity.own())
        self.changed.emit()

    def take_name(self, name: str) -> None:
        """Somebody else keeps it."""
        self.name = name
        self.changed.emit()

    def rename(self, name: str) -> None:
        async def do() -> None:
            await self._core.call(lambda core: core.set_setting(MACHINE_NAME, name.strip()))
            await self.load()

        self._tasks.start(do(), lambda error: self._fail(tr("The name was not changed."), error))

    def backup(self, path: Path, done: Callable[[], None], failed: Callable[[ErrorInfo], None]) -> None:
        async def do() -> None:
            await self._core.call(lambda core: core.identity.backup(path))
            done()

        self._start(do, tr("The identity was not backed up."), failed)

    def look_into(self, path: Path, found: Callable[[FoundBackup], None], failed: Callable[[ErrorInfo], None]) -> None:
        async def do() -> None:
            found(await self._core.call(lambda core: core.identity.look_into(path)))

        self._start(do, tr("This cannot be restored."), failed)

    def restore(self, path: Path, done: Callable[[], None], failed: Callable[[ErrorInfo], None]) -> None:
        self._replace(lambda core: core.identity.restore(path), done, failed)

    def renew(self, done: Callable[[], None], failed: Callable[[ErrorInfo], None]) -> None:
        self._replace(lambda core: core.identity.renew(), done, failed)

    def _replace(
        self,
        ask: Callable[[CoreInterface], Coroutine[Any, Any, OwnIdentity]],
        done: Callable[[], None],
        failed: Callable[[ErrorInfo], None],
    ) -> None:
        async def do() -> None:
            await self._core.call(ask)
            await self.load()
            done()

        self._start(do, tr("The identity was not changed."), failed)

    def _start(
        self, do: Callable[[], Coroutine[Any, Any, None]], title: str, failed: Callable[[ErrorInfo], None]
    ) -> None:
        def say(error: QvacError) -> None:
            failed(ErrorInfo(error.name, error.code, title, error.message))

        self._tasks.start(do(), say)

    def _fail(self, title: str, error: QvacError) -> None:
        self.failed.emit("status", ErrorInfo(error.name, error.code, title, error.message))

    def _take(self, event: object) -> None:
        if isinstance(event, IdentityChanged):
            self.own = event.identity
            self.changed.emit()
        elif isinstance(event, SettingChanged) and event.name == MACHINE_NAME:
            self._tasks.start(self.load(), lambda error: self._fail(tr("The name could not be read."), error))
