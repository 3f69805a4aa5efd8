"""Manners of the Share tab: the rules as they stand, and how they are changed. Words: manners_words."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.interface import CoreInterface
from qvac_core.core.manners_state import MannersRule
from qvac_core.core.state import ErrorInfo, MannersChanged, SettingChanged
from qvac_core.errors import QvacError

HOUR = 3600.0
SETTINGS = (
    *("hours", "hours_from", "hours_to", "hours_days", "while_active", "active_minutes", "other_gpu", "other_gpu_mb"),
    *("on_battery", "cut_running"),
)


class MannersPresenter(QObject):
    """`changed`: rules or settings. settings: those of [manners] as text."""

    changed = Signal()
    failed = Signal(str, object)

    def __init__(
        self, core: CoreProxy, tasks: Tasks, *, clock: Callable[[], float] = time.time, parent: QObject | None = None
    ) -> None:
        """tasks: of whoever owns this; ended with it."""
        super().__init__(parent)
        self._core = core
        self.tasks = tasks
        self.clock = clock
        self.rules: tuple[MannersRule, ...] = ()
        self.settings: dict[str, str] = {}
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.settings = {name: await self._setting(name) for name in SETTINGS}
        self.rules = await self._core.call(lambda core: core.manners.rules())
        self.changed.emit()

    async def _setting(self, name: str) -> str:
        return await self._core.call(lambda core: core.setting(f"manners.{name}"))

    def is_on(self, name: str) -> bool:
        return self.settings.get(name) == "true"

    # --- Intents

    def set(self, name: str, value: str) -> None:
        """One of SETTINGS; acts at once."""
        if self.settings.get(name) != value:
            self._do(
                "manners", tr("The rule was not changed."), lambda core: core.set_setting(f"manners.{name}", value)
            )

    def refresh(self) -> None:
        """Seconds and amounts move on their own, and nobody tells of them."""
        self.tasks.start(self.load(), lambda error: None)

    def _do(self, place: str, title: str, ask: Callable[[CoreInterface], Coroutine[Any, Any, None]]) -> None:
        async def do() -> None:
            await self._core.call(ask)
            await self.load()

        def failed(error: QvacError) -> None:
            self.failed.emit(place, ErrorInfo(error.name, error.code, title, error.message))
            self.changed.emit()  # a switch shows the truth again

        self.tasks.start(do(), failed)

    def _take(self, event: object) -> None:
        if isinstance(event, MannersChanged):
            self.rules = event.rules
            self.changed.emit()
        elif isinstance(event, SettingChanged) and event.name.startswith("manners."):
            self.refresh()
