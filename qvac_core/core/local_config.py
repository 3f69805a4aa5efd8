"""How a program of this machine wants a model loaded here: the SDK's `modelConfig` as the engine's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import UNSET, UnsetType

from qvac_core.delegation.model_config import (
    EMBEDDING_MODEL_TYPE,
    LLM_MODEL_TYPE,
    SPEECH_MODEL_TYPE,
    TRANSLATION_MODEL_TYPE,
    EmbedConfig,
    LlmConfig,
    NmtConfig,
    WhisperConfig,
    own_config,
    own_config_of,
    sampling_of,
)
from qvac_core.engines.interface import ModelConfig
from qvac_core.errors import LocalProtocolError

DEVICES = ("gpu", "cpu")


def local_config(base: ModelConfig, wanted: LlmConfig) -> ModelConfig:
    """`base` where nothing else is wanted. Raises LocalProtocolError for what this machine does not do.

    ctx_size, parallel, gpu_layers and device act on whoever loads a model first: all of its users share one copy.
    system_prompt acts in KV-cache sessions only, as in the SDK, and an answer of this machine has none.
    """
    if wanted.lora not in (UNSET, ""):
        raise LocalProtocolError("A model on this machine cannot be loaded with lora.")
    if wanted.device not in (UNSET, *DEVICES):
        raise LocalProtocolError(f"The device is {' or '.join(DEVICES)}, not {wanted.device}.")
    return replace(
        base,
        n_ctx=_count("ctx_size", wanted.ctx_size, 1, base.n_ctx),
        slots=_count("parallel", wanted.parallel, 1, base.slots),
        gpu_layers=_count("gpu_layers", wanted.gpu_layers, -1, base.gpu_layers),
        device=base.device if wanted.device is UNSET else str(wanted.device),
        sampling=sampling_of(wanted),
        stop=() if wanted.stop_sequences is UNSET else tuple(filter(None, list(wanted.stop_sequences))),
    )


def embedding_config(base: ModelConfig, wanted: EmbedConfig) -> ModelConfig:
    """The same for a model that makes embeddings. Raises LocalProtocolError."""
    if wanted.attention is not UNSET:
        raise LocalProtocolError("The attention of a model is what its file says. Leave it out.")
    return replace(
        base,
        gpu_layers=_count("gpuLayers", wanted.gpuLayers, -1, base.gpu_layers),
        device=base.device if isinstance(wanted.device, UnsetType) else wanted.device,
        pooling="" if isinstance(wanted.pooling, UnsetType) else wanted.pooling,
    )


def loading_here(
    model_type: str, given: Mapping[str, Any] | None, base: ModelConfig
) -> tuple[LlmConfig | EmbedConfig | WhisperConfig | NmtConfig, ModelConfig]:
    """What a program wants of a model of this type, checked, and as the engine takes it. Raises LocalProtocolError."""
    if model_type == EMBEDDING_MODEL_TYPE:
        wanted = own_config_of(EmbedConfig, given)
        return wanted, embedding_config(base, wanted)
    if model_type == SPEECH_MODEL_TYPE:
        return own_config_of(WhisperConfig, given), base
    if model_type == TRANSLATION_MODEL_TYPE:
        return own_config_of(NmtConfig, given), base
    if model_type == LLM_MODEL_TYPE:
        chat = own_config(given)
        return chat, local_config(base, chat)
    raise LocalProtocolError(f"QVAC Desktop has no engine for models of the type {model_type[:64]}.")


def _count(name: str, value: object, least: int, otherwise: int) -> int:
    if not isinstance(value, int | float):
        return otherwise
    if not math.isfinite(value) or value < least:
        raise LocalProtocolError(f"{name} is a whole number, at least {least}.")
    return int(value)
