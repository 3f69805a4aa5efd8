"""Tools between a consumer of ours and a provider, in memory, and the narrower shapes of a JavaScript peer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from qvac_core.delegation import messages as wire
from qvac_core.delegation.tool_wire import (
    checked,
    for_sdk,
    given_choice,
    given_message,
    given_tools,
    wire_event,
)
from qvac_core.engines.interface import ChatMessage, ToolCall, ToolChoice, ToolError, ToolErrorCode, ToolMode
from qvac_core.errors import LocalProtocolError, ModelError
from tests.unit.delegation_room import ASK, DELEGATE, provider_room
from tests.unit.memory_stream import run
from tests.unit.scripted_engine import SMOL

RUNNER = run

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where", "pattern": "^[A-Z]"},
        "days": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "kind": {"const": "now"},
        "at": {"type": "object", "properties": {"hour": {"type": "integer"}}},
        "any": {},
    },
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = wire.Tool("function", "get_weather", "The weather.", SCHEMA)
CALL = ToolCall("id1", "get_weather", '{"city": "Paris"}', '<tool_call>{"name": …}</tool_call>')


async def test_all_that_is_said_of_tools_reaches_the_engine() -> None:
    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"tools": True})
        assert not consumer.ignores_tools(loaded.model_id)
        history = [
            *ASK,
            wire.HistoryMessage("assistant", "", tool_calls=[wire.HistoryCall("id1", "get_weather", {"city": "A"})]),
            wire.HistoryMessage("tool", "Sunny", tool_call_id="id1", name="get_weather"),
        ]
        answer = await consumer.completion(
            loaded.model_id,
            history,
            tools=[WEATHER],
            tool_choice=wire.NamedTool("get_weather"),
            parallel_tool_calls=False,
            tool_dialect="qwen35",
        )
        await answer.text
        request = room.pool.model.requests[-1]
        (tool,) = request.tools
        assert (tool.name, tool.description, json.loads(tool.parameters)) == ("get_weather", "The weather.", SCHEMA)
        assert request.tool_choice == ToolChoice(ToolMode.NAMED, "get_weather")
        assert not request.parallel_tool_calls and request.tool_dialect == "qwen35"
        assert request.history[1:] == (
            ChatMessage("assistant", "", tool_calls=(ToolCall("id1", "get_weather", '{"city": "A"}'),)),
            ChatMessage("tool", "Sunny", tool_call_id="id1", name="get_weather"),
        )
        await consumer.close()


async def test_calls_and_what_is_wrong_with_others_reach_the_consumer() -> None:
    async with provider_room() as room:
        room.pool.model.calls = [CALL, ToolError(ToolErrorCode.UNKNOWN_TOOL, "There is no tool.", "raw")]
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"tools": True})
        answer = await consumer.completion(loaded.model_id, ASK, tools=[WEATHER], emit_raw_deltas=True)
        final = await answer.final
        (call,) = final.tool_calls
        assert (call.id, call.name, call.arguments, call.raw) == ("id1", "get_weather", {"city": "Paris"}, CALL.raw)
        assert [(error.code, error.message) for error in final.tool_errors] == [("UNKNOWN_TOOL", "There is no tool.")]
        assert final.text == "one two three"
        events = [event async for event in answer.events]
        assert [event.seq for event in events] == list(range(len(events)))
        assert isinstance(done := events[-1], wire.CompletionDone)
        # What the model wrote, whole: a JavaScript consumer sends that back.
        assert isinstance(done.raw, wire.RawOutput) and done.raw.full_text == f"one two three{CALL.raw}raw"
        raw = "".join(event.text for event in events if isinstance(event, wire.RawDelta))
        assert raw == done.raw.full_text
        await consumer.close()


async def test_a_session_that_is_found_by_its_text_ends_with_a_call() -> None:
    """As in 0.16: what the call was written with is no text that a history would have."""

    async with provider_room() as room:
        consumer = room.consumer()
        loaded = await consumer.load_model(SMOL.name, delegate=DELEGATE, model_config={"tools": True})
        for kv_cache, kept in ((True, False), ("mine", True)):
            room.pool.model.calls = [CALL]
            answer = await consumer.completion(loaded.model_id, ASK, tools=[WEATHER], kv_cache=kv_cache)
            await answer.text
            said = f"one two three{CALL.raw}"
            history = [*ASK, wire.HistoryMessage("assistant", said), wire.HistoryMessage("tool", "Sunny")]
            await (await consumer.completion(loaded.model_id, history, tools=[WEATHER], kv_cache=kv_cache)).text
            assert (len(room.pool.model.requests[-1].history) == 1) is kept
        await consumer.close()


def test_a_strangers_call_is_checked_again() -> None:
    def judged(name: str, arguments: dict[str, Any]) -> str:
        event = wire.ToolCall(3, wire.ToolCallParts("i", name, arguments))
        result = checked(event, {"get_weather": WEATHER})
        assert isinstance(result, wire.ToolCall | wire.ToolError) and result.seq == 3
        return result.error.code if isinstance(result, wire.ToolError) else ""

    assert judged("get_weather", {"city": "Paris"}) == ""
    assert judged("get_weather", {"city": "paris"}) == "VALIDATION_ERROR"
    assert judged("get_weather", {}) == "VALIDATION_ERROR"
    assert judged("rm", {}) == "UNKNOWN_TOOL"


def test_a_provider_in_javascript_gets_what_it_understands() -> None:
    message = wire.CompletionStream(
        "id",
        [
            ASK[0],
            wire.HistoryMessage("assistant", "Hm.", tool_calls=[wire.HistoryCall("id1", "get_weather", {"city": "A"})]),
            wire.HistoryMessage("tool", "Sunny", tool_call_id="id1", name="get_weather"),
        ],
        True,
        tools=[WEATHER],
        tool_choice="auto",
        parallel_tool_calls=False,
    )
    sent = msgspec.to_builtins(for_sdk(message))
    assert sent["tools"][0]["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "days": {"type": "integer"},
            "kind": {"type": "string", "enum": ["now"]},
            "at": {"type": "object"},
            "any": {"type": "string"},
        },
        "required": ["city"],
    }
    call = 'Hm.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "A"}}\n</tool_call>'
    assert sent["history"][1:] == [{"role": "assistant", "content": call}, {"role": "tool", "content": "Sunny"}]
    assert not {"toolChoice", "parallelToolCalls"} & set(sent)
    assert for_sdk(msgspec.structs.replace(message, tool_choice="none")).tools is UNSET
    for choice in ("required", wire.NamedTool("get_weather")):
        with pytest.raises(ModelError, match="JavaScript"):
            for_sdk(msgspec.structs.replace(message, tool_choice=choice))


def test_what_a_program_gives_is_read_or_refused() -> None:
    inner = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
    assert given_tools([{"type": "function", **inner}]) == given_tools([{"type": "function", "function": inner}])
    assert given_tools([{"name": "f"}])[0].parameters == {"type": "object", "properties": {}}
    assert given_choice(None) is UNSET and given_choice("required") == "required"
    assert given_choice({"type": "function", "function": {"name": "f"}}) == wire.NamedTool("f")
    own = wire.ToolCallParts("i", "f", {"a": 1}, "raw")
    openai = {"id": "i", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    for call in (own, openai, {"id": "i", "name": "f", "arguments": {"a": 1}}):
        message = given_message({"role": "assistant", "content": None, "tool_calls": [call]})
        assert message.tool_calls == [wire.HistoryCall("i", "f", {"a": 1})] and message.content == ""
    for wrong in ({"type": "function"}, {"name": 1}, {"name": "f", "parameters": 5}):
        with pytest.raises(LocalProtocolError):
            given_tools([wrong])
    with pytest.raises(LocalProtocolError):
        given_choice("always")
    with pytest.raises(LocalProtocolError):
        given_message({"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": "{"}]})
    with pytest.raises(LocalProtocolError, match="attachments"):
        given_message({"role": "user", "content": "x", "attachments": ["cat.png"]})


def test_an_event_of_the_engine_is_one_of_the_wire() -> None:
    event = wire_event(4, CALL)
    assert msgspec.json.decode(wire.encode(event)) == {
        "type": "toolCall",
        "seq": 4,
        "call": {"id": "id1", "name": "get_weather", "arguments": {"city": "Paris"}, "raw": CALL.raw},
    }
    error = wire_event(5, ToolError(ToolErrorCode.PARSE_ERROR, "cut"))
    assert msgspec.json.decode(wire.encode(error)) == {
        "type": "toolError",
        "seq": 5,
        "error": {"code": "PARSE_ERROR", "message": "cut"},
    }
