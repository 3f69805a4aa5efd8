"""Chats that lost their slot, with the real model: what they had is put back, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines.available import VARIABLE, EngineKind
from qvac_core.engines.interface import ChatMessage, CompletionRequest, LoadedModel, ModelConfig, SamplingParams
from qvac_core.engines.llama_engine import LlamaEngine
from tests.e2e.engine_bench import Answer, shared_by_all, take

PLACES = ["a lighthouse", "a bakery", "a railway station", "an island", "a library"]


@pytest.fixture(autouse=True)
def _scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that has a cache of its own."""
    monkeypatch.setenv(VARIABLE, EngineKind.SCHEDULER)


def first_question(place: str) -> ChatMessage:
    return ChatMessage("user", f"Tell me a story about {place}. " + f"It should be about {place} by the sea. " * 8)


async def ask(model: LoadedModel, owner: str, *history: ChatMessage, predict: int = 8) -> Answer:
    sampling = SamplingParams(temp=0.0, predict=predict)
    return await take(model, CompletionRequest(owner, history, sampling, owner=owner))


async def load(path: Path, host_cache_bytes: int = -1) -> tuple[LlamaEngine, LoadedModel]:
    engine = LlamaEngine()
    config = ModelConfig(n_ctx=512, slots=1, device="cpu", threads=1, host_cache_bytes=host_cache_bytes)
    return engine, await engine.load(path, config)


async def second_turn(model: LoadedModel, owner: str, place: str, said: str) -> Answer:
    history = [first_question(place), ChatMessage("assistant", said), ChatMessage("user", "And then?")]
    return await ask(model, owner, *history)


async def test_a_chat_comes_back_after_others_had_its_slot(small_model_path: Path) -> None:
    engine, model = await load(small_model_path)
    try:
        shared = await shared_by_all(model)
        first = await ask(model, "me", first_question(PLACES[0]))
        undisturbed = await second_turn(model, "me", PLACES[0], first.text)
        for number, place in enumerate(PLACES[1:]):
            other = await ask(model, f"other {number}", first_question(place))
            assert other.end.stats.cache_tokens == shared
        back = await second_turn(model, "me", PLACES[0], first.text)
        assert back.text == undisturbed.text
        # Its whole history was there again, with the question that it asked before.
        assert back.end.stats.cache_tokens == back.end.stats.prompt_tokens - 1
    finally:
        await engine.close()


async def test_another_owner_gets_nothing_of_it(small_model_path: Path) -> None:
    engine, model = await load(small_model_path)
    try:
        await ask(model, "me", first_question(PLACES[0]))
        await ask(model, "other", first_question(PLACES[1]))  # mine is on the host now
        own = await ask(model, "other", first_question(PLACES[2]))
        same = await ask(model, "other", first_question(PLACES[0]))
        assert same.end.stats.cache_tokens == own.end.stats.cache_tokens  # how all of its own chats begin
        mine = await ask(model, "me", first_question(PLACES[0]))
        assert mine.end.stats.cache_tokens == mine.end.stats.prompt_tokens - 1
    finally:
        await engine.close()


@pytest.mark.parametrize("budget", [0, 100_000])
async def test_without_room_for_it_a_chat_is_read_again(small_model_path: Path, budget: int) -> None:
    """100,000 bytes are four tokens of this model."""

    engine, model = await load(small_model_path, host_cache_bytes=budget)
    try:
        shared = await shared_by_all(model)
        first = await ask(model, "me", first_question(PLACES[0]))
        await ask(model, "other", first_question(PLACES[1]))
        again = await ask(model, "me", first_question(PLACES[0]))
        assert again.end.stats.cache_tokens == shared
        assert again.text == first.text
    finally:
        await engine.close()
