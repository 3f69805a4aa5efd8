"""POST /v1/chat/completions and /v1/completions: answers whole and as a stream of chunks.

What clients need of them (openai 3.57 and 7.59, litellm 1.110, LangChain 1.7 and 1.6, pydantic-ai 2.68, AI SDK 7): an
id, an integer `created`, `choices[0].index`, a role in the first chunk alone, a delta that is never null, exactly one
finish_reason, three numbers of usage; of a tool call the id, type and name in the first piece alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from qvac_core.endpoint.answering import Begun, Part, Seam
from qvac_core.endpoint.causes import fault_of
from qvac_core.endpoint.conversation import Asked, model_of, sampling_of, stops_of
from qvac_core.endpoint.exchange import Exchange, paced
from qvac_core.endpoint.faults import Fault, bad
from qvac_core.endpoint.fields import Fields, clean
from qvac_core.endpoint.interface import Called, ChatAsk, Ended, Text, Thought, Waiting
from qvac_core.engines.interface import ChatMessage
from qvac_core.errors import QvacError


@dataclass(slots=True)
class Whole:
    """An answer as it grows."""

    model: str
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    ended: Ended = field(default_factory=lambda: Ended("stop"))
    pieces: int = 0

    def take(self, part: Part) -> None:
        match part:
            case Begun(named=named):
                self.model = named.id
            case Text(text=text):
                self.text.append(text)
                self.pieces += 1
            case Thought(text=text):
                self.thinking.append(text)
                self.pieces += 1
            case Called():
                self.calls.append(part)
                self.pieces += 1
            case Ended():
                self.ended = part
            case _:
                pass

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.calls and self.ended.reason == "stop" else self.ended.reason

    @property
    def tokens(self) -> tuple[int, int]:
        """Of the prompt and of the answer; pieces were counted where nobody told."""
        made = self.ended.generated_tokens
        return self.ended.prompt_tokens or 0, self.pieces if made is None else made

    @property
    def usage(self) -> dict[str, Any]:
        prompt, made = self.tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "total_tokens": prompt + made,
            "prompt_tokens_details": {"cached_tokens": self.ended.cached_tokens},
        }


async def gathered(parts: AsyncGenerator[Part, None], model: str) -> Whole:
    whole = Whole(model)
    async with aclosing(parts):
        async for part in parts:
            whole.take(part)
    return whole


# --- Chat -------------------------------------------------------------------------------------------------------------


async def chat_whole(exchange: Exchange, parts: AsyncGenerator[Part, None], asked: Asked) -> None:
    whole = await gathered(parts, asked.model)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(whole.text), "refusal": None}
    if whole.thinking:
        message["reasoning_content"] = "".join(whole.thinking)
    if whole.calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [_call(call) for call in whole.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": whole.finish_reason}
    await exchange.json(
        {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": whole.model,
            "choices": [choice],
            "usage": whole.usage,
        }
    )


def _call(call: Called) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


async def chat_stream(exchange: Exchange, parts: AsyncGenerator[Part, None], asked: Asked) -> None:
    whole = Whole(asked.model)
    frame = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time())}

    async def send(delta: Mapping[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        nothing = {"usage": None} if asked.usage else {}
        await exchange.event({**frame, "model": whole.model, "choices": [choice], **nothing})

    first = True
    async with aclosing(streamed(exchange, parts)) as coming:
        async for part in coming:
            whole.take(part)
            delta = _delta(part, len(whole.calls) - 1)
            if delta is not None:
                await send({"role": "assistant", **delta} if first else delta)
                first = False
    if first:
        await send({"role": "assistant", "content": ""})
    await send({}, whole.finish_reason)
    if asked.usage:
        await exchange.event({**frame, "model": whole.model, "choices": [], "usage": whole.usage})
    await exchange.last_word("[DONE]")
    await exchange.end_stream()


def _delta(part: Part, index: int) -> dict[str, Any] | None:
    match part:
        case Text(text=text):
            return {"content": text}
        case Thought(text=text):
            return {"reasoning_content": text}
        case Called():
            return {"tool_calls": [{"index": index, **_call(part)}]}
        case _:
            return None


async def streamed(exchange: Exchange, parts: AsyncGenerator[Part, None]) -> AsyncGenerator[Part, None]:
    """The parts; what is told about waiting and seams goes out as comments."""
    async with aclosing(paced(parts)) as coming:
        async for part in coming:
            if part is None:
                await exchange.comment("still at work")
            elif isinstance(part, Waiting):
                await exchange.comment(f"place {part.place} in line")
            elif isinstance(part, Seam):
                await exchange.comment("another machine goes on from here")
            else:
                yield part


async def break_off(exchange: Exchange, fault: Fault) -> None:
    """An error behind a begun stream: its chunk, and no end that looks like one."""
    await exchange.event(fault.body)
    await exchange.end_stream()


def fault_in(error: QvacError | Fault) -> Fault:
    return error if isinstance(error, Fault) else fault_of(error)


# --- The old completions ----------------------------------------------------------------------------------------------


def completion_asked(body: Mapping[str, Any]) -> Asked:
    """A prompt is one message of a user: chat models are what is reached here. Raises Fault."""
    fields = Fields(body)
    fields.refuse("n", 1)
    fields.refuse("best_of", 1)
    fields.refuse("logprobs", 0)
    fields.refuse("echo", False)
    fields.refuse("suffix", "")
    fields.refuse("logit_bias", {})
    given = body.get("prompt")
    texts = given if isinstance(given, list) else [given]
    if len(texts) != 1 or not isinstance(texts[0], str) or not texts[0]:
        raise bad("prompt is one text; tokens and several prompts at once are not taken here.", "prompt")
    options = fields.inner("stream_options")
    ask = ChatAsk(
        uuid.uuid4().hex,
        (ChatMessage("user", clean(texts[0])),),
        sampling_of(fields, "max_tokens"),
        stops_of(fields),
        thinking=False,
    )
    usage = options is not None and options.flag("include_usage")
    return Asked(model_of(fields), ask, fields.flag("stream"), usage)


async def completion_whole(exchange: Exchange, parts: AsyncGenerator[Part, None], asked: Asked) -> None:
    whole = await gathered(parts, asked.model)
    choice = {"index": 0, "text": "".join(whole.text), "logprobs": None, "finish_reason": whole.finish_reason}
    await exchange.json({**_completion_frame(), "model": whole.model, "choices": [choice], "usage": whole.usage})


async def completion_stream(exchange: Exchange, parts: AsyncGenerator[Part, None], asked: Asked) -> None:
    whole, frame = Whole(asked.model), _completion_frame()

    async def send(text: str, finish: str | None = None) -> None:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        await exchange.event({**frame, "model": whole.model, "choices": [choice]})

    async with aclosing(streamed(exchange, parts)) as coming:
        async for part in coming:
            whole.take(part)
            if isinstance(part, Text):
                await send(part.text)
    await send("", whole.finish_reason)
    if asked.usage:
        await exchange.event({**frame, "model": whole.model, "choices": [], "usage": whole.usage})
    await exchange.last_word("[DONE]")
    await exchange.end_stream()


def _completion_frame() -> dict[str, Any]:
    return {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
