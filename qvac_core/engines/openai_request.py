"""From a request of ours to the body that an OpenAI-compatible server is sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from qvac_core.engines.answer_length import ANSWER_TOKENS
from qvac_core.engines.interface import ChatMessage, CompletionRequest, ToolMode
from qvac_core.engines.openai_models import CONTINUES, ServerKind
from qvac_core.engines.pictures import inspect
from qvac_core.engines.request_defaults import one_history
from qvac_core.engines.tools import CheckedTool
from qvac_core.errors import RequestRefused

CHARACTERS_PER_TOKEN = 4  # of a prompt whose tokens nobody counts
PICTURE_TOKENS = 300  # of one whose tokens nobody counts
MESSAGE_TOKENS = 4  # around each message

_ROLES = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool"}


def chat_body(
    request: CompletionRequest,
    tools: Sequence[CheckedTool],
    *,
    model: str,
    kind: ServerKind,
    limit_field: str,
    most: int,
) -> dict[str, Any]:
    """limit_field: what the longest answer is called there; most: tokens of it, 0 = until it ends.

    Stop sequences are not in it: where an answer ends for one is read here, for all servers alike. Always a stream,
    which is all that every server stops making when nobody waits. Raises RequestRefused.
    """
    history = (*one_history(request.session), *request.history)
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in history],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sampling = request.sampling
    given = {
        "temperature": sampling.temp,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        # Not OpenAI's own, and known to most others; sent only where somebody asked for it.
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        ("repeat_penalty" if kind is not ServerKind.VLLM else "repetition_penalty"): sampling.repeat_penalty,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    if most > 0:
        body[limit_field] = most
    if request.response_schema:
        schema = json.loads(request.response_schema)
        named = {"name": "answer", "schema": schema, "strict": True}
        body["response_format"] = (
            {"type": "json_object", "schema": schema}  # what it knows of schemas; the other it answers with an error
            if kind is ServerKind.LLAMA_CPP_PYTHON
            else {"type": "json_schema", "json_schema": named}
        )
    if tools:
        body["tools"] = [tool.offered() for tool in tools]
        body["tool_choice"] = _tool_choice(request)
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if not request.thinking or request.continue_from:
        body |= _without_thinking(kind)
    if request.continue_from:
        _continue(body, request.continue_from, kind)
    return body


def _message(message: ChatMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": _ROLES.get(message.role, "user"), "content": message.content}
    if message.pictures:
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": _data_address(picture)}} for picture in message.pictures
        ]
        written["content"] = [*parts, {"type": "text", "text": message.content}] if message.content else parts
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        written["tool_call_id"] = message.tool_call_id
        if message.name:
            written["name"] = message.name
    return written


def _data_address(picture: bytes) -> str:
    return f"data:{inspect(picture).media_type};base64,{base64.b64encode(picture).decode('ascii')}"


def _tool_choice(request: CompletionRequest) -> str | dict[str, Any]:
    match request.tool_choice.mode:
        case ToolMode.NAMED:
            return {"type": "function", "function": {"name": request.tool_choice.name}}
        case ToolMode.REQUIRED:
            return "required"
    return "auto"


def _without_thinking(kind: ServerKind) -> dict[str, Any]:
    """Each in its own way; of others it is not known, and OpenAI itself refuses what it does not know."""
    if kind in (ServerKind.LLAMA_CPP, ServerKind.VLLM):
        return {"chat_template_kwargs": {"enable_thinking": False}}
    return {"reasoning_effort": "none"} if kind is ServerKind.OLLAMA else {}


def _continue(body: dict[str, Any], so_far: str, kind: ServerKind) -> None:
    if kind not in CONTINUES or "response_format" in body:
        raise RequestRefused("An answer of this model cannot be continued: ask for it anew.")
    body["messages"].append({"role": "assistant", "content": so_far})
    if kind is ServerKind.VLLM:
        body |= {"continue_final_message": True, "add_generation_prompt": False}


def longest(request: CompletionRequest, n_ctx: int, prompt_tokens: int) -> int:
    """Tokens of the answer; 0 = until it ends. prompt_tokens: as far as can be told beforehand."""
    predict = ANSWER_TOKENS if request.sampling.predict is None else request.sampling.predict
    room = (request.context_tokens or n_ctx) - prompt_tokens if request.context_tokens or n_ctx else 0
    if room > 0 and (request.context_tokens or predict <= 0):
        return min(predict, room) if predict > 0 else room
    return max(predict, 0)


def estimated_tokens(request: CompletionRequest, tools: Sequence[CheckedTool] = ()) -> int:
    """Of the prompt, where nobody counts them."""
    history = (*one_history(request.session), *request.history)
    characters = sum(len(message.content) + len(message.name) for message in history) + len(request.continue_from)
    characters += sum(len(call.arguments) + len(call.name) for message in history for call in message.tool_calls)
    characters += sum(len(tool.description) + len(json.dumps(tool.schema)) for tool in tools)
    pictures = sum(len(message.pictures) for message in history)
    return -(-characters // CHARACTERS_PER_TOKEN) + MESSAGE_TOKENS * len(history) + PICTURE_TOKENS * pictures
