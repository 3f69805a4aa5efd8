"""Messages, tools and parameters of OpenAI's chat bodies as the engine's values."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qvac_core.endpoint.faults import bad
from qvac_core.endpoint.fields import Fields, clean, json_text
from qvac_core.endpoint.interface import ChatAsk
from qvac_core.engines.interface import ChatMessage, SamplingParams, Tool, ToolCall, ToolChoice, ToolMode
from qvac_core.engines.pictures import PICTURE_BYTES, PICTURES, check_pictures
from qvac_core.errors import ModelError

MESSAGES, TOOLS, STOPS = 4096, 256, 16
LONGEST_STOP = 200  # letters
MOST_TOKENS = 1 << 20
LONGEST_NAME = 128  # letters of a tool's name
ANSWER_TOOL = "final_json_answer"

# `developer` is what OpenAI calls the instructions of its thinking models; templates know `system`.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_THOUGHTLESS = ("none", "minimal")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program wants. answer_tool: a call of it is the answer itself (tools and a schema together)."""

    model: str
    ask: ChatAsk
    stream: bool
    usage: bool = False
    answer_tool: str = ""


def model_of(fields: Fields) -> str:
    name = fields.text("model", "").strip()
    if not name:
        raise bad("model names a model of GET /v1/models.", "model")
    return name


def sampling_of(fields: Fields, *limits: str) -> SamplingParams:
    """limits: names of the field with the longest answer; the first one that is given counts."""
    most = next((most for name in limits if (most := fields.whole(name, 1, MOST_TOKENS)) is not None), None)
    return SamplingParams(
        temp=fields.number("temperature", 0.0, 2.0),
        top_p=fields.number("top_p", 0.0, 1.0),
        top_k=fields.whole("top_k", 0, 1000),
        seed=_seed(fields),
        predict=most,
        frequency_penalty=fields.number("frequency_penalty", -2.0, 2.0),
        presence_penalty=fields.number("presence_penalty", -2.0, 2.0),
        repeat_penalty=fields.number("repeat_penalty", 0.0, 10.0),
        min_p=fields.number("min_p", 0.0, 1.0),
    )


def _seed(fields: Fields) -> int | None:
    seed = fields.whole("seed", -(2**63), 2**63)
    return None if seed is None else seed % 2**31


def stops_of(fields: Fields) -> tuple[str, ...]:
    given = fields.given.get("stop")
    stops = [given] if isinstance(given, str) else fields.items("stop")
    if len(stops) > STOPS or not all(isinstance(stop, str) and len(stop) <= LONGEST_STOP for stop in stops):
        raise bad(f"stop is a text or a list of {STOPS} at most, each of {LONGEST_STOP} letters at most.", "stop")
    return tuple(clean(stop) for stop in stops if stop)


def chat_asked(body: Mapping[str, Any]) -> Asked:
    """Of POST /v1/chat/completions. Raises Fault."""
    fields = Fields(body)
    fields.refuse("n", 1)
    fields.refuse("logprobs", False)
    fields.refuse("top_logprobs", 0)
    fields.refuse("logit_bias", {})
    fields.refuse("audio")
    fields.refuse("modalities", ["text"])
    fields.refuse("functions", [])
    options = fields.inner("stream_options")
    ask = ChatAsk(
        request_id=uuid.uuid4().hex,
        history=_history(fields),
        sampling=sampling_of(fields, "max_completion_tokens", "max_tokens"),
        stop=stops_of(fields),
        schema=_schema(fields),
        tools=_tools(fields),
        parallel_tool_calls=fields.flag("parallel_tool_calls", True),
        thinking=_thinks(fields),
    )
    ask = replace(ask, tool_choice=choice_of(fields, ask.tools))
    ask, answer_tool = with_answer_tool(ask)
    return Asked(
        model_of(fields),
        ask,
        fields.flag("stream"),
        options is not None and options.flag("include_usage"),
        answer_tool,
    )


def _thinks(fields: Fields) -> bool:
    template = fields.inner("chat_template_kwargs")
    if template is not None and template.given.get("enable_thinking") is False:
        return False
    return fields.given.get("reasoning_effort") not in _THOUGHTLESS


def _history(fields: Fields) -> tuple[ChatMessage, ...]:
    given = fields.items("messages")
    if not given:
        raise bad('messages is a list with at least one message: [{"role": "user", "content": "…"}].', "messages")
    if len(given) > MESSAGES:
        raise bad(f"A conversation has {MESSAGES:,} messages at most.", "messages")
    history = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(given))
    return checked_history(history)


def checked_history(history: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """With its instructions in one message at the start, where templates look for them. Raises Fault."""
    pictures = [picture for message in history for picture in message.pictures]
    if pictures:
        try:
            check_pictures(pictures)
        except ModelError as error:
            raise bad(error.message, "messages") from error
    system = [message.content for message in history if message.role == "system" and message.content]
    rest = tuple(message for message in history if message.role != "system")
    if not rest:
        rest, system = (ChatMessage("user", "\n\n".join(system)),), []
        if not rest[0].content:
            raise bad("There is no message to answer.", "messages")
    return (*((ChatMessage("system", "\n\n".join(system)),) if system else ()), *rest)


def _message(given: object, where: str) -> ChatMessage:
    if not isinstance(given, dict):
        raise bad(f"{where} is an object with role and content.", where)
    fields = Fields(given, f"{where}.")
    role = _ROLES.get(fields.text("role", ""))
    if role is None:
        raise bad(f"{where}.role is one of {', '.join(_ROLES)}.", fields.path("role"))
    content, pictures = content_of(given.get("content"), fields.path("content"))
    if pictures and role != "user":
        raise bad("Pictures belong to messages of the user.", fields.path("content"))
    if role == "tool":
        return ChatMessage(role, content, tool_call_id=fields.text("tool_call_id"), name=fields.text("name", ""))
    calls = tuple(
        _call(call, f"{fields.path('tool_calls')}[{index}]") for index, call in enumerate(fields.items("tool_calls"))
    )
    return ChatMessage(role, content, pictures, calls if role == "assistant" else ())


def content_of(given: object, where: str) -> tuple[str, tuple[bytes, ...]]:
    """Text and pictures of a content: a text, a list of parts, or null."""
    if given is None:
        return "", ()
    if isinstance(given, str):
        return clean(given), ()
    if not isinstance(given, list):
        raise bad(f"{where} is a text or a list of parts.", where)
    texts: list[str] = []
    pictures: list[bytes] = []
    for part in given:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
            texts.append(clean(part["text"]))
        elif kind == "refusal":
            continue
        elif kind in ("image_url", "input_image"):
            url = part.get("image_url")
            pictures.append(_picture(url.get("url") if isinstance(url, dict) else url, where))
        else:
            found = str(kind or type(part).__name__)[:40]
            raise bad(f"A part of a content is text or a picture here, not {found}.", where, "unsupported_content")
    if len(pictures) > PICTURES:
        raise bad(f"A message shows {PICTURES} pictures at most.", where)
    return "".join(texts), tuple(pictures)


def _picture(url: object, where: str) -> bytes:
    """Of a data URL. Nothing is fetched for a program: its address could be one of this network's own."""
    if not isinstance(url, str) or not url.startswith("data:"):
        raise bad("A picture is sent as a data: URL (base64); addresses are not fetched.", where)
    head, comma, data = url.partition(",")
    if not comma or not head.endswith(";base64") or len(data) > PICTURE_BYTES * 4 // 3 + 8:
        raise bad(f"A picture is sent as a base64 data: URL of {PICTURE_BYTES // 2**20} MiB at most.", where)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise bad("The picture's data is no base64.", where) from None


def _call(given: object, where: str) -> ToolCall:
    inner = given.get("function") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(inner, dict):
        raise bad(f'{where} is {{"id", "type": "function", "function": {{"name", "arguments"}}}}.', where)
    fields = Fields(inner, f"{where}.function.")
    return call_of(str(given.get("id") or ""), fields.text("name"), fields.text("arguments", "{}"), where)


def call_of(id: str, name: str, arguments: str, where: str) -> ToolCall:
    """arguments: what a model wrote; some programs hand an empty or a broken text back."""
    try:
        object_ = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        object_ = None
    if not isinstance(object_, dict):
        raise bad(f"{where}: the arguments of a call are the JSON text of an object.", where)
    return ToolCall(clean(id), name, json_text(object_))


def _tools(fields: Fields) -> tuple[Tool, ...]:
    return tools_of(fields.items("tools"), nested=True)


def tools_of(given: list[Any], *, nested: bool) -> tuple[Tool, ...]:
    """nested: the function stands in its own object (chat), or not (responses)."""
    if len(given) > TOOLS:
        raise bad(f"There may be {TOOLS} tools at most.", "tools")
    tools = []
    for index, tool in enumerate(given):
        where = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or kind != "function":
            raise bad(
                f"{where}: tools are functions here; '{str(kind)[:40]}' runs at OpenAI alone.",
                where,
                "unsupported_tool",
            )
        inner = tool.get("function") if nested else tool
        if not isinstance(inner, dict):
            raise bad(f"{where}.function is an object.", where)
        part = Fields(inner, f"{where}.")
        name = part.text("name")
        if not name or len(name) > LONGEST_NAME:
            raise bad(f"{where} has a name of {LONGEST_NAME} letters at most.", part.path("name"))
        tools.append(Tool(name, part.text("description", ""), json_text(_parameters(part))))
    if len({tool.name for tool in tools}) != len(tools):
        raise bad("Two tools have the same name.", "tools")
    return tuple(tools)


def _parameters(fields: Fields) -> dict[str, Any]:
    given = fields.given.get("parameters")
    if given is None:
        return {"type": "object", "properties": {}}
    if not isinstance(given, dict):
        raise bad(f"{fields.path('parameters')} is a JSON schema.", fields.path("parameters"))
    # `$schema` comes from the AI SDK; some send no type where there are no parameters.
    schema = {"type": "object", **{name: value for name, value in given.items() if name != "$schema"}}
    if schema["type"] != "object" or not isinstance(schema.get("properties", {}), dict):
        raise bad(f"{fields.path('parameters')} is the JSON schema of an object.", fields.path("parameters"))
    return schema


def choice_of(fields: Fields, tools: tuple[Tool, ...]) -> ToolChoice:
    given = fields.given.get("tool_choice")
    if given is None or given == "auto" or not tools:
        return ToolChoice()
    if given in ("none", "required"):
        return ToolChoice(ToolMode(given))
    inner = given.get("function", given) if isinstance(given, dict) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str) or name not in {tool.name for tool in tools}:
        raise bad('tool_choice is "auto", "none", "required", or names one of the tools.', "tool_choice")
    return ToolChoice(ToolMode.NAMED, name)


def _schema(fields: Fields) -> str | None:
    given = fields.inner("response_format")
    if given is None:
        return None
    kind = given.text("type")
    if kind == "json_schema":
        named = given.inner("json_schema")
        if named is None:
            raise bad("response_format.json_schema has a name and a schema.", "response_format")
        return schema_text(named.given.get("schema"), "response_format.json_schema.schema")
    return format_of(kind, "response_format")


def format_of(kind: str, where: str) -> str | None:
    if kind == "text":
        return None
    if kind == "json_object":
        return '{"type":"object"}'
    raise bad(f"{where}.type is text, json_object or json_schema.", where)


def schema_text(given: object, where: str) -> str:
    if not isinstance(given, dict):
        raise bad(f"{where} is a JSON schema.", where)
    return json_text({name: value for name, value in given.items() if name != "$schema"})


def with_answer_tool(ask: ChatAsk) -> tuple[ChatAsk, str]:
    """Tools and a schema together, as agents send them: the answer is one more tool, whose arguments are the schema's.

    An engine keeps to a grammar from the first letter on, and could call nothing then.
    """
    if not ask.tools or ask.schema is None:
        return ask, ""
    if ask.tool_choice.mode is ToolMode.NONE:
        return replace(ask, tools=(), tool_choice=ToolChoice()), ""
    if ask.tool_choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED):
        return replace(ask, schema=None), ""
    schema = json.loads(ask.schema)
    if schema.get("type") != "object":
        raise bad("With tools, the schema of the answer is that of an object.", "response_format")
    answer = Tool(ANSWER_TOOL, "Give the final answer, once no other tool is needed.", json.dumps(schema))
    required = ToolChoice(ToolMode.REQUIRED)
    return replace(ask, schema=None, tools=(*ask.tools, answer), tool_choice=required), ANSWER_TOOL
