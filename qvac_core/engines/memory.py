"""How much memory a model will take, and whether the machine has it, before anything is loaded.

Sizes from the GGUF header (23 KB a token were measured for SmolLM2-135M: that is what comes out here).
"""

from __future__ import annotations

import psutil

from qvac_core.engines.gguf import GgufInfo
from qvac_core.errors import ModelError

SMALLEST_CONTEXT = 64  # tokens; below it no template fits
SPARE = 256 * 1024 * 1024  # bytes for compute buffers and for the rest of the machine
_ELEMENT = 2  # bytes: keys and values are kept as 16-bit floats
# q8_0: 32 numbers in 34 bytes. Measured (tests/bench/perplexity.py): perplexity 0.997 of it, a token takes 1.06 times.
_QUANTIZED, _QUANTIZED_ROW = 34 / 32, 32
STEP_TOKENS = 512  # `n_ubatch`: cells of a sliding window beside the windows themselves
# Every so manieth layer sees all (llama.cpp src/models, `load_swa_pattern`), where the header does not say it.
_PERIODS = {
    "gemma2": 2,
    "gpt-oss": 2,
    "afmoe": 4,
    "cohere2": 4,
    "exaone4": 4,
    "olmo2": 4,
    "gemma3n": 5,
    "gemma3": 6,
    "plamo3": 8,
}
_PARTIAL = ("ssm.", "full_attention_interval", "recurrent", "kv_lora_rank")  # not every layer keeps every token


def context_tokens(gguf: GgufInfo, asked: int) -> int:
    """Tokens per chat: what was asked for (0 = all of it), within what the model was trained on."""
    trained = gguf.context_length or asked
    return max(SMALLEST_CONTEXT, min(asked or trained, trained))


def cache_bytes(gguf: GgufInfo, tokens: int, slots: int = 1, *, quantized: bool = False) -> int:
    """Bytes of the key and value cache for so many tokens, of all chats together. Too large where `has_plain_cache` is
    false.

    Layers with a sliding window keep what each chat's window holds, and one batch.
    """
    windows, kept = sliding_layers(gguf), _heads_kept(gguf)
    window = _largest(gguf, "attention.sliding_window", 0)
    sliding = min(tokens, window * slots + STEP_TOKENS)
    elements = sum(
        heads * sum(_head_widths(gguf, "_swa" if slides else "")) * (sliding if slides else tokens)
        for heads, slides in zip(kept, windows, strict=True)
    )
    return int(elements * (_QUANTIZED if quantized else _ELEMENT))


def can_be_quantized(gguf: GgufInfo) -> bool:
    """Whether the cache can be kept as q8_0: its rows are whole blocks. It needs flash attention, which is usual."""
    widths = (*_head_widths(gguf, ""), *_head_widths(gguf, "_swa"))
    return has_plain_cache(gguf) and all(width and width % _QUANTIZED_ROW == 0 for width in widths)


def sliding_layers(gguf: GgufInfo) -> list[bool]:
    """Which layers see a window only. All False where the header does not tell and the architecture is not known."""
    layers = _largest(gguf, "block_count", 0)
    if not _largest(gguf, "attention.sliding_window", 0):
        return [False] * layers
    pattern = gguf.metadata.get(f"{gguf.architecture}.attention.sliding_window_pattern")
    if isinstance(pattern, tuple) and len(pattern) == layers:
        return [bool(slides) for slides in pattern]
    period = pattern if isinstance(pattern, int) and pattern > 0 else _PERIODS.get(gguf.architecture, 1)
    return [layer % period < period - 1 for layer in range(layers)]


def _heads_kept(gguf: GgufInfo) -> list[int]:
    """Heads whose keys and values are kept, by layer."""
    layers = _largest(gguf, "block_count", 0)
    heads = max(1, _largest(gguf, "attention.head_count", 1))
    kept = gguf.metadata.get(f"{gguf.architecture}.attention.head_count_kv", heads)
    if isinstance(kept, tuple):
        return ([int(count) for count in kept if isinstance(count, int)] + [0] * layers)[:layers]
    return [kept if isinstance(kept, int) else heads] * layers


def _head_widths(gguf: GgufInfo, suffix: str) -> tuple[int, ...]:
    """Elements of a key, and of a value, of one head."""
    width = _largest(gguf, "embedding_length", 0) // max(1, _largest(gguf, "attention.head_count", 1))
    sizes = (_largest(gguf, f"attention.{name}_length", width) for name in ("key", "value"))
    own = ((_largest(gguf, f"attention.{name}_length{suffix}", 0) if suffix else 0) for name in ("key", "value"))
    return tuple(special or size for special, size in zip(own, sizes, strict=True))


def has_plain_cache(gguf: GgufInfo) -> bool:
    """Whether every layer keeps every token: only then is `cache_bytes` more than an upper bound."""
    prefix = f"{gguf.architecture}."
    return not any(key.removeprefix(prefix).startswith(_PARTIAL) for key in gguf.metadata if key.startswith(prefix))


def check_memory(size_bytes: int, gguf: GgufInfo, tokens: int, slots: int = 1, *, quantized: bool = False) -> None:
    """Refuse what would only make the machine swap. Raises ModelError with typed field `reason`: "memory".

    size_bytes: of all files of the model. tokens: of all its chats together, of which there are `slots`.
    """
    cache = cache_bytes(gguf, tokens, slots, quantized=quantized) if has_plain_cache(gguf) else 0
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
