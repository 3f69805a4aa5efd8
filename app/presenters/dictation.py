"""Talking instead of typing: the microphone's samples go to the core, its words come back, settled and unsettled.

What is heard before the core is ready waits here, so no word is lost while a model loads. What fails on either side
ends the dictation with what was understood until then.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.audio.hearing import SAMPLE_BYTES, SAMPLE_RATE, State
from app.audio.microphone import Ended, Event, Heard, Input, Microphone, StateChanged
from app.bridge import CoreProxy
from app.presenters.dictation_words import Phase, trouble_words
from app.tasks import Tasks
from qvac_core.core.error_text import describe
from qvac_core.core.state import CoreEvent, DictationEnded, DictationHeard, SpeechChoice, Target
from qvac_core.errors import QvacError

LANGUAGE_SETTING = "speech_language"
PHASES = {
    State.STARTING: Phase.STARTING,
    State.LISTENING: Phase.LISTENING,
    State.MUTED: Phase.MUTED,
    State.STALLED: Phase.INTERRUPTED,
}


class Dictation(QObject):
    """`finished`: the text to insert, also after a failure. `failed` comes before it."""

    changed = Signal()  # phase, language
    words_changed = Signal()  # settled, unsettled
    level_changed = Signal(float)
    finished = Signal(str)
    failed = Signal(object, object)  # ErrorInfo, Trouble | None

    def __init__(self, core: CoreProxy, sound: Input, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._core = core
        self._tasks = Tasks()
        self.phase = Phase.IDLE
        self.settled = ""
        self.unsettled = ""
        self.language = ""
        self.listener = SpeechChoice("")
        self.owner: object | None = None  # the view that began it last: what comes of it is shown there alone
        self._heard = 0  # samples
        self._id = ""
        self._ready = False  # the core listens
        self._outbox: list[bytes] = []
        self._mouth_shut = False  # the microphone has ended; what is in the outbox is the rest
        self._sending = 0  # the attempt whose samples are on their way
        self._attempt = 0  # what an abandoned one still does, does not count
        self.use_microphone(sound)
        core.core_event.connect(self._take)

    def use_microphone(self, sound: Input) -> None:
        self.sound = sound
        self.microphone = Microphone(sound, self)
        self.microphone.happened.connect(self._hear)

    async def load(self) -> None:
        self.language = await self._core.call(lambda core: core.setting(LANGUAGE_SETTING))
        self.changed.emit()

    async def close(self) -> None:
        self.discard()
        self.microphone.close()
        await self._tasks.close()

    async def settle(self) -> None:
        await self._tasks.settle()

    @property
    def running(self) -> bool:
        return self.phase is not Phase.IDLE

    @property
    def seconds(self) -> float:
        """How much was heard."""
        return self._heard / SAMPLE_RATE

    def show_language(self, code: str) -> None:
        """It was chosen elsewhere."""
        if code != self.language:
            self.language = code
            self.changed.emit()

    def choose_language(self, code: str) -> None:
        """Holds from the next time on."""
        self.language = code
        self._tasks.start(self._core.call(lambda core: core.set_setting(LANGUAGE_SETTING, code)), self._report)

    # --- Talking

    def start(self, listener: SpeechChoice) -> None:
        if self.running:
            return
        self._attempt += 1
        self.settled = self.unsettled = ""
        self.listener = listener
        self._heard = 0
        self._id = os.urandom(16).hex()
        self._ready = False
        self._outbox.clear()
        self._mouth_shut = False
        self._enter(Phase.STARTING)
        self.microphone.start()
        asked = Target(listener.where, listener.name)
        self._tasks.start(self._begin(self._attempt, self._id, asked), self._on_error(self._attempt))

    def finish(self) -> None:
        """No more is said; `finished` follows when the last words are written."""
        if self.running and self.phase is not Phase.FINISHING:
            self._enter(Phase.FINISHING)
            self.microphone.stop()

    def discard(self) -> None:
        if not self.running:
            return
        dictation_id, ready = self._id, self._ready
        self._stop()
        if ready:
            self._tasks.start(self._core.call(lambda core: core.discard_dictation(dictation_id)), lambda _error: None)

    async def _begin(self, attempt: int, dictation_id: str, listener: Target) -> None:
        language = self.language
        await self._core.call(lambda core: core.start_dictation(dictation_id, listener, language))
        if attempt != self._attempt or not self.running:
            await self._core.call(lambda core: core.discard_dictation(dictation_id))
            return
        self._ready = True
        self._send()

    def _hear(self, event: Event) -> None:
        if not self.running:
            return
        match event:
            case Heard():
                self._heard += len(event.samples) // SAMPLE_BYTES
                self._outbox.append(event.samples)
                self.level_changed.emit(event.level)
                self._send()
            case StateChanged() if self.phase is not Phase.FINISHING:
                self._enter(PHASES[event.state])
            case Ended():
                self._mouth_shut = True
                if event.trouble is not None:
                    self.failed.emit(trouble_words(event.trouble), event.trouble)
                if self._heard == 0:
                    self._nothing_heard()
                    return
                self._enter(Phase.FINISHING)
                self._send()

    def _nothing_heard(self) -> None:
        """The microphone ended before its first sample: there is nothing to wait for."""
        self.discard()
        self.finished.emit("")

    def _send(self) -> None:
        """One call at a time, in order; what comes meanwhile goes with the next one."""
        if self._sending != self._attempt and self._ready and (self._outbox or self._mouth_shut):
            self._sending = self._attempt
            self._tasks.start(self._send_all(self._attempt, self._id), self._on_error(self._attempt))

    async def _send_all(self, attempt: int, dictation_id: str) -> None:
        try:
            while attempt == self._attempt and self._outbox:
                samples = b"".join(self._outbox)
                self._outbox.clear()
                await self._core.call(lambda core, samples=samples: core.dictate(dictation_id, samples))  # type: ignore[misc]
        finally:
            if self._sending == attempt:
                self._sending = 0
        if attempt == self._attempt and self.running and self._mouth_shut:
            await self._core.call(lambda core: core.end_dictation(dictation_id))

    # --- What comes back

    def _take(self, event: CoreEvent) -> None:
        if not self._id:
            return
        match event:
            case DictationHeard() if event.dictation_id == self._id:
                self.settled, self.unsettled = event.settled, event.unsettled
                self.words_changed.emit()
            case DictationEnded() if event.dictation_id == self._id:
                self._stop()
                if event.error is not None:
                    self.failed.emit(event.error, None)
                self.finished.emit(event.text)
            case _:
                pass

    def _on_error(self, attempt: int) -> Callable[[QvacError], None]:
        def failed(error: QvacError) -> None:
            if attempt == self._attempt and self.running:
                text = self.settled + self.unsettled
                self._stop()
                self._report(error)
                self.finished.emit(text)

        return failed

    def _report(self, error: QvacError) -> None:
        self.failed.emit(describe(error), None)

    def _stop(self) -> None:
        self._attempt += 1
        self._id = ""
        self._outbox.clear()
        self.microphone.abandon()
        self._enter(Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        if phase is not self.phase:
            self.phase = phase
            self.changed.emit()
