"""How much memory a model will take, and whether the machine has it, before anything is loaded.

Sizes from the GGUF header (ENGINES.md measured 23 KB a token for SmolLM2-135M: that is what comes out here).
"""

from __future__ import annotations

import psutil

from qvac_core.engines.gguf import GgufInfo
from qvac_core.errors import ModelError

SMALLEST_CONTEXT = 64  # tokens; below it no template fits
SPARE = 256 * 1024 * 1024  # bytes for compute buffers and for the rest of the machine
_ELEMENT = 2  # bytes: keys and values are kept as 16-bit floats
_PARTIAL = ("ssm.", "full_attention_interval", "recurrent", "kv_lora_rank")  # not every layer keeps every token


def context_tokens(gguf: GgufInfo, asked: int) -> int:
    """Tokens per chat: what was asked for (0 = all of it), within what the model was trained on."""
    trained = gguf.context_length or asked
    return max(SMALLEST_CONTEXT, min(asked or trained, trained))


def cache_bytes(gguf: GgufInfo, tokens: int) -> int:
    """Bytes of the key and value cache for so many tokens. Too large where `has_plain_cache` is false."""
    heads = max(1, _largest(gguf, "attention.head_count", 1))
    width = _largest(gguf, "embedding_length", 0) // heads
    keys = _largest(gguf, "attention.key_length", width)
    values = _largest(gguf, "attention.value_length", width)
    kept = gguf.metadata.get(f"{gguf.architecture}.attention.head_count_kv")
    if isinstance(kept, tuple):
        rows = sum(kept)  # one number per layer
    else:
        rows = _largest(gguf, "block_count", 0) * (kept if isinstance(kept, int) else heads)
    return rows * (keys + values) * _ELEMENT * tokens


def has_plain_cache(gguf: GgufInfo) -> bool:
    """Whether every layer keeps every token: only then is `cache_bytes` more than an upper bound."""
    prefix = f"{gguf.architecture}."
    return not any(key.removeprefix(prefix).startswith(_PARTIAL) for key in gguf.metadata if key.startswith(prefix))


def check_memory(size_bytes: int, gguf: GgufInfo, tokens: int) -> None:
    """Refuse what would only make the machine swap. Raises ModelError with typed field `reason`: "memory".

    size_bytes: of all files of the model. tokens: of all its chats together.
    """
    cache = cache_bytes(gguf, tokens) if has_plain_cache(gguf) else 0
    needed = size_bytes + cache + SPARE
    free = free_bytes()
    if needed > free:
        raise ModelError(
            f"Not enough memory: this model needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. "
            "Close other programs, or choose a smaller model, a smaller context or fewer parallel chats.",
            typed_fields={"reason": "memory", "neededBytes": needed, "freeBytes": free},
        )


def free_bytes() -> int:
    return int(psutil.virtual_memory().available)


def spare_bytes() -> int:
    """Bytes that a loaded model may still take."""
    return free_bytes() - SPARE


def memory_error(log: str) -> ModelError:
    """For when an allocation failed all the same."""
    return ModelError(
        "Not enough memory for this model. Choose a smaller model, a smaller context or fewer parallel chats.",
        typed_fields={"reason": "memory", "log": log},
    )


def _largest(gguf: GgufInfo, key: str, default: int) -> int:
    value = gguf.metadata.get(f"{gguf.architecture}.{key}", default)
    if isinstance(value, tuple):
        return max(value, default=default)
    return int(value) if isinstance(value, (int, float)) else default
