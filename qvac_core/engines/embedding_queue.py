"""Texts on their way to vectors: several requests advance in turn, a bounded batch at a time.

A native call cannot be interrupted, so a batch is also the longest that a cancel or another owner has to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy
from numpy.typing import NDArray

from qvac_core.engines.interface import EmbeddingRequest
from qvac_core.errors import InferenceCancelled, ModelError

QUEUE_LIMIT = 64  # requests that wait or are being worked on
_INT16_TOP = 32760.0  # llama.cpp's common_embd_normalize, mode 0

Vectors = NDArray[numpy.float32]


class EmbeddingBackend(Protocol):
    """One loaded model. Used from one thread."""

    @property
    def n_ctx(self) -> int:
        """Most tokens of one text."""

    @property
    def batch_tokens(self) -> int: ...

    @property
    def batch_texts(self) -> int: ...

    @property
    def device(self) -> str: ...

    def tokenize(self, text: str) -> list[int]:
        """With the special tokens of the model around it; what looks like one in the text is text."""

    def embed(self, texts: list[list[int]]) -> Vectors:
        """Raw vectors, shape (texts, width): at most batch_texts, of batch_tokens in all. Raises ModelError."""


class EmbeddingOutput(Protocol):
    def embedded(self, job_id: int, vectors: Vectors, tokens: int, ms: float) -> None: ...

    def failed(self, job_id: int, error: ModelError | InferenceCancelled) -> None: ...


@dataclass(slots=True, eq=False)
class _Job:
    id: int
    request: EmbeddingRequest
    started_at: float
    waiting: list[list[int]] = field(default_factory=list)  # tokenized, not embedded yet
    read: int = 0  # texts tokenized
    tokens: int = 0
    served: int = 0  # the step in which it had its last batch
    vectors: list[Vectors] = field(default_factory=list)


class EmbeddingQueue:
    """Not thread-safe. clock: seconds."""

    def __init__(self, backend: EmbeddingBackend, output: EmbeddingOutput, clock: Callable[[], float]) -> None:
        self._backend = backend
        self._output = output
        self._clock = clock
        self._jobs: list[_Job] = []  # in the order of their coming
        self._steps = 0
        self._served: dict[str, int] = {}  # the step in which an owner had the last batch

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def submit(self, job_id: int, request: EmbeddingRequest) -> None:
        """Raises ModelError: 52420 when too many wait, 52401 for an empty text."""
        if len(self._jobs) >= QUEUE_LIMIT:
            raise ModelError(
                "Too many texts are waiting for this model. Try again later.",
                name="REQUEST_REJECTED_BY_POLICY",
                code=52420,
            )
        if not request.texts or not all(request.texts):
            raise ModelError("An empty text has no embedding. Leave it out.", name="EMBED_FAILED", code=52401)
        self._jobs.append(_Job(job_id, request, self._clock()))

    def cancel(self, job_id: int) -> bool:
        for job in self._jobs:
            if job.id == job_id:
                self._end(job)
                self._output.failed(job_id, _cancelled(job))
                return True
        return False

    def step(self) -> None:
        """One batch for the owner who has waited longest for one, of the request of theirs that has waited longest.

        So a short request is soon done behind a long one, whoever sent that.
        """
        job = min(self._jobs, key=lambda job: (self._served.get(job.request.owner, 0), job.served))
        self._steps += 1
        self._served[job.request.owner] = job.served = self._steps
        try:
            job.vectors.append(normalized(self._backend.embed(self._next_batch(job)), job.request.normalize))
        except ModelError as error:
            self._end(job)
            self._output.failed(job.id, error)
            return
        if job.waiting or job.read < len(job.request.texts):
            return
        self._end(job)
        ms = (self._clock() - job.started_at) * 1000
        self._output.embedded(job.id, numpy.concatenate(job.vectors), job.tokens, ms)

    def _end(self, job: _Job) -> None:
        self._jobs.remove(job)
        if all(other.request.owner != job.request.owner for other in self._jobs):
            self._served.pop(job.request.owner, None)

    def _next_batch(self, job: _Job) -> list[list[int]]:
        backend, texts = self._backend, job.request.texts
        batch: list[list[int]] = []
        room = backend.batch_tokens
        while len(batch) < backend.batch_texts:
            if not job.waiting:
                if job.read == len(texts):
                    break
                job.waiting.append(self._tokenize(job))
            if len(job.waiting[0]) > room:
                break
            tokens = job.waiting.pop()
            room -= len(tokens)
            batch.append(tokens)
        return batch

    def _tokenize(self, job: _Job) -> list[int]:
        tokens = self._backend.tokenize(job.request.texts[job.read])
        job.read += 1
        if len(tokens) > self._backend.n_ctx:
            which = f"Text {job.read} of {len(job.request.texts)}" if len(job.request.texts) > 1 else "The text"
            raise ModelError(
                f"{which} has {len(tokens)} tokens and this model takes {self._backend.n_ctx} at once. "
                "Cut it into parts.",
                name="CONTEXT_OVERFLOW",
                code=52421,
                typed_fields={"promptTokens": len(tokens), "contextTokens": self._backend.n_ctx},
            )
        if not tokens:
            raise ModelError("The model reads nothing in this text.", name="EMBED_FAILED", code=52401)
        job.tokens += len(tokens)
        return tokens


def _cancelled(job: _Job) -> InferenceCancelled:
    """With what it has cost until now."""
    texts = sum(len(vectors) for vectors in job.vectors)
    fields = {"texts": texts, "promptTokens": job.tokens}
    return InferenceCancelled("The embedding was cancelled.", typed_fields=fields)


def normalized(vectors: Vectors, mode: int) -> Vectors:
    """Each row as llama.cpp's common_embd_normalize: 2 and other p by the p-norm, 0 to int16's range, below 0 as is."""
    if mode < 0:
        return vectors
    values = vectors.astype(numpy.float64)
    if mode == 0:
        norms = numpy.abs(values).max(axis=1, keepdims=True) / _INT16_TOP
    else:
        norms = numpy.linalg.norm(values, ord=mode, axis=1, keepdims=True)
    scaled: Vectors = numpy.divide(values, norms, out=numpy.zeros_like(values), where=norms > 0).astype(numpy.float32)
    return scaled
