"""The worker process of an embedding model: the same loop as of a chat model, with another maker in it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from qvac_core.engines.abilities import not_supported
from qvac_core.engines.answer_maker import Arrived
from qvac_core.engines.available import EngineKind, choose
from qvac_core.engines.embedding_queue import EmbeddingBackend, EmbeddingQueue, Vectors
from qvac_core.engines.interface import ModelConfig, ModelInfo
from qvac_core.engines.worker import Inbox, ModelWorker, Outbox, failed
from qvac_core.engines.worker_protocol import Embed, Embedded, Load, Submit
from qvac_core.errors import InferenceCancelled, ModelError


class LoadedEmbedder(EmbeddingBackend, Protocol):
    @property
    def info(self) -> ModelInfo: ...


def open_embedder(kind: EngineKind, path: Path, config: ModelConfig) -> LoadedEmbedder:
    """Load the model with this engine. Raises ModelError with a sentence that helps."""
    if kind is EngineKind.SERVER:
        from qvac_core.engines.server_embeddings import ServerEmbedder

        return ServerEmbedder(path, config)
    from qvac_core.engines.llama_embeddings import LlamaEmbedder

    return LlamaEmbedder(path, config)


class _EmbeddingMaker:
    """What `Worker` asks of whatever it runs."""

    def __init__(self, embedder: LoadedEmbedder, outbox: Outbox) -> None:
        self.queue = EmbeddingQueue(embedder, self, time.perf_counter)
        self._embedder = embedder
        self._outbox = outbox

    @property
    def info(self) -> ModelInfo:
        return self._embedder.info

    @property
    def steps(self) -> bool:
        return self.queue.busy

    @property
    def busy(self) -> bool:
        return self.queue.busy

    def step(self) -> None:
        self.queue.step()

    def cancel(self, job_id: int) -> bool:
        return self.queue.cancel(job_id)

    def take(self, arrived: Arrived) -> None:
        raise AssertionError("no other thread makes embeddings")

    def embedded(self, job_id: int, vectors: Vectors, tokens: int, ms: float) -> None:
        self._outbox.put(
            Embedded(
                id=job_id,
                vectors=vectors.astype("<f4").tobytes(),
                width=vectors.shape[1],
                tokens=tokens,
                ms=ms,
                n_ctx=self._embedder.n_ctx,
                backend_device=self._embedder.device,
            )
        )

    def failed(self, job_id: int, error: ModelError | InferenceCancelled) -> None:
        self._outbox.put(failed(job_id, error))


class EmbeddingWorker(ModelWorker):
    def __init__(self, load: Load, outbox: Outbox, inbox: Inbox) -> None:
        self._embeddings = _EmbeddingMaker(open_embedder(choose(load.engine), Path(load.path), load.config), outbox)
        super().__init__(self._embeddings, outbox, inbox)

    def accept(self, command: Submit | Embed) -> None:
        if isinstance(command, Submit):
            raise not_supported("This model makes embeddings; it cannot chat. Choose a chat model.")
        self._embeddings.queue.submit(command.id, command.request)
