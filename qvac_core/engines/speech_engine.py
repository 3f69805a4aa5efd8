"""Speech models in processes of their own: `SpeechModel` for whisper.cpp, the parent's side.

A crash costs the request that the process was working on; the others go on in a new process from where they were.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from qvac_core.engines.interface import LoadProgress, ModelConfig
from qvac_core.engines.process_model import Job, ProcessModel, ProcessModels, Troubles
from qvac_core.engines.speech import (
    SAMPLE_RATE,
    AudioFile,
    Finished,
    Progress,
    Segment,
    SpeechConfig,
    SpeechEnd,
    SpeechModelInfo,
    SpeechStats,
    TranscriptionEvent,
    TranscriptionRequest,
)
from qvac_core.engines.speech_protocol import (
    PART_BYTES,
    SPEECH,
    Advanced,
    AudioPart,
    Ended,
    Heard,
    Open,
    SpeechCommand,
    SpeechReport,
    Transcribe,
)
from qvac_core.engines.speech_windows import Place
from qvac_core.errors import EngineCrashed, ModelError

STALL_TIMEOUT = 600.0  # seconds without a word: the encoder of the largest model takes minutes on a slow CPU
AUDIO_LIMIT = 512 * 1024 * 1024  # bytes of a file that is handed over as bytes

CRASHED = "The speech process ended over this sound. It may be damaged: convert it to WAV and try again."
STALLED = "The speech process made no progress for minutes and was stopped. Choose a smaller speech model."


def speech_missing() -> str:
    """Why this machine cannot transcribe, as a sentence; "" = it can."""
    if importlib.util.find_spec("_pywhispercpp") is None:
        return (
            "Speech is not available here: pywhispercpp has no build for Intel Macs and for Windows on Arm. "
            "Transcribe on a provider instead. Elsewhere: pip install pywhispercpp==1.5.1"
        )
    if importlib.util.find_spec("av") is None:
        return "Speech is not available here: PyAV is missing. Install it: pip install av==18.1.0"
    return ""


class _Transcript(Job[TranscriptionEvent]):
    """One request: its events on their way to whoever iterates, and where it is."""

    def __init__(self, id: int, request: TranscriptionRequest, now: float) -> None:
        super().__init__(id, request.request_id)
        self.request = request
        self.place = Place(samples=request.start_ms * SAMPLE_RATE // 1000)
        self.total_ms: int | None = None
        self._done_ms = request.start_ms
        self._segments = 0
        self._began = now

    def heard(self, segment: Segment, now: float) -> None:
        self._segments += 1
        self.put(segment)
        self.advanced(segment.end_ms, now)

    def advanced(self, done_ms: int, now: float) -> None:
        self._done_ms = max(self._done_ms, done_ms)
        total = self.total_ms if self.total_ms and self.total_ms >= self._done_ms else None
        left = None
        here = self._done_ms - self.request.start_ms
        if total is not None and here:
            left = (now - self._began) * (total - self._done_ms) / here
        if self._events and isinstance(self._events[-1], Progress):
            self._events.pop()
        self.put(Progress(self._done_ms, total, left))

    def cancel(self) -> None:
        stats = SpeechStats(self._done_ms, 0, self._segments)
        self.end(Finished(SpeechEnd.CANCELLED, self.place.language, self._done_ms, (), stats))


class WhisperModel(ProcessModel[SpeechCommand, SpeechReport, SpeechModelInfo, _Transcript]):
    """`SpeechModel`. Made by `WhisperEngine.load`; used from the loop that made it."""

    def __init__(self, path: Path, config: SpeechConfig, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        super().__init__(SPEECH, Open(str(path), config), _TROUBLES, stall_timeout=stall_timeout)

    async def transcribe(self, request: TranscriptionRequest) -> AsyncGenerator[TranscriptionEvent, None]:
        """See `SpeechModel.transcribe`. Nothing is asked of the process before the first event is awaited."""
        id = self._new_id(request.request_id)
        if not isinstance(request.audio, AudioFile) and len(request.audio.data) > AUDIO_LIMIT:
            raise ModelError(
                f"This sound is larger than {AUDIO_LIMIT // 1024**2} MB. Send it in parts.",
                name="REQUEST_REJECTED_BY_POLICY",
                code=52420,
                typed_fields={"reason": "limit"},
            )
        transcript = _Transcript(id, request, self._loop.time())
        async with self._in_flight(transcript):
            while True:
                event = await transcript.next()
                yield event
                if isinstance(event, Finished):
                    return

    def _submit(self, transcript: _Transcript) -> None:
        request, audio = transcript.request, transcript.request.audio
        path = os.fsencode(audio.path) if isinstance(audio, AudioFile) else b""
        self._send(
            Transcribe(
                transcript.id,
                path,
                not isinstance(audio, AudioFile) and audio.raw,
                request.language,
                request.prompt,
                request.translate,
                request.words,
                request.owner,
                request.max_seconds,
                transcript.place,
            )
        )
        if not isinstance(audio, AudioFile):
            for start in range(0, max(len(audio.data), 1), PART_BYTES):
                end = start + PART_BYTES
                self._send(AudioPart(transcript.id, audio.data[start:end], end >= len(audio.data)))

    def _take(self, report: SpeechReport) -> None:
        if not isinstance(report, Heard | Advanced | Ended) or (transcript := self._jobs.get(report.id)) is None:
            return
        now = self._loop.time()
        if isinstance(report, Heard | Advanced):
            transcript.total_ms = report.total_ms or None
        if isinstance(report, Heard):
            transcript.heard(report.segment, now)
        elif isinstance(report, Advanced):
            transcript.place = report.place
            transcript.advanced(report.place.milliseconds, now)
        else:
            stats = report.stats
            transcript.end(Finished(SpeechEnd.EOS, report.language, stats.audio_ms, report.notices, stats))


class WhisperEngine(ProcessModels[WhisperModel]):
    """Loads Whisper models, each into a process of its own. Keeps track of them so that `close` leaves none behind."""

    def __init__(self, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        super().__init__()
        self._stall_timeout = stall_timeout

    async def load(
        self, path: Path, config: SpeechConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> WhisperModel:
        if missing := speech_missing():
            raise ModelError(missing, name="PLUGIN_NOT_FOUND", code=53850)
        if str(path) != str(path).encode("utf-8", "replace").decode():
            raise ModelError("The path of this speech model is no UTF-8, which whisper.cpp cannot open. Rename it.")
        return await self._started(WhisperModel(path, config, stall_timeout=self._stall_timeout), on_progress)

    async def load_pooled(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> WhisperModel:
        """As `load`, for a pool of models of every kind: device and threads are those of its configuration."""
        return await self.load(path, SpeechConfig(threads=config.threads, device=config.device), on_progress)


def _unloaded() -> EngineCrashed:
    return EngineCrashed("The model was unloaded while it was transcribing.", name="MODEL_NOT_LOADED", code=52003)


def _not_loaded(stalled: bool) -> ModelError:
    if stalled:
        return ModelError("Loading the speech model made no progress for minutes and was stopped. Try again.")
    return ModelError(
        "The speech process ended while it was loading, most likely for want of memory. "
        "Close other programs, or choose a smaller model."
    )


def _closed() -> ModelError:
    return ModelError("The model is not loaded any more.", name="MODEL_NOT_LOADED", code=52003)


_TROUBLES = Troubles("speech", CRASHED, STALLED, _not_loaded, _unloaded, _closed)
