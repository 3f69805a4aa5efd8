"""Running models, shared: whoever needs one takes a lease, and all leases of a model use one copy.

docs/architecture.md, "Safe by default": two consumers of one model share one copy. An idle model is unloaded after a
while.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType

from qvac_core.engines.interface import (
    CompletionEvent,
    CompletionRequest,
    Engine,
    LibraryModel,
    LoadedModel,
    LoadProgress,
    ModelConfig,
    ModelInfo,
    RunningModel,
)
from qvac_core.engines.request_defaults import with_defaults
from qvac_core.errors import ModelError
from qvac_core.tasks import TaskOwner

log = logging.getLogger("qvac.engines")

IDLE_SECONDS = 600.0  # without a lease, then the memory is given back

Progress = Callable[[LoadProgress], None]
# May the model be loaded beside others that hold so many bytes? Raises ModelError with `reason`: "memory".
Admit = Callable[[LibraryModel, ModelConfig, int], Awaitable[None]]
# Loads a model of another kind than chat, as `Engine.load` does.
Loader = Callable[[Path, ModelConfig, Progress | None], Awaitable[RunningModel]]


@dataclass(frozen=True, slots=True)
class PooledModel:
    """A model of the pool as a screen shows it. `info` is None while it loads."""

    model: LibraryModel
    info: ModelInfo | None
    leases: int


@dataclass(eq=False)
class _Entry:
    library_model: LibraryModel
    loading: asyncio.Task[RunningModel]
    listeners: list[Progress] = field(default_factory=list)
    leases: int = 0
    waiters: int = 0
    idle_timer: asyncio.TimerHandle | None = None

    @property
    def loaded(self) -> RunningModel | None:
        done = self.loading.done() and not self.loading.cancelled() and self.loading.exception() is None
        return self.loading.result() if done else None


class LeasedModel:
    """A chat model as one lease sees it: its own defaults, the library's name. Unloading is the pool's business."""

    def __init__(self, model: LoadedModel, library_model: LibraryModel, config: ModelConfig) -> None:
        self._model = model
        self._config = config
        self._info = dataclasses.replace(model.info, name=library_model.name, sha256=library_model.sha256)

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def alive(self) -> bool:
        return self._model.alive

    def complete(self, request: CompletionRequest) -> AsyncIterator[CompletionEvent]:
        return self._model.complete(with_defaults(request, self._config))

    def cancel(self, request_id: str) -> bool:
        return self._model.cancel(request_id)

    async def unload(self) -> None:
        """Nothing: release the lease instead."""


class Lease:
    """One holder's reference to a running model. `release` may be called twice; it never waits."""

    def __init__(self, model: RunningModel, library_model: LibraryModel, release: Callable[[], None]) -> None:
        self._model = model
        self.library_model = library_model
        self._release: Callable[[], None] | None = release

    @property
    def model(self) -> RunningModel:
        return self._model

    def release(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class ModelPool:
    """Used from one asyncio loop. `on_changed` is called after a model was loaded, leased, released or unloaded."""

    def __init__(
        self,
        engine: Engine,
        *,
        others: Mapping[str, Loader] = MappingProxyType({}),
        at_servers: Mapping[str, Loader] = MappingProxyType({}),
        idle_seconds: float | Callable[[LibraryModel], float] = IDLE_SECONDS,
        on_changed: Callable[[], None] | None = None,
        admit: Admit | None = None,
        on_used: Callable[[LibraryModel], None] | None = None,
    ) -> None:
        """engine: for chat models. others: how models of other types are loaded, by `LibraryModel.model_type`;
        at_servers: the same, of models that are at a server.

        admit: asked before a load; where it refuses, models that nobody uses make room first. on_used: called when
        somebody takes a lease of a model, and when they give it back.
        """
        self._admit = admit
        self._engine = engine
        self._others = others
        self._at_servers = at_servers
        self._idle_seconds = idle_seconds
        self._on_changed = on_changed or (lambda: None)
        self._on_used = on_used or (lambda model: None)
        self._entries: dict[str, _Entry] = {}
        self._unloading = TaskOwner()
        self._closed = False

    def loaded(self) -> tuple[PooledModel, ...]:
        """The models in memory or on their way there."""
        return tuple(
            PooledModel(entry.library_model, entry.loaded.info if entry.loaded else None, entry.leases)
            for entry in self._entries.values()
        )

    async def acquire(
        self, library_model: LibraryModel, config: ModelConfig, on_progress: Progress | None = None
    ) -> Lease:
        """The running model, loaded if need be. Context, slots and device are those of whoever loaded it first.

        Raises ModelError. Cancelling gives up this caller's wait; the load ends when nobody waits for it any more.
        """
        if self._closed:
            raise ModelError("QVAC Desktop is closing: no model can be loaded now.")
        # Pooling and what a translation goes through are settled when a model is loaded: who wants another one gets a
        # copy of their own.
        key = (library_model.sha256 or str(library_model.path)) + config.pooling + config.pivot
        entry = self._entries.get(key)
        if entry is not None and entry.loaded is not None and not entry.loaded.alive:
            self._forget(key, entry)  # it crashed for good; leases of the dead one stay with it
            entry = None
        if entry is None:
            entry = self._load(key, library_model, config)
        model = await self._wait(key, entry, on_progress)
        if self._entries.get(key) is not entry:  # unloaded between its load and our turn
            return await self.acquire(library_model, config, on_progress)
        entry.leases += 1
        self._stop_idling(entry)
        self._on_changed()
        self._on_used(library_model)
        released = entry

        def release() -> None:
            self._released(key, released)

        if isinstance(model, LoadedModel):
            return Lease(LeasedModel(model, library_model, config), library_model, release)
        return Lease(model, library_model, release)

    async def unload_idle(self, sha256: str = "") -> None:
        """Give back the memory of all models that nobody holds, now; with `sha256` of that one alone."""
        for key, entry in list(self._entries.items()):
            if entry.leases == 0 and entry.waiters == 0 and sha256 in ("", entry.library_model.sha256):
                self._forget(key, entry)
        await self._unloading.settle()

    def idle_changed(self) -> None:
        """Models that nobody uses may stay for another time from now on."""
        for key, entry in list(self._entries.items()):
            if entry.idle_timer is not None:
                self._stop_idling(entry)
                self._idle_later(key, entry)

    async def unload(self, library_model: LibraryModel) -> None:
        """Give back the memory of this model, now. Requests in flight fail."""
        for key, entry in list(self._entries.items()):
            if entry.library_model.path == library_model.path:
                self._forget(key, entry)
        await self._unloading.settle()

    async def close(self) -> None:
        """Unload everything, leases or not."""
        self._closed = True
        for key, entry in list(self._entries.items()):
            self._forget(key, entry)
        await self._unloading.settle()

    # --- Loading --------------------------------------------------------------------------------------------------

    def _load(self, key: str, library_model: LibraryModel, config: ModelConfig) -> _Entry:
        plain = dataclasses.replace(config, system_prompt="", sampling=None, stop=())  # each lease has its own
        if library_model.projector is not None and not plain.projector:
            plain = dataclasses.replace(plain, projector=str(library_model.projector))
        listeners: list[Progress] = []

        def progress(report: LoadProgress) -> None:
            for listener in list(listeners):
                listener(report)

        loaders = self._others if library_model.at is None else self._at_servers
        load_it = loaders.get(library_model.model_type, self._engine.load)

        async def load() -> RunningModel:
            try:
                return await self._load_once(load_it, library_model, plain, progress)
            except ModelError as error:
                if error.typed_fields.get("reason") != "memory" or not self._has_idle():
                    raise
            await self.unload_idle()
            return await self._load_once(load_it, library_model, plain, progress)

        entry = _Entry(library_model, asyncio.get_running_loop().create_task(load()), listeners)
        self._entries[key] = entry
        self._on_changed()
        return entry

    async def _load_once(
        self, load_it: Loader, library_model: LibraryModel, config: ModelConfig, progress: Progress
    ) -> RunningModel:
        if self._admit is not None:
            held = sum(entry.loaded.info.memory_bytes for entry in self._entries.values() if entry.loaded is not None)
            await self._admit(library_model, config, held)
        return await load_it(library_model.path, config, progress)

    async def _wait(self, key: str, entry: _Entry, on_progress: Progress | None) -> RunningModel:
        if on_progress is not None:
            entry.listeners.append(on_progress)
        entry.waiters += 1
        try:
            return await asyncio.shield(entry.loading)
        except BaseException:
            self._give_up(key, entry)
            raise
        finally:
            entry.waiters -= 1
            if on_progress is not None:
                entry.listeners.remove(on_progress)

    def _give_up(self, key: str, entry: _Entry) -> None:
        """A wait ended without a model: the load failed, or this caller was cancelled."""
        if self._entries.get(key) is not entry:
            return
        failed = entry.loading.done() and entry.loaded is None
        abandoned = entry.waiters == 1 and entry.leases == 0
        if failed or (abandoned and not entry.loading.done()):
            self._forget(key, entry)
        elif abandoned:
            self._idle_later(key, entry)

    def _has_idle(self) -> bool:
        return any(e.loaded is not None and e.leases == 0 and e.waiters == 0 for e in self._entries.values())

    # --- Letting go -----------------------------------------------------------------------------------------------

    def _released(self, key: str, entry: _Entry) -> None:
        entry.leases -= 1
        self._on_used(entry.library_model)
        if entry.leases == 0 and entry.waiters == 0 and self._entries.get(key) is entry:
            self._idle_later(key, entry)
        self._on_changed()

    def _idle_later(self, key: str, entry: _Entry) -> None:
        wait = self._idle_seconds(entry.library_model) if callable(self._idle_seconds) else self._idle_seconds
        if wait <= 0:
            self._forget(key, entry)
        else:
            entry.idle_timer = asyncio.get_running_loop().call_later(wait, self._idle, key, entry)

    def _idle(self, key: str, entry: _Entry) -> None:
        if entry.leases == 0 and entry.waiters == 0 and self._entries.get(key) is entry:
            self._forget(key, entry)

    def _stop_idling(self, entry: _Entry) -> None:
        if entry.idle_timer is not None:
            entry.idle_timer.cancel()
            entry.idle_timer = None

    def _forget(self, key: str, entry: _Entry) -> None:
        """Take it out at once, so that the next acquire loads anew; end it in the background, awaited by `close`."""
        self._stop_idling(entry)
        self._entries.pop(key, None)
        self._unloading.start(self._end(entry), "unloading a model")

    async def _end(self, entry: _Entry) -> None:
        if not entry.loading.done():
            entry.loading.cancel()
            await asyncio.wait([entry.loading])
        if (model := entry.loaded) is not None:
            await model.unload()
        self._on_changed()
