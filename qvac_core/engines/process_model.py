"""A model in a process of its own, the parent's side, whose requests outlive the process: its life, and theirs.

A crash costs the request that the process was working on; the others go on in a new process from where they were.
What is asked of the model, and what comes back, is the business of the classes below it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from qvac_core.engines.interface import LoadProgress
from qvac_core.engines.stall_watch import StallWatch
from qvac_core.engines.underway import Underway, check_free
from qvac_core.engines.worker_pipes import Dialogue
from qvac_core.engines.worker_process import WorkerExit, WorkerProcess
from qvac_core.engines.worker_protocol import Cancel, Failed, Opened, Shutdown, Working
from qvac_core.errors import EngineCrashed, ModelError, QvacError

log = logging.getLogger("qvac.engines")

UNLOAD_PATIENCE = 1.0  # seconds that a process gets to leave by itself; it may be deep in a long step
KILL_PATIENCE = 10.0

_Event = TypeVar("_Event")
_Command = TypeVar("_Command")
_Report = TypeVar("_Report")
_Info = TypeVar("_Info")


class Job(Underway[_Event], ABC):
    """One request of such a model."""

    @abstractmethod
    def cancel(self) -> None:
        """End it at once: the process may be in the middle of a long step."""


_Job = TypeVar("_Job", bound=Job[Any])


@dataclass(frozen=True, slots=True)
class Troubles:
    """What is said when the process ends. process: what the log calls it.

    crashed, stalled: of the request that it was working on. not_opened: while it was loading, after a stall or not.
    """

    process: str
    crashed: str
    stalled: str
    not_opened: Callable[[bool], ModelError]
    unloaded: Callable[[], EngineCrashed]
    closed: Callable[[], ModelError]


class ProcessModel(ABC, Generic[_Command, _Report, _Info, _Job]):
    """open: what the process is told first. Used from the loop that made it."""

    def __init__(
        self,
        dialogue: Dialogue[_Command | Cancel | Shutdown, _Report],
        open: _Command,
        troubles: Troubles,
        *,
        stall_timeout: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialogue = dialogue
        self._open = open
        self._troubles = troubles
        self._info: _Info | None = None
        self._worker: WorkerProcess[_Command | Cancel | Shutdown, _Report] | None = None
        self._starting = asyncio.Lock()
        self._opening: asyncio.Future[_Info] | None = None
        self._exited = asyncio.Event()
        self._jobs: dict[int, _Job] = {}
        self._working = 0  # the id of the request that the process is at
        self._next_id = 0
        self._going_on: asyncio.Task[None] | None = None
        self._silence = StallWatch(self._loop, stall_timeout, self._on_stall)
        self._stalled = False
        self._unloading = False

    @property
    def info(self) -> _Info:
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

    @abstractmethod
    def _submit(self, job: _Job) -> None:
        """Send what the process needs for it, from where it is."""

    @abstractmethod
    def _take(self, report: _Report) -> None:
        """What the process says of a request, but for its failure."""

    # --- Life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start a process and load, unless one runs. Raises ModelError; cancelling ends the process."""
        async with self._starting:
            if self._unloading:
                raise self._troubles.closed()
            if self._worker is not None:
                return
            self._exited.clear()
            self._stalled = False
            self._opening = self._loop.create_future()
            worker = WorkerProcess(self._dialogue, self._loop, self._on_reports, self._on_exit)
            self._worker = worker
            worker.send(self._open)
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
        self._fail_all(self._troubles.unloaded)

    async def _wait_exit(self, patience: float) -> bool:
        try:
            await asyncio.wait_for(self._exited.wait(), patience)
        except TimeoutError:
            return False
        return True

    # --- Requests -------------------------------------------------------------------------------------------------

    def _new_id(self, request_id: str) -> int:
        """What the process is to know this request by. Raises ModelError REQUEST_ID_CONFLICT (52417)."""
        check_free(request_id, self._jobs.values())
        self._next_id += 1
        return self._next_id

    @contextlib.asynccontextmanager
    async def _in_flight(self, job: _Job) -> AsyncIterator[None]:
        """The process has it from here to the end of the block, in which its events are awaited."""
        self._jobs[job.id] = job
        try:
            await self.start()
            if not job.ended:
                self._hand_over(job)
            yield
        finally:
            del self._jobs[job.id]
            if not job.ended:
                job.ended = True
                self._send(Cancel(job.id))
            self._watch()

    def cancel(self, request_id: str) -> bool:
        for job in self._jobs.values():
            if job.request_id == request_id and not job.ended:
                job.cancel()
                self._send(Cancel(job.id))
                return True
        return False

    def _hand_over(self, job: _Job) -> None:
        self._submit(job)
        self._watch()

    def _send(self, command: _Command | Cancel) -> None:
        if self._worker is not None:
            self._worker.send(command)

    # --- From the process -----------------------------------------------------------------------------------------

    def _on_reports(self, reports: list[_Report]) -> None:
        for report in reports:
            if isinstance(report, Opened):
                if self._opening is not None and not self._opening.done():
                    self._opening.set_result(report.info)
            elif isinstance(report, Working):
                self._working = report.id
            elif isinstance(report, Failed):
                self._on_failed(report)
            else:
                self._take(report)
        self._watch()

    def _on_failed(self, report: Failed) -> None:
        error = ModelError(report.message, name=report.name, code=report.code, typed_fields=dict(report.fields))
        if report.id == 0:
            if self._opening is not None and not self._opening.done():
                self._opening.set_exception(error)
        elif (job := self._jobs.get(report.id)) is not None:
            job.end(error)

    def _on_exit(self, exit: WorkerExit) -> None:
        self._worker = None
        self._exited.set()
        self._silence.stop()
        at, self._working = self._working, 0
        if self._unloading:
            return
        log.warning("%s process ended with code %d: %s", self._troubles.process, exit.code, exit.output[-1000:])
        if self._opening is not None:
            if not self._opening.done():
                self._opening.set_exception(self._troubles.not_opened(self._stalled))
            return
        if (guilty := self._jobs.get(at)) is not None:
            guilty.end(EngineCrashed(self._troubles.stalled if self._stalled else self._troubles.crashed))
        if any(not job.ended for job in self._jobs.values()):
            self._going_on = self._loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        """The requests that the process was not at go on in a new one."""
        try:
            waiting = [job for job in self._jobs.values() if not job.ended]
            await self.start()
            for job in waiting:
                if not job.ended:
                    self._hand_over(job)
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
        waiting = any(not job.ended for job in self._jobs.values())
        self._silence.restart(expecting=self._worker is not None and (self._opening is not None or waiting))

    def _on_stall(self) -> None:
        log.warning("%s process said nothing for %.0f s: killed", self._troubles.process, self._silence.timeout)
        self._stalled = True
        if self._worker is not None:
            self._worker.kill()


_Model = TypeVar("_Model", bound=ProcessModel[Any, Any, Any, Any])


class ProcessModels(Generic[_Model]):
    """The models that an engine has loaded, each in a process of its own: none is left behind at `close`."""

    def __init__(self) -> None:
        self._models: set[_Model] = set()

    async def _started(self, model: _Model, on_progress: Callable[[LoadProgress], None] | None) -> _Model:
        """Raises ModelError. Nothing is told on the way."""
        self._models = {known for known in self._models if known.alive} | {model}
        await model.start()
        if on_progress is not None:
            on_progress(LoadProgress(1.0))
        return model

    def worker_pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(pid for model in self._models if (pid := model.worker_pid) is not None)

    async def close(self) -> None:
        models, self._models = self._models, set()
        await asyncio.gather(*(model.unload() for model in models))
