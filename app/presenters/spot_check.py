"""A spot check as a window shows it: whom to compare with, how far it is, and what it found in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.core_words import told
from app.i18n import later, tr
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.spot_check import Finding, SpotCheck, SpotCheckAsked
from qvac_core.core.state import ErrorInfo, ProviderEntry
from qvac_core.errors import QvacError

TITLES = {
    Finding.SAME: (later("The answers are the same to the last letter."), "accent", "circle-check"),
    Finding.MOSTLY: (later("The answers begin alike and part later on."), "text", "info"),
    Finding.DIFFERENT: (later("The answers part at once."), "warn", "triangle-alert"),
}
SAID = {
    Finding.SAME: later(
        "Another file, or another quantization of it, would almost surely have said something else. It holds for these "
        "questions: it does not prove how others are answered."
    ),
    Finding.MOSTLY: later(
        "That is usual between different hardware, where numbers are rounded differently. It speaks for the same file, "
        "and does not prove it."
    ),
    Finding.DIFFERENT: later(
        "The model is hardly the file that it is said to be, or it is asked in another way there, as by another "
        "program. Try again, and compare with a second one, before you say so."
    ),
}
FAILED = later("Nothing was compared.")


class SpotCheckPresenter(QObject):
    """`changed`: any of the fields. found: of the last check that came to its end."""

    changed = Signal()
    failed = Signal(object)  # ErrorInfo

    def __init__(
        self,
        core: CoreProxy,
        tasks: Tasks,
        provider: ProviderEntry,
        others: Sequence[ProviderEntry],
        name_of: Callable[[str], str],
        parent: QObject | None = None,
    ) -> None:
        """tasks: of whoever owns this. others: the providers there are, `provider` among them or not."""
        super().__init__(parent)
        self._core, self._tasks, self._name_of = core, tasks, name_of
        self.provider = provider
        self.others = tuple(one for one in others if one.public_key != provider.public_key)
        self.running = False
        self.answered, self.of = 0, 0
        self.found: SpotCheck | None = None
        self._closed = False
        core.core_event.connect(self._take)

    @property
    def compared_with(self) -> str:
        """In words, once something was found."""
        if self.found is None:
            return ""
        key = self.found.compared_with
        return (self._name_of(key) or key[:8]) if key else tr("the file of this machine")

    def start(self, model: str, other: str) -> None:
        """model: "" = its first. other: a provider's key, "" = this machine's file, else whoever has it."""
        if self.running:
            return
        self.running, self.found, self.answered, self.of = True, None, 0, 0
        self.changed.emit()

        async def work() -> None:
            key = self.provider.public_key
            found = await self._core.call(lambda core: core.spot_checks.check(key, model, other))
            self.running, self.found = False, found
            self._tell()

        def fail(error: QvacError) -> None:
            self.running = False
            self._tell()
            if not self._closed:
                said = describe(error)
                self.failed.emit(ErrorInfo(said.name, said.code, tr(FAILED), told(said.message or said.title)))

        self._tasks.start(work(), fail)

    def close(self) -> None:
        """Nobody looks any more; the few questions that are on their way end by themselves."""
        self._closed = True

    def _tell(self) -> None:
        if not self._closed:
            self.changed.emit()

    def _take(self, event: object) -> None:
        if isinstance(event, SpotCheckAsked) and event.public_key == self.provider.public_key and self.running:
            self.answered, self.of = event.answered, event.of
            self._tell()
