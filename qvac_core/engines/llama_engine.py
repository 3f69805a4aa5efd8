"""Models of llama.cpp in worker processes: `Engine`, `LoadedModel` and `EmbeddingModel`, the parent's side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qvac_core.engines.interface import (
    CompletionEvent,
    CompletionRequest,
    Device,
    EmbeddingRequest,
    Embeddings,
    Finished,
    KeptChats,
    LoadProgress,
    ModelConfig,
    Token,
    ToolCall,
    ToolError,
)
from qvac_core.engines.pictures import check_pictures, no_vision, pictures_of
from qvac_core.engines.request_defaults import encodable
from qvac_core.engines.worker_model import CRASHED, KILL_PATIENCE, STALL_TIMEOUT, WorkerModel
from qvac_core.engines.worker_process import WorkerExit, WorkerProcess
from qvac_core.engines.worker_protocol import (
    MODELS,
    DeviceList,
    Embed,
    Embedded,
    ListDevices,
    Load,
    Report,
    Shutdown,
    Submit,
)
from qvac_core.errors import EngineCrashed, InferenceCancelled
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import numpy
else:
    numpy = Lazy("numpy")

__all__ = ["CRASHED", "LlamaEmbeddingModel", "LlamaEngine", "LlamaModel"]

DEVICES_TIMEOUT = 60.0


class LlamaModel(WorkerModel):
    """A chat model: `LoadedModel`. Made by `LlamaEngine.load`."""

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """See `LoadedModel.complete`. Nothing is asked of the worker before the first event is awaited."""
        if pictures := pictures_of(request.history):
            if not self.info.vision:
                raise no_vision()
            check_pictures(pictures)
        answer = await self._begin(request.request_id, lambda id: Submit(id, encodable(request)))
        try:
            while True:
                event = await answer.next()
                assert isinstance(event, Token | ToolCall | ToolError | Finished)
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._end(answer)


class LlamaEmbeddingModel(WorkerModel):
    """`EmbeddingModel`. Made by `LlamaEngine.load_embedding`."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """See `EmbeddingModel.embed`."""
        pending = await self._begin(request.request_id, lambda id: Embed(id, request))
        try:
            event = await pending.next()
        finally:
            self._end(pending)
        if not isinstance(event, Embedded):
            raise InferenceCancelled("The embedding was cancelled.")
        vectors = numpy.frombuffer(event.vectors, "<f4").reshape(len(request.texts), event.width)
        return Embeddings(vectors, event.tokens, event.ms, event.n_ctx, event.backend_device)


class LlamaEngine:
    """Loads GGUF models, each in a worker process. Keeps track of them so that `close` leaves none behind.

    engine: the package that runs them (`available.EngineKind`); "" = whichever is preferred here. kept: asked before
    each load where that model's chats outlive it; None = nowhere.
    """

    def __init__(
        self,
        *,
        engine: str = "",
        stall_timeout: float = STALL_TIMEOUT,
        kept: Callable[[], KeptChats | None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._kept = kept
        self._stall_timeout = stall_timeout
        self._models: set[WorkerModel] = set()

    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> LlamaModel:
        model = LlamaModel(
            path, Load(str(path), config, self._engine, kept=self._kept()), stall_timeout=self._stall_timeout
        )
        await self._start(model, on_progress)
        return model

    async def load_embedding(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> LlamaEmbeddingModel:
        """As `load`, for a model that makes embeddings. `config.pooling` says how, where it is not the file's."""
        load = Load(str(path), config, self._engine, embeds=True)
        model = LlamaEmbeddingModel(path, load, stall_timeout=self._stall_timeout)
        await self._start(model, on_progress)
        return model

    async def _start(self, model: WorkerModel, on_progress: Callable[[LoadProgress], None] | None) -> None:
        self._models = {known for known in self._models if known.alive} | {model}
        await model.start(on_progress)

    def forget(self, owner: str) -> None:
        """No running model keeps anything of what this owner has said so far; EVERYBODY: see `Forget`."""
        for model in self._models:
            model.forget(owner)

    async def devices(self) -> tuple[Device, ...]:
        """What this build can compute on. Starts a short-lived worker: asking a driver can crash, too."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[Device, ...]] = loop.create_future()
        exited = asyncio.Event()

        def on_reports(reports: list[Report]) -> None:
            for report in reports:
                if isinstance(report, DeviceList) and not answer.done():
                    answer.set_result(report.devices)

        def on_exit(exit: WorkerExit) -> None:
            exited.set()
            if not answer.done():
                answer.set_exception(EngineCrashed("The list of devices could not be read: its process ended."))

        worker = WorkerProcess(MODELS, loop, on_reports, on_exit)
        worker.send(ListDevices(self._engine))
        worker.send(Shutdown())
        try:
            return await asyncio.wait_for(answer, DEVICES_TIMEOUT)
        except TimeoutError:
            raise EngineCrashed("The list of devices could not be read in time.") from None
        finally:
            if answer.cancelled():
                worker.kill()
            await asyncio.wait_for(exited.wait(), KILL_PATIENCE)

    def worker_pids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(pid for model in self._models if (pid := model.worker_pid) is not None)

    async def close(self) -> None:
        models, self._models = self._models, set()
        await asyncio.gather(*(model.unload() for model in models))
