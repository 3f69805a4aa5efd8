"""An answer as an OpenAI-compatible server streams it, read chunk by chunk: text, thinking, calls of tools, its end.

An answer is whole when the server said why it ended. Whatever ends without that was broken off, however clean the end
of its stream: 9 of 12 clients take such a one for whole. Shapes: docs/model-servers.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qvac_core.engines.answer_reader import AnswerReader, Said
from qvac_core.engines.answer_text import AnswerText
from qvac_core.engines.interface import StopReason, Token, ToolCall, ToolError, ToolErrorCode
from qvac_core.engines.openai_client import BROKE_OFF, Broken
from qvac_core.engines.schema_check import problem
from qvac_core.engines.thinking import ThinkingReader
from qvac_core.engines.tool_history import new_call_id
from qvac_core.engines.tool_reader import CALL_LENGTH_LIMIT, RAW_LIMIT, ToolReader
from qvac_core.engines.tools import CLOSE, OPEN, CheckedTool
from qvac_core.errors import ModelError

CALLS_LIMIT = 64  # of one answer
COUNT_LIMIT = 1 << 31
# Of an answer of so many tokens at most: a server that passes that by far keeps to no length, and would hold its turn
# for ever. A token has about four characters in the mean.
CHARACTERS_A_TOKEN, CHARACTERS_FREE = 40, 4000

_WHOLE = frozenset({"stop", "eos", "end_turn", "stop_sequence", "tool_calls", "function_call", "tool_use"})
_CUT = frozenset({"length", "max_tokens", "model_length"})

NO_JSON = "The server did not keep to the response schema: what it wrote is not what was asked for. Ask again."
WITHHELD = "The server withheld the rest of the answer (its content filter)."
NO_CALL = "The server made no call, though one was asked for: its model may know no tools."


@dataclass(slots=True)
class _Call:
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """As the server counts; None = it did not say."""

    prompt: int | None = None
    generated: int | None = None
    cached: int = 0


class ChatAnswer:
    """Feed the objects of the stream in order. `stopped`: a stop sequence came, or more than was asked for (`most`
    tokens, 0 = no limit), and the rest is not wanted."""

    def __init__(
        self,
        tools: Sequence[CheckedTool] = (),
        *,
        stop: Sequence[str] = (),
        show_stop: bool = False,
        several: bool = True,
        must_call: bool = False,
        schema: str | None = None,
        continues: bool = False,
        most: int = 0,
    ) -> None:
        self._most_characters = most * CHARACTERS_A_TOKEN + CHARACTERS_FREE if most else 0
        self._characters = 0
        self._text = AnswerText(stop, show_stop=show_stop)
        reader = ToolReader(tools, ((OPEN, CLOSE),), new_id=new_call_id, several=several) if tools else None
        self._tools = reader
        self._reader = AnswerReader(ThinkingReader(begun=continues or bool(schema)), reader)
        self._calls: dict[int, _Call] = {}
        self._must_call = must_call
        self._schema = schema
        self._written: list[str] = []
        self._ending = ""
        self._said_call = False
        self.usage = Usage()
        self.pieces = 0  # of text, thinking and calls: about as many as tokens

    @property
    def stopped(self) -> bool:
        return self._text.stopped or self._is_too_long

    @property
    def _is_too_long(self) -> bool:
        return 0 < self._most_characters < self._characters

    @property
    def ended(self) -> bool:
        """Whether the server said why it ended; what tells of its tokens may come yet."""
        return bool(self._ending)

    def feed(self, chunk: Mapping[str, Any]) -> list[Said]:
        """What can be shown of it now."""
        self._count(chunk)
        choices = chunk.get("choices")
        choice = next((one for one in choices if isinstance(one, dict)), None) if isinstance(choices, list) else None
        if choice is None or choice.get("index", 0) not in (0, None):
            return []
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")  # a whole answer where a stream was asked for
        said = self._delta(delta) if isinstance(delta, dict) and not self.stopped else []
        ending = choice.get("finish_reason")
        if isinstance(ending, str) and ending:
            self._ending = ending
        return said

    def _delta(self, delta: Mapping[str, Any]) -> list[Said]:
        said: list[Said] = []
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self.pieces += 1
            self._characters += len(thought)
            said.append(Token(thought.encode("utf-8", "replace").decode(), thinking=True))
        if text := _text_of(delta.get("content")):
            self.pieces += 1
            self._characters += len(text)
            shown = self._text.push(text.encode("utf-8", "replace"))
            said += self._show(shown)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            self._add_calls(calls)
        elif isinstance(delta.get("function_call"), dict):  # OpenAI's own older form
            self._add_calls([{"index": 0, "function": delta["function_call"]}])
        return said

    def _show(self, text: str) -> list[Said]:
        if not text:
            return []
        if self._schema is not None:
            self._written.append(text)
        return self._noted(self._reader.feed(text))

    def _noted(self, said: list[Said]) -> list[Said]:
        self._said_call = self._said_call or any(isinstance(part, ToolCall | ToolError) for part in said)
        return said

    def _add_calls(self, pieces: Sequence[Any]) -> None:
        """Some give no index, all of the arguments at once, or the name again in every piece."""
        for piece in pieces:
            if not isinstance(piece, dict):
                continue
            self.pieces += 1
            function = piece.get("function")
            function = function if isinstance(function, dict) else {}
            name, index = function.get("name"), piece.get("index")
            if not isinstance(index, int):
                begins = bool(piece.get("id") or name) or not self._calls
                index = len(self._calls) if begins else len(self._calls) - 1
            if index not in self._calls and len(self._calls) >= CALLS_LIMIT:
                continue
            call = self._calls.setdefault(index, _Call())
            if isinstance(name, str) and name and not call.name:
                call.name = name
            arguments = function.get("arguments")
            if isinstance(arguments, dict):
                call.arguments = json.dumps(arguments, ensure_ascii=False)
            elif isinstance(arguments, str) and len(call.arguments) <= CALL_LENGTH_LIMIT:
                call.arguments += arguments

    def _count(self, chunk: Mapping[str, Any]) -> None:
        usage, timings = chunk.get("usage"), chunk.get("timings")
        if isinstance(usage, dict):
            details = usage.get("prompt_tokens_details")
            cached = _number(details.get("cached_tokens")) if isinstance(details, dict) else None
            prompt, generated = _number(usage.get("prompt_tokens")), _number(usage.get("completion_tokens"))
            if prompt is not None or generated is not None:
                self.usage = Usage(prompt, generated, cached or 0)
        elif isinstance(timings, dict) and self.usage.generated is None:  # llama.cpp's own
            read, cached = _number(timings.get("prompt_n")), _number(timings.get("cache_n")) or 0
            self.usage = Usage(None if read is None else read + cached, _number(timings.get("predicted_n")), cached)

    def end(self) -> tuple[list[Said], StopReason]:
        """The stream is over: what was held back, the calls, and how it ended. May take a while: schemas are checked.

        Raises Broken when the server has not said that it ended, ModelError when what it wrote is not what was asked.
        """
        if self._text.stopped:
            return self._noted(self._reader.end()), StopReason.STOP_SEQUENCE
        if self._is_too_long:
            self._ending = "length"
        if not self._ending:
            raise Broken(BROKE_OFF)
        if self._ending == "content_filter":
            raise ModelError(WITHHELD, name="COMPLETION_FAILED", code=52406)
        if self._ending not in _WHOLE | _CUT:  # "abort", "error": it was not the model that ended it
            raise Broken(BROKE_OFF)
        cut = self._ending in _CUT
        said = [*self._show(self._text.finish()), *self._noted(self._reader.end())]
        for _, call in sorted(self._calls.items()):
            said += self._noted([self._judged(call, cut=cut)])
        if self._must_call and not self._said_call:
            said.append(ToolError(ToolErrorCode.PARSE_ERROR, NO_CALL))
        if self._schema is not None and not cut:
            self._check_schema()
        return said, StopReason.LENGTH if cut else StopReason.EOS

    def _judged(self, call: _Call, *, cut: bool) -> ToolCall | ToolError:
        raw = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
        raw = f"{OPEN}{raw}{CLOSE}".encode("utf-8", "replace").decode()
        if self._tools is None:
            return ToolError(ToolErrorCode.UNKNOWN_TOOL, "A tool was called, and there is none.", raw[:RAW_LIMIT])
        judged = self._tools.judge(call.name, call.arguments, raw)
        if cut and isinstance(judged, ToolCall):  # whole by chance: what should have followed is not known
            return ToolError(ToolErrorCode.PARSE_ERROR, "The call was cut before its end.", raw[:RAW_LIMIT])
        return judged

    def _check_schema(self) -> None:
        assert self._schema is not None
        try:
            value = json.loads("".join(self._written))
        except (ValueError, RecursionError):
            raise ModelError(NO_JSON, name="COMPLETION_FAILED", code=52406) from None
        if problem(value, json.loads(self._schema)):
            raise ModelError(NO_JSON, name="COMPLETION_FAILED", code=52406)


def _text_of(content: object) -> str:
    """A text, or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < COUNT_LIMIT:
        return None
    return int(value)
