"""Reading the calls out of what a model wrote between the marks of a tool call.

Models write calls in five shapes, whatever their marks: JSON that holds name and arguments (Hermes, Llama 3, Mistral
Nemo, Command R, Granite); a name before a JSON object (Mistral, Harmony, DeepSeek, Kimi, Functionary); tags around each
parameter (Qwen3-Coder, GLM, MiniMax, Seed); Python calls (LFM2, Llama 4); and Gemma 4's own. The shape is told from the
text itself, so that a model that mixes them is understood too. Nothing is executed, and nothing here is recursive
beyond the JSON reader's own bound.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

_NAME_KEYS = ("name", "tool_name", "function_name", "function", "tool", "recipient_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input")
_LISTS = ("tool_calls", "tool_uses", "calls")
CALLS_LIMIT = 64  # in one piece of text
_NAME_LENGTH = 256  # characters before the arguments in which a name is looked for
_DECODER = json.JSONDecoder()

_XML_CALL = re.compile(
    r"<(?:[\w|｜:]+\s+)?(?:function|call|[\w|｜:]*invoke)(?:\s+name)?\s*=\s*[\"']?([\w.:/-]+)[\"']?[^>]*>"
)
_XML_NAMED = re.compile(r"<[\w|｜:]*(?:invoke|function|call)\s+(?:name|tool)=\"([\w.:/-]+)\"[^>]*>")
_XML_PARAMETER = re.compile(
    r"<([\w|｜:]*(?:parameter|param|argument))(?:\s+(?:name|key))?\s*=\s*[\"']?([^\"'>]+?)[\"']?(?:\s[^>]*)?>"
    r"(.*?)(?:</\1>|$)",
    re.DOTALL,
)
_PAIR = re.compile(
    r"<arg_key(?::\w+)?>\s*(.*?)\s*</arg_key(?::\w+)?>\s*<arg_value(?::\w+)?>(.*?)(?:</arg_value(?::\w+)?>|$)",
    re.DOTALL,
)
_GEMMA = re.compile(r"call:([\w.:/-]+)\s*\{")
_GEMMA_QUOTE = '<|"|>'
_TAG = re.compile(r"<[^<>\n]{1,64}>|\[[A-Z_/]{2,32}\]")
_AROUND = re.compile(r"^(?:\s*<[^<>\n]{1,64}>)+|(?:<[^<>\n]{1,64}>\s*)+$")
_PYTHON_CALL = re.compile(r"\[?\s*([A-Za-z_][\w.]*)\s*\(")
_NAME_BEFORE = re.compile(r"([A-Za-z_][\w.:/-]*?)(?::\d+)?$")
_PREFIX = re.compile(r"^(?:functions?|tools?)\.")


class Unreadable(ValueError):
    """What stands there is no call. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """As the model wrote it. texts: the values are plain text whose type the tool's schema tells."""

    name: str
    arguments: Mapping[str, Any]
    texts: bool = False


def read_calls(text: str, names: Collection[str] = ()) -> list[WrittenCall]:
    """All the calls in it. names: of the tools there are.

    Raises Unreadable when there is none, or one is broken or cut.
    """
    text = text.strip()
    if not text:
        raise Unreadable("The call is empty.")
    for reader in (_gemma, _tagged, _pairs, partial(_json, names), _python, _named):
        calls = reader(text)
        if calls is not None:
            return calls
    raise Unreadable("The call is not in any form that is known.")


def json_end(text: str, start: int) -> int:
    """Where the JSON object or list that begins at `start` ends; -1 when it is not whole yet."""
    depth, quoted, skip = 0, False, False
    for at in range(start, len(text)):
        character = text[at]
        if skip:
            skip = False
        elif quoted:
            skip = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if depth <= 0:
                return at + 1
    return -1


def is_call(value: object) -> bool:
    """Whether a JSON value has the shape of a call, or of a list of them."""
    if isinstance(value, list):
        return bool(value) and all(is_call(item) for item in value)
    if not isinstance(value, dict):
        return False
    if any(isinstance(value.get(key), list) for key in _LISTS):
        return True
    inner = value.get("function") if isinstance(value.get("function"), dict) else value
    assert isinstance(inner, dict)
    return any(isinstance(inner.get(key), str) for key in _NAME_KEYS) and any(
        isinstance(inner.get(key), dict | str) for key in _ARGUMENT_KEYS
    )


# --- JSON ---------------------------------------------------------------------------------------------------------


def _json(names: Collection[str], text: str) -> list[WrittenCall] | None:
    """JSON with the name in it, whatever marks or words stand before it."""
    start = _first_json(text)
    if start < 0 or _name_before(text[:start]) in names:
        return None
    bare = not _TAG.sub("", text[:start]).strip()
    if bare and _PYTHON_CALL.match(text[start:]):
        return None
    try:
        value, at = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        if not bare:
            return None
        raise Unreadable(f"The call is not valid JSON: {_reason(error)}.") from None
    if not is_call(value) and not _is_keyed_by_name(value, names):
        if not bare:
            return None
        raise Unreadable("The call does not name a tool.")
    calls = _of_json(value)
    while (start := _first_json(text, at)) >= 0:
        try:
            value, at = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"The call is not valid JSON: {_reason(error)}.") from None
        calls += _of_json(value)
    return calls


def _first_json(text: str, start: int = 0) -> int:
    """Where an object or a list begins; a mark in square brackets is none."""
    while (found := next((at for at in range(start, len(text)) if text[at] in "{["), -1)) >= 0:
        mark = _TAG.match(text, found)
        if mark is None:
            return found
        start = mark.end()
    return -1


def _is_keyed_by_name(value: object, names: Collection[str]) -> bool:
    """As Apertus writes it: [{NAME: {arguments}}]."""
    if isinstance(value, list):
        return bool(value) and all(_is_keyed_by_name(item, names) for item in value)
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in names


def _of_json(value: object) -> list[WrittenCall]:
    if isinstance(value, list):
        return [call for item in value for call in _of_json(item)]
    if not isinstance(value, dict):
        raise Unreadable("The call is no JSON object.")
    for key in _LISTS:
        if isinstance(listed := value.get(key), list):
            return [call for item in listed for call in _of_json(item)]
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    name = next((inner[key] for key in _NAME_KEYS if isinstance(inner.get(key), str)), None)
    if name is None:
        if len(value) == 1:
            ((name, arguments),) = value.items()
            if isinstance(arguments, dict):
                return [WrittenCall(name, arguments)]
        raise Unreadable("The call does not name a tool.")
    given: object = next((inner[key] for key in _ARGUMENT_KEYS if key in inner), {})
    return [WrittenCall(_bare(name), _object(given))]


def _object(value: object) -> Mapping[str, Any]:
    """Arguments as an object; some models write them as JSON text, or as null where there are none."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"The arguments are not valid JSON: {_reason(error)}.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("The arguments are no JSON object.")
    return value


# --- A name before a JSON object ------------------------------------------------------------------------------------


def _named(text: str) -> list[WrittenCall] | None:
    calls: list[WrittenCall] = []
    at = 0
    while (start := text.find("{", at)) >= 0:
        name = _name_before(text[at:start])
        if name is None:
            break
        end = json_end(text, start)
        if end < 0:
            raise Unreadable("The call ends in the middle of its arguments.")
        calls.append(WrittenCall(name, _object(text[start:end])))
        at = end
    return calls or None


def _name_before(head: str) -> str | None:
    """The last word before the arguments: without the marks around it, what a block of code begins with, an id."""
    if recipient := re.findall(r"\bto=([\w.:/-]+)", head):
        return _bare(recipient[-1])
    head = re.sub(r"\[CALL_ID\][^\[]*|<\|tool_call:begin\|>[^<]*", " ", head)
    head = re.sub(r"<\|constrain\|>\s*\w*|```\w*|<\|message\|>|\bjson\s*(?=<\|message\|>|$)", " ", head)
    head = _TAG.sub(" ", head).strip().rstrip(":").rstrip()
    head = re.sub(r"(?:\s|^)(?:json|code)$", "", head).strip()
    words = head.split()
    if not words:
        return None
    found = _NAME_BEFORE.search(words[-1][-_NAME_LENGTH:])
    return _bare(found[1]) if found else None


def _bare(name: str) -> str:
    return _PREFIX.sub("", name.removeprefix("to=").strip())


# --- Tags -----------------------------------------------------------------------------------------------------------


def _tagged(text: str) -> list[WrittenCall] | None:
    starts = [*_XML_CALL.finditer(text)] or [*_XML_NAMED.finditer(text)]
    if not starts:
        return None
    _bounded(starts)
    calls: list[WrittenCall] = []
    for place, start in enumerate(starts):
        end = starts[place + 1].start() if place + 1 < len(starts) else len(text)
        body = text[start.end() : end]
        parameters = [(match[2], match[3]) for match in _XML_PARAMETER.finditer(body)]
        if not parameters and (brace := body.find("{")) >= 0:
            stop = json_end(body, brace)
            if stop < 0:
                raise Unreadable("The call ends in the middle of its arguments.")
            calls.append(WrittenCall(_bare(start[1]), _object(body[brace:stop])))
            continue
        if not parameters and "minimax" in body:
            parameters = re.findall(r"<([\w-]+)>(.*?)</\1>", re.sub(r"\]<\][^\[]*\[>\[", "", body), re.DOTALL)
        if "</" not in body:
            raise Unreadable("The call ends before it is whole.")
        if any(f"</{tag}" not in body for tag in {match[1] for match in _XML_PARAMETER.finditer(body)}):
            raise Unreadable("The call ends in the middle of its arguments.")
        calls.append(WrittenCall(_bare(start[1]), dict(parameters), texts=True))
    return calls


def _pairs(text: str) -> list[WrittenCall] | None:
    """GLM: the name, then <arg_key>, <arg_value> for each parameter."""
    if "<arg_key" not in text:
        return None
    calls: list[WrittenCall] = []
    for part in re.split(r"</tool_call(?::\w+)?>", text):
        name = _TAG.sub(" ", part.split("<arg_key")[0]).split()
        if not name:
            continue
        if part.count("<arg_value") != part.count("</arg_value"):
            raise Unreadable("The call ends in the middle of its arguments.")
        calls.append(WrittenCall(_bare(name[-1]), {match[1]: match[2] for match in _PAIR.finditer(part)}, texts=True))
    return calls or None


# --- Python -------------------------------------------------------------------------------------------------------


def _python(text: str) -> list[WrittenCall] | None:
    text = _AROUND.sub("", text).strip()
    if not _PYTHON_CALL.match(text):
        return None
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"The call cannot be read: {_reason(error)}.") from None
    nodes = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
    return [_of_python(node) for node in nodes]


def _of_python(node: ast.expr) -> WrittenCall:
    if not isinstance(node, ast.Call) or node.args or any(keyword.arg is None for keyword in node.keywords):
        raise Unreadable("A call names each of its arguments.")
    try:
        arguments = {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    except (ValueError, RecursionError):
        raise Unreadable("An argument of the call is no plain value.") from None
    return WrittenCall(_bare(ast.unparse(node.func)), arguments)


def _literal(node: ast.expr) -> Any:
    """Also `true`, `false` and `null`, which models write in Python's place."""
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {str(ast.literal_eval(key)): _literal(item) for key, item in _items(node)}
    value = ast.literal_eval(node)
    if not isinstance(value, str | int | float | bool | None):
        raise ValueError
    return value


def _items(node: ast.Dict) -> Iterable[tuple[ast.expr, ast.expr]]:
    for key, item in zip(node.keys, node.values, strict=True):
        if key is None:
            raise ValueError
        yield key, item


# --- Gemma 4 --------------------------------------------------------------------------------------------------------


def _gemma(text: str) -> list[WrittenCall] | None:
    """`call:NAME{key:<|"|>text<|"|>,number:1}`: bare keys, and texts between marks of their own."""
    starts = [*_GEMMA.finditer(text)]
    if not starts:
        return None
    _bounded(starts)
    calls: list[WrittenCall] = []
    for start in starts:
        parts = text[start.end() - 1 :].split(_GEMMA_QUOTE)
        as_json = "".join(
            json.dumps(part) if place % 2 else re.sub(r"([{,]\s*)([\w.$-]+)\s*:", r'\1"\2":', part)
            for place, part in enumerate(parts)
        )
        end = json_end(as_json, 0)
        if end < 0:
            raise Unreadable("The call ends in the middle of its arguments.")
        calls.append(WrittenCall(_bare(start[1]), _object(as_json[:end])))
    return calls


def _bounded(starts: Collection[object]) -> None:
    if len(starts) > CALLS_LIMIT:
        raise Unreadable(f"There are more than {CALLS_LIMIT} calls in one piece.")


def _reason(error: BaseException) -> str:
    return str(error).split("(<unknown>")[0].split(":")[0].strip() or type(error).__name__
