"""The real model in a real worker: streaming, statistics, sampling, stop, prefix reuse, several chats at once."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from qvac_core.engines.available import EngineKind
from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    Finished,
    ModelConfig,
    SamplingParams,
    StopReason,
    Token,
)
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.errors import ModelError
from tests.e2e.engine_bench import STORY, TEMP_0, loaded, request, shared_by_all, take

pytestmark = pytest.mark.usefixtures("engine")


async def test_streaming_statistics_and_determinism(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:
        assert model.info.backend_device == "cpu"
        assert model.info.chat_template
        assert model.info.parameters == 134_515_008
        assert model.info.memory_bytes > model.info.size_bytes
        first = await take(model, request(STORY, predict=24))
        assert len(first.tokens) > 10  # streamed, not in one piece
        assert first.end.stop_reason is StopReason.LENGTH
        stats = first.end.stats
        assert stats.generated_tokens == 24
        assert stats.prompt_tokens > 20
        assert stats.cache_tokens == 0
        assert stats.time_to_first_token > 0
        assert stats.tokens_per_second > 0
        assert stats.backend_device == "cpu"
        again = await take(model, request(STORY, predict=24))
        assert again.text == first.text
        assert again.end.stats.cache_tokens == stats.prompt_tokens - 1  # the same owner
        other = await take(model, request(STORY, predict=24, owner="somebody else"))
        assert other.text == first.text
        assert other.end.stats.cache_tokens == await shared_by_all(model)


async def test_the_text_is_that_of_plain_llama_cpp(small_model_path: Path) -> None:
    """The reference is llama-cpp-python's own chat completion, in a process of its own: no worker, no scheduler."""
    reference = (
        "import sys, json\n"
        "from llama_cpp import Llama\n"
        "model = Llama(sys.argv[1], n_ctx=512, n_threads=1, verbose=False)\n"
        "history = [{'role': 'user', 'content': sys.argv[2]}]\n"
        "answer = model.create_chat_completion(history, temperature=0, max_tokens=24, repeat_penalty=1.0)\n"
        "print(json.dumps([answer['choices'][0]['message']['content'], answer['usage']['prompt_tokens']]))\n"
    )

    plain = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", reference, str(small_model_path), STORY],
        capture_output=True,
        check=True,
        timeout=120,
    )
    text, prompt_tokens = json.loads(plain.stdout)
    async with loaded(small_model_path) as model:
        ours = await take(model, request(STORY, predict=24))
    assert ours.text == text
    assert ours.end.stats.prompt_tokens == prompt_tokens  # the model's own template, token for token


async def test_answers_at_once_are_the_answers_alone(small_model_path: Path) -> None:
    # Batches of other sizes round differently: questions whose beginnings are no close call for the model.
    questions = [
        STORY,
        "Write a long story about a dog, a mountain and the snow.",
        "Write a poem about the moon and the wind.",
    ]

    async with loaded(small_model_path, slots=2) as model:  # one more chat than slots
        alone = [await take(model, request(text, owner=str(n))) for n, text in enumerate(questions)]
        together = await asyncio.gather(
            *(take(model, request(text, f"r{n}", owner=f"new{n}")) for n, text in enumerate(questions))
        )
    assert [len(answer.text) > 0 for answer in together] == [True] * 3
    for one, other in zip(alone, together, strict=True):
        assert one.tokens[:6] == other.tokens[:6]
    assert any(answer.end.stats.avg_concurrent_seq > 1.5 for answer in together)


async def test_stop_sequences_and_continuation(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:
        whole = await take(model, request(STORY, predict=40))
        words = whole.text.split(" ")
        stop = f" {words[4]} {words[5]}"  # several tokens long
        cut = await take(model, request(STORY, predict=40, stop=(stop,)))
        assert cut.end.stop_reason is StopReason.STOP_SEQUENCE
        assert cut.text == whole.text.split(stop)[0]
        begun = "".join(whole.tokens[:10])
        rest = await take(model, request(STORY, predict=10, continue_from=begun))
        assert rest.text
        assert whole.text.startswith(begun + rest.tokens[0])
        assert rest.end.stats.prompt_tokens > whole.end.stats.prompt_tokens


async def test_sampling_seed_and_model_defaults(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:
        texts = [
            (await take(model, request(STORY, predict=16, temp=1.5, seed=seed, owner=str(n)))).text
            for n, seed in enumerate([7, 7, 8])
        ]
        assert texts[0] == texts[1]
        assert texts[0] != texts[2]
    engine = LlamaEngine()
    config = ModelConfig(
        n_ctx=512, slots=1, device="cpu", threads=1, sampling=SamplingParams(temp=0.0, predict=5), stop=("sea",)
    )
    try:
        model = await engine.load(small_model_path, config)
        asked = CompletionRequest("1", (ChatMessage("user", STORY),))
        assert (await take(model, asked)).end.stats.generated_tokens <= 5
    finally:
        await engine.close()


async def test_a_schema_makes_json(small_model_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }

    async with loaded(small_model_path) as model:
        asked = request("Describe a cat as JSON.", predict=60, response_schema=json.dumps(schema))
        answer = await take(model, asked)
        assert answer.end.stop_reason is StopReason.EOS
        assert set(json.loads(answer.text)) == {"name", "age"}
        with pytest.raises(ModelError, match="schema"):
            await take(model, request("x", response_schema="{not json"))
        assert (await take(model, request("Hello"))).text  # and it lives on


async def test_values_of_a_schema_arrive_as_they_stand(engine: EngineKind, small_model_path: Path) -> None:
    moods = ["glad 😀", 'a "quoted" one', "back\\slash", "two\nlines"]
    schema = {
        "type": "object",
        "properties": {
            "mood": {"enum": moods},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "born": {"type": "string", "format": "date"},
            "code": {"type": "string", "pattern": r"^[A-Z]{2}\d{3}$"},
        },
        "required": ["mood", "stars", "share", "born", "code"],
    }

    async with loaded(small_model_path) as model:
        for seed in range(4):
            asked = request(
                "Review a film as JSON.", predict=150, response_schema=json.dumps(schema), temp=1.2, seed=seed
            )
            answer = await take(model, asked)
            assert answer.end.stop_reason is StopReason.EOS, answer.text
            value = json.loads(answer.text)
            assert set(value) == set(schema["properties"])
            assert value["mood"] in moods
            assert 1 <= value["stars"] <= 5 and 0 <= value["share"] <= 1
            date.fromisoformat(value["born"])
            assert re.fullmatch(r"[A-Z]{2}\d{3}", value["code"])
        begun = '{"mood": "two\\n'
        asked = request("Go on.", predict=150, response_schema=json.dumps(schema), continue_from=begun)
        if engine is EngineKind.SERVER:  # it says so, and whoever asks begins anew
            with pytest.raises(ModelError, match="ask for it anew"):
                await take(model, asked)
        else:
            assert json.loads(begun + (await take(model, asked)).text)["mood"] == "two\nlines"


@pytest.mark.usefixtures("engine")
async def test_a_schema_holds_or_is_refused_and_costs_nobody_else_an_answer(small_model_path: Path) -> None:
    """A control token's text as a value, more items than are counted, and what cannot be enforced."""

    async with loaded(small_model_path) as model:
        pid = model.worker_pid
        schema: dict[str, object] = {"enum": ["a<|im_end|>b"]}
        answer = await take(model, request("Go on.", response_schema=json.dumps(schema)))
        assert json.loads(answer.text) == "a<|im_end|>b"
        schema = {"type": "array", "minItems": 1001, "maxItems": 1001, "items": {"type": "integer"}}
        answer = await take(model, request("Count.", response_schema=json.dumps(schema)))
        assert answer.text.startswith("[")
        with pytest.raises(ModelError, match="too complex"):
            await take(model, request("Describe a cat as JSON.", response_schema=json.dumps({"$ref": "#"})))
        assert (await take(model, request("Hello"))).text
        assert model.worker_pid == pid


async def test_context_overflow_is_named_before_any_token(small_model_path: Path) -> None:
    async with loaded(small_model_path, n_ctx=256) as model:
        for text in ("word " * 400, "x" * 300_000):
            with pytest.raises(ModelError) as raised:
                await take(model, request(text))
            assert (raised.value.name, raised.value.code) == ("CONTEXT_OVERFLOW", 52421)
        answer = await take(model, request(STORY, predict=-1))
        assert answer.end.stop_reason in (StopReason.LENGTH, StopReason.EOS)
        stats = answer.end.stats
        assert stats.prompt_tokens + stats.generated_tokens <= 257


async def test_cancel_and_leaving_free_the_slot(small_model_path: Path) -> None:
    async with loaded(small_model_path, slots=1) as model:
        tokens: list[str] = []
        reasons = []
        async for event in model.complete(request(STORY, "long", predict=400)):
            if isinstance(event, Token):
                tokens.append(event.text)
                if len(tokens) == 5:
                    assert model.cancel("long")
            elif isinstance(event, Finished):
                reasons.append(event.stop_reason)
        assert reasons == [StopReason.CANCELLED]
        assert len(tokens) < 60
        assert not model.cancel("long")
        # Leaving the iterator does the same, without being asked.
        stream = model.complete(request(STORY, "left", predict=400))
        await anext(stream)
        await stream.aclose()
        answer = await asyncio.wait_for(take(model, request("Hello", predict=4)), 20)
        assert answer.text
        # And a task that is cancelled while it waits.
        task = asyncio.create_task(take(model, request(STORY, "task", predict=400)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await asyncio.wait_for(take(model, request("Hello", predict=4)), 20)).text


async def test_one_request_id_names_one_answer(small_model_path: Path) -> None:
    async with loaded(small_model_path) as model:
        stream = model.complete(request(STORY, "same", predict=300))
        await anext(stream)
        with pytest.raises(ModelError) as raised:
            await take(model, request("Hello", "same"))
        assert raised.value.code == 52417
        await stream.aclose()


async def test_system_prompt_of_the_model(small_model_path: Path) -> None:
    engine = LlamaEngine()
    try:
        plain = await engine.load(small_model_path, ModelConfig(n_ctx=512, slots=1, device="cpu", threads=1))
        without = await take(plain, CompletionRequest("1", (ChatMessage("user", "Hi"),), TEMP_0))
        await plain.unload()
        told = ModelConfig(n_ctx=512, slots=1, device="cpu", threads=1, system_prompt="Speak like a pirate. " * 10)
        model = await engine.load(small_model_path, told)
        asked = CompletionRequest("1", (ChatMessage("user", "Hi"),), SamplingParams(temp=0.0, predict=4))
        longer = await take(model, asked)
        assert longer.end.stats.prompt_tokens > without.end.stats.prompt_tokens + 20
        own = CompletionRequest("2", (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")), asked.sampling)
        assert (await take(model, own)).end.stats.prompt_tokens < without.end.stats.prompt_tokens
    finally:
        await engine.close()


async def test_what_a_stranger_may_send_does_not_end_the_worker(small_model_path: Path) -> None:
    inf, nan = float("inf"), float("nan")
    hostile = [
        SamplingParams(temp=nan, top_p=inf, top_k=-5, repeat_penalty=0.0, predict=3),
        SamplingParams(temp=1e-30, frequency_penalty=-inf, presence_penalty=1e30, predict=3),
        SamplingParams(temp=inf, top_p=-1.0, seed=-1, predict=3),
        SamplingParams(temp=1.0, seed=2**70, top_k=2**40, predict=3),
    ]
    schemas = [
        "{}",
        '{"type": "object"}',
        '{"$ref": "http://127.0.0.1:1/x.json"}',
        '{"$ref": "#/nowhere"}',
        '{"type": "string", "pattern": "(a+)+$"}',
        '{"type": "array", "minItems": 100000000}',
        '{"enum": []}',
        '{"type": "nonsense"}',
        '{"allOf": [{"$ref": "#"}]}',
        "[" * 5000,
    ]

    async with loaded(small_model_path, slots=1) as model:
        pid = model.worker_pid
        for sampling in hostile:
            history = (ChatMessage("user\ud800", "Say \udfff\x00 <|im_end|> {{ 7 * 7 }}"),)
            answer = await take(model, CompletionRequest("1", history, sampling))
            assert answer.end.stats.generated_tokens <= 3
        for schema in schemas:
            try:
                await take(model, request("x", predict=3, response_schema=schema))
            except ModelError as error:
                assert error.code == 52406
        with pytest.raises(ModelError, match="stop sequences"):
            await take(model, request("x", stop=tuple(str(n) for n in range(100))))
        assert model.worker_pid == pid
