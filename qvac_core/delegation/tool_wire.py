"""Tools on the wire: from the SDK's shapes to the engine's values and back, and what a JavaScript provider takes.

docs/wire/qvac.md section 5; @qvac/sdk 0.16.0's schemas/tools.js. Its schemas of parameters are flat and its history has
roles and texts only. Between two of ours the whole schema travels, and calls and their ids in the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import msgspec
from msgspec import UNSET, UnsetType

from qvac_core.delegation import messages as wire
from qvac_core.delegation.attached_pictures import given_attachments
from qvac_core.engines import interface as engine
from qvac_core.engines.schema_check import problem
from qvac_core.engines.tools import as_text
from qvac_core.errors import LocalProtocolError, ModelError

NESTING_LIMIT = 200  # of what programs give; far more than any engine takes, far less than Python's stack
_SDK_TYPES = ("string", "number", "integer", "boolean", "object", "array")


def engine_tools(tools: Sequence[wire.Tool] | UnsetType) -> tuple[engine.Tool, ...]:
    given = () if isinstance(tools, UnsetType) else tools
    return tuple(engine.Tool(tool.name, tool.description, json.dumps(tool.parameters)) for tool in given)


def engine_choice(choice: wire.ToolChoice | UnsetType) -> engine.ToolChoice:
    if isinstance(choice, UnsetType):
        return engine.ToolChoice()
    if isinstance(choice, wire.NamedTool):
        return engine.ToolChoice(engine.ToolMode.NAMED, choice.name)
    return engine.ToolChoice(engine.ToolMode(choice))


def engine_message(message: wire.HistoryMessage) -> engine.ChatMessage:
    calls = () if isinstance(message.tool_calls, UnsetType) else message.tool_calls
    return engine.ChatMessage(
        message.role,
        message.content,
        tool_calls=tuple(engine.ToolCall(call.id, call.name, json.dumps(call.arguments)) for call in calls),
        tool_call_id=message.tool_call_id if isinstance(message.tool_call_id, str) else "",
        name=message.name if isinstance(message.name, str) else "",
    )


def wire_event(seq: int, event: engine.ToolCall | engine.ToolError) -> wire.ToolCall | wire.ToolError:
    raw = event.raw or UNSET
    if isinstance(event, engine.ToolError):
        return wire.ToolError(seq, wire.ToolFailure(event.code.value, event.message, raw))
    return wire.ToolCall(seq, wire.ToolCallParts(event.id, event.name, json.loads(event.arguments), raw))


def engine_event(event: wire.ToolCall | wire.ToolError) -> engine.ToolCall | engine.ToolError:
    """What a provider sent, as the engine of this machine would say it."""
    if isinstance(event, wire.ToolError):
        failure = event.error
        raw = failure.raw if isinstance(failure.raw, str) else ""
        return engine.ToolError(engine.ToolErrorCode(failure.code), failure.message, raw)
    call = event.call
    raw = call.raw if isinstance(call.raw, str) else ""
    return engine.ToolCall(call.id, call.name, json.dumps(call.arguments, ensure_ascii=False), raw)


def wire_tools(tools: Sequence[engine.Tool], choice: engine.ToolChoice) -> dict[str, Any]:
    """`tools` and `tool_choice` of a request. A choice of "auto" is left out: 0.16.0 knows none."""
    if not tools:
        return {}
    given: wire.ToolChoice | UnsetType = UNSET
    if choice.mode is engine.ToolMode.NAMED:
        given = wire.NamedTool(choice.name)
    elif choice.mode is engine.ToolMode.NONE:
        given = "none"
    elif choice.mode is engine.ToolMode.REQUIRED:
        given = "required"
    listed = [wire.Tool("function", tool.name, tool.description, json.loads(tool.parameters)) for tool in tools]
    return {"tools": listed, "tool_choice": given}


def checked(event: wire.Event, tools: Mapping[str, wire.Tool]) -> wire.Event:
    """A provider's call, or in its place what is wrong with it: a provider is a stranger, who may check nothing."""
    if not isinstance(event, wire.ToolCall):
        return event
    tool, call = tools.get(event.call.name), event.call
    if tool is None:
        return _failed(event, "UNKNOWN_TOOL", f"There is no tool {json.dumps(call.name[:64])}.")
    if wrong := problem(call.arguments, tool.parameters):
        return _failed(event, "VALIDATION_ERROR", f"{tool.name}: {wrong}")
    return event


def _failed(event: wire.ToolCall, code: Any, message: str) -> wire.ToolError:
    raw = event.call.raw
    if isinstance(raw, UnsetType):
        raw = json.dumps(event.call.arguments, ensure_ascii=False)
    return wire.ToolError(event.seq, wire.ToolFailure(code, message, raw))


# --- For a provider that is not ours --------------------------------------------------------------------------------


def says_of_tools(message: wire.CompletionStream) -> bool:
    """Whether it says anything that 0.16.0 has other words for."""
    ids = ("tool_calls", "tool_call_id")
    return bool(message.tools) or any(getattr(entry, name) is not UNSET for entry in message.history for name in ids)


def for_sdk(message: wire.CompletionStream) -> wire.CompletionStream:
    """The request as 0.16.0 understands it. Raises ModelError for a choice that it has no words for."""
    tools = message.tools
    if message.tool_choice == "none":
        tools = UNSET
    elif message.tool_choice not in (UNSET, "auto"):
        raise ModelError(
            "This provider runs the SDK in JavaScript, which cannot be made to call a tool. "
            "Leave tool_choice out, or use a provider that runs QVAC Desktop.",
            name="MODEL_OPERATION_NOT_SUPPORTED",
            code=52416,
        )
    return msgspec.structs.replace(
        message,
        history=[_plain(entry) for entry in message.history],
        tools=tools if isinstance(tools, UnsetType) else [_flat(tool) for tool in tools],
        tool_choice=UNSET,
        parallel_tool_calls=UNSET,
    )


def _plain(entry: wire.HistoryMessage) -> wire.HistoryMessage:
    """Calls as the models of these providers write them; a result keeps its role, and its order tells whose it is."""
    if isinstance(entry.tool_calls, UnsetType) and isinstance(entry.tool_call_id, UnsetType):
        return entry
    message = engine_message(entry)
    content = as_text([message])[0].content if message.tool_calls else entry.content
    return msgspec.structs.replace(entry, content=content, tool_calls=UNSET, tool_call_id=UNSET, name=UNSET)


def _flat(tool: wire.Tool) -> wire.Tool:
    """Its parameters by name, type, description and enum, which is all that 0.16.0 takes."""
    named = tool.parameters.get("properties")
    required = tool.parameters.get("required")
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": {name: _flat_property(part) for name, part in named.items()} if isinstance(named, dict) else {},
    }
    if isinstance(required, list):
        parameters["required"] = [name for name in required if isinstance(name, str)]
    return msgspec.structs.replace(tool, parameters=parameters)


def _flat_property(part: object) -> dict[str, Any]:
    schema: Mapping[str, Any] = part if isinstance(part, dict) else {}
    flat: dict[str, Any] = {"type": _type(schema)}
    if isinstance(schema.get("description"), str):
        flat["description"] = schema["description"]
    listed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(listed, list) and all(isinstance(value, str | int | float | bool | None) for value in listed):
        flat["enum"] = listed
    return flat


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    branches = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(branches, list):
        names = [*names, *(_type(branch) for branch in branches if isinstance(branch, dict) and "type" in branch)]
    return next((name for name in names if name in _SDK_TYPES), "string")


# --- What programs give -----------------------------------------------------------------------------------------------


def given_tools(tools: Iterable[object]) -> list[wire.Tool]:
    """From the SDK's form, or OpenAI's with its `function` inside. Raises LocalProtocolError."""
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise LocalProtocolError('tools is a list: [{"type": "function", "name": …, …}, …].')
    return [_given_tool(tool) for tool in tools]


def _given_tool(tool: object) -> wire.Tool:
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise LocalProtocolError('A tool is {"type": "function", "name": …, "description": …, "parameters": {…}}.')
    parameters = inner.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, Mapping):
        raise LocalProtocolError(f"The parameters of the tool {inner['name']} are a JSON schema of an object.")
    check_json(parameters, f"The schema of the tool {inner['name']}")
    return wire.Tool("function", inner["name"], str(inner.get("description") or ""), dict(parameters))


def check_json(value: object, what: str) -> None:
    """Raises LocalProtocolError for what cannot travel as JSON. what: its name, to begin the sentence with."""
    try:
        json.dumps(value, allow_nan=False)
        pending = [(value, 0)]
        while pending:
            part, depth = pending.pop()
            if depth > NESTING_LIMIT:
                raise RecursionError
            inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else ()
            pending += [(each, depth + 1) for each in inner]
    except RecursionError:
        raise LocalProtocolError(f"{what} is nested too deep: more than {NESTING_LIMIT} levels.") from None
    except (TypeError, ValueError) as error:
        raise LocalProtocolError(f"{what} is no JSON: {error}.") from None


def given_choice(choice: str | Mapping[str, Any] | None) -> wire.ToolChoice | UnsetType:
    """ "auto", "none", "required", or {"type": "function", "name": …}, OpenAI's form too. Raises LocalProtocolError."""
    if choice is None:
        return UNSET
    for known in get_args(wire.ToolWord):
        if choice == known:
            word: wire.ToolWord = known
            return word
    if isinstance(choice, Mapping):
        inner = choice.get("function", choice)
        if isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
            return wire.NamedTool(inner["name"])
    raise LocalProtocolError('tool_choice is "auto", "none", "required" or {"type": "function", "name": …}.')


def given_message(turn: object) -> wire.HistoryMessage:
    """{"role", "content"}, for an answer with calls `tool_calls`, for a result `tool_call_id` and `name`.

    content: a text, or OpenAI's list of {"type": "text", "text"} parts, which are joined.
    attachments: pictures of the user, {"path": FILE}. tool_calls: those of an earlier `final`, or OpenAI's. Raises
    LocalProtocolError.
    """
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
        raise LocalProtocolError('A message is {"role": "user", "content": "…"}; role and content are texts.')
    known = ("role", "content", "tool_calls", "tool_call_id", "name", "attachments")
    if left_out := [name for name, value in turn.items() if value and name not in known]:
        raise LocalProtocolError(f"A message has a role and its content; {', '.join(left_out)} cannot be sent.")
    for name in ("tool_call_id", "name"):
        if turn.get(name) and not isinstance(turn[name], str):
            raise LocalProtocolError(f"The {name} of a message is a text.")
    calls = [_given_call(call) for call in _listed(turn, "tool_calls")]
    content = turn.get("content")
    return wire.HistoryMessage(
        turn["role"],
        "" if calls and not content else _given_text(content),
        given_attachments(_listed(turn, "attachments"), turn["role"]) or UNSET,
        tool_calls=calls or UNSET,
        tool_call_id=turn.get("tool_call_id") or UNSET,
        name=turn.get("name") or UNSET,
    )


def _listed(turn: Mapping[str, Any], name: str) -> Sequence[object]:
    listed = turn.get(name) or ()
    if not isinstance(listed, list | tuple):
        raise LocalProtocolError(f"The {name} of a message are a list.")
    return listed


def _given_text(content: object) -> str:
    if isinstance(content, str):
        return _clean(content)
    if not isinstance(content, list | tuple):
        raise LocalProtocolError(
            f"The content of a message is a text, not {'None' if content is None else type(content).__name__}. "
            "What a tool gave back is written with json.dumps."
        )
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or kind != "text" or not isinstance(part.get("text"), str):
            found = str(kind or type(part).__name__)[:64]
            raise LocalProtocolError(
                f'The parts of a content are {{"type": "text", "text": …}}, not {found}. '
                'Pictures are given as attachments: [{"path": FILE}].'
            )
        texts.append(part["text"])
    return _clean("".join(texts))


def _clean(text: str) -> str:
    """Halves of letters have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _given_call(call: object) -> wire.HistoryCall:
    if isinstance(call, wire.ToolCallParts):
        check_json(call.arguments, "The arguments of a call")
        return wire.HistoryCall(call.id, call.name, call.arguments)
    if isinstance(call, Mapping):
        inner = call.get("function", call)
        inner = inner if isinstance(inner, Mapping) else {}
        arguments = inner.get("arguments", {})
        try:
            arguments = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(inner.get("name"), str) and isinstance(arguments, Mapping):
            check_json(arguments, f"The arguments of the call of {inner['name']}")
            return wire.HistoryCall(str(call.get("id") or ""), inner["name"], dict(arguments))
    raise LocalProtocolError('A call in the history is {"id": …, "name": …, "arguments": {…}}.')
