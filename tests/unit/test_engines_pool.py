"""The model pool over an engine without models: shared loads, leases, idle unloading, crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qvac_core.engines.abilities import chat_of
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionEvent,
    CompletionRequest,
    CompletionStats,
    Finished,
    LibraryModel,
    LoadProgress,
    ModelConfig,
    ModelInfo,
    SamplingParams,
    StopReason,
)
from qvac_core.engines.pool import ModelPool
from qvac_core.errors import ModelError

A = LibraryModel("A", Path("a.gguf"), 1, "aa", "llamacpp-completion", "", "", ())
B = LibraryModel("B", Path("b.gguf"), 1, "bb", "llamacpp-completion", "", "", ())
INFO = ModelInfo("from the file", "", 512, 512, 1, 1, 1, 1, "cpu", True)
CONFIG = ModelConfig(system_prompt="Be kind.", sampling=SamplingParams(temp=0.1, top_k=3), stop=("END",))


@dataclass(eq=False)
class PlainModel:
    """Records what it is asked."""

    config: ModelConfig
    info: ModelInfo = INFO
    alive: bool = True
    requests: list[CompletionRequest] = field(default_factory=list)

    async def complete(self, request: CompletionRequest) -> AsyncIterator[CompletionEvent]:
        self.requests.append(request)
        yield Finished(StopReason.EOS, CompletionStats(0, 0, 0, 0))

    def cancel(self, request_id: str) -> bool:
        return request_id == "known"

    async def unload(self) -> None:
        self.alive = False


@dataclass(eq=False)
class PlainEngine:
    """Loads when `go` is set. `errors`: what the coming loads fail with."""

    models: list[PlainModel] = field(default_factory=list)
    errors: list[ModelError] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: int = 0
    cancelled: int = 0

    async def load(
        self, path: Path, config: ModelConfig, on_progress: Callable[[LoadProgress], None] | None = None
    ) -> PlainModel:
        self.started += 1
        if on_progress is not None:
            on_progress(LoadProgress(0.5))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        self.models.append(PlainModel(config))
        return self.models[-1]

    async def close(self) -> None: ...


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_concurrent_acquires_load_once() -> None:
    engine = PlainEngine()
    pool = ModelPool(engine)
    heard: list[float] = []
    tasks = [
        asyncio.create_task(pool.acquire(A, CONFIG, lambda report: heard.append(report.fraction))) for _ in range(3)
    ]
    await settle()
    assert [(model.model.name, model.info) for model in pool.loaded()] == [("A", None)]
    engine.go.set()
    leases = await asyncio.gather(*tasks)
    assert engine.started == 1
    assert heard == [0.5] * 3
    assert pool.loaded()[0].leases == 3
    assert leases[0].model.info.name == "A"
    assert leases[0].model.info.sha256 == "aa"
    await pool.close()
    assert not engine.models[0].alive


async def test_each_lease_has_its_own_defaults() -> None:
    engine = PlainEngine()
    engine.go.set()
    pool = ModelPool(engine)
    mine = await pool.acquire(A, CONFIG)
    other = await pool.acquire(A, ModelConfig())
    asked = CompletionRequest("1", (ChatMessage("user", "hi"),), SamplingParams(temp=0.7), stop=("X",))
    for lease in (mine, other):
        async for _ in chat_of(lease.model).complete(asked):
            pass
    first, second = engine.models[0].requests
    assert first.history[0] == ChatMessage("system", "Be kind.")
    assert (first.sampling.temp, first.sampling.top_k) == (0.7, 3)
    assert first.stop == ("END", "X")
    assert second == asked
    assert engine.models[0].config == ModelConfig()
    assert mine.model.cancel("known")
    await pool.close()


async def test_idle_models_are_unloaded_after_their_time() -> None:
    engine = PlainEngine()
    engine.go.set()
    pool = ModelPool(engine, idle_seconds=0.01)
    lease = await pool.acquire(A, CONFIG)
    second = await pool.acquire(A, CONFIG)
    lease.release()
    lease.release()  # twice is once
    assert pool.loaded()[0].leases == 1
    second.release()
    third = await pool.acquire(A, CONFIG)  # in time: the same copy
    assert engine.started == 1
    gone = asyncio.Event()
    pool._on_changed = lambda: None if pool.loaded() else gone.set()
    third.release()
    await asyncio.wait_for(gone.wait(), 5)
    await pool.close()
    assert not engine.models[0].alive


async def test_how_long_a_model_idles_is_its_own() -> None:
    engine = PlainEngine()
    engine.go.set()
    seconds = {A.sha256: 0.0, B.sha256: 60.0}
    pool = ModelPool(engine, idle_seconds=lambda model: seconds[model.sha256])
    for model in (A, B):
        (await pool.acquire(model, CONFIG)).release()
    assert [pooled.model for pooled in pool.loaded()] == [B]
    seconds[B.sha256] = 0.0  # the owner says so now
    pool.idle_changed()
    assert pool.loaded() == ()
    await pool.close()


async def test_a_model_that_may_not_be_loaded_waits_for_no_one() -> None:
    engine = PlainEngine()
    engine.go.set()
    asked: list[tuple[str, int]] = []

    async def admit(model: LibraryModel, config: ModelConfig, held: int) -> None:
        asked.append((model.name, held))
        if held:
            raise ModelError("over the cap", typed_fields={"reason": "memory"})

    pool = ModelPool(engine, admit=admit)
    lease = await pool.acquire(A, CONFIG)
    with pytest.raises(ModelError, match="over the cap"):
        await pool.acquire(B, CONFIG)
    lease.release()
    (await pool.acquire(B, CONFIG)).release()  # what nobody uses makes room
    assert [pooled.model for pooled in pool.loaded()] == [B]
    assert [name for name, _ in asked] == [A.name, B.name, B.name, B.name]
    await pool.close()


async def test_zero_means_at_once() -> None:
    engine = PlainEngine()
    engine.go.set()
    pool = ModelPool(engine, idle_seconds=0)
    with await pool.acquire(A, CONFIG):
        assert pool.loaded()
    assert not pool.loaded()
    await pool.close()
    assert not engine.models[0].alive


async def test_a_crashed_model_is_loaded_anew() -> None:
    engine = PlainEngine()
    engine.go.set()
    pool = ModelPool(engine)
    lease = await pool.acquire(A, CONFIG)
    engine.models[0].alive = False
    fresh = await pool.acquire(A, CONFIG)
    assert engine.started == 2
    assert fresh.model.alive
    lease.release()
    assert pool.loaded()[0].leases == 1  # the old lease is not one of the new copy
    await pool.close()


async def test_a_failed_load_is_tried_again_by_the_next() -> None:
    engine = PlainEngine(errors=[ModelError("broken")])
    pool = ModelPool(engine)
    tasks = [asyncio.create_task(pool.acquire(A, CONFIG)) for _ in range(2)]
    await settle()
    engine.go.set()
    for task in tasks:
        with pytest.raises(ModelError, match="broken"):
            await task
    assert not pool.loaded()
    assert (await pool.acquire(A, CONFIG)).model.alive
    await pool.close()


async def test_the_last_one_to_give_up_ends_the_load() -> None:
    engine = PlainEngine()
    pool = ModelPool(engine)
    tasks = [asyncio.create_task(pool.acquire(A, CONFIG)) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    await settle()
    assert engine.cancelled == 0
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await settle()
    assert engine.cancelled == 1
    assert not pool.loaded()
    await pool.close()


async def test_idle_models_make_room() -> None:
    engine = PlainEngine()
    engine.go.set()
    pool = ModelPool(engine)
    (await pool.acquire(A, CONFIG)).release()
    engine.errors = [ModelError("full", typed_fields={"reason": "memory"})]
    lease = await pool.acquire(B, CONFIG)
    assert lease.model.info.name == "B"
    assert not engine.models[0].alive
    assert [model.model.name for model in pool.loaded()] == ["B"]
    await pool.close()


async def test_a_closed_pool_loads_nothing() -> None:
    pool = ModelPool(PlainEngine())
    await pool.close()
    with pytest.raises(ModelError, match="closing"):
        await pool.acquire(A, CONFIG)
