"""An engine that says what a test tells it to, and what stands around a provider: shared models, pool, log.

Implements the Protocols of qvac_core.engines.interface and qvac_core.delegation.parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qvac_core.delegation.parts import OfferedModel
from qvac_core.engines.interface import (
    CompletionEvent,
    CompletionRequest,
    CompletionStats,
    Finished,
    LibraryModel,
    LoadProgress,
    ModelConfig,
    ModelInfo,
    StopReason,
    Token,
    ToolCall,
    ToolError,
)
from qvac_core.errors import QvacError

SMOL = LibraryModel(
    name="SMOLLM2_135M_INST_Q4_1",
    path=Path("/owner/secret/models/SmolLM2-135M-Instruct.Q4_1.gguf"),
    size_bytes=98_362_432,
    sha256="ab" * 32,
    model_type="llamacpp-completion",
    quantization="q4_1",
    parameters="135M",
    sources=("registry://hf/bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1.gguf",),
)
PRIVATE = LibraryModel(
    name="PRIVATE_MODEL",
    path=Path("/owner/secret/models/private.gguf"),
    size_bytes=1,
    sha256="cd" * 32,
    model_type="llamacpp-completion",
    quantization="",
    parameters="",
    sources=(),
)


def finished(
    reason: StopReason = StopReason.EOS, *, prompt: int = 31, generated: int = 3, ttft: float = 12.5
) -> Finished:
    return Finished(reason, CompletionStats(ttft, 50.0, prompt, generated, backend_device="cpu"))


class ScriptedModel:
    """Thinks `thoughts` and says `words`, one per `step` seconds of loop time. Stops between two of them."""

    def __init__(self, words: Sequence[str] = ("one ", "two ", "three"), *, step: float = 0.1, slots: int = 4) -> None:
        self.thoughts: Sequence[str] = ()  # before the words
        self.words: Sequence[str] = words
        self.calls: Sequence[ToolCall | ToolError] = ()  # behind the words
        self.step = step
        self.slots = slots
        self.thinking_channels = False
        self.vision = False
        self.alive = True
        self.deaf = False
        self.failure: QvacError | None = None
        self.end: Finished | None = None
        self.requests: list[CompletionRequest] = []
        self.running: dict[str, asyncio.Event] = {}
        self.most_running = 0
        self.steps = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="scripted",
            sha256="ab" * 32,
            n_ctx=4096,
            n_ctx_train=4096,
            slots=self.slots,
            parameters=1,
            size_bytes=1,
            memory_bytes=1,
            backend_device="cpu",
            chat_template=True,
            thinking_channels=self.thinking_channels,
            vision=self.vision,
        )

    async def complete(self, request: CompletionRequest) -> AsyncIterator[CompletionEvent]:
        self.requests.append(request)
        cancelled = asyncio.Event()
        self.running[request.request_id] = cancelled
        self.most_running = max(self.most_running, len(self.running))
        said = 0
        try:
            begun, words = request.continue_from, list(self.words)
            while begun and words and begun.startswith(words[0]):
                begun = begun.removeprefix(words.pop(0))
            for place, word in enumerate([*self.thoughts, *words]):
                await asyncio.sleep(self.step)
                self.steps += 1
                if cancelled.is_set():
                    yield finished(StopReason.CANCELLED, generated=said)
                    return
                said += 1
                yield Token(word, thinking=place < len(self.thoughts))
            for call in self.calls:
                yield call
            if self.failure is not None:
                raise self.failure
            yield self.end or finished(generated=said)
        finally:
            self.running.pop(request.request_id, None)

    def cancel(self, request_id: str) -> bool:
        cancelled = self.running.get(request_id)
        if cancelled is None or self.deaf:
            return False
        cancelled.set()
        return True

    async def unload(self) -> None:
        self.alive = False


@dataclass
class ScriptedLease:
    model: ScriptedModel
    pool: ScriptedPool

    def release(self) -> None:
        self.pool.leases -= 1


@dataclass
class ScriptedPool:
    """Loads in `load_seconds` with ten progress reports, or raises `failure`."""

    model: ScriptedModel = field(default_factory=ScriptedModel)
    load_seconds: float = 1.0
    failure: QvacError | None = None
    leases: int = 0
    loads: int = 0
    configs: list[ModelConfig] = field(default_factory=list)

    async def acquire(
        self,
        library_model: LibraryModel,
        config: ModelConfig,
        on_progress: Callable[[LoadProgress], None] | None = None,
    ) -> ScriptedLease:
        self.configs.append(config)
        for step in range(1, 11):
            await asyncio.sleep(self.load_seconds / 10)
            if on_progress is not None:
                on_progress(LoadProgress(step / 10))
        if self.failure is not None:
            raise self.failure
        self.loads += 1
        self.leases += 1
        if not self.model.alive:
            self.model = ScriptedModel(self.model.words, step=self.model.step, slots=self.model.slots)
        return ScriptedLease(self.model, self)


class OneShared:
    """SMOL is shared with everybody, PRIVATE with nobody."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.shared = True

    def find(self, source_or_name: str, public_key: bytes) -> LibraryModel | None:
        self.asked.append(source_or_name)
        names = {SMOL.name, SMOL.path.name, str(SMOL.path), *SMOL.sources}
        return SMOL if self.shared and source_or_name in names else None

    def list(self, public_key: bytes) -> Sequence[OfferedModel]:
        return [OfferedModel(SMOL, context_tokens=4096)] if self.shared else []


class MemoryLog:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.finished: list[dict[str, Any]] = []
        self.today = 0
        self.advanced: list[int] = []
        self.today_of_all = 0
        self.contents: list[tuple[str, str]] = []

    def advance(self, id: str, generated_tokens: int) -> None:
        self.advanced.append(generated_tokens)

    def keep_contents(self, id: str, question: str, answer: str) -> None:
        self.contents.append((question, answer))

    def start(self, id: str, remote_public_key: str, method: str, model: str, started_at: float) -> None:
        self.started.append(id)

    def finish(self, id: str, outcome: str, **fields: Any) -> object:
        self.finished.append({"id": id, "outcome": outcome, **fields})
        return None

    def tokens_today(self, remote_public_key: str, now: float) -> int:
        return self.today

    def tokens_of_all_today(self, now: float) -> int:
        return self.today_of_all

    def amount_today(self, remote_public_key: str, unit: str, now: float) -> float:
        return float(sum(entry.get("amount", 0.0) for entry in self.finished if entry.get("unit") == unit))

    @property
    def outcomes(self) -> list[str]:
        return [entry["outcome"] for entry in self.finished]
