"""Model downloads: a queue that outlives its process, whoever asked for what is in it.

State by state (`DownloadState`): queued → running → checking → done; from each of them paused, failed or cancelled; a
paused and a failed one can be queued again. Whoever ends a running one says what that means (`_Job.ends_as`).
What came is kept in every state but cancelled; nothing of that depends on this object living on: the store keeps what
was asked for, and the part file how far it has come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_sources import Neighbours, address_name
from qvac_core.core.library_state import DownloadChanged, DownloadState
from qvac_core.engines.download import Copier
from qvac_core.engines.interface import DownloadProgress, LibraryModel
from qvac_core.engines.language_names import translation_title
from qvac_core.engines.library import Library
from qvac_core.errors import ModelError, QvacError
from qvac_core.models import (
    DEFAULT_SMALL_MODEL,
    ModelDescriptor,
    by_file,
    by_name,
    by_source,
    canonical_source,
    is_source,
    model_title,
    parse_source,
)
from qvac_core.store.downloads import KeptDownload
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

_OF_THE_NETWORK = ("HTTP_ERROR", "COPY_ENDED", "NO_SOURCE")  # names of errors that a network may end
_STILL: dict[str, Any] = {"rate": 0.0, "left_seconds": None}  # nothing moves
# Failures that the return of a neighbour mends in nothing.
_NOT_BY_ABSENCE = ("CHECKSUM_VALIDATION_FAILED", "DISK_FULL", "REQUEST_REJECTED_BY_POLICY", "MODEL_NOT_FOUND")
_WAITING = (DownloadState.PAUSED, DownloadState.FAILED)


@dataclass(eq=False)
class _Job:
    """ends_as: what its state is once its task has ended by our doing. None: it goes on with the next start."""

    key: str
    row: DownloadChanged
    asked_at: float
    source: str = ""  # a neighbour's key, "" = the address
    task: asyncio.Task[None] | None = None
    ends_as: DownloadState | None = None
    callers: list[asyncio.Future[LibraryModel]] = field(default_factory=list)


class Downloads:
    """Used on the core's loop. `open` first."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        library: Library,
        neighbours: Neighbours,
        share: Callable[[str], Awaitable[None]],
        ready: Callable[[], Awaitable[None]],
        projector_of: Callable[[str], ModelDescriptor | None] = lambda model: None,
    ) -> None:
        """share: share the model of this name. ready: raises ModelError where nothing can be kept now.

        projector_of: the vision part that comes with a model that is not of the catalog.
        """
        self._projector_of = projector_of
        self._store = store
        self._events = events
        self._library = library
        self._neighbours = neighbours
        self._share = share
        self._ready = ready
        self._jobs: dict[str, _Job] = {}
        self._tasks = TaskOwner()
        self._held = 0
        self._closing = False
        self.rates: dict[str, float] = {}  # bytes per second that a source last made, by its key

    async def open(self, *, go_on: bool) -> None:
        """Take up what an earlier run left. go_on: what ran goes on by itself; otherwise it is paused."""
        for kept in self._store.downloads.records():
            state = DownloadState(kept.state) if kept.state in tuple(DownloadState) else DownloadState.PAUSED
            if state not in _WAITING:
                state = DownloadState.QUEUED if go_on else DownloadState.PAUSED
            here = await asyncio.to_thread(self._library.left_of, kept.model)
            row = DownloadChanged(
                kept.model,
                here,
                kept.total,
                0.0,
                state,
                kept.error,
                title=kept.title,
                source=kept.source_name,
                share=kept.share,
            )
            job = _Job(_key(kept.model), row, kept.asked_at, kept.source)
            self._jobs[job.key] = job
        self._next()

    async def close(self) -> None:
        """What runs is interrupted, and goes on with the next start."""
        self._closing = True
        await self._tasks.close()

    # --- Asking ---------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[DownloadChanged, ...]:
        return tuple(job.row for job in sorted(self._jobs.values(), key=lambda job: job.asked_at))

    def row(self, model: str) -> DownloadChanged | None:
        """Of this model, by any of its names or addresses."""
        job = self._jobs.get(_key(model))
        return None if job is None else job.row

    @property
    def moving(self) -> bool:
        return any(job.task is not None for job in self._jobs.values())

    # --- Intents --------------------------------------------------------------------------------------------------

    async def add(self, model: str, *, source: str = "", share: bool = False, total: int = 0, title: str = "") -> None:
        """Queue it, or go on with it. total, title: where the caller knows more than the catalog. Raises ModelError."""
        wanted = model.strip() or DEFAULT_SMALL_MODEL.name
        _check(wanted)
        await self._ready()
        name = self._neighbours.name(source) if source else address_name(wanted)
        job = self._jobs.get(_key(wanted))
        if job is None or job.row.done:
            descriptor = _descriptor(wanted)
            size = descriptor.size_bytes if descriptor is not None else total
            row = DownloadChanged(
                wanted, 0, size, 0.0, DownloadState.QUEUED, title=title or _title(wanted), source=name, share=share
            )
            job = _Job(_key(wanted), row, time.time(), source)
            self._jobs[job.key] = job
        else:
            job.row = replace(job.row, share=job.row.share or share)
            if job.task is None:
                job.source = source
                job.row = replace(job.row, source=name)
        await self._queue(job)

    async def obtain(self, model: str, *, share: bool = False) -> LibraryModel:
        """Download it unless it is here; waits for its end. Whoever gives up waiting leaves it to go on.

        Raises ModelError: what failed, or DOWNLOAD_CANCELLED (53001) when somebody pauses or cancels it.
        """
        wanted = model.strip() or DEFAULT_SMALL_MODEL.name
        if (found := self._library.find(wanted)) is not None:
            return found
        caller: asyncio.Future[LibraryModel] = asyncio.get_running_loop().create_future()
        known = self._jobs.get(_key(wanted))
        source = known.source if known is not None else ""
        await self.add(wanted, source=source, share=share)
        job = self._jobs[_key(wanted)]
        job.callers.append(caller)
        try:
            return await caller
        finally:
            job.callers.remove(caller)

    async def pause(self, model: str) -> None:
        job = self._job(model)
        if job.row.state is DownloadState.QUEUED or job.task is not None:
            await self._end(job, DownloadState.PAUSED)

    async def resume(self, model: str, *, source: str | None = None) -> None:
        job = self._job(model)
        if source is not None and source != job.source:
            name = self._neighbours.name(source) if source else address_name(job.row.model)
            if job.task is not None:
                await self._end(job, DownloadState.PAUSED)
            job.source, job.row = source, replace(job.row, source=name)
        await self._ready()
        await self._queue(job)

    async def source_is_back(self, source: str) -> None:
        """What failed because this neighbour was away goes on; what failed otherwise is its user's to decide."""
        for job in list(self._jobs.values()):
            error = job.row.error
            away = error is not None and error.name not in _NOT_BY_ABSENCE
            if job.source == source and job.row.state is DownloadState.FAILED and away:
                await self._queue(job)

    async def pause_all(self) -> None:
        for job in list(self._jobs.values()):
            if job.row.state is DownloadState.QUEUED:  # first: or they would begin as others end
                await self._end(job, DownloadState.PAUSED)
        for job in list(self._jobs.values()):
            if job.task is not None:
                await self._end(job, DownloadState.PAUSED)

    async def resume_all(self) -> None:
        await self._ready()
        for job in sorted(self._jobs.values(), key=lambda job: job.asked_at):
            if job.row.state is DownloadState.PAUSED:
                await self._queue(job)

    async def cancel(self, model: str) -> None:
        job = self._job(model)
        await self._end(job, DownloadState.CANCELLED)
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
        await self._store.database.run(self._store.downloads.remove, job.row.model)
        await self._library.discard(job.row.model)
        if (projector := self._projector_of(job.row.model)) is not None:
            await self._library.discard(projector.src)

    async def dismiss(self, model: str) -> None:
        job = self._jobs.get(_key(model))
        if job is not None and job.row.done:
            del self._jobs[job.key]

    async def network_changed(self) -> None:
        """There is a network again, or another one: what failed for want of one goes on by itself."""
        for job in sorted(self._jobs.values(), key=lambda job: job.asked_at):
            error = job.row.error if job.row.state is DownloadState.FAILED else None
            if error is not None and error.name in _OF_THE_NETWORK:
                await self._queue(job)

    async def hold(self) -> None:
        """Interrupt what runs, and begin nothing until `let_go`: the models folder is being moved."""
        self._held += 1
        for job in list(self._jobs.values()):
            if job.task is not None:
                await self._end(job, DownloadState.QUEUED)

    def let_go(self) -> None:
        self._held -= 1
        self._next()

    def more_at_once(self) -> None:
        """The owner chose how many run: more of them begin now; those that run go on."""
        self._next()

    # --- Running --------------------------------------------------------------------------------------------------

    async def _queue(self, job: _Job) -> None:
        if job.task is None:
            job.row = replace(job.row, state=DownloadState.QUEUED, error=None, needed_bytes=0)
            await self._keep(job)
            self._tell(job)
            self._next()

    def _next(self) -> None:
        """As many run as may."""
        most = max(1, self._store.settings.settings.library.downloads_at_once)
        waiting = sorted(
            (job for job in self._jobs.values() if job.row.state is DownloadState.QUEUED and job.task is None),
            key=lambda job: job.asked_at,
        )
        running = sum(job.task is not None for job in self._jobs.values())
        if not self._held and not self._closing:
            for job in waiting[: max(0, most - running)]:
                job.ends_as = None
                job.task = self._tasks.start(self._run(job), f"download {job.row.model}")

    async def _run(self, job: _Job) -> None:
        try:
            job.row = replace(job.row, state=DownloadState.RUNNING, rate=0.0, left_seconds=None)
            self._tell(job)
            await self._keep(job)
            copier, expected, called, files = self._copy(job)
            model = await self._library.ensure(
                job.row.model,
                lambda progress: self._progress(job, progress),
                copier,
                expected,
                called=called,
                files=files,
                projector=self._projector_of(job.row.model),
            )
            if job.row.share:
                await self._share(model.name)
            await self._forget(job)
            job.task = None
            size = max(model.size_bytes, job.row.total)  # with the vision part, where one came too
            job.row = replace(job.row, state=DownloadState.DONE, downloaded=size, total=size, **_STILL)
            self._tell(job)
            for caller in job.callers:
                if not caller.done():
                    caller.set_result(model)
        except asyncio.CancelledError:
            job.task = None
            if job.ends_as is not None:
                await self._ended(job, job.ends_as)
            raise
        except QvacError as error:
            job.task = None
            await self._failed(job, error)
        except Exception as error:
            logger.exception("a download ended with a mistake of ours")
            job.task = None
            words = mistaken(error)
            await self._failed(job, ModelError(f"{words.title} {words.message}", name=words.name))
        finally:
            if job.task is asyncio.current_task():
                job.task = None
            self._next()

    def _copy(self, job: _Job) -> tuple[Copier | None, tuple[str, int], str, tuple[tuple[str, int], ...]]:
        """Who sends it, where that is not its address; what has to come; what it is called, and of which files it is.

        Raises ModelError.
        """
        if not job.source:
            return None, ("", 0), "", ()
        offer = self._neighbours.offer(job.source, _sha256(job.row.model), job.row.model)
        source, sha256 = job.source, offer.copy_sha256 or offer.sha256
        copier: Copier = lambda offset: self._neighbours.copy(source, sha256, offset)  # noqa: E731
        return copier, (sha256, offer.size_bytes), offer.file_name, offer.files if len(offer.files) > 1 else ()

    def _progress(self, job: _Job, progress: DownloadProgress) -> None:
        left = (progress.total - progress.downloaded) / progress.rate if progress.rate and progress.total else None
        if progress.rate:
            self.rates[job.source] = progress.rate
        job.row = replace(
            job.row,
            state=DownloadState.CHECKING if progress.checking else DownloadState.RUNNING,
            downloaded=progress.downloaded,
            total=progress.total or job.row.total,
            rate=progress.rate,
            left_seconds=left,
        )
        self._tell(job)

    async def _failed(self, job: _Job, error: QvacError) -> None:
        needed = error.typed_fields.get("neededBytes") if isinstance(error, ModelError) else 0
        here = await asyncio.to_thread(self._library.left_of, job.row.model)
        if self._jobs.get(job.key) is not job or job.task is not None or job.row.state is DownloadState.QUEUED:
            return  # cancelled, or asked for again, while the disk was looked at
        words = describe(error)
        job.row = replace(
            job.row,
            state=DownloadState.FAILED,
            error=words,
            downloaded=here,
            needed_bytes=needed if isinstance(needed, int) else 0,
            **_STILL,
        )
        await self._keep(job)
        self._tell(job)
        for caller in job.callers:
            if not caller.done():
                caller.set_exception(error)

    async def _end(self, job: _Job, state: DownloadState) -> None:
        """Bring it to `state`, whatever it does now."""
        task = job.task
        if task is None:
            await self._ended(job, state)
            return
        job.ends_as = state
        await self._tasks.end(task)

    async def _ended(self, job: _Job, state: DownloadState) -> None:
        if job.row.done:  # it was faster
            return
        job.row = replace(job.row, state=state, error=None, **_STILL)
        if state is not DownloadState.CANCELLED:
            await self._keep(job)
        self._tell(job)
        if state is not DownloadState.QUEUED:
            for caller in job.callers:
                if not caller.done():
                    caller.set_exception(
                        ModelError(
                            "The download was cancelled. What has come so far is kept.",
                            name="DOWNLOAD_CANCELLED",
                            code=53001,
                        )
                    )

    def _tell(self, job: _Job) -> None:
        self._events.emit(job.row)

    async def _keep(self, job: _Job) -> None:
        row = job.row
        kept = KeptDownload(
            model=row.model,
            title=row.title,
            state=row.state.value,
            asked_at=job.asked_at,
            total=row.total,
            source=job.source,
            source_name=row.source,
            share=row.share,
            error=row.error,
        )
        await self._store.database.run(self._store.downloads.put, kept)

    async def _forget(self, job: _Job) -> None:
        await self._store.database.run(self._store.downloads.remove, job.row.model)

    def _job(self, model: str) -> _Job:
        job = self._jobs.get(_key(model))
        if job is None:
            raise ModelError("There is no such download (any more).", name="DOWNLOAD_NOT_FOUND")
        return job


def _descriptor(wanted: str) -> ModelDescriptor | None:
    return by_name(wanted) or (by_source(wanted) if is_source(wanted) else by_file(wanted))


def _key(model: str) -> str:
    """One for all the names and addresses of a model."""
    wanted = model.strip() or DEFAULT_SMALL_MODEL.name
    descriptor = _descriptor(wanted)
    return canonical_source(descriptor.src if descriptor is not None else wanted)


def _check(wanted: str) -> None:
    """Raises ModelError for what can be had nowhere."""
    descriptor = _descriptor(wanted)
    if is_source(wanted):
        parse_source(descriptor.address if descriptor is not None else wanted)
    elif descriptor is None:
        raise ModelError(
            "There is no model of this name, neither in the library nor in the catalog. "
            "Check its spelling, or add the model file.",
            name="MODEL_NOT_FOUND",
            code=52002,
        )


def _title(wanted: str) -> str:
    descriptor = _descriptor(wanted)
    if descriptor is not None and descriptor.languages:
        return translation_title(descriptor.languages)
    return model_title(descriptor.file if descriptor is not None else parse_source(wanted).file_name)


def _sha256(wanted: str) -> str:
    """Of the file, where the catalog or the address says it."""
    descriptor = _descriptor(wanted)
    if descriptor is not None:
        return descriptor.sha256
    return wanted.removeprefix("copy://") if wanted.startswith("copy://") else ""
