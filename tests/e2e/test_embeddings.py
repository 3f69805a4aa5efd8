"""Embeddings for programs, on this machine and from another one: the same vectors, and the same errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from qvac_core import Delegate, cancel, embed, get_loaded_model_info, load_model, unload_model
from qvac_core.core import Core, RuleOverride
from qvac_core.core.state import LogEntry
from qvac_core.engines.available import EngineKind
from qvac_core.errors import DelegationError, InferenceCancelled, LocalProtocolError, ModelError, QvacError
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, alone, member, run

TEXTS = ["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply."]
LONG = ["some words of a text " * 20] * 1500


async def settled(owner: Core, count: int) -> list[LogEntry]:
    """The log of an owner once it has so many entries, newest first."""
    while len(entries := await owner.request_log()) < count:
        await asyncio.sleep(0.05)
    return list(entries)


def test_here_and_there_the_vectors_are_the_same(
    engine: EngineKind, bootstrap: str, embedding_model_path: Path, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def test() -> None:
        async with Core(owner_config) as owner:
            await owner.add_model_file(embedding_model_path)
            assert [(model.ability, model.shared) for model in await owner.shared_models()] == [("embed", True)]
            await owner.start_sharing()
            there = Delegate(OTHER_KEY, timeout=60)
            far = await load_model(embedding_model_path.name, model_type="embeddings", delegate=there)
            near = await load_model(str(embedding_model_path), model_type="embeddings")
            told = await get_loaded_model_info(near)
            assert (told.handlers, told.model_type) == (("embed",), "llamacpp-embedding")
            assert told.path == str(embedding_model_path)
            for text in (TEXTS, TEXTS[0], TEXTS[1:2]):
                assert numpy.allclose(await embed(far, text), await embed(near, text), atol=1e-6)
            one, other, apart = await embed(far, TEXTS)
            assert numpy.dot(one, other) > 0.5 > 0.2 > numpy.dot(one, apart)
            assert await unload_model(far) and await unload_model(near)
            with pytest.raises(QvacError, match="not loaded"):
                await embed(far, TEXTS)
            entries = await settled(owner, 4)
            assert {(entry.method, entry.outcome, entry.unit) for entry in entries} == {("embed", "eos", "texts")}
            assert sorted(entry.amount for entry in entries) == [1, 1, 3, 3]
            assert all(entry.prompt_tokens > 0 and not entry.generated_tokens for entry in entries)

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


@pytest.mark.parametrize(
    "config", [{"embdNormalize": -1}, {"embdNormalize": 0}, {"pooling": "cls"}, {"pooling": "last", "embdNormalize": 1}]
)
def test_a_configuration_acts_here_as_there(
    config: Mapping[str, Any], bootstrap: str, embedding_model_path: Path, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def test() -> None:
        async with Core(owner_config) as owner:
            await owner.add_model_file(embedding_model_path)
            await owner.start_sharing()
            vectors = []
            for given in (config, {}):
                far = await load_model(
                    embedding_model_path.name,
                    model_type="llamacpp-embedding",
                    delegate=Delegate(OTHER_KEY, timeout=60),
                    model_config=given,
                )
                near = await load_model(str(embedding_model_path), model_type="embeddings", model_config=given)
                vectors.append(await embed(far, TEXTS[0]))
                assert numpy.allclose(vectors[-1], await embed(near, TEXTS[0]), rtol=1e-5)
            assert not numpy.allclose(vectors[0], vectors[1], rtol=1e-2)

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_what_goes_wrong_is_told_alike_here_and_there(
    bootstrap: str, embedding_model_path: Path, small_model_path: Path, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def test() -> None:
        async with Core(owner_config) as owner:
            for path in (embedding_model_path, small_model_path):
                await owner.add_model_file(path)
            await owner.start_sharing()
            there = Delegate(OTHER_KEY, timeout=60)
            far = await load_model(embedding_model_path.name, model_type="embeddings", delegate=there)
            near = await load_model(str(embedding_model_path), model_type="embeddings")
            for model in (far, near):
                with pytest.raises(DelegationError, match="Text 2 of 2 has 602 tokens"):
                    await embed(model, ["short", "word " * 600])
                for nothing in ("", ["fine", ""]):
                    with pytest.raises(LocalProtocolError, match="empty text"):
                        await embed(model, nothing)
                task = asyncio.create_task(embed(model, LONG, request_id="mine"))
                await embed(model, TEXTS[0])
                assert await cancel(request_id="mine") == 1
                with pytest.raises((InferenceCancelled, DelegationError), match="cancelled"):
                    await task
                assert await cancel(request_id="mine") == 0
            with pytest.raises(DelegationError, match="At most 2048 texts"):
                await embed(far, ["x"] * 2049)
            chat = await load_model(small_model_path.name, delegate=there)
            with pytest.raises(DelegationError, match="makes no embeddings"):
                await embed(chat, TEXTS)
            for delegate in (there, None):
                source = small_model_path.name if delegate else str(small_model_path)
                with pytest.raises(ModelError, match=r"makes no embeddings|chats\. Choose one for embeddings"):
                    await load_model(source, model_type="embeddings", delegate=delegate)
                for config, word in ({"attention": "causal"}, "attention"), ({"pooling": "rank"}, "rank"):
                    source = embedding_model_path.name if delegate else str(embedding_model_path)
                    with pytest.raises(QvacError, match=word):
                        await load_model(source, model_type="embeddings", delegate=delegate, model_config=config)
                with pytest.raises(LocalProtocolError, match="n_ctx"):
                    await load_model(source, model_type="embeddings", delegate=delegate, model_config={"n_ctx": 5})
                with pytest.raises(LocalProtocolError, match="no model type"):
                    await load_model(source, model_type="embedder", delegate=delegate)
            outcomes = {(entry.method, entry.outcome) for entry in await settled(owner, 4)}
            assert {("embed", "error"), ("embed", "cancelled"), ("embed", "eos")} <= outcomes

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap))


def test_a_guest_that_leaves_stops_what_it_asked_for(
    bootstrap: str, embedding_model_path: Path, tmp_path: Path
) -> None:
    owner_config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))

    async def test() -> None:
        async with Core(owner_config) as owner:
            await owner.add_model_file(embedding_model_path)
            await owner.start_sharing()
            async with Core(member(tmp_path / "guest", GUEST_SEED, bootstrap)) as guest:
                delegate = Delegate(OTHER_KEY, timeout=60).resolved()
                loaded = await guest.consumer.load_model(
                    embedding_model_path.name, delegate=delegate, model_type="llamacpp-embedding"
                )
                left = asyncio.create_task(guest.consumer.embed(loaded.model_id, LONG))
                await guest.consumer.embed(loaded.model_id, TEXTS)
                left.cancel()
                (entry,) = [entry for entry in await settled(owner, 2) if entry.amount != len(TEXTS)]
                assert entry.outcome == "cancelled"
                gone = asyncio.create_task(guest.consumer.embed(loaded.model_id, LONG))
                await guest.consumer.embed(loaded.model_id, TEXTS)
            (newest, *_) = await settled(owner, 4)
            assert newest.outcome == "disconnected"
            await asyncio.wait([gone])
            assert isinstance(gone.exception(), QvacError)
            assert not await owner.active_requests()

    run(test, alone(tmp_path / "nobody"))
