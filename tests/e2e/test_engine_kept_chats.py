"""A chat goes on where it was after its model's process has ended, with the real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines.available import VARIABLE, EngineKind
from qvac_core.engines.interface import (
    EVERYBODY,
    LOCAL_OWNER,
    ChatMessage,
    CompletionRequest,
    KeptChats,
    ModelConfig,
    SamplingParams,
)
from qvac_core.engines.llama_engine import LlamaEngine, LlamaModel
from tests.e2e.engine_bench import Answer, take

QUESTION = ChatMessage("user", "Tell me a story. " + "It should be about a lighthouse by the sea. " * 30)
GUEST = "ab" * 32


@pytest.fixture(autouse=True)
def _scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that has a cache of its own."""
    monkeypatch.setenv(VARIABLE, EngineKind.SCHEDULER)


def engine_of(folder: Path, *, guests: bool = False, key: bytes = bytes(32)) -> LlamaEngine:
    return LlamaEngine(kept=lambda: KeptChats(str(folder), key, 10**9, guests))


async def load(engine: LlamaEngine, path: Path) -> LlamaModel:
    return await engine.load(path, ModelConfig(n_ctx=1024, slots=1, device="cpu", threads=1))


async def ask(model: LlamaModel, owner: str, *history: ChatMessage) -> Answer:
    sampling = SamplingParams(temp=0.0, predict=8)
    return await take(model, CompletionRequest("one", history, sampling, owner=owner))


async def second_turn(engine: LlamaEngine, path: Path, first: Answer, owner: str = LOCAL_OWNER) -> Answer:
    model = await load(engine, path)
    try:
        return await ask(model, owner, QUESTION, ChatMessage("assistant", first.text), ChatMessage("user", "And then?"))
    finally:
        await model.unload()


async def first_turn(engine: LlamaEngine, path: Path, owner: str = LOCAL_OWNER) -> Answer:
    model = await load(engine, path)
    try:
        return await ask(model, owner, QUESTION)
    finally:
        await model.unload()


async def test_a_chat_goes_on_over_the_end_of_the_process(small_model_path: Path, tmp_path: Path) -> None:
    first = await first_turn(engine_of(tmp_path), small_model_path)
    assert list(tmp_path.iterdir())
    there = await second_turn(engine_of(tmp_path), small_model_path, first)
    assert there.end.stats.cache_tokens >= first.end.stats.prompt_tokens
    without = await second_turn(LlamaEngine(), small_model_path, first)
    assert without.end.stats.cache_tokens == 0
    assert there.text == without.text
    stranger = await second_turn(engine_of(tmp_path, key=bytes([1]) * 32), small_model_path, first)
    assert stranger.end.stats.cache_tokens == 0


async def test_a_guests_chat_only_where_the_owner_says_so(small_model_path: Path, tmp_path: Path) -> None:
    for guests in (False, True):
        engine = engine_of(tmp_path / str(guests), guests=guests)
        first = await first_turn(engine, small_model_path, GUEST)
        back = await second_turn(engine, small_model_path, first, GUEST)
        assert (back.end.stats.cache_tokens > 0) is guests
        mine = await second_turn(engine, small_model_path, first)
        assert mine.end.stats.cache_tokens == 0


@pytest.mark.parametrize("owner", [LOCAL_OWNER, EVERYBODY])
async def test_what_shall_be_forgotten_is_on_no_disk_afterwards(
    small_model_path: Path, tmp_path: Path, owner: str
) -> None:
    engine = engine_of(tmp_path)
    first = await first_turn(engine, small_model_path)
    assert list(tmp_path.iterdir())
    model = await load(engine, small_model_path)
    again = await ask(model, LOCAL_OWNER, QUESTION)
    assert again.end.stats.cache_tokens > 0
    engine.forget(owner)
    anew = await ask(model, LOCAL_OWNER, QUESTION)
    assert anew.end.stats.cache_tokens < 64  # the system prompt that everybody has
    assert anew.text == first.text
    if owner == LOCAL_OWNER:
        engine.forget(owner)
    await model.unload()
    assert not list(tmp_path.iterdir())
