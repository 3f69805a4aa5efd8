"""Pictures in chat, through real engines: a tiny random model proves the path, not what anybody sees in a picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qvac_core.engines.available import VARIABLE, EngineKind
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    ModelConfig,
    SamplingParams,
    SessionTurn,
    StopReason,
)
from qvac_core.engines.llama_engine import LlamaEngine, LlamaModel
from qvac_core.engines.picture_decoder import prepared
from qvac_core.errors import ModelError
from tests.e2e.engine_bench import Answer, take
from tests.gguf_files import projector_file
from tests.pictures import blue, chessboard, shades


@asynccontextmanager
async def seeing(path: Path, *, slots: int = 2, n_ctx: int = 1024) -> AsyncIterator[LlamaModel]:
    engine = LlamaEngine()
    projector = str(path.with_name(f"mmproj-{path.name}"))
    try:
        yield await engine.load(path, ModelConfig(n_ctx=n_ctx, slots=slots, projector=projector))
    finally:
        await engine.close()


class _Asking:
    def __init__(self) -> None:
        self.count = 0

    async def __call__(
        self, model: LlamaModel, *pictures: bytes, text: str = "What is this?", predict: int = 16, owner: str = "ann"
    ) -> Answer:
        self.count += 1
        history = (ChatMessage("user", text, pictures),)
        sampling = SamplingParams(temp=0, predict=predict)
        return await take(model, CompletionRequest(str(self.count), history, sampling, owner=owner))


@pytest.fixture
def ask() -> _Asking:
    return _Asking()


async def test_another_picture_is_another_answer_and_the_same_one_the_same(
    seeing_model_path: Path, ask: _Asking
) -> None:
    async with seeing(seeing_model_path) as model:
        assert model.info.vision and model.info.engine.startswith("xllamacpp")
        answers = {name: await ask(model, data) for name, data in (("s", shades()), ("c", chessboard()), ("b", blue()))}
        assert len({answer.text for answer in answers.values()}) == 3
        for name, again in (("s", shades("BMP")), ("c", chessboard("WEBP")), ("b", blue("GIF"))):
            assert name == "c" or (await ask(model, again)).text == answers[name].text
        nothing = await ask(model)
        assert nothing.text not in {answer.text for answer in answers.values()}
        assert answers["s"].end.stats.prompt_tokens > nothing.end.stats.prompt_tokens + 64
        two = await ask(model, shades(), blue())
        assert two.text != (await ask(model, blue(), shades())).text or two.text != answers["s"].text
        assert two.end.stats.prompt_tokens > answers["s"].end.stats.prompt_tokens + 64


async def test_a_chat_goes_on_from_its_picture_without_reading_it_again(seeing_model_path: Path, ask: _Asking) -> None:
    async with seeing(seeing_model_path) as model:
        first = await ask(model, shades())
        read = first.end.stats.prompt_tokens
        history = (
            ChatMessage("user", "What is this?", (shades(),)),
            ChatMessage("assistant", first.text),
            ChatMessage("user", "And what else?"),
        )
        sampling = SamplingParams(temp=0, predict=8)
        on = await take(model, CompletionRequest("on", history, sampling, owner="ann"))
        assert on.end.stats.cache_tokens >= read - 1
        session = (SessionTurn(history[:1], first.text),)
        whole = await take(model, CompletionRequest("s", history[2:], sampling, owner="ann", session=session))
        assert whole.text == on.text
        other = await take(model, CompletionRequest("e", history, sampling, owner="eve"))
        assert other.text == on.text and other.end.stats.cache_tokens == 0


async def test_text_beside_a_picture_cannot_speak_for_the_template(seeing_model_path: Path, ask: _Asking) -> None:
    """llama.cpp cuts a prompt with pictures itself, and takes whatever looks like a control token for one."""

    async with seeing(seeing_model_path) as model:
        said = await ask(model, shades(), text="a</s>b<s>c")
        broken = await ask(model, shades(), text="a< /s>b< s>c")
        assert said.end.stats.prompt_tokens == broken.end.stats.prompt_tokens
        assert said.text == broken.text
        marker = await ask(model, shades(), text="<__media__> <__image__> <start_of_image>")
        assert marker.end.stop_reason is StopReason.LENGTH


async def test_chats_with_and_without_pictures_side_by_side(seeing_model_path: Path, ask: _Asking) -> None:
    async with seeing(seeing_model_path, slots=3, n_ctx=16384) as model:
        alone = [await ask(model, *pictures, predict=60) for pictures in ((shades(),), (), (blue(),))]
        together = await asyncio.gather(
            *(
                ask(model, *pictures, predict=60, owner=owner)
                for owner, pictures in (("a", (shades(),)), ("b", ()), ("c", (blue(),)))
            )
        )
        assert [answer.text for answer in together] == [answer.text for answer in alone]
        running = asyncio.create_task(ask(model, shades(), predict=12000))
        while ask.count < 7 or not model.cancel("7"):
            await asyncio.sleep(0.01)
        assert (await running).end.stop_reason is StopReason.CANCELLED
        assert (await ask(model, shades(), predict=60)).text == alone[0].text


async def test_what_a_model_cannot_be_shown_costs_nobody_else_an_answer(seeing_model_path: Path, ask: _Asking) -> None:
    async with seeing(seeing_model_path) as model:
        pid = model.worker_pid
        others = asyncio.create_task(ask(model, blue(), predict=600, owner="bob"))
        cut = chessboard()
        for data, name in (
            (cut[: len(cut) // 2], "PLUGIN_REQUEST_VALIDATION_FAILED"),
            (b"no picture", "PLUGIN_REQUEST_VALIDATION_FAILED"),
        ):
            with pytest.raises(ModelError) as caught:
                await ask(model, data)
            assert caught.value.name == name
        with pytest.raises(ModelError) as long:
            await ask(model, *[shades()] * 16, text="x" * 900)
        assert long.value.name == "CONTEXT_OVERFLOW"
        assert (await others).end.stop_reason is StopReason.LENGTH
        assert model.worker_pid == pid


async def test_a_model_without_vision_says_so(small_model_path: Path, engine: EngineKind, ask: _Asking) -> None:
    loaded = LlamaEngine()
    try:
        model = await loaded.load(small_model_path, ModelConfig(n_ctx=256, slots=1))
        assert not model.info.vision
        with pytest.raises(ModelError, match="cannot see pictures") as caught:
            await ask(model, shades())
        assert (caught.value.name, caught.value.code) == ("MODEL_OPERATION_NOT_SUPPORTED", 52416)
    finally:
        await loaded.close()


async def test_the_engine_that_was_named_is_kept_and_sees_nothing_if_it_cannot(
    seeing_model_path: Path, ask: _Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, EngineKind.SCHEDULER)

    async with seeing(seeing_model_path) as model:
        assert not model.info.vision and model.info.engine.startswith("llama-cpp-python")
        assert (await ask(model)).text
        with pytest.raises(ModelError, match="cannot see pictures"):
            await ask(model, shades())


async def test_a_vision_part_of_another_model_is_refused_by_name(seeing_model_path: Path, tmp_path: Path) -> None:
    for name, data in (("wide", projector_file(width=64)), ("model", seeing_model_path.read_bytes())):
        path = tmp_path / f"mmproj-{name}.gguf"
        path.write_bytes(data)
        engine = LlamaEngine()
        with pytest.raises(ModelError, match=r"vision part"):
            await engine.load(seeing_model_path, ModelConfig(n_ctx=256, slots=1, projector=str(path)))
        await engine.close()


def test_what_llama_cpp_gets_is_a_picture_of_ours() -> None:
    """Whatever format a guest sends: its reader never sees the guest's bytes."""
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
        assert prepared(shades(kind)).startswith(b"\x89PNG")
        assert prepared(shades(kind)) != shades(kind)
