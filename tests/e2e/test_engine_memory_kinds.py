"""Memories of each kind, cut, copied and moved: after an edit the text is a fresh run's, and little is read again.

Tiny random models: one of Llama's shape, and two whose memory cannot be cut anywhere, of Gemma 3's shape (five layers
in six see a window) and of LFM2's (two in three keep a state). Their text means nothing: one wrong key changes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qvac_core.engines import sequences
from qvac_core.engines.answer_maker import Order
from qvac_core.engines.available import VARIABLE, EngineKind
from qvac_core.engines.interface import ChatMessage, CompletionRequest, LoadedModel, ModelConfig, SamplingParams
from qvac_core.engines.llama import LlamaBackend, SchedulerMaker
from qvac_core.engines.llama_engine import LlamaEngine
from tests import gguf_files
from tests.e2e.engine_bench import Answer, shared_by_all, take
from tests.unit.scripted_backend import Recorder

LIMIT = 60.0  # seconds for answers of a tiny model
MAKERS: dict[str, Callable[[], bytes]] = {
    "plain": lambda: gguf_files.llama_file(llama__context_length=4096),
    "window": gguf_files.gemma3_file,
    "hybrid": gguf_files.lfm2_file,
}


@pytest.fixture(autouse=True)
def _scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp's server keeps its memory by itself."""
    monkeypatch.setenv(VARIABLE, EngineKind.SCHEDULER)


@pytest.fixture(params=sorted(MAKERS))
def model_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.gguf"
    path.write_bytes(MAKERS[request.param]())
    return path


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


async def ask(model: LoadedModel, owner: str, *history: ChatMessage, predict: int = 24) -> Answer:
    sampling = SamplingParams(temp=0.0, predict=predict)
    return await take(model, CompletionRequest(owner, history, sampling, owner=owner))


def test_after_an_edit_the_text_is_that_of_a_fresh_run(model_path: Path) -> None:
    """Asked again, edited, and gone on with after others had the slot, each against an owner who never asked before."""
    first = user("Tell me of the cat that lived beside the lighthouse, and of what it ate. " * 12)
    said = ChatMessage("assistant", "It ate the fish that the sea left behind, and sometimes a piece of bread.")
    histories = {
        "first": (first,),
        "again": (first,),
        "turn": (first, said, user("And what of the dog?")),
        "edited turn": (first, said, user("And what of the keeper, then?")),
        "edited question": (user(first.content[:500] + "Tell me of the dog that lived in the bakery."),),
        "back": (first, said, user("And what of the keeper, then?"), said, user("Go on.")),
    }

    async def main() -> None:
        engine = LlamaEngine()
        config = ModelConfig(n_ctx=2048, slots=2, device="cpu", threads=1)
        try:
            model = await engine.load(model_path, config)
            cached = {}
            shared = await shared_by_all(model)
            for name, history in histories.items():
                if name == "back":
                    for number in range(3):
                        await ask(model, f"between {number}", user(f"Number {number} asks for {number} words. " * 30))
                mine = await ask(model, "me", *history)
                fresh = await ask(model, f"nobody {name}", *history)
                assert mine.text == fresh.text, name
                assert fresh.end.stats.cache_tokens == shared
                cached[name] = mine.end.stats.cache_tokens / mine.end.stats.prompt_tokens
            assert cached["again"] > 0.95
            assert cached["edited turn"] > 0.5
            assert cached["back"] > 0.5
        finally:
            await engine.close()

    asyncio.run(main())


def test_cells_are_added_while_chats_go_on(model_path: Path) -> None:
    """More than the first cells hold: answers under way move to the larger memory, and end as they would have."""

    async def main() -> None:
        engine = LlamaEngine()
        long = user("Here is a list of words. " + "apple river stone cloud " * 70)
        try:
            model = await engine.load(model_path, ModelConfig(n_ctx=2048, slots=3, device="cpu", threads=1))
            alone = await ask(model, "alone", user("Tell me."), predict=40)
            running, *others = await asyncio.gather(
                ask(model, "running", user("Tell me."), predict=40),
                *(ask(model, f"long {number}", long, predict=4) for number in range(2)),
            )
            prompts = [other.end.stats.prompt_tokens for other in others]
            assert max(prompts) < 2048 < sum(prompts)
            assert running.tokens[:6] == alone.tokens[:6]  # batches of other sizes round differently
            assert others[0].text == others[1].text
            again = await ask(model, "long 0", long, predict=4)
            assert again.text == others[0].text
            assert again.end.stats.cache_tokens == again.end.stats.prompt_tokens - 1
        finally:
            await engine.close()

    asyncio.run(main())


def answer(maker: SchedulerMaker, out: Recorder, job: int, prompt: list[int]) -> str:
    maker.submit(Order(job, prompt, SamplingParams(temp=0.0), predict=24))
    deadline = time.monotonic() + LIMIT
    while maker.busy:
        maker.step()
        assert time.monotonic() < deadline
    return out.said(job)


def test_a_cut_that_is_believed_too_easily_changes_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp says yes to it once the window has moved on: this is what the test above would see."""
    path = tmp_path / "window.gguf"
    path.write_bytes(gguf_files.gemma3_file())
    config = ModelConfig(n_ctx=2048, slots=1, device="cpu", threads=1)
    prompt = [1, *(5 + 7 * number % 250 for number in range(1500))]
    shorter = [*prompt[:400], 9, 8, 7]

    def texts() -> list[str]:
        out = Recorder()
        maker = SchedulerMaker(path, config, out, on_progress=lambda _: None)
        return [answer(maker, out, job, tokens) for job, tokens in enumerate([shorter, prompt, shorter])]

    fresh, _, again = texts()
    assert again == fresh
    monkeypatch.setattr(sequences, "reach", lambda *_: True)
    monkeypatch.setattr(sequences.Sequences, "_mark", lambda *_: None)
    fresh, _, wrong = texts()
    assert wrong != fresh


def test_windows_give_the_text_of_the_whole_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "window.gguf"
    path.write_bytes(gguf_files.gemma3_file())
    config = ModelConfig(n_ctx=2048, slots=1, device="cpu", threads=1)
    prompt = [1, *(5 + 7 * number % 250 for number in range(1500))]

    def text() -> str:
        out = Recorder()
        return answer(SchedulerMaker(path, config, out, on_progress=lambda _: None), out, 1, prompt)

    windows = text()
    params = LlamaBackend._context_params

    def whole(backend: LlamaBackend, cells: int, sequences: int, *, gpu: bool) -> Any:
        changed = params(backend, cells, sequences, gpu=gpu)
        changed.swa_full = True
        return changed

    monkeypatch.setattr(LlamaBackend, "_context_params", whole)
    assert text() == windows
