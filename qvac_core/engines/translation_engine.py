"""Translation models in processes of their own: `TranslationModel` for Firefox's engine, the parent's side.

A crash costs the request that the process was working on; the others go on in a new process from where they were.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from qvac_core.engines.firefox_translation import translation_missing
from qvac_core.engines.interface import LoadProgress, ModelConfig
from qvac_core.engines.process_model import Job, ProcessModel, ProcessModels, Troubles
from qvac_core.engines.translation_model import TextPart, TextsRequest, TranslationModelInfo
from qvac_core.engines.translation_protocol import (
    TRANSLATION,
    Ended,
    Open,
    Told,
    TranslateTexts,
    TranslationCommand,
    TranslationReport,
)
from qvac_core.errors import EngineCrashed, InferenceCancelled, ModelError

STALL_TIMEOUT = 120.0  # seconds without a word: a sentence takes one, on the slowest machine

CRASHED = "The translation process ended over this text. Translate it in parts to find out which one it is."
STALLED = "The translation process made no progress for minutes and was stopped. Try again."


class _Job(Job[TextPart | None]):
    """One request: its parts on their way to whoever iterates; None = all of it was told."""

    def __init__(self, id: int, request: TextsRequest) -> None:
        super().__init__(id, request.request_id)
        self.request = request
        self.told = 0

    def tell(self, part: TextPart) -> None:
        if not self.ended:
            self.told += 1
            self.put(part)

    def cancel(self) -> None:
        self.end(InferenceCancelled("The translation was cancelled."))


class FirefoxModel(ProcessModel[TranslationCommand, TranslationReport, TranslationModelInfo, _Job]):
    """`TranslationModel`. Made by `TranslationEngine.load`; used from the loop that made it."""

    def __init__(self, paths: Sequence[Path], *, stall_timeout: float = STALL_TIMEOUT) -> None:
        super().__init__(TRANSLATION, Open(tuple(map(str, paths))), _TROUBLES, stall_timeout=stall_timeout)

    async def translate(self, request: TextsRequest) -> AsyncGenerator[TextPart, None]:
        """See `TranslationModel.translate`. Nothing is asked of the process before the first part is awaited."""
        job = _Job(self._new_id(request.request_id), request)
        async with self._in_flight(job):
            while (part := await job.next()) is not None:
                yield part

    def _submit(self, job: _Job) -> None:
        self._send(TranslateTexts(job.id, job.request.owner, job.request.texts, job.told))

    def _take(self, report: TranslationReport) -> None:
        if isinstance(report, Told | Ended) and (job := self._jobs.get(report.id)) is not None:
            if isinstance(report, Told):
                job.tell(report.part)
            else:
                job.end(None)


class TranslationEngine(ProcessModels[FirefoxModel]):
    """Loads translation models, each into a process of its own, and leaves none behind at `close`."""

    def __init__(self, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        super().__init__()
        self._stall_timeout = stall_timeout

    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> FirefoxModel:
        """config.pivot: the model that its translations go through. Raises ModelError."""
        if missing := translation_missing():
            raise ModelError(missing, name="PLUGIN_NOT_FOUND", code=53850)
        paths = [path, Path(config.pivot)] if config.pivot else [path]
        return await self._started(FirefoxModel(paths, stall_timeout=self._stall_timeout), on_progress)


def _not_loaded(stalled: bool) -> ModelError:
    return ModelError(
        "The translation process ended while it was loading: the model's files are damaged, or there "
        "is no memory left. Download the model again, or close other programs."
    )


def _unloaded() -> EngineCrashed:
    return EngineCrashed("The model was unloaded while it was translating.", name="MODEL_NOT_LOADED", code=52003)


def _closed() -> ModelError:
    return ModelError("The model is not loaded.", name="MODEL_NOT_LOADED", code=52003)


_TROUBLES = Troubles("translation", CRASHED, STALLED, _not_loaded, _unloaded, _closed)
