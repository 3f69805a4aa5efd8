"""What a request leaves open, filled in from the model's configuration: sampling, stop sequences, system prompt.

wire/QVAC.md section 4: a consumer may state them once, in `modelConfig`, and then only what differs in a request.
"""

from __future__ import annotations

import dataclasses

from qvac_core.engines.interface import ChatMessage, CompletionRequest, ModelConfig, SamplingParams


def with_defaults(request: CompletionRequest, config: ModelConfig) -> CompletionRequest:
    """The request as if it had said everything itself."""
    history = request.history
    if config.system_prompt and not any(message.role == "system" for message in history):
        history = (ChatMessage("system", config.system_prompt), *history)
    return dataclasses.replace(
        request,
        history=history,
        sampling=merge_sampling(request.sampling, config.sampling),
        stop=(*config.stop, *request.stop),
    )


def merge_sampling(chosen: SamplingParams, base: SamplingParams | None) -> SamplingParams:
    """The request's parameters over the model's, one by one."""
    if base is None:
        return chosen
    names = [field.name for field in dataclasses.fields(SamplingParams)]
    return SamplingParams(
        **{name: getattr(base, name) if getattr(chosen, name) is None else getattr(chosen, name) for name in names}
    )
