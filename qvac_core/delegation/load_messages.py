"""The loadModel message for a model of any type: its configuration checked, and filled up with the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qvac_core.delegation.messages import AnyLoad, LoadEmbeddingModel, LoadModel, LoadSpeechModel, LoadTranslationModel
from qvac_core.delegation.model_config import (
    CANONICAL_MODEL_TYPES,
    CANONICAL_NAMES,
    EMBED_DEFAULTS,
    EMBEDDING_MODEL_TYPE,
    LLM_MODEL_TYPE,
    SPEECH_MODEL_TYPE,
    TRANSLATION_MODEL_TYPE,
    EmbedConfig,
    NmtConfig,
    WhisperConfig,
    own_config,
    own_config_of,
    with_defaults,
)
from qvac_core.errors import LocalProtocolError


def canonical_type(name: str) -> str:
    """`llm`, `embeddings`, … and the canonical names themselves. Raises LocalProtocolError for any other."""
    if (canonical := CANONICAL_NAMES.get(name, name)) in CANONICAL_MODEL_TYPES:
        return canonical
    raise LocalProtocolError(f"There is no model type {name[:64]}. Write one of {', '.join(sorted(CANONICAL_NAMES))}.")


def load_message(model_type: str, config: Mapping[str, Any] | None, **fields: Any) -> AnyLoad:
    """fields: what the loads of all types have. Raises LocalProtocolError."""
    if model_type == LLM_MODEL_TYPE:
        return LoadModel(model_type="llamacpp-completion", model_config=with_defaults(own_config(config)), **fields)
    if model_type == EMBEDDING_MODEL_TYPE:
        embed_config = with_defaults(own_config_of(EmbedConfig, config), EMBED_DEFAULTS)
        return LoadEmbeddingModel(model_type="llamacpp-embedding", model_config=embed_config, **fields)
    if model_type == SPEECH_MODEL_TYPE:
        speech_config = own_config_of(WhisperConfig, config)
        return LoadSpeechModel(model_type="whispercpp-transcription", model_config=speech_config, **fields)
    if model_type == TRANSLATION_MODEL_TYPE:
        its = own_config_of(NmtConfig, config)
        return LoadTranslationModel(model_type="nmtcpp-translation", model_config=its, **fields)
    raise LocalProtocolError(f"QVAC Desktop has no engine for models of the type {model_type[:64]}.")
