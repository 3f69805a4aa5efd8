"""The SDK's model names: `from qvac_core.models import LLAMA_3_2_1B_INST_Q4_0`.

Named as in the SDK's own Python and JavaScript clients; the list is `catalog.jsonl` (see `descriptor`).
"""

from __future__ import annotations

from qvac_core.models.descriptor import (
    DEFAULT_SMALL_MODEL,
    ModelDescriptor,
    PackedFile,
    all_models,
    by_file,
    by_name,
    by_sha256,
    by_source,
)
from qvac_core.models.source import (
    CopySource,
    HuggingFaceSource,
    ModelSource,
    UrlSource,
    canonical_source,
    is_source,
    parse_source,
)
from qvac_core.models.title import model_title, quantization_in

__all__ = [
    "DEFAULT_SMALL_MODEL",
    "CopySource",
    "HuggingFaceSource",
    "ModelDescriptor",
    "ModelSource",
    "PackedFile",
    "UrlSource",
    "all_models",
    "by_file",
    "by_name",
    "by_sha256",
    "by_source",
    "canonical_source",
    "is_source",
    "model_title",
    "parse_source",
    "quantization_in",
]


def __getattr__(name: str) -> ModelDescriptor:
    model = by_name(name)
    if model is None:
        raise AttributeError(f"module {__name__!r} has no model {name!r}")
    return model


def __dir__() -> list[str]:
    return sorted([*__all__, *(model.name for model in all_models())])
