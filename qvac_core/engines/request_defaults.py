"""What a request leaves open, filled in from the model's configuration: sampling, stop sequences, system prompt.

docs/wire/qvac.md section 4: a consumer may state them once, in `modelConfig`, and then only what differs in a request.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from qvac_core.engines.interface import (
    ChatMessage,
    CompletionRequest,
    ModelConfig,
    SamplingParams,
    SessionTurn,
    Tool,
    ToolCall,
)

SEEDS = 1 << 32  # llama.cpp's seeds are 32 bits
SYSTEM_ROLES = ("system", "developer")  # the second is a newer name of the first
COUNT_LIMIT = 1 << 31  # above any count of tokens


def with_defaults(request: CompletionRequest, config: ModelConfig) -> CompletionRequest:
    """The request as if it had said everything itself."""
    history = request.history
    if config.system_prompt and not any(message.role in SYSTEM_ROLES for message in history):
        history = (ChatMessage("system", config.system_prompt), *history)
    return dataclasses.replace(
        request,
        history=history,
        sampling=merge_sampling(request.sampling, config.sampling),
        stop=(*config.stop, *request.stop),
    )


def encodable(request: CompletionRequest) -> CompletionRequest:
    """Without lone surrogates and endless numbers: JSON from a peer can carry them, and no pipe and no model can."""
    sampling = request.sampling
    return dataclasses.replace(
        request,
        history=_cleaned(request.history),
        session=tuple(
            SessionTurn(_cleaned(turn.history), None if turn.answer is None else _clean(turn.answer))
            for turn in request.session
        ),
        sampling=dataclasses.replace(
            sampling,
            seed=None if sampling.seed is None or sampling.seed < 0 else sampling.seed % SEEDS,
            top_k=_limited(sampling.top_k),
            predict=_limited(sampling.predict),
        ),
        stop=tuple(map(_clean, request.stop)),
        continue_from=_clean(request.continue_from),
        owner=_clean(request.owner),
        request_id=_clean(request.request_id),
        tools=tuple(
            Tool(_clean(tool.name), _clean(tool.description), _clean(tool.parameters)) for tool in request.tools
        ),
        tool_choice=dataclasses.replace(request.tool_choice, name=_clean(request.tool_choice.name)),
        response_schema=None if request.response_schema is None else _clean(request.response_schema),
    )


def one_history(session: Sequence[SessionTurn]) -> tuple[ChatMessage, ...]:
    """The turns of a session as messages of one conversation."""
    messages: list[ChatMessage] = []
    for turn in session:
        messages += turn.history
        if turn.answer is not None:
            messages.append(ChatMessage("assistant", turn.answer))
    return tuple(messages)


def _cleaned(history: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    return tuple(
        dataclasses.replace(
            message,
            role=_clean(message.role),
            content=_clean(message.content),
            tool_calls=tuple(
                ToolCall(_clean(call.id), _clean(call.name), _clean(call.arguments)) for call in message.tool_calls
            ),
            tool_call_id=_clean(message.tool_call_id),
            name=_clean(message.name),
        )
        for message in history
    )


def _limited(value: int | None) -> int | None:
    return None if value is None else max(-COUNT_LIMIT, min(value, COUNT_LIMIT))


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def merge_sampling(chosen: SamplingParams, base: SamplingParams | None) -> SamplingParams:
    """The request's parameters over the model's, one by one."""
    if base is None:
        return chosen
    names = [field.name for field in dataclasses.fields(SamplingParams)]
    return SamplingParams(
        **{name: getattr(base, name) if getattr(chosen, name) is None else getattr(chosen, name) for name in names}
    )
