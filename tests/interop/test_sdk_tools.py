"""Tools, JSON schema and thinking with the real @qvac/sdk 0.16 on the other side.

As a consumer of our provider, whose engine is scripted here: the small model was not trained to call anything. As a
provider of ours, with that model in its own engine, which repeats a call that it was shown.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.delegation.messages import (
    GenerationParams,
    HistoryCall,
    HistoryMessage,
    JsonSchemaFormat,
    NamedSchema,
    NamedTool,
    Tool,
    ToolCall,
    ToolError,
)
from qvac_core.engines.interface import ToolCall as Called
from qvac_core.engines.interface import ToolError as NotCalled
from qvac_core.engines.interface import ToolErrorCode
from qvac_core.errors import ModelError
from tests.interop.sdk_peer import SdkPeer
from tests.interop.test_sdk_consumer import stage as provided
from tests.interop.test_sdk_provider import stage as consumed
from tests.unit.scripted_engine import SMOL

# The kit is installed by whoever comes first.
pytestmark = pytest.mark.timeout(900)

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "City name"},
        "days": {"type": "integer"},
        "units": {"type": "string", "enum": ["metric", "imperial"]},
    },
    "required": ["city"],
}
TOOL = {"type": "function", "name": "get_weather", "description": "The weather in a city", "parameters": PARAMETERS}
WEATHER = Tool("function", "get_weather", "The weather in a city", PARAMETERS)
RAW = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
WITH_TOOLS = ("--model-config", json.dumps({"tools": True}))


async def test_a_javascript_consumer_gets_calls_and_sends_results_back(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with provided(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.words = ["Let me look. "]
        scene.pool.model.calls = [
            Called("abcdefghi", "get_weather", '{"city": "Paris"}', RAW),
            NotCalled(ToolErrorCode.UNKNOWN_TOOL, "There is no tool."),
        ]
        extras = json.dumps({"tools": [TOOL], "toolDialect": "hermes"})
        async with scene.consumer(SMOL.name, "Weather?", *WITH_TOOLS, "--request", extras) as peer:
            assert await peer.finish() == 0, peer.events
        (final,) = peer.of("final")
        assert final["text"] == "Let me look. "
        (call,) = final["toolCalls"]
        assert (call["id"], call["name"], call["arguments"]) == ("abcdefghi", "get_weather", {"city": "Paris"})
        events = [event["data"] for event in peer.of("completion-event")]
        assert [event["error"]["code"] for event in events if event["type"] == "toolError"] == ["UNKNOWN_TOOL"]
        (done,) = [event for event in events if event["type"] == "completionDone"]
        request = scene.pool.model.requests[-1]
        (tool,) = request.tools
        assert (tool.name, json.loads(tool.parameters)) == ("get_weather", PARAMETERS)
        assert request.tool_dialect == "hermes"
        # As its own examples do: what was said, whole, and then the result.
        history = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": done["raw"]["fullText"]},
            {"role": "tool", "content": "Sunny"},
        ]
        assert RAW in history[1]["content"]
        extras = json.dumps({"tools": [TOOL], "history": history})
        async with scene.consumer(SMOL.name, "-", *WITH_TOOLS, "--request", extras) as peer:
            assert await peer.finish() == 0, peer.events
        assert [message.role for message in scene.pool.model.requests[-1].history] == ["user", "assistant", "tool"]
        # Loaded without tools, it never hears of them.
        async with scene.consumer(SMOL.name, "Weather?", "--request", extras) as peer:
            assert await peer.finish() == 0, peer.events
        assert not scene.pool.model.requests[-1].tools


async def test_a_javascript_consumer_gets_thinking_apart_and_keeps_to_a_schema(
    sdk_peer_home: Path, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    extras = {
        "captureThinking": True,
        "responseFormat": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    }

    async with provided(sdk_peer_home, tmp_path) as scene:
        scene.pool.model.thoughts = ["Hm, ", "well. "]
        async with scene.consumer(SMOL.name, "Hello", "--request", json.dumps(extras)) as peer:
            assert await peer.finish() == 0, peer.events
        events = [event["data"] for event in peer.of("completion-event")]
        assert "".join(event["text"] for event in events if event["type"] == "thinkingDelta") == "Hm, well. "
        assert peer.of("final")[0]["text"] == "one two three"
        assert json.loads(scene.pool.model.requests[-1].response_schema or "") == schema


async def test_a_javascript_consumers_unbounded_tools_are_refused_by_name(sdk_peer_home: Path, tmp_path: Path) -> None:
    async with provided(sdk_peer_home, tmp_path) as scene:
        many = json.dumps({"tools": [{**TOOL, "name": f"tool{place}"} for place in range(129)]})
        async with scene.consumer(SMOL.name, "Weather?", *WITH_TOOLS, "--request", many) as peer:
            assert await peer.finish() == 1
        assert any("128 tools" in json.dumps(event) for event in peer.events), json.dumps(peer.events[-4:])
        assert not scene.pool.model.requests


ASKED = [HistoryMessage("user", "What is the weather in Paris?")]
SHORT = GenerationParams(temp=0, predict=48)
CONFIG = {"ctx_size": 2048, "device": "cpu", "tools": True}


async def test_our_consumer_and_a_javascript_provider_with_tools(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """What its engine makes of them is its business; that it takes ours, and what leaves it, is ours."""
    rich = Tool(
        "function",
        "get_weather",
        "The weather",
        {
            "type": "object",
            "properties": {
                "city": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "at": {"type": "object", "properties": {"hour": {"type": "integer", "minimum": 0}}},
            },
            "required": ["city"],
            "$defs": {},
        },
    )

    async with consumed(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        loaded = await consumer.load_model(
            str(small_model_path.resolve()), delegate=scene.delegate, model_config=CONFIG
        )
        free = await (await consumer.completion(loaded.model_id, ASKED, generation_params=SHORT, tools=[rich])).final
        assert free.stats is not None and isinstance(free.stats.prompt_tokens, int | float)
        history = [
            *ASKED,
            HistoryMessage("assistant", "", tool_calls=[HistoryCall("id", "get_weather", {"city": "Paris"})]),
            HistoryMessage("tool", "Sunny", tool_call_id="id", name="get_weather"),
        ]
        told = await (await consumer.completion(loaded.model_id, history, generation_params=SHORT, tools=[rich])).final
        assert told.stats is not None and isinstance(told.stats.prompt_tokens, int | float)
        assert told.stats.prompt_tokens > free.stats.prompt_tokens
        with pytest.raises(ModelError, match="JavaScript"):
            await consumer.completion(loaded.model_id, ASKED, tools=[rich], tool_choice=NamedTool("get_weather"))
        # Its grammar makes the model write a call as JSON, whatever it was trained for.
        written = {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": ["get_weather"]},
                "arguments": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
            "required": ["name", "arguments"],
        }
        wanted = JsonSchemaFormat(NamedSchema("call", written))
        schema = await consumer.completion(loaded.model_id, ASKED, generation_params=SHORT, response_format=wanted)
        assert json.loads(await schema.text)["name"] == "get_weather"


async def test_calls_of_a_javascript_provider_are_checked_by_the_whole_schema(
    sdk_peer_home: Path, tmp_path: Path, small_model_path: Path
) -> None:
    """A prompt that tells the small model to repeat a call makes it write one; 0.16 reads it, and checks names only."""
    asked = [
        HistoryMessage("user", "Repeat exactly: apple"),
        HistoryMessage("assistant", "apple"),
        HistoryMessage("user", f"Repeat exactly: {RAW}"),
        HistoryMessage("assistant", RAW),
        HistoryMessage("user", f"Repeat exactly: {RAW}"),
    ]
    strict = Tool(
        "function", "get_weather", "d", {**PARAMETERS, "properties": {"city": {"type": "string", "maxLength": 2}}}
    )

    async with consumed(sdk_peer_home, tmp_path) as scene:
        consumer = scene.consumer
        loaded = await consumer.load_model(
            str(small_model_path.resolve()), delegate=scene.delegate, model_config=CONFIG
        )
        answer = await consumer.completion(loaded.model_id, asked, generation_params=SHORT, tools=[WEATHER])
        final = await answer.final
        assert [(call.name, call.arguments) for call in final.tool_calls] == [("get_weather", {"city": "Paris"})]
        assert [event.call.id async for event in answer.events if isinstance(event, ToolCall)]
        answer = await consumer.completion(loaded.model_id, asked, generation_params=SHORT, tools=[strict])
        final = await answer.final
        assert not final.tool_calls and [error.code for error in final.tool_errors] == ["VALIDATION_ERROR"]
        assert [event async for event in answer.events if isinstance(event, ToolError)]


__all__ = ["SdkPeer"]
