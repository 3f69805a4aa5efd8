"""Calls and results of an earlier part of the conversation, as clients send them back.

The SDK's history has roles and texts only: its consumers push back what the model wrote, with the marks of its calls in
it, or without them, and then the results in order. Templates want the calls apart from the text.
"""

from __future__ import annotations

import secrets
import string
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from qvac_core.engines.interface import ChatMessage, CompletionRequest, ToolCall
from qvac_core.engines.thinking import CALL_TO, without_thinking
from qvac_core.engines.tool_format import ToolFormat
from qvac_core.engines.tool_reader import ToolReader
from qvac_core.engines.tools import CheckedTool

# Of a call: Mistral's templates insist on nine letters and digits.
ID_LENGTH = 9
_LETTERS = string.ascii_letters + string.digits
# The SDK's names of dialects (docs/wire/qvac.md section 5), for a model whose template does not tell.
_DIALECTS: dict[str, tuple[tuple[str, str], ...]] = {
    "hermes": (("<tool_call>", "</tool_call>"),),
    "qwen35": (("<tool_call>", "</tool_call>"), ("<function=", "</function>")),
    "pythonic": (("<|tool_call_start|>", "<|tool_call_end|>"),),
    "gemma4": (("<|tool_call>", "<tool_call|>"),),
    "harmony": ((CALL_TO, ""),),
}


def new_call_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(ID_LENGTH))


def frames_of(request: CompletionRequest, form: ToolFormat) -> tuple[tuple[str, str], ...]:
    """The marks that calls stand between: the template's own, then the ones that the request names."""
    known = {mark for mark, _ in form.frames}
    named = _DIALECTS.get(request.tool_dialect, ())
    return (*form.frames, *(frame for frame in named if frame[0] not in known))


def with_calls(
    request: CompletionRequest, tools: Sequence[CheckedTool], frames: Sequence[tuple[str, str]]
) -> CompletionRequest:
    """The request with the calls in its history apart from the text, and each result with the call it belongs to."""
    if not tools:
        return request
    history: list[ChatMessage] = []
    waiting: deque[ToolCall] = deque()
    for message in request.history:
        if message.role == "assistant":
            message = message if message.tool_calls else _read(message, tools, frames)
            waiting = deque(message.tool_calls)
        elif message.role == "tool" and waiting:
            named = next((call for call in waiting if call.id == message.tool_call_id), None)
            call = named or waiting[0]
            waiting.remove(call)
            message = replace(message, tool_call_id=call.id, name=message.name or call.name)
        history.append(message)
    return replace(request, history=tuple(history))


def _read(message: ChatMessage, tools: Sequence[CheckedTool], frames: Sequence[tuple[str, str]]) -> ChatMessage:
    reader = ToolReader(tools, frames, new_id=new_call_id)
    said = [*reader.feed(without_thinking(message.content)), *reader.end()]
    calls = tuple(part for part in said if isinstance(part, ToolCall))
    if not calls:
        return message
    text = "".join(part for part in said if isinstance(part, str))
    return replace(message, content=text.strip(), tool_calls=calls)
