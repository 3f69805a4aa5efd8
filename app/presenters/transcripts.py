"""Recordings that become transcripts in the open conversation: begun, followed, stopped, exported."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import CoreProxy
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import AnswerFinished, CoreEvent, SpeechChoice, Target, TranscriptProgress
from qvac_core.errors import QvacError
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    from app import transcript_words
    from qvac_core.core.transcript import Transcript
else:
    transcript_words = Lazy("app.transcript_words")


class Transcripts(QObject):
    """`progressed`: the id of the message that got on."""

    progressed = Signal(str)
    failed = Signal(object)  # ErrorInfo
    exported = Signal(str)  # the file's name

    def __init__(
        self, core: CoreProxy, parent: QObject | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._core = core
        self._clock = clock
        self._tasks = Tasks()
        self.owner: object | None = None  # the view that stopped or exported one last: what failed is shown there alone
        self._progress: dict[str, TranscriptProgress] = {}
        self._began: dict[str, float] = {}  # when the first of it was heard
        core.core_event.connect(self._take)

    async def close(self) -> None:
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    async def start(self, conversation_id: str, path: Path, listener: SpeechChoice, language: str) -> None:
        asked = Target(listener.where, listener.name)
        await self._core.call(lambda core: core.start_transcript(conversation_id, path, asked, language))

    def stop(self, message_id: str) -> None:
        self._tasks.start(self._core.call(lambda core: core.stop_transcript(message_id)), self._report)

    def go_on(self, conversation_id: str, message_id: str) -> None:
        self._tasks.start(
            self._core.call(lambda core: core.continue_transcript(conversation_id, message_id)), self._report
        )

    def export(self, transcript: Transcript, form: transcript_words.Form, path: Path) -> None:
        try:
            transcript_words.save(transcript_words.export(transcript, form), path)
        except QvacError as error:
            self._report(error)
        else:
            self.exported.emit(path.name)

    def progress(self, message_id: str) -> TranscriptProgress | None:
        return self._progress.get(message_id)

    def course(self, message_id: str) -> transcript_words.Course:
        began = self._began.get(message_id)
        seconds = self._clock() - began if began is not None else 0.0
        return transcript_words.course(self._progress.get(message_id), seconds)

    def _take(self, event: CoreEvent) -> None:
        match event:
            case TranscriptProgress():
                self._began.setdefault(event.message_id, self._clock())
                self._progress[event.message_id] = event
                self.progressed.emit(event.message_id)
            case AnswerFinished():
                self._progress.pop(event.message.id, None)
                self._began.pop(event.message.id, None)
            case _:
                pass

    def _report(self, error: QvacError) -> None:
        self.failed.emit(describe(error))
