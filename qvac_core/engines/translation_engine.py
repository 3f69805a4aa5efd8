"""Translation models in processes of their own: `TranslationModel` for Firefox's engine, the parent's side.

A crash costs the request that the process was working on; the others go on in a new process from where they were.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from qvac_core.engines.firefox_translation import translation_missing
from qvac_core.engines.interface import LoadProgress, ModelConfig
from qvac_core.engines.translation_model import TextPart, TextsRequest, TranslationModelInfo
from qvac_core.engines.translation_protocol import (
    TRANSLATION,
    Ended,
    Open,
    Opened,
    Told,
    TranslateTexts,
    TranslationCommand,
    TranslationReport,
    Working,
)
from qvac_core.engines.worker_process import WorkerExit, WorkerProcess
from qvac_core.engines.worker_protocol import Cancel, Failed, Shutdown
from qvac_core.errors import EngineCrashed, InferenceCancelled, ModelError, QvacError

log = logging.getLogger("qvac.engines")

STALL_TIMEOUT = 120.0  # seconds without a word: a sentence takes one, on the slowest machine
UNLOAD_PATIENCE = 1.0  # seconds that a process gets to leave by itself
KILL_PATIENCE = 10.0

CRASHED = "The translation process ended over this text. Translate it in parts to find out which one it is."
STALLED = "The translation process made no progress for minutes and was stopped. Try again."


class _Job:
    """One request: its parts on their way to whoever iterates."""

    def __init__(self, id: int, request: TextsRequest) -> None:
        self.id = id
        self.request = request
        self.told = 0
        self.ended = False
        self._parts: deque[TextPart | QvacError | None] = deque()
        self._wake = asyncio.Event()

    def put(self, part: TextPart) -> None:
        if not self.ended:
            self.told += 1
            self._add(part)

    def end(self, error: QvacError | None) -> None:
        """None = all of it was told."""
        if not self.ended:
            self.ended = True
            self._add(error)

    def _add(self, item: TextPart | QvacError | None) -> None:
        self._parts.append(item)
        self._wake.set()

    async def next(self) -> TextPart | None:
        while not self._parts:
            self._wake.clear()
            await self._wake.wait()  # bounded by the process's stall timeout
        item = self._parts.popleft()
        if isinstance(item, QvacError):
            raise item
        return item


class FirefoxModel:
    """`TranslationModel`. Made by `TranslationEngine.load`; used from the loop that made it."""

    def __init__(self, paths: Sequence[Path], *, stall_timeout: float = STALL_TIMEOUT) -> None:
        self._loop = asyncio.get_running_loop()
        self._paths = tuple(map(str, paths))
        self._stall_timeout = stall_timeout
        self._info: TranslationModelInfo | None = None
        self._worker: WorkerProcess[TranslationCommand, TranslationReport] | None = None
        self._starting = asyncio.Lock()
        self._opening: asyncio.Future[TranslationModelInfo] | None = None
        self._exited = asyncio.Event()
        self._jobs: dict[int, _Job] = {}
        self._at = 0  # the id of the request that the process is at
        self._next_id = 0
        self._going_on: asyncio.Task[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._stalled = False
        self._unloading = False

    @property
    def info(self) -> TranslationModelInfo:
        if self._info is None:
            raise _not_there()
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
                raise _not_there()
            if self._worker is not None:
                return
            self._exited.clear()
            self._stalled = False
            self._opening = self._loop.create_future()
            worker = WorkerProcess(TRANSLATION, self._loop, self._on_reports, self._on_exit)
            self._worker = worker
            worker.send(Open(self._paths))
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
        self._fail_all(
            lambda: EngineCrashed(
                "The model was unloaded while it was translating.", name="MODEL_NOT_LOADED", code=52003
            )
        )

    async def _wait_exit(self, patience: float) -> bool:
        try:
            await asyncio.wait_for(self._exited.wait(), patience)
        except TimeoutError:
            return False
        return True

    # --- Requests -------------------------------------------------------------------------------------------------

    async def translate(self, request: TextsRequest) -> AsyncGenerator[TextPart, None]:
        """See `TranslationModel.translate`. Nothing is asked of the process before the first part is awaited."""
        if any(known.request.request_id == request.request_id for known in self._jobs.values()):
            raise ModelError(
                "A request with this request id is being answered already.", name="REQUEST_ID_CONFLICT", code=52417
            )
        self._next_id += 1
        job = self._jobs[self._next_id] = _Job(self._next_id, request)
        try:
            await self.start()
            if not job.ended:
                self._submit(job)
            while (part := await job.next()) is not None:
                yield part
        finally:
            del self._jobs[job.id]
            if not job.ended:
                job.ended = True
                self._send(Cancel(job.id))
            self._watch()

    def cancel(self, request_id: str) -> bool:
        for job in self._jobs.values():
            if job.request.request_id == request_id and not job.ended:
                job.end(InferenceCancelled("The translation was cancelled."))  # at once: it may be in a sentence
                self._send(Cancel(job.id))
                return True
        return False

    def _submit(self, job: _Job) -> None:
        self._send(TranslateTexts(job.id, job.request.owner, job.request.texts, job.told))
        self._watch()

    def _send(self, command: TranslationCommand) -> None:
        if self._worker is not None:
            self._worker.send(command)

    # --- From the process -----------------------------------------------------------------------------------------

    def _on_reports(self, reports: list[TranslationReport]) -> None:
        for report in reports:
            if isinstance(report, Opened):
                if self._opening is not None and not self._opening.done():
                    self._opening.set_result(report.info)
            elif isinstance(report, Working):
                self._at = report.id
            elif isinstance(report, Failed) and report.id == 0:
                if self._opening is not None and not self._opening.done():
                    self._opening.set_exception(_error_of(report))
            elif isinstance(report, Told | Ended | Failed) and (job := self._jobs.get(report.id)) is not None:
                if isinstance(report, Told):
                    job.put(report.part)
                else:
                    job.end(None if isinstance(report, Ended) else _error_of(report))
        self._watch()

    def _on_exit(self, exit: WorkerExit) -> None:
        self._worker = None
        self._exited.set()
        self._stop_watching()
        at, self._at = self._at, 0
        if self._unloading:
            return
        log.warning("translation process ended with code %d: %s", exit.code, exit.output[-1000:])
        if self._opening is not None:
            if not self._opening.done():
                self._opening.set_exception(
                    ModelError(
                        "The translation process ended while it was loading: the model's files are damaged, or there "
                        "is no memory left. Download the model again, or close other programs."
                    )
                )
            return
        if (guilty := self._jobs.get(at)) is not None:
            guilty.end(EngineCrashed(STALLED if self._stalled else CRASHED))
        if any(not job.ended for job in self._jobs.values()):
            self._going_on = self._loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        """The requests that the process was not at go on in a new one."""
        try:
            waiting = [job for job in self._jobs.values() if not job.ended]
            await self.start()
            for job in waiting:
                if not job.ended:
                    self._submit(job)
        except ModelError as error:
            message, name, code = error.message, error.name, error.code
            self._fail_all(lambda: ModelError(message, name=name, code=code))
        finally:
            self._going_on = None

    def _fail_all(self, make: Callable[[], QvacError]) -> None:
        for job in self._jobs.values():
            job.end(make())

    # --- A process that says nothing ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """(Re)start the stall timer while something is expected of the process."""
        self._stop_watching()
        waiting = any(not job.ended for job in self._jobs.values())
        if self._worker is not None and (self._opening is not None or waiting):
            self._stall_timer = self._loop.call_later(self._stall_timeout, self._on_stall)

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _on_stall(self) -> None:
        log.warning("translation process said nothing for %.0f s: killed", self._stall_timeout)
        self._stalled = True
        if self._worker is not None:
            self._worker.kill()


class TranslationEngine:
    """Loads translation models, each into a process of its own, and leaves none behind at `close`."""

    def __init__(self, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        self._stall_timeout = stall_timeout
        self._models: set[FirefoxModel] = set()

    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> FirefoxModel:
        """config.pivot: the model that its translations go through. Raises ModelError."""
        if missing := translation_missing():
            raise ModelError(missing, name="PLUGIN_NOT_FOUND", code=53850)
        paths = [path, Path(config.pivot)] if config.pivot else [path]
        model = FirefoxModel(paths, stall_timeout=self._stall_timeout)
        self._models = {known for known in self._models if known.alive} | {model}
        await model.start()
        if on_progress is not None:
            on_progress(LoadProgress(1.0))  # it takes a fraction of a second
        return model

    def worker_pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(pid for model in self._models if (pid := model.worker_pid) is not None)

    async def close(self) -> None:
        models, self._models = self._models, set()
        await asyncio.gather(*(model.unload() for model in models))


def _not_there() -> ModelError:
    return ModelError("The model is not loaded.", name="MODEL_NOT_LOADED", code=52003)


def _error_of(report: Failed) -> ModelError:
    return ModelError(report.message, name=report.name, code=report.code, typed_fields=dict(report.fields))
