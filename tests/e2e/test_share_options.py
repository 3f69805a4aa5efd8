"""What an owner sets for a model, seen by a guest: context, slots, memory and the longest answer; with a real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.core.model_options import ModelOptions
from qvac_core.core.state import RequestEnded
from qvac_core.errors import ModelError, QvacError
from tests.e2e.test_core import LONG, Watched, admitted, run


def test_options_of_a_model_hold_for_guests(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        key, (model,) = owner.core.public_key, await owner.core.shared_models()
        assert (model.n_ctx, model.slots) == (4096, 4)
        room = owner.core.model_options

        # Before it is loaded: context and slots of the next load, and guests are told of the context.
        told = await room.set_options(model.name, ModelOptions(context_tokens=1024, slots=2, answer_tokens=6))
        assert told.own.slots == 2 and not told.waits
        (model,) = await owner.core.shared_models()
        assert (model.n_ctx, model.slots) == (1024, 2)
        entry = await guest.core.connect_provider(key)
        assert [offered.context_tokens for offered in entry.models] == [1024]
        await guest.answer_of(await guest.core.ask(conversation, LONG))
        ended = await owner.until(RequestEnded)
        assert (ended.entry.outcome, ended.entry.generated_tokens) == ("length", 6)

        # While a guest holds it: the answer's length acts at once, the context waits for the next load.
        told = await room.set_options(model.name, ModelOptions(context_tokens=2048, slots=2, answer_tokens=3))
        assert told.in_use and told.waits and told.loaded == (1024, 2)
        await guest.answer_of(await guest.core.retry(conversation))
        await owner.until(RequestEnded, lambda event: event.entry.generated_tokens == 3)

        # By the settings, for all that have none of their own; and what cannot be changes nothing.
        await owner.core.set_setting("sharing.answer_tokens", "4")
        assert (await room.set_options(model.name, ModelOptions())).own == ModelOptions()
        await guest.answer_of(await guest.core.retry(conversation))
        await owner.until(RequestEnded, lambda event: event.entry.generated_tokens == 4)
        with pytest.raises(ModelError, match="between"):
            await room.set_options(model.name, ModelOptions(slots=1000))
        with pytest.raises(QvacError):
            await room.options("no such model")

    run(test, tmp_path)


def test_a_memory_cap_is_kept_to_and_told(small_model_path: Path, tmp_path: Path) -> None:
    async def test(owner: Watched, guest: Watched) -> None:
        conversation = await admitted(owner, guest, small_model_path)
        (model,) = await owner.core.shared_models()
        await owner.core.model_options.set_options(model.name, ModelOptions(memory_mb=20))
        answer = await guest.answer_of(await guest.core.ask(conversation, "Hi"))
        assert answer.status == "failed"
        ended = await owner.until(RequestEnded)
        assert "you let it have" in ended.entry.error
        await owner.core.model_options.set_options(model.name, ModelOptions())
        answer = await guest.answer_of(await guest.core.retry(conversation))
        assert answer.status == "done"

    run(test, tmp_path)


async def test_options_of_this_run_win(small_model_path: Path, tmp_path: Path) -> None:

    config = CoreConfig(
        tmp_path,
        bootstrap=(("127.0.0.1", 9),),
        model_options=ModelOptions(context_tokens=768, slots=3),
        answer_tokens=9,
    )
    async with Core(config) as core:
        model = await core.add_model_file(small_model_path)
        await core.model_options.set_options(model.name, ModelOptions(slots=1, answer_tokens=5))
        (model,) = await core.shared_models()
        assert (model.n_ctx, model.slots) == (768, 3)
        assert core.machine.options_of(model.name).answer_tokens == 9
