"""Live speech: sound as it comes from a microphone, words as they settle. `LiveTranscription` runs it on any model."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from qvac_core.engines.live_events import LiveEvents
from qvac_core.engines.live_words import (
    Committed,
    LiveEvent,
    LiveFinished,
    LiveOptions,
    LiveWords,
    Pass,
    Tentative,
    TurnEnded,
    Voice,
)
from qvac_core.engines.speech import (
    SAMPLE_BYTES,
    Finished,
    Samples,
    Segment,
    SpeechEnd,
    SpeechModel,
    TranscriptionRequest,
)
from qvac_core.engines.speech_task import Sound
from qvac_core.errors import InferenceCancelled, ModelError, QvacError
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")

__all__ = [
    "Committed",
    "LiveEvent",
    "LiveFinished",
    "LiveOptions",
    "LiveSession",
    "LiveTranscription",
    "Tentative",
    "TurnEnded",
    "Voice",
    "sound_of",
]

SoundBytes: TypeAlias = "bytes | bytearray | memoryview | Sound"

TOO_SLOW = "Live transcription cannot keep up with what is said: this model is too slow here. Choose a smaller one."


class LiveSession(Protocol):
    """A live transcript, here or on a provider. Used from one asyncio loop; `async with` closes it."""

    async def write(self, samples: SoundBytes) -> None:
        """float32, mono, 16 kHz, of any length. Never waits for the model. Raises ModelError after `end`."""

    async def end(self) -> None:
        """No more sound: the rest is heard once more, LiveFinished follows."""

    def __aiter__(self) -> AsyncIterator[LiveEvent]:
        """Once. Raises QvacError where it failed."""

    async def close(self) -> None:
        """Leave at once. Safe to call twice."""

    async def __aenter__(self) -> LiveSession: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class LiveTranscription:
    """`LiveSession` on a model of this machine. owner: as in TranscriptionRequest."""

    def __init__(self, model: SpeechModel, options: LiveOptions | None = None, *, owner: str = "") -> None:
        self._model = model
        self._options = options or LiveOptions()
        self._owner = owner
        self._words = LiveWords(self._options)
        self._rest = b""
        self._events = LiveEvents()
        self._work = asyncio.Event()  # for the task that asks the model
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def __aenter__(self) -> LiveTranscription:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def write(self, samples: SoundBytes) -> None:
        if self._ended or self._events.closed:
            raise ModelError(
                "This live transcript has ended. Begin another one.", name="TRANSCRIPTION_FAILED", code=52403
            )
        sound, self._rest = sound_of(samples, self._rest)
        self._put(self._words.feed(sound))
        if self._words.is_behind:
            self.fail(_failed(TOO_SLOW))
        self._go_on()

    async def end(self) -> None:
        if not self._ended and not self._events.closed:
            self._ended = True
            self._put(self._words.end())
            self._go_on()

    def __aiter__(self) -> AsyncIterator[LiveEvent]:
        return aiter(self._events)

    def fail(self, error: QvacError) -> None:
        """End it with this error, after what was heard before."""
        self._events.fail(error)
        self._work.set()

    async def close(self) -> None:
        self._events.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # --- The model ------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        self._work.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Until all is heard: passes one after the other, each over what there is by then."""
        try:
            while not self._words.finished and self._events.failure is None:
                wanted = self._words.wanted_pass()
                if wanted is None:
                    self._work.clear()
                    await self._work.wait()
                    continue
                segments, language = await self._hear(wanted)
                self._put(self._words.heard(segments, language))
        except QvacError as error:
            self.fail(error)

    async def _hear(self, wanted: Pass) -> tuple[list[Segment], str]:
        options = self._options
        request = TranscriptionRequest(
            f"live-{uuid.uuid4()}",
            Samples(wanted.sound.astype("<f4").tobytes()),
            language=wanted.language,
            prompt=options.prompt,
            translate=options.translate,
            words=True,
            owner=self._owner,
        )
        segments: list[Segment] = []
        language = ""
        async for event in self._model.transcribe(request):
            if isinstance(event, Segment):
                segments.append(event)
            elif isinstance(event, Finished):
                language = event.language
                if event.stop_reason is SpeechEnd.CANCELLED:
                    raise InferenceCancelled("The live transcript was cancelled.")
        return segments, language

    def _put(self, events: list[LiveEvent]) -> None:
        for event in events:
            self._events.put(event)


def sound_of(samples: SoundBytes, rest: bytes = b"") -> tuple[Sound, bytes]:
    """The samples, and the bytes of half a sample at their end. rest: those of the piece before.

    Raises ModelError for an array of another kind: read as floats it would be noise.
    """
    if isinstance(samples, np.ndarray):
        if samples.dtype != np.float32 or samples.ndim != 1:
            raise _failed("Samples must be one channel of float32.")
        return np.nan_to_num(np.ascontiguousarray(samples)), rest
    if not isinstance(samples, bytes | bytearray | memoryview):
        raise _failed("Samples are float32: their bytes, or a NumPy array of them.")
    data = rest + bytes(samples)
    whole = len(data) // SAMPLE_BYTES * SAMPLE_BYTES
    return np.nan_to_num(np.frombuffer(data[:whole], "<f4").astype(np.float32)), data[whole:]


def _failed(message: str) -> ModelError:
    return ModelError(message, name="TRANSCRIPTION_FAILED", code=52403)
