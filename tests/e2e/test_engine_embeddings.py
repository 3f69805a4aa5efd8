"""Embeddings of the real small model, on both engines: equal to the original model's own vectors."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import EmbeddingRequest, ModelConfig
from qvac_core.engines.llama_engine import LlamaEmbeddingModel, LlamaEngine
from qvac_core.errors import EngineCrashed, InferenceCancelled, ModelError

ORIGINAL = json.loads((Path(__file__).parent.parent / "vectors" / "minilm.json").read_text())
TEXTS = tuple(entry["text"] for entry in ORIGINAL)


@asynccontextmanager
async def loaded(path: Path, config: ModelConfig | None = None) -> AsyncIterator[LlamaEmbeddingModel]:
    engine = LlamaEngine()
    try:
        yield await engine.load_embedding(path, config or ModelConfig(n_ctx=0))
    finally:
        await engine.close()


def with_model(path: Path, use: Callable[[LlamaEmbeddingModel], Coroutine[Any, Any, None]], **config: Any) -> None:
    async def main() -> None:
        async with loaded(path, ModelConfig(**{"n_ctx": 0, **config})) as model:
            await use(model)

    asyncio.run(main())


def test_the_vectors_are_those_of_the_original(embedding_model_path: Path, engine: EngineKind) -> None:
    async def use(model: LlamaEmbeddingModel) -> None:
        made = await model.embed(EmbeddingRequest("a", TEXTS))
        original = numpy.array([entry["vector"] for entry in ORIGINAL])
        assert made.vectors.shape == original.shape
        cosines = (made.vectors * original).sum(1) / numpy.linalg.norm(original, axis=1)
        assert cosines.min() > 0.999, cosines
        assert made.tokens == sum(entry["tokens"] for entry in ORIGINAL)
        assert numpy.allclose(numpy.linalg.norm(made.vectors, axis=1), 1.0, atol=1e-4)

    with_model(embedding_model_path, use)


def test_a_text_gives_the_same_vector_alone_and_among_many(embedding_model_path: Path, engine: EngineKind) -> None:
    async def use(model: LlamaEmbeddingModel) -> None:
        many = tuple(f"Text number {number} about {number * 7}." for number in range(50))
        together = await model.embed(EmbeddingRequest("many", many))
        alone = [await model.embed(EmbeddingRequest(f"one {at}", (many[at],))) for at in (0, 17, 49)]
        for at, made in zip((0, 17, 49), alone, strict=True):
            assert float(together.vectors[at] @ made.vectors[0]) > 0.9999

    with_model(embedding_model_path, use)


async def test_pooling_and_normalizing_are_what_was_asked_for(embedding_model_path: Path, engine: EngineKind) -> None:
    async def vectors(pooling: str, normalize: int) -> Any:
        async with loaded(embedding_model_path, ModelConfig(n_ctx=0, pooling=pooling)) as model:
            return (await model.embed(EmbeddingRequest("a", TEXTS[:2], normalize=normalize))).vectors

    raw, unit = await vectors("", -1), await vectors("mean", 2)
    lengths = numpy.linalg.norm(raw, axis=1, keepdims=True)
    assert (lengths > 1.5).all()
    assert numpy.allclose(raw / lengths, unit, atol=1e-4)
    assert numpy.allclose(numpy.abs(await vectors("", 0)).max(axis=1), 32760, rtol=1e-4)
    first = await vectors("cls", 2)
    assert (first * unit).sum(1).max() < 0.99  # another vector than the mean


def test_what_is_too_long_or_empty_is_told_and_costs_the_others_nothing(
    embedding_model_path: Path, engine: EngineKind
) -> None:
    async def use(model: LlamaEmbeddingModel) -> None:
        long = EmbeddingRequest("long", ("short", "word " * 600))
        others = asyncio.gather(*(model.embed(EmbeddingRequest(f"{n}", TEXTS)) for n in range(3)))
        with pytest.raises(ModelError, match="Text 2 of 2 has 602 tokens and this model takes 512") as error:
            await model.embed(long)
        assert (error.value.name, error.value.code) == ("CONTEXT_OVERFLOW", 52421)
        with pytest.raises(ModelError, match="empty text"):
            await model.embed(EmbeddingRequest("empty", ("fine", "")))
        for made in await others:
            assert made.vectors.shape == (len(TEXTS), 384)

    with_model(embedding_model_path, use)


def test_a_long_request_is_cancelled_and_waits_in_turn(embedding_model_path: Path, engine: EngineKind) -> None:
    async def use(model: LlamaEmbeddingModel) -> None:
        ended = []

        async def long() -> None:
            with pytest.raises(InferenceCancelled):
                await model.embed(EmbeddingRequest("long", ("a text of some words " * 20,) * 5000, owner="one"))
            ended.append("long")

        task = asyncio.create_task(long())
        await asyncio.sleep(0)
        await model.embed(EmbeddingRequest("short", ("hello",), owner="two"))
        assert not ended  # the other owner did not wait for the whole of it
        assert model.cancel("long")
        await task
        assert not model.cancel("long")

    with_model(embedding_model_path, use)


def test_a_crash_fails_its_request_and_the_model_comes_back(embedding_model_path: Path, engine: EngineKind) -> None:
    async def use(model: LlamaEmbeddingModel) -> None:
        task = asyncio.create_task(model.embed(EmbeddingRequest("long", ("a text of some words " * 20,) * 5000)))
        await model.embed(EmbeddingRequest("first", ("hello",)))
        assert model.worker_pid is not None
        os.kill(model.worker_pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        with pytest.raises(EngineCrashed):
            await task
        made = await model.embed(EmbeddingRequest("again", TEXTS[:1]))
        assert float(made.vectors[0] @ numpy.array(ORIGINAL[0]["vector"])) > 0.999

    with_model(embedding_model_path, use)


async def test_each_kind_of_model_does_its_own_thing(
    embedding_model_path: Path, small_model_path: Path, engine: EngineKind
) -> None:
    with pytest.raises(ModelError, match="makes no embeddings"):
        async with loaded(small_model_path):
            pass
    for pooling in ("rank", "none", "sum"):
        with pytest.raises(ModelError, match=f"pooling {pooling} gives no single vector"):
            async with loaded(embedding_model_path, ModelConfig(n_ctx=0, pooling=pooling)):
                pass
