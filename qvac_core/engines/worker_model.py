"""A model in a worker process, the parent's side: its life, and the requests on their way to it and back.

A crash of the worker fails the requests in flight, each with EngineCrashed, and the model is loaded again at once;
whoever holds it goes on using it (docs/architecture.md, "One core, one owner").
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from qvac_core.engines.interface import (
    CompletionStats,
    Finished,
    LoadProgress,
    ModelInfo,
    StopReason,
    Token,
    ToolCall,
    ToolError,
)
from qvac_core.engines.stall_watch import StallWatch
from qvac_core.engines.underway import Underway, check_free
from qvac_core.engines.worker_process import WorkerExit, WorkerProcess
from qvac_core.engines.worker_protocol import (
    MODELS,
    Called,
    Cancel,
    Command,
    Done,
    Embed,
    Embedded,
    Failed,
    Forget,
    Load,
    Loaded,
    Loading,
    NotCalled,
    Report,
    Shutdown,
    Submit,
    Text,
)
from qvac_core.errors import DelegationError, EngineCrashed, InferenceCancelled, ModelError, RequestRefused

log = logging.getLogger("qvac.engines")

STALL_TIMEOUT = 300.0  # seconds without a word from a busy worker: a hung driver. A step of a huge model takes seconds
UNLOAD_PATIENCE = 3.0  # seconds that a worker gets to leave by itself
KILL_PATIENCE = 10.0  # seconds for the kernel to take a killed process away
CRASH_LIMIT, CRASH_WINDOW = 3, 120.0  # crashes in so many seconds: then it is not started again by itself
EVENTS_KEPT = 64  # of an answer nobody reads; later tokens join the last one

CRASHED = "The model process ended unexpectedly and was restarted. What it was working on is lost: ask again."
KEEPS_CRASHING = (
    "The model process keeps ending unexpectedly. Load the model with a smaller context, close other programs, "
    "or choose another model."
)

WorkerEvent = Token | ToolCall | ToolError | Finished | Embedded


class Pending(Underway[WorkerEvent]):
    """What the worker has said of one request, on its way to whoever waits for it."""

    def text(self, text: str, *, thinking: bool) -> None:
        last = self._events[-1] if len(self._events) >= EVENTS_KEPT else None
        if isinstance(last, Token) and last.thinking is thinking:
            self._events[-1] = Token(last.text + text, thinking)
        else:
            self.put(Token(text, thinking))

    def tool(self, event: ToolCall | ToolError) -> None:
        """None is left out: there are as many as the answer has calls, and its length is bounded."""
        self.put(event)


class WorkerModel:
    """A model in a worker of its own; what it is asked for is the business of the classes below it.

    load: what the worker is told first. Used from the loop that made it.
    """

    def __init__(self, path: Path, load: Load, *, stall_timeout: float = STALL_TIMEOUT) -> None:
        self._loop = asyncio.get_running_loop()
        self._path = path
        self._load = load
        self._info: ModelInfo | None = None
        self._worker: WorkerProcess[Command, Report] | None = None
        self._exited = asyncio.Event()
        self._loading: asyncio.Future[ModelInfo] | None = None
        self._on_progress: Callable[[LoadProgress], None] | None = None
        self._restart: asyncio.Task[None] | None = None
        self._pending: dict[int, Pending] = {}
        self._next_id = 0
        self._crashes: list[float] = []
        self._failure: ModelError | None = None  # why it could not be loaded again
        self._file_bytes = 0
        self._silence = StallWatch(self._loop, stall_timeout, self._on_stall)
        self._stalled = False
        self._unloading = False

    @property
    def info(self) -> ModelInfo:
        if self._info is None:
            raise ModelError("The model is not loaded.", name="MODEL_NOT_LOADED", code=52003)
        return self._info

    @property
    def alive(self) -> bool:
        """Whether it answers now or will after the restart that is under way."""
        return not self._unloading and (self._worker is not None or self._restart is not None)

    @property
    def worker_pid(self) -> int | None:
        """The process that runs the model now, for diagnostics and tests."""
        return self._worker.pid if self._worker is not None else None

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self, on_progress: Callable[[LoadProgress], None] | None = None) -> None:
        """Start the worker and load. Raises ModelError; cancelling ends the worker."""
        self._exited.clear()
        self._stalled = False
        self._loading = self._loop.create_future()
        self._on_progress = on_progress
        worker = WorkerProcess(MODELS, self._loop, self._on_reports, self._on_exit)
        self._worker = worker
        worker.send(self._load)
        self._watch()
        try:
            self._info = await self._loading
            self._file_bytes = await asyncio.to_thread(_size_of, self._path)
        except BaseException:
            # Also when cancelled: a worker that nobody waits for must not stay.
            worker.kill()
            await self._wait_exit(KILL_PATIENCE)
            raise
        finally:
            self._loading = None
            self._on_progress = None

    def forget(self, owner: str) -> None:
        """Keep nothing of what this owner has said so far. Nothing where no process runs."""
        if self._worker is not None and not self._unloading:
            self._worker.send(Forget(owner))

    async def unload(self) -> None:
        """End the worker; bounded in time, safe to call twice."""
        self._unloading = True
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.wait([self._restart], timeout=KILL_PATIENCE)
        worker = self._worker
        if worker is None:
            return
        worker.send(Shutdown())
        if not await self._wait_exit(UNLOAD_PATIENCE):
            worker.kill()
            await self._wait_exit(KILL_PATIENCE)

    async def _wait_exit(self, patience: float) -> bool:
        try:
            await asyncio.wait_for(self._exited.wait(), patience)
        except TimeoutError:
            return False
        return True

    async def _after_crash(self, lost: list[Pending]) -> None:
        """Tell the answers what happened, and load again unless that is of no use."""
        try:
            self._failure = await asyncio.to_thread(_file_trouble, self._path, self._file_bytes)
            if self._failure is not None:
                _fail(lost, self._failure)
            elif len(self._crashes) >= CRASH_LIMIT:
                _fail(lost, EngineCrashed(KEEPS_CRASHING))
            else:
                _fail(lost, EngineCrashed(CRASHED))
                while len(self._crashes) < CRASH_LIMIT and not await self._started_again():
                    self._crashes.append(self._loop.time())
        finally:
            _fail(lost, self._unloaded())  # it was cancelled, or they were told before
            self._restart = None

    async def _try_again(self) -> None:
        """What kept it from being loaded may be over: the file is back, or there is memory again."""
        try:
            trouble = await asyncio.to_thread(_file_trouble, self._path, 0)
            if trouble is not None:
                self._failure = trouble
            else:
                await self._started_again()
        finally:
            self._restart = None

    async def _started_again(self) -> bool:
        try:
            await self.start()
        except ModelError as error:
            log.warning("model worker could not be restarted: %s", error.message)
            self._failure = error
            return False
        self._failure = None
        return True

    # --- Requests -------------------------------------------------------------------------------------------------

    async def _begin(self, request_id: str, command: Callable[[int], Submit | Embed]) -> Pending:
        """Hand a request to the worker, once that is ready. `_end` it whatever happens.

        Raises ModelError REQUEST_ID_CONFLICT (52417), EngineCrashed.
        """
        check_free(request_id, self._pending.values())
        self._next_id += 1
        pending = self._pending[self._next_id] = Pending(self._next_id, request_id)
        try:
            await self._ready()
            if not pending.ended:
                self._send(command(pending.id))
                self._watch()
        except BaseException:
            self._end(pending)
            raise
        return pending

    def _end(self, pending: Pending) -> None:
        """Nobody waits for it any more; the worker stops it if it is still at it."""
        del self._pending[pending.id]
        if not pending.ended and self._worker is not None:
            self._send(Cancel(pending.id))

    def cancel(self, request_id: str) -> bool:
        """Stop this request between two steps; its end is then that of a cancelled one. False = no such request."""
        for pending in self._pending.values():
            if pending.request_id == request_id and not pending.ended:
                if self._restart is not None:
                    pending.end(_cancelled())
                else:
                    self._send(Cancel(pending.id))
                return True
        return False

    async def _ready(self) -> None:
        """Wait for a restart under way. Raises when there is no worker and none is coming."""
        if self._restart is not None:
            await asyncio.wait([self._restart])  # bounded: a load ends by the stall timeout
        if self._unloading:
            raise ModelError("The model is not loaded any more.", name="MODEL_NOT_LOADED", code=52003)
        if self._worker is None and self._failure is not None:
            if self._restart is None:
                self._restart = self._loop.create_task(self._try_again())
            await asyncio.wait([self._restart])
        if self._worker is None:
            raise _anew(self._failure or EngineCrashed(KEEPS_CRASHING))

    def _send(self, command: Submit | Embed | Cancel) -> None:
        if self._worker is not None:
            self._worker.send(command)

    # --- From the worker ------------------------------------------------------------------------------------------

    def _on_reports(self, reports: list[Report]) -> None:
        for report in reports:
            if isinstance(report, Text):
                if (pending := self._pending.get(report.id)) is not None:
                    pending.text(report.text, thinking=report.thinking)
            elif isinstance(report, Called | NotCalled):
                if (pending := self._pending.get(report.id)) is not None:
                    pending.tool(report.call if isinstance(report, Called) else report.error)
            elif isinstance(report, Done):
                if (pending := self._pending.get(report.id)) is not None:
                    pending.end(Finished(report.stop_reason, report.stats))
            elif isinstance(report, Embedded):
                if (pending := self._pending.get(report.id)) is not None:
                    pending.end(report)
            elif isinstance(report, Failed):
                self._on_failed(report)
            elif isinstance(report, Loaded):
                if self._loading is not None and not self._loading.done():
                    self._loading.set_result(report.info)
            elif isinstance(report, Loading) and self._on_progress is not None:
                self._on_progress(LoadProgress(report.fraction))
        self._watch()

    def _on_failed(self, report: Failed) -> None:
        kind: type[DelegationError] = RequestRefused if report.refused else ModelError
        if report.name == InferenceCancelled.name:
            kind = InferenceCancelled
        error = kind(report.message, name=report.name, code=report.code, typed_fields=dict(report.fields))
        if report.detail:
            log.info("model worker: %s", report.detail)
        if report.id == 0:
            if self._loading is not None and not self._loading.done():
                self._loading.set_exception(error)
        elif (pending := self._pending.get(report.id)) is not None:
            pending.end(error)

    def _on_exit(self, exit: WorkerExit) -> None:
        self._worker = None
        self._exited.set()
        self._silence.stop()
        if self._loading is not None:
            if not self._loading.done():
                self._loading.set_exception(_ended_while_loading(exit, self._stalled))
            return
        if self._unloading:
            _fail(list(self._pending.values()), self._unloaded())
            return
        log.warning("model worker ended with code %d: %s", exit.code, exit.output[-1000:])
        now = self._loop.time()
        self._crashes = [at for at in self._crashes if now - at < CRASH_WINDOW] + [now]
        self._restart = self._loop.create_task(self._after_crash(list(self._pending.values())))

    def _unloaded(self) -> EngineCrashed:
        return EngineCrashed("The model was unloaded while it was answering.", name="MODEL_NOT_LOADED", code=52003)

    # --- A worker that says nothing -------------------------------------------------------------------------------

    def _watch(self) -> None:
        waiting = any(not pending.ended for pending in self._pending.values())
        self._silence.restart(expecting=self._loading is not None or waiting)

    def _on_stall(self) -> None:
        log.warning("model worker said nothing for %.0f s: killed", self._silence.timeout)
        self._stalled = True
        if self._worker is not None:
            self._worker.kill()


def _fail(answers: list[Pending], error: ModelError | EngineCrashed) -> None:
    for answer in answers:
        answer.end(_anew(error))


def _size_of(path: Path) -> int:
    """0 when it cannot be told."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _file_trouble(path: Path, size: int) -> ModelError | None:
    """What is wrong with the file that a worker had mapped: the system ends a process that reads what is not there.

    Looked at with plain reads, which fail where a mapping would end this process, too. `size`: when it was loaded.
    """
    try:
        with path.open("rb") as file:
            file.read(4)
            now = file.seek(0, 2)
    except FileNotFoundError:
        return ModelError(
            "The model file is not there any more. Put it back, or connect its disk again.",
            name="MODEL_FILE_NOT_FOUND",
            code=52201,
        )
    except OSError as error:
        return ModelError(
            f"The model file cannot be read: {error.strerror}. Check its disk.", name="MODEL_FILE_NOT_FOUND", code=52201
        )
    if now < size:
        return ModelError("The model file is not complete any more. Put it back, or download it again.")
    return None


def _anew(error: ModelError | EngineCrashed) -> ModelError | EngineCrashed:
    """One object for each raise: a traceback belongs to one."""
    return type(error)(error.message, name=error.name, code=error.code, typed_fields=dict(error.typed_fields))


def _cancelled() -> Finished:
    return Finished(StopReason.CANCELLED, CompletionStats(0.0, 0.0, 0, 0))


def _ended_while_loading(exit: WorkerExit, stalled: bool) -> ModelError:
    log.warning("model worker ended while loading with code %d: %s", exit.code, exit.output[-1000:])
    if stalled:
        return ModelError("Loading the model made no progress for minutes and was stopped. Try again, or on the CPU.")
    if exit.code == -getattr(signal, "SIGBUS", 0) != 0:
        return ModelError(
            "The model file could not be read to its end: it was cut, or its disk has a fault. Put it back."
        )
    return ModelError(
        "The model process ended while it was loading, most likely for want of memory. "
        "Close other programs, or choose a smaller model or context."
    )
