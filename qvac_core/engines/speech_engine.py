"""Speech models in processes of their own: `SpeechEngine` and `SpeechModel` for whisper.cpp, the parent's side.

A crash costs the request that the process was working on; the others go on in a new process from where they were.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from qvac_core.engines.interface import LoadProgress, ModelConfig
from qvac_core.engines.speech import (
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
    Opened,
    SpeechCommand,
    SpeechReport,
    Transcribe,
    Working,
)
from qvac_core.engines.speech_windows import Place
from qvac_core.engines.worker_process import WorkerExit, WorkerProcess
from qvac_core.engines.worker_protocol import Cancel, Failed, Shutdown
from qvac_core.errors import EngineCrashed, ModelError, QvacError

log = logging.getLogger("qvac.engines")

STALL_TIMEOUT = 600.0  # seconds without a word: the encoder of the largest model takes minutes on a slow CPU
UNLOAD_PATIENCE = 1.0  # seconds that a process gets to leave by itself; it may be deep in a window
KILL_PATIENCE = 10.0
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


class _Transcript:
    """One request: its events on their way to whoever iterates, and where it is."""

    def __init__(self, id: int, request: TranscriptionRequest, now: float) -> None:
        self.id = id
        self.request = request
        self.place = Place()
        self.total_ms: int | None = None
        self.ended = False
        self._done_ms = 0
        self._segments = 0
        self._began = now
        self._events: deque[TranscriptionEvent | QvacError] = deque()
        self._wake = asyncio.Event()

    def heard(self, segment: Segment, now: float) -> None:
        self._segments += 1
        self._put(segment)
        self.advanced(segment.end_ms, now)

    def advanced(self, done_ms: int, now: float) -> None:
        self._done_ms = max(self._done_ms, done_ms)
        total = self.total_ms if self.total_ms and self.total_ms >= self._done_ms else None
        left = None
        if total is not None and self._done_ms:
            left = (now - self._began) * (total - self._done_ms) / self._done_ms
        if self._events and isinstance(self._events[-1], Progress):
            self._events.pop()
        self._put(Progress(self._done_ms, total, left))

    def cancel(self) -> None:
        stats = SpeechStats(self._done_ms, 0, self._segments)
        self.end(Finished(SpeechEnd.CANCELLED, self.place.language, self._done_ms, (), stats))

    def end(self, event: Finished | QvacError) -> None:
        if not self.ended:
            self._put(event)
            self.ended = True

    def _put(self, event: TranscriptionEvent | QvacError) -> None:
        if not self.ended:
            self._events.append(event)
            self._wake.set()

    async def next(self) -> TranscriptionEvent:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()  # bounded by the process's stall timeout
        event = self._events.popleft()
        if isinstance(event, QvacError):
            raise event
        return event


class WhisperModel:
    """`SpeechModel`. Made by `WhisperEngine.load`; used from the loop that made it."""

    def __init__(self, path: Path, config: SpeechConfig, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._config = config
        self._stall_timeout = stall_timeout
        self._info: SpeechModelInfo | None = None
        self._worker: WorkerProcess[SpeechCommand, SpeechReport] | None = None
        self._starting = asyncio.Lock()
        self._opening: asyncio.Future[SpeechModelInfo] | None = None
        self._exited = asyncio.Event()
        self._transcripts: dict[int, _Transcript] = {}
        self._working = 0  # the id of the request that the process is at
        self._next_id = 0
        self._going_on: asyncio.Task[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._unloading = False

    @property
    def info(self) -> SpeechModelInfo:
        if self._info is None:
            raise ModelError("The model is not loaded.", name="MODEL_NOT_LOADED", code=52003)
        return self._info

    @property
    def alive(self) -> bool:
        """Whether it answers; a process that crashed is started again when it is needed."""
        return self._info is not None and not self._unloading

    @property
    def worker_pid(self) -> int | None:
        """The process that runs the model now, for diagnostics and tests."""
        return self._worker.pid if self._worker is not None else None

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start a process and load, unless one runs. Raises ModelError; cancelling ends the process."""
        async with self._starting:
            if self._unloading:
                raise ModelError("The model is not loaded any more.", name="MODEL_NOT_LOADED", code=52003)
            if self._worker is not None:
                return
            self._exited.clear()
            self._stalled = False
            self._opening = self._loop.create_future()
            worker = WorkerProcess(SPEECH, self._loop, self._on_reports, self._on_exit)
            self._worker = worker
            worker.send(Open(str(self._path), self._config))
            self._watch()
            try:
                self._info = await self._opening
            except BaseException:
                # Also when cancelled: a process that nobody waits for must not stay.
                worker.kill()
                await self._wait_exit(KILL_PATIENCE)
                raise
            finally:
                self._opening = None
                self._watch()

    async def unload(self) -> None:
        """End the process; bounded in time, safe to call twice."""
        self._unloading = True
        if self._going_on is not None:
            self._going_on.cancel()
            await asyncio.wait([self._going_on], timeout=KILL_PATIENCE)
        if (worker := self._worker) is not None:
            worker.send(Shutdown())
            if not await self._wait_exit(UNLOAD_PATIENCE):
                worker.kill()
                await self._wait_exit(KILL_PATIENCE)
        self._fail_all(_unloaded)

    async def _wait_exit(self, patience: float) -> bool:
        try:
            await asyncio.wait_for(self._exited.wait(), patience)
        except TimeoutError:
            return False
        return True

    # --- Requests -------------------------------------------------------------------------------------------------

    async def transcribe(self, request: TranscriptionRequest) -> AsyncGenerator[TranscriptionEvent, None]:
        """See `SpeechModel.transcribe`. Nothing is asked of the process before the first event is awaited."""
        transcript = self._register(request)
        try:
            await self.start()
            if not transcript.ended:
                self._submit(transcript)
            while True:
                event = await transcript.next()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            del self._transcripts[transcript.id]
            if not transcript.ended:
                transcript.ended = True
                self._send(Cancel(transcript.id))
            self._watch()

    def cancel(self, request_id: str) -> bool:
        for transcript in self._transcripts.values():
            if transcript.request.request_id == request_id and not transcript.ended:
                transcript.cancel()  # at once: the process may be in the middle of a long step
                self._send(Cancel(transcript.id))
                return True
        return False

    def _register(self, request: TranscriptionRequest) -> _Transcript:
        if any(known.request.request_id == request.request_id for known in self._transcripts.values()):
            raise ModelError(
                "A request with this request id is being answered already.", name="REQUEST_ID_CONFLICT", code=52417
            )
        if not isinstance(request.audio, AudioFile) and len(request.audio.data) > AUDIO_LIMIT:
            raise ModelError(
                f"This sound is larger than {AUDIO_LIMIT // 1024**2} MB. Send it in parts.",
                name="REQUEST_REJECTED_BY_POLICY",
                code=52420,
                typed_fields={"reason": "limit"},
            )
        self._next_id += 1
        transcript = self._transcripts[self._next_id] = _Transcript(self._next_id, request, self._loop.time())
        return transcript

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
        self._watch()

    def _send(self, command: SpeechCommand) -> None:
        if self._worker is not None:
            self._worker.send(command)

    # --- From the process -----------------------------------------------------------------------------------------

    def _on_reports(self, reports: list[SpeechReport]) -> None:
        for report in reports:
            if isinstance(report, Opened):
                if self._opening is not None and not self._opening.done():
                    self._opening.set_result(report.info)
            elif isinstance(report, Working):
                self._working = report.id
            elif isinstance(report, Failed) and report.id == 0:
                if self._opening is not None and not self._opening.done():
                    self._opening.set_exception(_error_of(report))
            elif isinstance(report, Heard | Advanced | Ended | Failed):
                self._take(report)
        self._watch()

    def _take(self, report: Heard | Advanced | Ended | Failed) -> None:
        if (transcript := self._transcripts.get(report.id)) is None:
            return
        now = self._loop.time()
        if isinstance(report, Heard | Advanced):
            transcript.total_ms = report.total_ms or None
        if isinstance(report, Heard):
            transcript.heard(report.segment, now)
        elif isinstance(report, Advanced):
            transcript.place = report.place
            transcript.advanced(report.place.milliseconds, now)
        elif isinstance(report, Ended):
            stats = report.stats
            transcript.end(Finished(SpeechEnd.EOS, report.language, stats.audio_ms, report.notices, stats))
        else:
            transcript.end(_error_of(report))

    def _on_exit(self, exit: WorkerExit) -> None:
        self._worker = None
        self._exited.set()
        self._stop_watching()
        at, self._working = self._working, 0
        if self._unloading:
            return
        log.warning("speech process ended with code %d: %s", exit.code, exit.output[-1000:])
        if self._opening is not None:
            if not self._opening.done():
                self._opening.set_exception(_not_loaded(self._stalled))
            return
        if (guilty := self._transcripts.get(at)) is not None:
            guilty.end(EngineCrashed(STALLED if self._stalled else CRASHED))
        if any(not transcript.ended for transcript in self._transcripts.values()):
            self._going_on = self._loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        """The requests that the process was not at go on in a new one."""
        try:
            waiting = [transcript for transcript in self._transcripts.values() if not transcript.ended]
            await self.start()
            for transcript in waiting:
                if not transcript.ended:
                    self._submit(transcript)
        except ModelError as error:
            message, name, code = error.message, error.name, error.code
            self._fail_all(lambda: ModelError(message, name=name, code=code))
        finally:
            self._going_on = None

    def _fail_all(self, make: Callable[[], QvacError]) -> None:
        for transcript in self._transcripts.values():
            transcript.end(make())

    # --- A process that says nothing ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """(Re)start the stall timer while something is expected of the process."""
        self._stop_watching()
        waiting = any(not transcript.ended for transcript in self._transcripts.values())
        if self._worker is not None and (self._opening is not None or waiting):
            self._stall_timer = self._loop.call_later(self._stall_timeout, self._on_stall)

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _on_stall(self) -> None:
        log.warning("speech process said nothing for %.0f s: killed", self._stall_timeout)
        self._stalled = True
        if self._worker is not None:
            self._worker.kill()


class WhisperEngine:
    """Loads Whisper models, each into a process of its own. Keeps track of them so that `close` leaves none behind."""

    def __init__(self, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        self._stall_timeout = stall_timeout
        self._models: set[WhisperModel] = set()

    async def load(
        self, path: Path, config: SpeechConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> WhisperModel:
        if missing := speech_missing():
            raise ModelError(missing, name="PLUGIN_NOT_FOUND", code=53850)
        if str(path) != str(path).encode("utf-8", "replace").decode():
            raise ModelError("The path of this speech model is no UTF-8, which whisper.cpp cannot open. Rename it.")
        model = WhisperModel(path, config, stall_timeout=self._stall_timeout)
        self._models = {known for known in self._models if known.alive} | {model}
        await model.start()
        if on_progress is not None:
            on_progress(LoadProgress(1.0))  # the library tells nothing on the way
        return model

    async def load_pooled(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> WhisperModel:
        """As `load`, for a pool of models of every kind: device and threads are those of its configuration."""
        return await self.load(path, SpeechConfig(threads=config.threads, device=config.device), on_progress)

    def worker_pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(pid for model in self._models if (pid := model.worker_pid) is not None)

    async def close(self) -> None:
        models, self._models = self._models, set()
        await asyncio.gather(*(model.unload() for model in models))


def _unloaded() -> EngineCrashed:
    return EngineCrashed("The model was unloaded while it was transcribing.", name="MODEL_NOT_LOADED", code=52003)


def _not_loaded(stalled: bool) -> ModelError:
    if stalled:
        return ModelError("Loading the speech model made no progress for minutes and was stopped. Try again.")
    return ModelError(
        "The speech process ended while it was loading, most likely for want of memory. "
        "Close other programs, or choose a smaller model."
    )


def _error_of(report: Failed) -> ModelError:
    return ModelError(report.message, name=report.name, code=report.code, typed_fields=dict(report.fields))
