"""From a completionStream message to the engine's request: bounds checked, the owner's limits over the asker's wishes.

docs/wire/qvac.md sections 4 and 5; docs/architecture.md "Safe by default". Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.attached_pictures import check_attachments
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.held_models import KnownModel
from qvac_core.delegation.messages import (
    CompletionStream,
    GenerationParams,
    JsonObjectFormat,
    JsonSchemaFormat,
    ResponseFormat,
)
from qvac_core.delegation.model_config import LlmConfig, sampling_of
from qvac_core.delegation.tool_wire import engine_choice, engine_message, engine_tools
from qvac_core.engines.answer_length import ANSWER_TOKENS
from qvac_core.engines.interface import ChatMessage, CompletionRequest, SamplingParams, ToolChoice
from qvac_core.engines.tools import checked_tools

SEED_BITS = 32
MAX_TOP_K = 1000


def completion_request(
    engine_id: str,
    public_key: bytes,
    message: CompletionStream,
    known: KnownModel,
    limits: Limits,
    *,
    show_stop: bool = False,
) -> CompletionRequest:
    """Without its pictures (`attached_pictures.with_pictures`).

    Raises Rejection, ModelError for what this provider does not do or not this much of.
    """
    # As in 0.16, tools act only if the model was loaded with them, and are ignored in silence otherwise.
    tools = engine_tools(message.tools) if known.config.tools is True else ()
    checked_tools(tools)  # here too, before it waits for its turn
    return CompletionRequest(
        request_id=engine_id,
        history=_history(message, limits),
        sampling=_sampling(message, known, limits),
        stop=_stop(known.config.stop_sequences, limits),
        owner=public_key.hex(),
        continue_from=_continue_from(message, known),
        response_schema=_schema(message, limits),
        thinking=_thinks(message, known),
        show_stop=show_stop,
        tools=tools,
        tool_choice=engine_choice(message.tool_choice) if tools else ToolChoice(),
        parallel_tool_calls=message.parallel_tool_calls is not False,
        tool_dialect=message.tool_dialect if isinstance(message.tool_dialect, str) else "",
        context_tokens=limits.chat_tokens,
    )


def _thinks(message: CompletionStream, known: KnownModel) -> bool:
    params = message.generation_params
    return thinks(GenerationParams() if isinstance(params, UnsetType) else params, known.config)


def thinks(params: GenerationParams, config: LlmConfig) -> bool:
    """A budget of 0 switches the model's thinking off; one in between is not kept to, and -1 is the default."""
    budget = config.reasoning_budget if params.reasoning_budget is UNSET else params.reasoning_budget
    return budget != 0


def _history(message: CompletionStream, limits: Limits) -> tuple[ChatMessage, ...]:
    if len(message.history) > limits.history_messages:
        raise by_policy(Reason.LIMIT, f"A conversation may have {limits.history_messages} messages at most here.")
    check_attachments(message)
    # The `system_prompt` of the load is not put before it: 0.16 uses that in KV-cache sessions only (kv_sessions.py).
    return tuple(map(engine_message, message.history))


def _sampling(message: CompletionStream, known: KnownModel, limits: Limits) -> SamplingParams:
    sampling = sampling_of(known.config)
    if not isinstance(message.generation_params, UnsetType):
        sampling = replace(sampling, **given_sampling(message.generation_params))
    predict = ANSWER_TOKENS if sampling.predict is None else sampling.predict
    if predict < 0 or predict > limits.max_tokens:
        predict = limits.max_tokens
    seed = sampling.seed
    return replace(
        sampling,
        predict=predict,
        seed=None if seed is None or seed < 0 else seed % 2**SEED_BITS,
        top_k=None if sampling.top_k is None else max(0, min(sampling.top_k, MAX_TOP_K)),
    )


def given_sampling(params: GenerationParams) -> dict[str, Any]:
    """The sampling parameters that it says, by the names of SamplingParams."""
    given: dict[str, Any] = {}
    for name in ("temp", "top_p", "repeat_penalty", "frequency_penalty", "presence_penalty"):
        value = getattr(params, name)
        if value is not UNSET and math.isfinite(value):
            given[name] = float(value)
    for name in ("top_k", "seed", "predict"):
        value = getattr(params, name)
        if value is not UNSET and math.isfinite(value):
            given[name] = int(value)
    return given


def _stop(sequences: Sequence[str] | UnsetType, limits: Limits) -> tuple[str, ...]:
    if isinstance(sequences, UnsetType):
        return ()
    kept = tuple(sequence for sequence in sequences if sequence)
    too_long = any(len(sequence.encode("utf-8", "replace")) > limits.stop_sequence_bytes for sequence in kept)
    if len(kept) > limits.stop_sequences or too_long:
        raise by_policy(Reason.LIMIT, f"At most {limits.stop_sequences} short stop sequences are taken here.")
    return kept


def _continue_from(message: CompletionStream, known: KnownModel) -> str:
    wanted = message.continue_from
    if isinstance(wanted, UnsetType):
        return ""
    if wanted.model_sha256 != known.model.sha256:
        raise Rejection(
            Code.MODEL_OPERATION_NOT_SUPPORTED, "The answer was begun by another model file; ask for it anew."
        )
    return wanted.text


def schema_of(wanted: ResponseFormat | UnsetType) -> str | None:
    """The JSON schema that a response format stands for; None for text."""
    if isinstance(wanted, JsonObjectFormat):
        return '{"type":"object"}'
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    return json.dumps(wanted.json_schema.schema, ensure_ascii=False, separators=(",", ":"))


def _schema(message: CompletionStream, limits: Limits) -> str | None:
    wanted = message.response_format
    if isinstance(wanted, JsonSchemaFormat) and _depth(wanted.json_schema.schema) > limits.schema_depth:
        raise by_policy(Reason.LIMIT, f"A schema may be nested {limits.schema_depth} deep at most here.")
    text = schema_of(wanted)
    if text is not None and len(text.encode("utf-8", "replace")) > limits.schema_bytes:
        raise by_policy(Reason.LIMIT, f"A schema may have {limits.schema_bytes} bytes at most here.")
    return text


def _depth(value: object) -> int:
    """Nesting depth, without recursion: the value is a stranger's."""
    deepest = 0
    pending: list[tuple[object, int]] = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        deepest = max(deepest, depth)
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        pending.extend((child, depth + 1) for child in children)
    return deepest
