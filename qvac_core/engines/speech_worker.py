"""The process of a speech model: one model, one thread that decodes files and hears them, several requests in turn.

`python -m qvac_core.engines.speech_worker`, or `THE-APP --speech-worker` where the app is frozen. A file that crashes
the decoder ends this process and no other. Between two windows the turn goes to whoever waited longest for one.
"""

from __future__ import annotations

import contextlib
import os
import queue
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from qvac_core.engines.audio_decoding import Block, Decoding, sound_error
from qvac_core.engines.devices import cpu_threads
from qvac_core.engines.speech import (
    SAMPLE_BYTES,
    SAMPLE_RATE,
    Segment,
    SpeechModelInfo,
    SpeechStats,
)
from qvac_core.engines.speech_protocol import (
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
from qvac_core.engines.speech_task import Task
from qvac_core.engines.speech_windows import Windows
from qvac_core.engines.whisper import Whisper
from qvac_core.engines.worker_pipes import worker_process
from qvac_core.engines.worker_protocol import Alive, Cancel, Failed, Opened, Shutdown, Working
from qvac_core.errors import ModelError

ALIVE_INTERVAL = 1.0  # seconds
WORKING_BYTES = 200 * 1024 * 1024  # beside the weights: what the process and the buffers of a small model take
RAW_BLOCK = 10 * SAMPLE_RATE  # samples handed on at once

Inbox = queue.SimpleQueue[SpeechCommand]


class Job:
    """One request in this process."""

    def __init__(self, order: Transcribe, arrived: int) -> None:
        self.order = order
        self.served = arrived  # when it last had a turn; younger is higher
        self.ready = bool(order.path)
        self.cancelled = False
        self.data = bytearray()
        self.segments = order.place.segments
        self.compute_ms = 0.0
        self.decoding: Decoding | None = None
        self.windows: Windows | None = None

    @property
    def total_ms(self) -> int:
        if self.order.raw:
            return len(self.data) // SAMPLE_BYTES * 1000 // SAMPLE_RATE
        seconds = self.decoding.total_seconds if self.decoding is not None else None
        return round((seconds or 0) * 1000)

    def open(self, task: Task, window_seconds: float, report: Outbox) -> Windows:
        def told(segment: Segment) -> None:
            self.segments += 1
            report.put(Heard(self.order.id, segment, self.total_ms))
            report.flush()

        self.windows = Windows(self._blocks(), task, window_seconds, told, self.order.place)
        return self.windows

    def _blocks(self) -> Iterator[Block]:
        if self.order.raw:
            return _samples(bytes(self.data), self.order.max_seconds)
        source = Path(os.fsdecode(self.order.path)) if self.order.path else bytes(self.data)
        self.data.clear()
        self.decoding = Decoding(source, self.order.max_seconds)
        return self.decoding.blocks()


class Outbox:
    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._reports: list[SpeechReport] = []
        self._sent_at = time.monotonic()

    def put(self, report: SpeechReport) -> None:
        self._reports.append(report)

    def alive(self) -> None:
        if time.monotonic() - self._sent_at > ALIVE_INTERVAL:
            self.put(Alive())
            self.flush()

    def flush(self) -> None:
        if self._reports:
            self._pipe.write(SPEECH.frame_reports(self._reports))
            self._pipe.flush()
            self._reports = []
            self._sent_at = time.monotonic()


class SpeechWorker:
    """One loaded model, from its load to the end of the process. Raises ModelError when it cannot be loaded."""

    def __init__(self, order: Open, outbox: Outbox, inbox: Inbox) -> None:
        self._outbox = outbox
        self._inbox = inbox
        self._config = order.config
        path = Path(order.path)
        gpu = order.config.device == "gpu"
        self._whisper = whisper = Whisper(path, threads=order.config.threads or cpu_threads(), gpu=gpu)
        self._jobs: dict[int, Job] = {}
        self._clock = 0
        self._leaving = False
        info = SpeechModelInfo(
            name=path.stem,
            sha256="",
            n_ctx=0,
            n_ctx_train=0,
            slots=1,
            parameters=0,
            size_bytes=whisper.file.size_bytes,
            memory_bytes=whisper.file.size_bytes + WORKING_BYTES,
            backend_device="cpu",  # the wheels have no other
            chat_template=False,
            engine="pywhispercpp",
            multilingual=whisper.multilingual,
            languages=whisper.languages,
        )
        outbox.put(Opened(info))
        outbox.flush()

    def run(self) -> None:
        """Until Shutdown."""
        while not self._leaving:
            job = self._next()
            if job is None:
                self._obey(self._inbox.get())
                continue
            self._outbox.put(Working(job.order.id))
            self._outbox.flush()
            self._work(job)
            self._outbox.put(Working(0))
            self._outbox.flush()
            self._hear_commands()

    def _next(self) -> Job | None:
        """Whose owner waited longest for a turn, and of those the request that did."""
        ready = [job for job in self._jobs.values() if job.ready]
        if not ready:
            return None
        served = {job.order.owner: 0 for job in ready}
        for job in ready:
            if job.windows is not None:
                served[job.order.owner] = max(served[job.order.owner], job.served)
        return min(ready, key=lambda job: (served[job.order.owner], job.served))

    def _work(self, job: Job) -> None:
        number = job.order.id
        self._clock += 1
        job.served = self._clock
        start = time.monotonic()
        try:
            windows = job.windows or job.open(self._task(job.order), self._config.window_seconds, self._outbox)
            heard = windows.step(self._whisper.hear, lambda: self._is_cancelled(job))
        except ModelError as error:
            self._jobs.pop(number, None)
            fields = dict(error.typed_fields)
            self._outbox.put(Failed(number, error.name, error.code, error.message, "", fields))
            return
        except Exception as error:  # noqa: BLE001
            # A mistake of ours with what a stranger sent: it must not cost the others' requests, as a crash would.
            traceback.print_exception(error)
            self._jobs.pop(number, None)
            mistake = sound_error("This sound cannot be transcribed: it trips the speech process up.")
            self._outbox.put(Failed(number, mistake.name, mistake.code, mistake.message))
            return
        job.compute_ms += (time.monotonic() - start) * 1000
        if not heard or windows.done:
            self._jobs.pop(number, None)
        if windows.done:
            self._outbox.put(self._ended(job, windows))
        elif heard:
            self._outbox.put(Advanced(number, windows.place, job.total_ms))

    def _task(self, order: Transcribe) -> Task:
        language = self._whisper.language(order.language)
        return Task(language, order.prompt, order.translate and self._whisper.multilingual, order.words)

    def _ended(self, job: Job, windows: Windows) -> Ended:
        notices = tuple(job.decoding.notices) if job.decoding is not None else ()
        audio_ms = windows.place.milliseconds
        if audio_ms <= job.order.place.milliseconds and job.total_ms:
            audio_ms = min(audio_ms, job.total_ms)  # it begins behind the end: so whoever asked is told where that is
        stats = SpeechStats(audio_ms, round(job.compute_ms), job.segments)
        language = windows.place.language if job.segments else ""
        return Ended(job.order.id, language, notices, stats)

    # --- Commands -------------------------------------------------------------------------------------------------

    def _is_cancelled(self, job: Job) -> bool:
        """Asked in the middle of the work: commands are heard, and the app is told that this process lives."""
        self._hear_commands()
        self._outbox.alive()
        return job.cancelled or self._leaving

    def _hear_commands(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._obey(self._inbox.get_nowait())

    def _obey(self, command: SpeechCommand) -> None:
        if isinstance(command, Transcribe):
            self._clock += 1
            self._jobs[command.id] = Job(command, self._clock)
        elif isinstance(command, AudioPart):
            if (job := self._jobs.get(command.id)) is not None:
                job.data += command.data
                job.ready = command.last
        elif isinstance(command, Cancel):
            if (job := self._jobs.pop(command.id, None)) is not None:
                job.cancelled = True
        elif isinstance(command, Shutdown):
            self._leaving = True


def _samples(data: bytes, max_seconds: float) -> Iterator[Block]:
    """float32 as they came; what is left of a half sample is no sound."""
    samples = np.frombuffer(data[: len(data) // SAMPLE_BYTES * SAMPLE_BYTES], "<f4").astype(np.float32)
    if max_seconds and samples.size > max_seconds * SAMPLE_RATE:
        raise Decoding(b"", max_seconds).too_long()
    for start in range(0, samples.size, RAW_BLOCK):
        yield np.nan_to_num(samples[start : start + RAW_BLOCK])


def main() -> NoReturn:
    """The process, to its end: it never returns."""
    worker_process(SPEECH, _serve)


def _serve(inbox: Inbox, reports: BinaryIO) -> None:
    command, outbox = inbox.get(), Outbox(reports)
    if not isinstance(command, Open):
        return
    try:
        worker = SpeechWorker(command, outbox, inbox)
    except ModelError as error:
        outbox.put(Failed(0, error.name, error.code, error.message, "", dict(error.typed_fields)))
        outbox.flush()
        return
    worker.run()


if __name__ == "__main__":
    main()
