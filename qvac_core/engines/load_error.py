"""Why llama.cpp did not load a model: its functions answer NULL, and only its log says more."""

from __future__ import annotations

from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.memory import memory_error
from qvac_core.errors import ModelError


def load_error(gguf: GgufInfo, log: str) -> ModelError:
    """The sentence for a file whose header was fine. log: the error lines of llama.cpp."""
    if "unknown model architecture" in log or "unknown architecture" in log:
        return ModelError(
            f"Models of the architecture {gguf.architecture[:40]!r} are not supported by this version of the engine. "
            "Choose another model, or update QVAC Desktop."
        )
    if "corrupted or incomplete" in log or "not within the file bounds" in log:
        return ModelError("The model file is damaged. Download it again.")
    if "failed to load multimodal model" in log:
        return ModelError(
            "The vision part of this model (its mmproj file) cannot be loaded. Download it again, or take it away.",
            typed_fields={"log": log},
        )
    if "alloc" in log or "memory" in log:
        return memory_error(log)
    return ModelError(
        "The engine cannot load this model file. Download it again, or choose another model.", typed_fields={"log": log}
    )
