"""Who understands speech for a conversation: the provider that answers in it, if it offers that; else this machine.

The words to a provider's model go to its owner's machine anyway; what nobody there understands stays on this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.i18n import tr
from app.tasks import Tasks
from qvac_core.core.state import CoreEvent, ErrorInfo, ProvidersChanged, SharedModelsChanged, SpeechChoice, Target

if TYPE_CHECKING:
    from qvac_core.models import ModelDescriptor

SUGGESTED = "WHISPER_BASE_Q8_0"
SUGGESTED_TITLE = "Whisper base"
LICENCE = "MIT License"
NO_MODEL = "NO_SPEECH_MODEL"


class Speech(QObject):
    """`choices`: who understands speech now."""

    changed = Signal()

    def __init__(self, core: CoreProxy, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self._asking = self._ask_again = False
        self.choices: tuple[SpeechChoice, ...] = ()
        core.core_event.connect(self._take)

    async def load(self) -> None:
        self.choices = await self._core.call(lambda core: core.speech_models())
        self.changed.emit()

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    def listener(self, target: Target) -> SpeechChoice | None:
        return listener_for(target, self.choices)

    def _take(self, event: CoreEvent) -> None:
        if isinstance(event, ProvidersChanged | SharedModelsChanged):
            self._ask_again = True
            if not self._asking:
                self._asking = True
                self._tasks.start(self._reload(), lambda _error: None)

    async def _reload(self) -> None:
        try:
            while self._ask_again:
                self._ask_again = False
                await self.load()
        finally:
            self._asking = False


def suggested_model() -> ModelDescriptor:
    """The one to get where nobody understands speech: small, and of many languages."""
    from qvac_core.models import by_name  # the list of models: not before it is asked for

    model = by_name(SUGGESTED)
    assert model is not None, "the catalog lost a name"
    return model


def nobody_listens(choices: Sequence[SpeechChoice], target: Target) -> ErrorInfo:
    """Why there is no listener; the reason of a model that is there comes before the advice to get one."""
    near = [choice for choice in choices if choice.where in ("", target.provider_key)]
    reason = next((choice.reason for choice in near if choice.reason), "")
    return ErrorInfo(NO_MODEL, 0, tr("No model that understands speech is here."), reason)


def listener_for(target: Target, choices: Sequence[SpeechChoice]) -> SpeechChoice | None:
    """The model to ask; None when there is none at the target and none here."""
    for where in dict.fromkeys((target.provider_key, "")):
        usable = [choice for choice in choices if choice.where == where and choice.usable]
        if usable:
            return next((choice for choice in usable if choice.preferred), None) or next(
                (choice for choice in usable if choice.loaded), usable[0]
            )
    return None
