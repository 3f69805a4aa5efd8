"""What is set for one model: asked for when its panel opens, kept when it is saved, and when it acts."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.model_options import ModelOptions, OptionsOfModel
from qvac_core.core.state import ErrorInfo, SettingChanged
from qvac_core.errors import QvacError

CAP = "sharing.memory_mb"


class OptionsPresenter(QObject):
    failed = Signal(str, object)

    def __init__(self, core: CoreProxy, tasks: Tasks, parent: QObject | None = None) -> None:
        """tasks: of whoever owns this; ended with it."""
        super().__init__(parent)
        self._core = core
        self._tasks = tasks
        self.cap_mb = 0  # of all models together; 0 = none
        core.core_event.connect(self._take)

    async def load(self) -> None:
        said = await self._core.call(lambda core: core.setting(CAP))
        self.cap_mb = int(said) if said.isdecimal() else 0  # whatever somebody wrote there, the window opens

    def _take(self, event: object) -> None:
        if isinstance(event, SettingChanged) and event.name == CAP:
            self._tasks.start(self.load(), lambda error: self.failed.emit("models", _info(error)))

    def ask(self, name: str, show: Callable[[OptionsOfModel], None]) -> None:
        async def do() -> None:
            show(await self._core.call(lambda core: core.model_options.options(name)))

        self._tasks.start(do(), lambda error: self.failed.emit("models", _info(error)))

    def save(
        self,
        name: str,
        options: ModelOptions,
        done: Callable[[OptionsOfModel], None],
        failed: Callable[[ErrorInfo], None],
    ) -> None:
        async def do() -> None:
            done(await self._core.call(lambda core: core.model_options.set_options(name, options)))

        self._tasks.start(do(), lambda error: failed(_info(error)))


def when_it_acts(options: OptionsOfModel) -> str:
    """What of the present numbers waits, in a sentence."""
    if options.waits and options.in_use:
        return tr(
            "Context and slots act when this model is loaded next: somebody uses it now. Longest answer and idle time "
            "act at once."
        )
    return tr("Longest answer and idle time act at once, the rest when the model is loaded next.")


def _info(error: QvacError) -> ErrorInfo:
    return ErrorInfo(error.name, error.code, tr("This was not changed."), error.message)
