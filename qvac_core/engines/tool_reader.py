"""Telling the calls of tools from the text of an answer while it streams, and checking them before they leave.

What a call is may be known at its end only, so text from an opening mark on is held back until the call is whole. One
that was cut, is broken, names no tool of the request or breaks its schema leaves as a ToolError: nobody must run it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qvac_core.engines.interface import ToolCall, ToolError, ToolErrorCode
from qvac_core.engines.schema_check import TOO_COMPLEX, WORK_LIMIT, Budget, problem
from qvac_core.engines.tool_calls import Unreadable, WrittenCall, is_call, read_calls
from qvac_core.engines.tools import CheckedTool

CALL_LENGTH_LIMIT = 256 * 1024  # characters of one piece of calls; beyond, it is an answer that never ends
CHECKING_LIMIT = 10 * WORK_LIMIT  # for all calls of one answer, of which it may have thousands
RAW_LIMIT = 4096  # characters of a broken call that are told in its error

_SQUARE_MARK = re.compile(r"\[[A-Z_]+\]|\[[A-Z_]*$")  # "[ARGS]", whole or so far

Said = str | ToolCall | ToolError


class ToolReader:
    """Feed the text of an answer in any cut. One answer each; `new_id` gives the ids of calls."""

    def __init__(
        self,
        tools: Sequence[CheckedTool],
        frames: Sequence[tuple[str, str]],
        *,
        new_id: Callable[[], str],
        several: bool = True,
        lead: str | None = None,
    ) -> None:
        """frames: (open, close) of a call. lead: of a call that must come, what the prompt ends with already.

        None where the model decides.
        """
        self._tools: Mapping[str, CheckedTool] = {tool.name: tool for tool in tools}
        self._frames = dict(frames)
        self._new_id = new_id
        self._several = several
        self._held = ""
        self._begun = False  # the answer has said something that is no call
        self._open: str | None = None  # the mark of the call that is read; "" for one without marks
        self._called = 0
        self._behind_call = False  # white space around calls is no part of the answer
        self._scanned = 0  # characters of `_held` in which no end was found
        self._brackets = _Brackets(0)
        self._checking = 0  # work of checks so far
        self._beyond: set[str] = set()  # tools whose schemas are too complex to check by
        self._led = lead is not None  # the call that is read must come, and ends with its JSON
        if lead is not None:
            self._held = lead.lstrip()
            self._begin(next((mark for mark in self._frames if self._held.startswith(mark)), ""))

    def feed(self, text: str) -> list[Said]:
        self._held += text
        said: list[Said] = []
        while self._step(said):
            pass
        return said

    def end(self) -> list[Said]:
        """The answer is over, whatever the reason: a call that is whole counts, one that is not is an error."""
        said: list[Said] = []
        if self._open is not None:
            self._close(said, len(self._held))
        self._say(said, self._held)
        self._held = ""
        return said

    # --- Where a call begins and ends -----------------------------------------------------------------------------

    def _begin(self, mark: str) -> None:
        self._open, self._scanned, self._brackets = mark, 0, _Brackets(len(mark))

    def _step(self, said: list[Said]) -> bool:
        """Whether something was decided, so that there may be more to decide."""
        if self._open is None:
            return self._look_for_start(said)
        end = self._end_of_call()
        if end < 0 and len(self._held) > CALL_LENGTH_LIMIT:
            end = len(self._held)
        if end < 0:
            return False
        self._close(said, end)
        return bool(self._held)

    def _look_for_start(self, said: list[Said]) -> bool:
        found = [(at, mark) for mark in self._frames if (at := self._held.find(mark)) >= 0]
        core = self._held.lstrip()
        bare = not self._begun and core.startswith(("{", "["))
        if found:
            at, mark = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            if not bare or not self._held[:at].strip():
                self._say(said, self._held[:at])
                self._held = self._held[at:]
                self._begin(mark)
                return True
        if bare:
            if any(mark.startswith(core) for mark in self._frames):
                return False  # it may become a mark yet
            self._begin("")
            return True
        keep = max((_overlap(self._held, mark) for mark in self._frames), default=0)
        if not self._begun and not self._held[: len(self._held) - keep].strip():
            return False
        self._say(said, self._held[: len(self._held) - keep])
        self._held = self._held[len(self._held) - keep :]
        return False

    def _say(self, said: list[Said], text: str) -> None:
        if self._behind_call or not self._begun:
            text = text.lstrip() if self._behind_call or not text.strip() else text
        if text:
            self._begun, self._behind_call = True, False
            said.append(text)

    def _end_of_call(self) -> int:
        """Where the call in `_held` ends; -1 when it goes on."""
        assert self._open is not None
        close = self._frames.get(self._open, "")
        if not close or self._led:
            return self._brackets.end(self._held)
        at = self._held.find(close, max(len(self._open), self._scanned - len(close)))
        self._scanned = len(self._held)
        return at + len(close) if at >= 0 else -1

    # --- What it says ---------------------------------------------------------------------------------------------

    def _close(self, said: list[Said], end: int) -> None:
        raw, self._held = self._held[:end], self._held[end:]
        opening, self._open = self._open, None
        assert opening is not None
        if not opening and not self._led and not self._looks_like_a_call(raw):
            self._begun = True
            said.append(raw)
            return
        close = self._frames.get(opening, "")
        if self._led:
            self._led, raw = False, f"{raw}{close}"
        elif close and not raw.endswith(close):
            said.append(self._error(ToolErrorCode.PARSE_ERROR, "The call was cut before its end.", raw))
            return
        try:
            calls = read_calls(raw, self._tools)
        except Unreadable as error:
            said.append(self._error(ToolErrorCode.PARSE_ERROR, str(error), raw))
            return
        self._behind_call = True
        for call in calls:
            said.append(self._judged(call, raw))
            raw = ""

    def _looks_like_a_call(self, raw: str) -> bool:
        """Of text without marks: JSON of some other kind is an answer."""
        text = raw.strip()
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return any(
                text.startswith((f"[{name}(", f'{{"name": "{name}"', f'{{"name":"{name}"')) for name in self._tools
            )
        return is_call(value)

    def judge(self, name: str, arguments: str, raw: str) -> ToolCall | ToolError:
        """A call that came apart from the text, its arguments as JSON."""
        try:
            value = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            return self._error(ToolErrorCode.PARSE_ERROR, "The arguments of the call are no JSON.", raw)
        if not isinstance(value, dict):
            return self._error(ToolErrorCode.PARSE_ERROR, "The arguments of the call are no JSON object.", raw)
        return self._judged(WrittenCall(name, value), raw)

    def _judged(self, call: WrittenCall, raw: str) -> ToolCall | ToolError:
        tool = self._tools.get(call.name)
        if tool is None:
            name = json.dumps(call.name[:64], ensure_ascii=False)
            return self._error(ToolErrorCode.UNKNOWN_TOOL, f"There is no tool {name}.", raw)
        if self._called and not self._several:
            message = "One call at a time was asked for, and this is another one."
            return self._error(ToolErrorCode.VALIDATION_ERROR, message, raw)
        try:
            arguments = _typed(call.arguments, tool.schema) if call.texts else dict(call.arguments)
            text = _portable(arguments)
        except ValueError as error:
            return self._error(ToolErrorCode.PARSE_ERROR, str(error), raw)
        if wrong := self._wrong(arguments, tool):
            return self._error(ToolErrorCode.VALIDATION_ERROR, f"{tool.name}: {wrong}", raw)
        self._called += 1
        return ToolCall(self._new_id(), tool.name, text, raw)

    def _wrong(self, arguments: dict[str, Any], tool: CheckedTool) -> str:
        if tool.name in self._beyond:
            return TOO_COMPLEX
        budget = Budget(min(WORK_LIMIT, CHECKING_LIMIT - self._checking))
        wrong = problem(arguments, tool.schema, budget)
        self._checking += budget.spent
        if wrong == TOO_COMPLEX:
            self._beyond.add(tool.name)
        return wrong

    def _error(self, code: ToolErrorCode, message: str, raw: str) -> ToolError:
        return ToolError(code, message.encode("utf-8", "replace").decode(), raw[:RAW_LIMIT])


class _Brackets:
    """Finds where the first object, list or call in a growing text is closed."""

    def __init__(self, start: int) -> None:
        self._at = start
        self._depth = 0
        self._quote = ""
        self._skip = False

    def end(self, text: str) -> int:
        """-1 while it is open, or has not begun."""
        while self._at < len(text):
            character = text[self._at]
            if self._skip:
                self._skip = False
            elif self._quote:
                self._skip = character == "\\"
                self._quote = "" if character == self._quote else self._quote
            elif character == "[" and not self._depth and (mark := _SQUARE_MARK.match(text, self._at)):
                if mark.end() == len(text) and not mark[0].endswith("]"):
                    return -1  # it may become a mark yet
                self._at = mark.end()
                continue
            elif character in "{[(":
                self._depth += 1
            elif self._depth and character in "\"'":
                self._quote = character
            elif character in "}])":
                self._depth -= 1
                if self._depth <= 0:
                    return self._at + 1
            self._at += 1
        return -1


def _portable(arguments: Mapping[str, Any]) -> str:
    """As JSON text that every reader takes. Raises ValueError for numbers that JSON does not know or nobody reads."""
    pending: list[Any] = [arguments]
    while pending:
        node = pending.pop()
        if isinstance(node, int) and not -(2**63) <= node < 2**63:
            raise ValueError("A number in the arguments is too large.")
        pending.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace").decode()
    except (ValueError, RecursionError):
        raise ValueError("A number in the arguments is none that JSON knows.") from None


def _typed(texts: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Values that stand in tags have no type of their own. Raises ValueError for one that is not what it must be."""
    properties = schema["properties"]
    return {name: _value(name, text, properties.get(name)) for name, text in texts.items()}


def _value(name: str, text: str, schema: object) -> Any:
    known = schema if isinstance(schema, dict) else {}
    kinds = known.get("type")
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    text = text.removeprefix("\n").removesuffix("\n")
    listed = known.get("enum")
    if names == ["string"] or (not names and isinstance(listed, list) and text in listed):
        return text
    bare = text.strip()
    if "boolean" in names and bare.lower() in ("true", "false"):
        return bare.lower() == "true"
    if "null" in names and bare.lower() in ("null", "none"):
        return None
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        if "string" in names or not names:
            return text
        raise ValueError(f"{name} is {json.dumps(bare[:64])}, which is no {' or '.join(map(str, names))}.") from None


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    return next((length for length in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:length])), 0)
