"""POST /v1/responses: OpenAI's newer form of the same answers, where four clients go by default.

Items that an answer had are remembered for a while, in memory alone and within bounds: the AI SDK (@ai-sdk/openai 4.0)
hands its earlier items back as references, and others continue by `previous_response_id`. `store: false` is obeyed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from qvac_core.endpoint.answering import Begun, Part
from qvac_core.endpoint.chat import Whole, gathered, streamed
from qvac_core.endpoint.conversation import (
    Asked,
    call_of,
    checked_history,
    choice_of,
    content_of,
    format_of,
    model_of,
    sampling_of,
    schema_text,
    tools_of,
    with_answer_tool,
)
from qvac_core.endpoint.exchange import Exchange
from qvac_core.endpoint.faults import Fault, bad
from qvac_core.endpoint.fields import Fields
from qvac_core.endpoint.interface import Called, ChatAsk, Text, Thought
from qvac_core.engines.interface import ChatMessage

KEPT_RESPONSES = 256
KEPT_BYTES = 32 * 1024 * 1024
INPUT_ITEMS = 4096
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True)
class ResponseAsked(Asked):
    """given: the body's fields that are told back. input: items, with those that came before."""

    given: Mapping[str, Any] = field(default_factory=dict)
    input: tuple[dict[str, Any], ...] = ()
    store: bool = True


class Remembered:
    """Responses by id and their items, the oldest forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[dict[str, Any], tuple[dict[str, Any], ...], int]] = OrderedDict()
        self._items: dict[str, dict[str, Any]] = {}
        self._bytes = 0

    def keep(self, response: dict[str, Any], given: tuple[dict[str, Any], ...]) -> None:
        size = len(json.dumps([response, given]))
        if size > KEPT_BYTES:
            return
        self._kept[response["id"]] = (response, given, size)
        self._items.update({item["id"]: item for item in response["output"]})
        self._bytes += size
        while len(self._kept) > KEPT_RESPONSES or self._bytes > KEPT_BYTES:
            self.forget(next(iter(self._kept)))

    def get(self, id: str) -> dict[str, Any]:
        """Raises Fault 404."""
        if id not in self._kept:
            raise Fault(404, "There is no response of this id any more. Send the whole conversation.", code="not_found")
        return self._kept[id][0]

    def before(self, id: str) -> tuple[dict[str, Any], ...]:
        """All items of the conversation up to the end of this response."""
        response = self.get(id)
        return (*self._kept[id][1], *response["output"])

    def item(self, id: object) -> dict[str, Any]:
        if not isinstance(id, str) or id not in self._items:
            raise Fault(404, "There is no item of this id any more. Send the whole conversation.", code="not_found")
        return self._items[id]

    def forget(self, id: str) -> None:
        self.get(id)
        response, _, size = self._kept.pop(id)
        self._bytes -= size
        for item in response["output"]:
            self._items.pop(item["id"], None)


# --- What is asked ----------------------------------------------------------------------------------------------------


def response_asked(body: Mapping[str, Any], remembered: Remembered) -> ResponseAsked:
    """Raises Fault."""
    fields = Fields(body)
    fields.refuse("background", False)
    fields.refuse("conversation")
    fields.refuse("prompt")
    fields.refuse("top_logprobs", 0)
    fields.refuse("max_tool_calls")
    earlier = body.get("previous_response_id")
    before = remembered.before(fields.text("previous_response_id")) if earlier else ()
    items = (*before, *_items(fields, remembered))
    history = _history(items)
    if instructions := fields.text("instructions", ""):
        history = (ChatMessage("system", instructions), *history)
    ask = ChatAsk(
        request_id=uuid.uuid4().hex,
        history=checked_history(history),
        sampling=sampling_of(fields, "max_output_tokens"),
        schema=_schema(fields),
        tools=tools_of(fields.items("tools"), nested=False),
        parallel_tool_calls=fields.flag("parallel_tool_calls", True),
        thinking=_thinks(fields),
    )
    ask = replace(ask, tool_choice=choice_of(fields, ask.tools))
    ask, answer_tool = with_answer_tool(ask)
    return ResponseAsked(
        model_of(fields), ask, fields.flag("stream"), True, answer_tool, body, items, fields.flag("store", True)
    )


def _thinks(fields: Fields) -> bool:
    reasoning = fields.inner("reasoning")
    return reasoning is None or reasoning.given.get("effort") not in ("none", "minimal")


def _schema(fields: Fields) -> str | None:
    text = fields.inner("text")
    form = text.inner("format") if text is not None else None
    if form is None:
        return None
    kind = form.text("type")
    if kind == "json_schema":
        return schema_text(form.given.get("schema"), "text.format.schema")
    return format_of(kind, "text.format")


def _items(fields: Fields, remembered: Remembered) -> tuple[dict[str, Any], ...]:
    given = fields.given.get("input")
    if isinstance(given, str):
        return ({"type": "message", "role": "user", "content": fields.text("input")},)
    items = fields.items("input")
    if len(items) > INPUT_ITEMS:
        raise bad(f"There are {INPUT_ITEMS:,} items of input at most.", "input")
    if not all(isinstance(item, dict) for item in items):
        raise bad("input is a text or a list of objects.", "input")
    return tuple(remembered.item(item.get("id")) if item.get("type") == "item_reference" else item for item in items)


def _history(items: tuple[dict[str, Any], ...]) -> tuple[ChatMessage, ...]:
    history: list[ChatMessage] = []
    names: dict[str, str] = {}
    for index, item in enumerate(items):
        where = f"input[{index}]"
        fields = Fields(item, f"{where}.")
        kind = item.get("type", "message")
        if kind == "reasoning":
            continue  # templates leave out what was thought before
        if kind == "message":
            role = _ROLES.get(fields.text("role", ""))
            if role is None:
                raise bad(f"{where}.role is one of {', '.join(_ROLES)}.", f"{where}.role")
            content, pictures = content_of(item.get("content"), f"{where}.content")
            history.append(ChatMessage(role, content, pictures if role == "user" else ()))
        elif kind == "function_call":
            call = call_of(fields.text("call_id"), fields.text("name"), fields.text("arguments", "{}"), where)
            names[call.id] = call.name
            # Calls stand with the answer that made them.
            if history and history[-1].role == "assistant":
                history[-1] = replace(history[-1], tool_calls=(*history[-1].tool_calls, call))
            else:
                history.append(ChatMessage("assistant", "", tool_calls=(call,)))
        elif kind == "function_call_output":
            id = fields.text("call_id")
            output = item.get("output")
            content = content_of(output, f"{where}.output")[0] if isinstance(output, str | list) else json.dumps(output)
            history.append(ChatMessage("tool", content, tool_call_id=id, name=names.get(id, "")))
        else:
            raise bad(f"{where}: items of the type '{str(kind)[:40]}' are not taken here.", where, "unsupported_item")
    return tuple(history)


# --- What is answered -------------------------------------------------------------------------------------------------


def _id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


def _message(id: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [_text_part(text)] if status != "in_progress" else []
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": content}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(id: str, call: Called, status: str = "completed") -> dict[str, Any]:
    arguments = call.arguments if status == "completed" else ""
    return {
        "id": id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": arguments,
    }


def _reasoning(id: str, text: str) -> dict[str, Any]:
    return {"id": id, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}


class _Envelope:
    """The response object, as it is told at the beginning and at the end."""

    def __init__(self, asked: ResponseAsked) -> None:
        given = asked.given
        self.model = asked.model
        self.id = _id("resp")
        self._created = int(time.time())
        self._told = {
            "instructions": given.get("instructions"),
            "max_output_tokens": given.get("max_output_tokens"),
            "metadata": given.get("metadata") or {},
            "parallel_tool_calls": given.get("parallel_tool_calls") is not False,
            "previous_response_id": given.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "store": asked.store,
            "temperature": given.get("temperature"),
            "text": given.get("text") or {"format": {"type": "text"}},
            "tool_choice": given.get("tool_choice") or "auto",
            "tools": given.get("tools") or [],
            "top_p": given.get("top_p"),
            "truncation": "disabled",
        }

    def at(self, status: str, output: list[dict[str, Any]], whole: Whole | None = None) -> dict[str, Any]:
        cut = whole is not None and whole.finish_reason == "length"
        prompt, made = whole.tokens if whole is not None else (0, 0)
        usage = {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": whole.ended.cached_tokens if whole else 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + made,
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": "incomplete" if cut else status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "model": self.model,
            "output": output,
            "usage": usage if whole is not None else None,
            **self._told,
        }


def output_of(whole: Whole) -> list[dict[str, Any]]:
    output = []
    if whole.thinking:
        output.append(_reasoning(_id("rs"), "".join(whole.thinking)))
    text = "".join(whole.text)
    if text or not whole.calls:
        output.append(_message(_id("msg"), text))
    return [*output, *(_call(_id("fc"), call) for call in whole.calls)]


async def response_whole(
    exchange: Exchange, parts: AsyncGenerator[Part, None], asked: ResponseAsked, remembered: Remembered
) -> None:
    envelope = _Envelope(asked)
    whole = await gathered(parts, asked.model)
    envelope.model = whole.model
    response = envelope.at("completed", output_of(whole), whole)
    if asked.store:
        remembered.keep(response, asked.input)
    await exchange.json(response)


class ResponseStream:
    """Events in the order in which clients wait for them. The AI SDK wants output_index, ids and a sequence_number."""

    def __init__(self, exchange: Exchange, asked: ResponseAsked) -> None:
        self._exchange, self._asked = exchange, asked
        self._envelope = _Envelope(asked)
        self._sequence = 0
        self._output: list[dict[str, Any]] = []
        self._open: tuple[str, str] | None = None  # kind and id of the item that grows
        self._grown: list[str] = []
        self._begun = False

    async def _tell(self, kind: str, **content: Any) -> None:
        await self._exchange.event({"type": kind, "sequence_number": self._sequence, **content}, kind)
        self._sequence += 1

    async def run(self, parts: AsyncGenerator[Part, None], remembered: Remembered) -> None:
        whole = Whole(self._asked.model)
        async with aclosing(streamed(self._exchange, parts)) as coming:
            async for part in coming:
                whole.take(part)
                if isinstance(part, Begun):
                    self._envelope.model = part.named.id
                    await self._begin()
                elif isinstance(part, Text | Thought):
                    await self._grow("message" if isinstance(part, Text) else "reasoning", part.text)
                elif isinstance(part, Called):
                    await self._close()
                    await self._called(part)
        await self._begin()
        await self._close()
        if not self._output:
            await self._grow("message", "")
            await self._close()
        response = self._envelope.at("completed", self._output, whole)
        if self._asked.store:
            remembered.keep(response, self._asked.input)
        await self._tell(f"response.{response['status']}", response=response)
        await self._exchange.end_stream()

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._tell("response.created", response=self._envelope.at("in_progress", []))
            await self._tell("response.in_progress", response=self._envelope.at("in_progress", []))

    async def _grow(self, kind: str, text: str) -> None:
        if self._open is None or self._open[0] != kind:
            await self._close()
            await self._open_item(kind)
        assert self._open is not None
        self._grown.append(text)
        where = {"item_id": self._open[1], "output_index": len(self._output)}
        if kind == "message":
            await self._tell("response.output_text.delta", **where, content_index=0, delta=text, logprobs=[])
        else:
            await self._tell("response.reasoning_summary_text.delta", **where, summary_index=0, delta=text)

    async def _open_item(self, kind: str) -> None:
        id = _id("msg" if kind == "message" else "rs")
        self._open, self._grown = (kind, id), []
        item = _message(id, "", "in_progress") if kind == "message" else _reasoning(id, "")
        where = {"item_id": id, "output_index": len(self._output)}
        await self._tell("response.output_item.added", output_index=len(self._output), item=item)
        if kind == "message":
            await self._tell("response.content_part.added", **where, content_index=0, part=_text_part(""))
        else:
            part = {"type": "summary_text", "text": ""}
            await self._tell("response.reasoning_summary_part.added", **where, summary_index=0, part=part)

    async def _close(self) -> None:
        if self._open is None:
            return
        (kind, id), text = self._open, "".join(self._grown)
        self._open = None
        where = {"item_id": id, "output_index": len(self._output)}
        if kind == "message":
            item = _message(id, text)
            await self._tell("response.output_text.done", **where, content_index=0, text=text, logprobs=[])
            await self._tell("response.content_part.done", **where, content_index=0, part=_text_part(text))
        else:
            item = _reasoning(id, text)
            part = {"type": "summary_text", "text": text}
            await self._tell("response.reasoning_summary_text.done", **where, summary_index=0, text=text)
            await self._tell("response.reasoning_summary_part.done", **where, summary_index=0, part=part)
        await self._done(item)

    async def _called(self, call: Called) -> None:
        id = _id("fc")
        where = {"item_id": id, "output_index": len(self._output)}
        adding = _call(id, call, "in_progress")
        await self._tell("response.output_item.added", output_index=len(self._output), item=adding)
        await self._tell("response.function_call_arguments.delta", **where, delta=call.arguments)
        await self._tell("response.function_call_arguments.done", **where, name=call.name, arguments=call.arguments)
        await self._done(_call(id, call))

    async def _done(self, item: dict[str, Any]) -> None:
        await self._tell("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    async def fail(self, fault: Fault) -> None:
        """`response.failed`, which every client that was tried raises; a bare error is a type error in the AI SDK."""
        await self._begin()
        response = self._envelope.at("failed", self._output)
        response["error"] = {"code": "server_error", "message": fault.message}
        await self._tell("response.failed", response=response)
        await self._exchange.end_stream()
