"""The tools of a request: their bounds, how they are put to a model, and what forces a call.

A stranger may send tools, so their number, size and nesting are bounded, in the worker, before anything is rendered
or compiled. A template without tools gets a general form: the schemas in the system message, and JSON between
`<tool_call>` tags, which most models have seen. llama.cpp's server drops such tools without a word.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qvac_core.engines.interface import ChatMessage, CompletionRequest, Tool, ToolCall, ToolMode
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.response_schema import DEPTH_LIMIT, SCHEMA_LIMIT
from qvac_core.engines.schema_references import endless, outside
from qvac_core.engines.tool_format import PROBE_ARGUMENTS, PROBE_ID, PROBE_NAME, ToolFormat
from qvac_core.errors import ModelError, RequestRefused

TOOLS_LIMIT = 128  # of one request; the largest MCP servers have some sixty
DESCRIPTION_LIMIT = 16 * 1024  # characters of one tool
TOTAL_LIMIT = 256 * 1024  # characters of all tools together
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:/-]{0,127})")  # OpenAI's, and what MCP servers prefix names with
CHARACTERS_PER_TOKEN = 8  # of schemas; real ones have three. Tools that cannot fit are not rendered to find that out
CALLS_LIMIT = 16  # calls that one forced list may hold
COMPILE_SECONDS = 0.25  # for all schemas of one request, one of which may overstay; others' answers wait meanwhile
_NAMED = 5  # tools in a message
_SHOWN = 40  # characters of a name in a message

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_GENERAL = (
    "You can call functions. Each is described here, with the JSON schema of its parameters:\n{tools}\n\n"
    f"To call one, answer with nothing but its name and arguments as JSON in this form:\n{OPEN}\n"
    '{{"name": "FUNCTION", "arguments": {{…}}}}\n'
    f"{CLOSE}\nTo call several, write that several times. What they give back is told between <tool_response> tags. "
    "Answer in plain words where no function helps."
)


@dataclass(frozen=True, slots=True)
class CheckedTool:
    """schema: of its parameters, parsed."""

    name: str
    description: str
    schema: dict[str, Any]

    def offered(self) -> dict[str, Any]:
        """As chat templates take a tool: OpenAI's form."""
        function = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": function}


def checked_tools(tools: Sequence[Tool]) -> tuple[CheckedTool, ...]:
    """Raises ModelError with the bound that is passed, or the tool that cannot be used."""
    if len(tools) > TOOLS_LIMIT:
        raise refused(f"A request may have {TOOLS_LIMIT} tools at most; this one has {len(tools)}.")
    if sum(len(tool.name) + len(tool.description) + len(tool.parameters) for tool in tools) > TOTAL_LIMIT:
        raise refused(f"The tools of a request may have {TOTAL_LIMIT} characters together.")
    names: set[str] = set()
    checked: list[CheckedTool] = []
    for tool in tools:
        if not NAME.fullmatch(tool.name):
            raise refused(
                f"A tool cannot be called {_shown(tool.name)}: "
                "a name has letters, digits, _ - . : / and at most 128 characters."
            )
        if tool.name in names:
            raise refused(f"Two tools are called {_shown(tool.name)}.")
        names.add(tool.name)
        if len(tool.description) > DESCRIPTION_LIMIT:
            raise refused(f"The description of {_shown(tool.name)} has more than {DESCRIPTION_LIMIT} characters.")
        checked.append(CheckedTool(tool.name, tool.description, _schema(tool)))
    return tuple(checked)


def refused(sentence: str) -> RequestRefused:
    return RequestRefused(sentence)


def _schema(tool: Tool) -> dict[str, Any]:
    name = _shown(tool.name)
    if len(tool.parameters) > SCHEMA_LIMIT:
        raise refused(f"The schema of {name} has more than {SCHEMA_LIMIT} characters.")
    try:
        tree = json.loads(tool.parameters or "{}")
    except (ValueError, RecursionError):
        raise refused(f"The schema of {name} is not JSON.") from None
    if not isinstance(tree, dict) or tree.get("type", "object") != "object":
        raise refused(f"The schema of {name} does not describe an object.")
    if _depth(tree) > DEPTH_LIMIT:
        raise refused(f"The schema of {name} is nested more than {DEPTH_LIMIT} deep.")
    tree.setdefault("type", "object")
    if not isinstance(tree.setdefault("properties", {}), dict):
        raise refused(f"The schema of {name} has properties that are no object.")
    if endless(tree):
        raise refused(
            f"The schema of the tool {name} refers to itself without end: "
            "a $ref may lead back to where it stands through properties or items only."
        )
    return tree


def _depth(tree: object) -> int:
    deepest = 0
    pending: list[tuple[object, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        pending.extend((child, depth + 1) for child in children)
    return deepest


def _shown(name: str) -> str:
    return json.dumps(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")


# --- What of them a request may use ---------------------------------------------------------------------------------


def usable(request: CompletionRequest, n_ctx: int) -> tuple[CheckedTool, ...]:
    """The tools that the answer may call. n_ctx: tokens of a chat.

    Raises ModelError for what cannot be, and what does not go together.
    """
    tools = checked_tools(request.tools)
    if sum(len(tool.description) + len(tool.parameters) for tool in request.tools) > n_ctx * CHARACTERS_PER_TOKEN:
        raise refused(f"The tools of this request do not fit into the model's context of {n_ctx} tokens.")
    mode, name = request.tool_choice.mode, request.tool_choice.name
    if mode is ToolMode.NAMED and name not in {tool.name for tool in tools}:
        raise refused(f"The tool that must be called, {_shown(name)}, is none of the request's.")
    if mode is ToolMode.REQUIRED and not tools:
        raise refused("A tool must be called, and the request has none.")
    if mode is ToolMode.NONE:
        return ()
    if tools and request.response_schema:
        raise refused("A response schema cannot be combined with tools.")
    if tools and request.continue_from and mode in (ToolMode.REQUIRED, ToolMode.NAMED):
        raise refused("An answer that must be a call cannot be continued: ask for it anew.")
    return tools


def candidates(request: CompletionRequest, tools: Sequence[CheckedTool]) -> tuple[CheckedTool, ...]:
    """The tools one of which must be called; none where the model decides."""
    match request.tool_choice.mode:
        case ToolMode.REQUIRED:
            return tuple(tools)
        case ToolMode.NAMED:
            return tuple(tool for tool in tools if tool.name == request.tool_choice.name)
    return ()


# --- The general form -----------------------------------------------------------------------------------------------


def in_general_form(history: Sequence[ChatMessage], tools: Sequence[CheckedTool]) -> tuple[ChatMessage, ...]:
    """For templates that know no tools: they stand in the system message, and calls and results are plain text."""
    listed = "\n".join(json.dumps(tool.offered()["function"], ensure_ascii=False) for tool in tools)
    told = _GENERAL.format(tools=listed)
    messages = list(as_text(history))
    first = next((place for place, message in enumerate(messages) if message.role in ("system", "developer")), None)
    if first is None:
        return (ChatMessage("system", told), *messages)
    messages[first] = replace(messages[first], content=f"{messages[first].content}\n\n{told}".strip())
    return tuple(messages)


def as_text(history: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Calls as part of what the assistant said, and results as messages of the user."""
    return tuple(_as_text(message) for message in history)


def _as_text(message: ChatMessage) -> ChatMessage:
    if message.tool_calls:
        parts = [message.content, *map(written, message.tool_calls)]
        return ChatMessage(message.role, "\n".join(part for part in parts if part))
    if message.role in ("tool", "function"):
        return ChatMessage("user", f"<tool_response>\n{message.content}\n</tool_response>")
    return message


def written(call: ToolCall) -> str:
    """A call in the general form."""
    return f'{OPEN}\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n{CLOSE}'


# --- A call that must be made ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forced:
    """lead: what stands behind the prompt already; grammar: of the rest."""

    lead: str
    grammar: str


def force(
    tools: Sequence[CheckedTool], form: ToolFormat, *, several: bool, clock: Callable[[], float] = time.monotonic
) -> Forced:
    """In the model's own format where that is JSON, else as plain JSON, which every reader of calls understands.

    A part of a schema that the grammar cannot express is left free, and the arguments are checked afterwards.
    Raises ModelError with the tool that cannot be forced.
    """
    for tool in tools:
        if reference := outside(tool.schema):
            raise refused(
                f"The tool {_shown(tool.name)} cannot be forced: its schema refers to {_shown(reference)}, which is "
                'not in it. Put that into its "$defs" and refer to "#/$defs/…", or let the model choose (auto).'
            )
    arguments = _Arguments(clock() + COMPILE_SECONDS, clock)
    if form.shape is not None:
        shape, lead = form.shape, form.head
    elif form.named and form.head and len(tools) == 1:
        shape, lead = PROBE_ARGUMENTS, f"{form.head}{tools[0].name}{form.named}"
    else:
        shape, lead = {"name": PROBE_NAME, "arguments": PROBE_ARGUMENTS}, ""
    wraps = isinstance(shape, list)
    schemas = [_shaped(shape[0] if wraps else shape, tool, arguments.of(tool)) for tool in tools]
    schema: dict[str, Any] = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    if wraps:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": CALLS_LIMIT if several else 1}
    try:
        grammar = grammar_for(json.dumps(schema | arguments.definitions), limit=TOTAL_LIMIT)
    except ModelError:
        listed = ", ".join(_shown(tool.name) for tool in tools[:_NAMED])
        raise refused(
            f"A call cannot be forced with the schemas of the tools {listed}{', …' if len(tools) > _NAMED else ''}: "
            "make them simpler, name one tool, or let the model choose (auto)."
        ) from None
    return Forced(lead, grammar)


def _shaped(shape: Any, tool: CheckedTool, arguments: dict[str, Any]) -> dict[str, Any]:
    """The schema of a call that looks like the probe's, for this tool."""
    if shape == PROBE_ARGUMENTS:
        return arguments
    if shape == PROBE_NAME:
        return {"const": tool.name}
    if shape == PROBE_ID:
        return {"type": "string", "pattern": "^[a-zA-Z0-9]{9}$"}
    if isinstance(shape, dict):
        properties = {
            (tool.name if key == PROBE_NAME else key): _shaped(value, tool, arguments) for key, value in shape.items()
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"const": shape}


class _Arguments:
    """Schemas of arguments, at most as strict as the tools' own. definitions: what they refer to, for the root."""

    def __init__(self, until: float, clock: Callable[[], float]) -> None:
        self._until = until
        self._clock = clock
        self.definitions: dict[str, Any] = {}

    def of(self, tool: CheckedTool) -> dict[str, Any]:
        if self._usable(tool.schema):
            return self._placed(tool)
        own: dict[str, Any] = {key: tool.schema[key] for key in ("$defs", "definitions") if key in tool.schema}
        named = tool.schema["properties"]
        properties = {name: part if self._usable({**own, "allOf": [part]}) else {} for name, part in named.items()}
        listed = tool.schema.get("required")
        required = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
        looser: dict[str, Any] = {**own, "type": "object", "properties": properties, "required": required}
        return self._placed(replace(tool, schema=looser)) if self._usable(looser) else {"type": "object"}

    def _usable(self, schema: Any) -> bool:
        if self._clock() > self._until:
            return False
        try:
            grammar_for(json.dumps(schema))
        except ModelError:
            return False
        return True

    def _placed(self, tool: CheckedTool) -> dict[str, Any]:
        """References in it go by the root of the whole grammar from now on."""
        if '"$ref"' not in json.dumps(tool.schema):
            return tool.schema
        definitions = self.definitions.setdefault("$defs", {})
        place = f"tool{len(definitions)}"
        definitions[place] = _moved(tool.schema, f"#/$defs/{place}")
        return {"$ref": f"#/$defs/{place}"}


def _moved(node: Any, root: str) -> Any:
    if isinstance(node, dict):
        return {
            key: root + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, root)
            for key, value in node.items()
        }
    return [_moved(item, root) for item in node] if isinstance(node, list) else node
