"""Models at OpenAI-compatible servers, against one that does what it is told: what real ones do wrong, and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    EmbeddingRequest,
    Finished,
    ModelConfig,
    SamplingParams,
    StopReason,
    Token,
    Tool,
    ToolCall,
    ToolChoice,
    ToolError,
    ToolErrorCode,
    ToolMode,
)
from qvac_core.engines.openai_client import OpenAiClient, Patience, Server
from qvac_core.engines.openai_engine import OpenAiEngine, Place
from qvac_core.engines.openai_model import OpenAiModel
from qvac_core.engines.openai_models import ServedModel, ServerKind, list_models
from qvac_core.errors import EngineCrashed, ModelError, QvacError, RequestRefused
from tests.servers.scripted import STREAM, Asked, Connection, Scripted, chunk, ready, usage

QUESTION = (ChatMessage("user", "Name a city."),)
WEATHER = Tool("weather", "Of a city.", '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
PATH = Path("at-server/small")


@dataclass
class Scene:
    server: Scripted
    engine: OpenAiEngine

    async def model(self) -> OpenAiModel:
        return await self.engine.load(PATH, ModelConfig())


def play(
    act: Callable[[Scene], Awaitable[None]],
    *,
    kind: ServerKind = ServerKind.OTHER,
    parallel: int = 1,
    key: str = "",
    vision: bool = False,
    patience: Patience | None = None,
) -> None:
    async def main() -> None:
        async with Scripted() as server:
            served = ServedModel("small", vision=vision)
            place = Place("id", Server(server.address, key), served, kind, parallel)
            engine = OpenAiEngine(lambda path: place if path == PATH else None, patience=patience)
            try:
                await act(Scene(server, engine))
            finally:
                await engine.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@dataclass
class Got:
    """What an answer gave. error: of its end, None for a whole one."""

    text: str = ""
    thinking: str = ""
    calls: tuple[ToolCall | ToolError, ...] = ()
    finished: Finished | None = None
    error: QvacError | None = None


async def take(model: OpenAiModel, request: CompletionRequest | None = None, **fields: Any) -> Got:
    got = Got()
    try:
        async for event in model.complete(request or CompletionRequest("1", QUESTION, **fields)):
            if isinstance(event, Token) and event.thinking:
                got.thinking += event.text
            elif isinstance(event, Token):
                got.text += event.text
            elif isinstance(event, Finished):
                got.finished = event
            else:
                got.calls += (event,)
    except QvacError as error:
        got.error = error
    return got


def answer_to(*events: Any, kind: ServerKind = ServerKind.OTHER, **fields: Any) -> tuple[Got, Asked]:
    """What comes of these events, and what was asked."""
    results: list[tuple[Got, Asked]] = []

    async def act(scene: Scene) -> None:
        scene.server.answers(*events)
        got = await take(await scene.model(), **fields)
        results.append((got, scene.server.chats[0] if scene.server.chats else scene.server.asked[-1]))

    play(act, kind=kind)
    return results[0]


def test_a_whole_answer_with_its_tokens() -> None:
    got, asked = answer_to(
        chunk(role="assistant", content=None), chunk("Os"), chunk("lo"), chunk(finish="stop"), usage(7, 2), "[DONE]"
    )
    assert (got.text, got.error) == ("Oslo", None)
    assert got.finished is not None and got.finished.stop_reason is StopReason.EOS
    assert (got.finished.stats.prompt_tokens, got.finished.stats.generated_tokens) == (7, 2)
    assert asked.body["messages"] == [{"role": "user", "content": "Name a city."}]
    assert asked.body["stream"] is True and asked.body["stream_options"] == {"include_usage": True}


def test_without_usage_the_tokens_are_counted_here() -> None:
    got, _ = answer_to(chunk("Os"), chunk("lo"), chunk(finish="stop"), "[DONE]")
    assert got.finished is not None and got.finished.stats.generated_tokens == 2
    assert 0 < got.finished.stats.prompt_tokens < 20


@pytest.mark.parametrize(
    "events",
    [
        (),
        (chunk("Os"),),
        (chunk("Os"), "[DONE]"),
        (chunk("Os"), usage(7, 1), "[DONE]"),
        (chunk("Os"), chunk(finish="abort"), "[DONE]"),
        (chunk("Os"), {"error": {"message": "worker /home/me died", "code": 500}}),
        (chunk("Os"), {"object": "error", "message": "CUDA out of memory", "code": 50000}),
    ],
)
def test_an_answer_without_its_end_is_no_answer(events: Sequence[Any]) -> None:
    """However clean its stream ends; and nothing that the server wrote of it is told on."""
    got, _ = answer_to(*events)
    assert got.finished is None and isinstance(got.error, EngineCrashed)
    assert got.error.message == "The server that runs this model broke the answer off. Ask again."
    assert got.text in ("", "Os")


def test_an_error_beside_the_rules_is_one_too() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.stream(chunk("Os"))
            await connection.write('error: {"code": 500, "message": "broken"}\n\n')

        scene.server.on("chat/completions", ready, script)
        assert isinstance((await take(await scene.model())).error, EngineCrashed)

    play(act)


def test_a_connection_that_drops_is_told() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.stream(chunk("Os"))
            connection.drop()

        scene.server.on("chat/completions", ready, script)
        got = await take(await scene.model())
        assert got.finished is None and isinstance(got.error, EngineCrashed)

    play(act)


@pytest.mark.parametrize("pings", [False, True])
def test_a_server_that_hangs_in_mid_answer_is_noticed(pings: bool) -> None:
    """Also one whose comments go on beside an engine that is stuck."""

    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.stream(chunk("Os"))
            while True:
                await asyncio.sleep(0.05)
                if pings:
                    await connection.write(": ping\n\n")

        scene.server.on("chat/completions", ready, script)
        got = await take(await scene.model())
        assert got.text == "Os" and isinstance(got.error, EngineCrashed)
        assert "has said nothing for too long" in got.error.message

    play(act, patience=Patience(first=20, gap=0.4))


def test_a_server_that_loads_first_is_waited_for_while_it_gives_a_sign_of_life() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.head(kind=STREAM)
            for _ in range(8):
                await asyncio.sleep(0.2)
                await connection.write(": ping\n\n")
            await connection.events(chunk("Oslo"), chunk(finish="stop"), "[DONE]")

        scene.server.on("chat/completions", ready, script)
        assert (await take(await scene.model())).text == "Oslo"

    play(act, patience=Patience(first=1.0, gap=20))


def test_an_answer_without_end_that_is_no_stream_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.engines.openai_client.BODY_LIMIT", 100_000)

    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.head()
            while True:
                await connection.write("1,\n" * 1000)

        scene.server.on("chat/completions", ready, script)
        got = await take(await scene.model())
        assert got.error is not None and "no answer of OpenAI" in got.error.message

    play(act)


def test_a_server_that_keeps_to_no_length_is_ended_at_the_length_that_was_asked_for() -> None:
    async def act(scene: Scene) -> None:
        gone = asyncio.Event()

        async def script(connection: Connection, asked: Asked) -> None:
            await connection.head(kind=STREAM)
            try:
                while True:
                    await connection.events(*[chunk("more ")] * 100)
            finally:
                gone.set()

        scene.server.on("chat/completions", ready, script)
        got = await take(await scene.model(), sampling=SamplingParams(predict=10))
        assert got.error is None and got.finished is not None and got.finished.stop_reason is StopReason.LENGTH
        assert 4000 < len(got.text) < 40_000
        await asyncio.wait_for(gone.wait(), 60)  # nobody computes for it any longer

    play(act)


def test_nobody_there() -> None:
    async def act(scene: Scene) -> None:
        model = await scene.model()
        await scene.server.__aexit__()
        got = await take(model)
        assert isinstance(got.error, EngineCrashed) and "does not answer" in got.error.message

    play(act)


def test_cancelling_and_leaving_close_the_request() -> None:
    async def act(scene: Scene) -> None:
        seen: list[Connection] = []

        async def script(connection: Connection, asked: Asked) -> None:
            seen.append(connection)
            await connection.stream(chunk("Os"))
            await connection.watch()

        scene.server.on("chat/completions", ready, script)
        model = await scene.model()
        assert not model.cancel("1")
        async with aclosing(model.complete(CompletionRequest("1", QUESTION))) as events:
            assert await anext(events) == Token("Os")
            with pytest.raises(ModelError, match="answered already"):
                await anext(model.complete(CompletionRequest("1", QUESTION)))
            assert model.cancel("1") and not model.cancel("1")
            last = await anext(events)
            assert isinstance(last, Finished) and last.stop_reason is StopReason.CANCELLED
            assert last.stats.generated_tokens == 1
        await seen[0].gone.wait()
        async with aclosing(model.complete(CompletionRequest("1", QUESTION))) as events:
            await anext(events)
        await seen[1].gone.wait()
        task = asyncio.create_task(take(model))
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        await model.unload()
        assert (await task).error is not None and not model.alive
        await seen[2].gone.wait()

    play(act)


def test_one_at_a_time_where_it_is_not_known_and_the_owner_first() -> None:
    async def act(scene: Scene) -> None:
        let = asyncio.Event()

        async def script(connection: Connection, asked: Asked) -> None:
            await let.wait()
            await connection.stream(chunk("x"), chunk(finish="stop"), "[DONE]")

        scene.server.on("chat/completions", ready, script)
        model = await scene.model()
        order: list[str] = []

        async def ask(owner: str, id: str) -> None:
            await take(model, CompletionRequest(id, QUESTION, owner=owner))
            order.append(id)

        asking = []
        for id, owner in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("me", "local")):
            asking.append(asyncio.create_task(ask(owner, id)))
            await asyncio.sleep(0)
        while not scene.server.chats:
            await asyncio.sleep(0.01)
        assert len(scene.server.chats) == 1
        let.set()
        await asyncio.gather(*asking)
        assert order == ["a1", "me", "a2", "b1"]

    play(act)


def test_as_many_at_once_as_it_takes() -> None:
    async def act(scene: Scene) -> None:
        all_here = asyncio.Event()
        count = 0

        async def script(connection: Connection, asked: Asked) -> None:
            nonlocal count
            count += 1
            if count == 3:
                all_here.set()
            await all_here.wait()
            await connection.stream(chunk("x"), chunk(finish="stop"), "[DONE]")

        scene.server.on("chat/completions", ready, script)
        model = await scene.model()
        got = await asyncio.gather(*(take(model, CompletionRequest(str(id), QUESTION)) for id in range(3)))
        assert [one.text for one in got] == ["x", "x", "x"]

    play(act, parallel=3)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_in_a_field_of_its_own(field: str) -> None:
    got, _ = answer_to(chunk(**{field: "Hm"}), chunk("Oslo"), chunk(finish="stop"), "[DONE]")
    assert (got.thinking, got.text) == ("Hm", "Oslo")


def test_thinking_in_the_text() -> None:
    got, _ = answer_to(chunk("<thi"), chunk("nk>Hm</th"), chunk("ink>Oslo"), chunk(finish="stop"), "[DONE]")
    assert (got.thinking.strip(), got.text) == ("Hm", "Oslo")


def test_stop_sequences_are_read_here() -> None:
    got, asked = answer_to(chunk("Oslo, Be"), chunk("rgen"), chunk(" and Rome"), chunk(finish="stop"), stop=("rg",))
    assert got.text == "Oslo, Be" and got.finished is not None
    assert got.finished.stop_reason is StopReason.STOP_SEQUENCE
    assert "stop" not in asked.body


@pytest.mark.parametrize("reason", ["length", "max_tokens"])
def test_an_answer_at_its_greatest_length(reason: str) -> None:
    got, asked = answer_to(chunk("Os"), chunk(finish=reason), "[DONE]", sampling=SamplingParams(predict=1, temp=0.5))
    assert got.finished is not None and got.finished.stop_reason is StopReason.LENGTH
    assert (asked.body["max_tokens"], asked.body["temperature"]) == (1, 0.5)
    assert not {"top_k", "min_p", "seed", "response_format", "tools"} & set(asked.body)


def test_a_whole_answer_where_a_stream_was_asked_for() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            message = {"role": "assistant", "content": "Oslo"}
            await connection.json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

        scene.server.on("chat/completions", ready, script)
        assert (await take(await scene.model())).text == "Oslo"

    play(act)


CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": ""}}
SHAPES: dict[str, list[Any]] = {
    "in pieces": [
        CALL,
        {"index": 0, "function": {"arguments": '{"ci'}},
        {"index": 0, "function": {"arguments": 'ty":"Oslo"}'}},
    ],
    "whole": [CALL | {"function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}],
    "an object": [CALL | {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
    "without an index": [
        {"id": "c1", "function": {"name": "weather", "arguments": '{"ci'}},
        {"function": {"arguments": 'ty":"Oslo"}'}},
    ],
    "name in every piece": [
        CALL | {"function": {"name": "weather", "arguments": '{"ci'}},
        CALL | {"function": {"name": "weather", "arguments": 'ty":"Oslo"}'}},
    ],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
def test_calls_of_tools_in_every_shape(shape: str, reason: str) -> None:
    pieces = [chunk(tool_calls=[piece]) for piece in SHAPES[shape]]
    got, asked = answer_to(*pieces, chunk(finish=reason), "[DONE]", tools=(WEATHER,))
    (call,) = got.calls
    assert isinstance(call, ToolCall) and (call.name, json.loads(call.arguments)) == ("weather", {"city": "Oslo"})
    assert asked.body["tools"][0]["function"]["name"] == "weather" and asked.body["tool_choice"] == "auto"


def test_a_call_as_text_is_one() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'
    got, _ = answer_to(chunk(text), chunk(finish="stop"), "[DONE]", tools=(WEATHER,))
    assert got.text == "" and isinstance(got.calls[0], ToolCall)


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [
        ('{"city":"Os', "length", ToolErrorCode.PARSE_ERROR),
        ('{"city":"Oslo"}', "length", ToolErrorCode.PARSE_ERROR),
        ('{"city":"Os', "tool_calls", ToolErrorCode.PARSE_ERROR),
        ('{"city":7}', "tool_calls", ToolErrorCode.VALIDATION_ERROR),
        ("[1]", "tool_calls", ToolErrorCode.PARSE_ERROR),
    ],
)
def test_a_call_that_must_not_be_run(arguments: str, reason: str, code: ToolErrorCode) -> None:
    call = CALL | {"function": {"name": "weather", "arguments": arguments}}
    got, _ = answer_to(chunk(tool_calls=[call]), chunk(finish=reason), "[DONE]", tools=(WEATHER,))
    (error,) = got.calls
    assert isinstance(error, ToolError) and error.code is code


def test_a_call_that_had_to_come_and_did_not() -> None:
    must = ToolChoice(ToolMode.REQUIRED)
    got, asked = answer_to(chunk("Hi"), chunk(finish="stop"), "[DONE]", tools=(WEATHER,), tool_choice=must)
    assert [type(call) for call in got.calls] == [ToolError] and asked.body["tool_choice"] == "required"


def test_calls_and_results_go_back_to_the_server() -> None:
    history = (
        *QUESTION,
        ChatMessage("assistant", "", tool_calls=(ToolCall("abc", "weather", '{"city":"Oslo"}'),)),
        ChatMessage("tool", "Rain", tool_call_id="abc", name="weather"),
    )
    _, asked = answer_to(chunk("Wet"), chunk(finish="stop"), request=CompletionRequest("1", history, tools=(WEATHER,)))
    _, call, result = asked.body["messages"]
    assert call["tool_calls"] == [
        {"id": "abc", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    ]
    assert (result["role"], result["tool_call_id"], result["content"]) == ("tool", "abc", "Rain")


SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'


def test_a_schema_is_asked_for_and_kept_to() -> None:
    got, asked = answer_to(chunk('{"n":'), chunk(" 3}"), chunk(finish="stop"), "[DONE]", response_schema=SCHEMA)
    assert got.text == '{"n": 3}' and got.error is None
    assert asked.body["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)


@pytest.mark.parametrize("text", ['{"n": "three"}', "Three."])
def test_a_schema_that_was_not_kept_to_is_no_answer(text: str) -> None:
    got, _ = answer_to(chunk(text), chunk(finish="stop"), "[DONE]", response_schema=SCHEMA)
    assert got.finished is None and got.error is not None and "response schema" in got.error.message


@pytest.mark.parametrize(
    ("kind", "adds"),
    [
        (ServerKind.LLAMA_CPP, {"chat_template_kwargs": {"enable_thinking": False}}),
        (ServerKind.VLLM, {"continue_final_message": True, "add_generation_prompt": False}),
        (ServerKind.OLLAMA, {"reasoning_effort": "none"}),
    ],
)
def test_an_answer_goes_on_where_the_server_can(kind: ServerKind, adds: dict[str, Any]) -> None:
    got, asked = answer_to(chunk("lo"), chunk(finish="stop"), "[DONE]", kind=kind, continue_from="Os")
    assert got.text == "lo"
    assert asked.body["messages"][-1] == {"role": "assistant", "content": "Os"}
    assert adds.items() <= asked.body.items()


def test_elsewhere_it_is_refused_rather_than_repeated() -> None:
    got, _ = answer_to(chunk("Oslo"), chunk(finish="stop"), continue_from="Os")
    assert isinstance(got.error, RequestRefused)


def test_pictures_go_where_they_are_seen() -> None:
    picture = bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc00000000301"
        "0100c9fe92ef0000000049454e44ae426082"
    )
    history = (ChatMessage("user", "What is it?", pictures=(picture,)),)

    async def seen(scene: Scene) -> None:
        scene.server.answers(chunk("Red"), chunk(finish="stop"))
        assert (await take(await scene.model(), CompletionRequest("1", history))).text == "Red"
        image, text = scene.server.chats[0].body["messages"][0]["content"]
        assert image["image_url"]["url"].startswith("data:image/png;base64,") and text["text"] == "What is it?"

    async def refused(scene: Scene) -> None:
        got = await take(await scene.model(), CompletionRequest("1", history))
        assert got.error is not None and not scene.server.chats

    play(seen, vision=True)
    play(refused)


@pytest.mark.parametrize(
    ("status", "body", "name", "words"),
    [
        (401, "{}", "SERVER_KEY_REFUSED", "wants a key"),
        (404, '{"error":{"message":"model not found"}}', "MODEL_NOT_FOUND", "not have this model"),
        (400, '{"error":{"type":"exceed_context_size_error"}}', "CONTEXT_OVERFLOW", "longer than"),
        (400, '{"error":{"code":"context_length_exceeded"}}', "CONTEXT_OVERFLOW", "longer than"),
        (400, '{"message":"This model\'s maximum context length is 8 tokens"}', "CONTEXT_OVERFLOW", "longer than"),
        (400, '{"error":{"message":"/home/me/x: bad"}}', "COMPLETION_FAILED", "does not take this request"),
        (429, "{}", "REQUEST_REJECTED_BY_POLICY", "too much to do"),
        (500, '{"error":{"message":"/home/me/x"}}', "COMPLETION_FAILED", "failed"),
        (502, "<html>", "WORKER_CRASHED", "does not answer"),
    ],
)
def test_errors_in_our_words(status: int, body: str, name: str, words: str) -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            await connection.head(status)
            await connection.write(body)

        scene.server.on("chat/completions", ready, script)
        error = (await take(await scene.model())).error
        assert error is not None and error.name == name
        assert words in error.message and "/home/me" not in error.message

    play(act)


def test_the_key_is_sent_there_and_to_no_other_address() -> None:
    async def act(scene: Scene) -> None:
        async with Scripted() as other:

            async def script(connection: Connection, asked: Asked) -> None:
                await connection.json({}, 307, Location=f"{other.address}/chat/completions")

            scene.server.on("chat/completions", ready, script)
            error = (await take(await scene.model())).error
            assert error is not None and error.name == "SERVER_MOVED"
            assert other.asked == []
        assert {asked.headers["authorization"] for asked in scene.server.asked} == {"Bearer s3cret"}

    play(act, key="s3cret")


async def test_what_asks_a_server_of_its_kind_has_no_key() -> None:
    async with Scripted() as server:
        client = OpenAiClient(Server(server.address, "s3cret"))
        assert (await list_models(client)).parallel == 1
        await client.close()
        keys = {asked.path: asked.headers.get("authorization") for asked in server.asked}
        assert keys == {"/v1/models": "Bearer s3cret", "/api/version": None}


async def test_what_ollama_says_of_its_models() -> None:
    async with Scripted() as server:

        async def models(connection: Connection, asked: Asked) -> None:
            names = ("llama3.2:3b", "llava:7b", "all-minilm:22m")
            await connection.json({"data": [{"id": name, "owned_by": "library"} for name in names]})

        async def version(connection: Connection, asked: Asked) -> None:
            await connection.json({"version": "0.12.3"})

        async def show(connection: Connection, asked: Asked) -> None:
            can = {"llava:7b": ["completion", "vision"], "all-minilm:22m": ["embedding"]}
            await connection.json({"capabilities": can.get(asked.body["model"], ["completion", "tools"])})

        server.on("models", models)
        server.on("/api/version", version)
        server.on("/api/show", show)
        client = OpenAiClient(Server(server.address))
        served = await list_models(client)
        await client.close()
        assert served.kind is ServerKind.OLLAMA
        assert [(model.embeds, model.vision) for model in served.models] == [
            (False, False),
            (False, True),
            (True, False),
        ]


def test_newer_models_have_another_name_for_the_limit() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            if "max_tokens" in asked.body:
                await connection.json({"error": {"message": "Use 'max_completion_tokens' instead."}}, 400)
            else:
                await connection.stream(chunk("x"), chunk(finish="stop"), "[DONE]")

        scene.server.on("chat/completions", script)
        await take(await scene.model())
        assert scene.server.asked[-1].body["max_completion_tokens"] > 1

    play(act)


def test_loading_waits_while_the_server_loads_and_fails_where_it_cannot() -> None:
    async def loads(scene: Scene) -> None:
        async def busy(connection: Connection, asked: Asked) -> None:
            await connection.json({"error": {"message": "Loading model", "code": 503}}, 503)

        scene.server.on("chat/completions", busy, ready)
        await scene.model()
        assert len(scene.server.asked) == 2

    async def fails(scene: Scene) -> None:
        async def broken(connection: Connection, asked: Asked) -> None:
            await connection.json({"error": {"message": "no memory"}}, 500)

        scene.server.on("chat/completions", broken)
        with pytest.raises(ModelError, match="failed"):
            await scene.model()
        with pytest.raises(ModelError, match="not have this model"):
            await scene.engine.load(Path("at-server/other"), ModelConfig())

    play(loads)
    play(fails)


def test_embeddings_in_any_order_and_both_forms() -> None:
    async def act(scene: Scene) -> None:
        async def script(connection: Connection, asked: Asked) -> None:
            rows = [{"index": at, "embedding": [3.0, 4.0 * at]} for at in range(len(asked.body["input"]))]
            await connection.json({"data": rows[::-1], "usage": {"prompt_tokens": 5}})

        async def encoded(connection: Connection, asked: Asked) -> None:
            await connection.json({"data": [{"index": 0, "embedding": "AACAPwAAAAA="}]})

        async def broken(connection: Connection, asked: Asked) -> None:
            await connection.json({"data": [{"index": 0, "embedding": [1, "x"]}]})

        async def huge(connection: Connection, asked: Asked) -> None:
            await connection.json({"data": [{"index": 0, "embedding": [10**400]}]})

        scene.server.on("embeddings", script, script, encoded, broken, huge)
        model = await scene.engine.load_embedding(PATH, ModelConfig())
        found = await model.embed(EmbeddingRequest("1", ("a", "b")))
        assert found.vectors.tolist() == [[1.0, 0.0], pytest.approx([0.6, 0.8])] and found.tokens == 5
        assert (await model.embed(EmbeddingRequest("2", ("a",), normalize=-1))).vectors.tolist() == [[1.0, 0.0]]
        for id in ("3", "4"):
            with pytest.raises(ModelError, match="no answer of OpenAI"):
                await model.embed(EmbeddingRequest(id, ("a",)))

    play(act)


def test_a_chat_goes_over_its_bound_before_anything_is_asked() -> None:
    async def act(scene: Scene) -> None:
        model = await scene.model()
        long = CompletionRequest("1", (ChatMessage("user", "word " * 500),), context_tokens=100)
        got = await take(model, long)
        assert got.error is not None and got.error.name == "CONTEXT_OVERFLOW" and not scene.server.chats
        await take(model, replace(long, history=QUESTION))
        assert scene.server.chats[0].body["max_tokens"] < 100

    play(act)
