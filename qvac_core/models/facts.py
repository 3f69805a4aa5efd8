"""What is known of catalog models before their source is asked: licence, context, and how large a token's cache is.

Of the models' own cards and config.json (max_position_embeddings, num_hidden_layers, num_key_value_heads, head_dim),
for those of which that was certain; the SDK's registry tells none of it. What is missing here is asked of Hugging Face
when somebody looks at the model, and remembered.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """cache_bytes: of one token's keys and values at 16 bits; 0 = not known. native_context: tokens, 0 = not known."""

    licence: str = ""
    native_context: int = 0
    cache_bytes: int = 0
    thinks: bool = False
    tools: bool = False


def _cache(layers: int, heads: int, width: int) -> int:
    return layers * heads * width * 2 * 2  # keys and values, two bytes each


_APACHE, _LLAMA = "Apache-2.0", "Llama 3.2"
# By the beginning of the SDK's name.
_FACTS: tuple[tuple[str, KnownFacts], ...] = (
    ("SMOLLM2_135M_", KnownFacts(_APACHE, 8192, _cache(30, 3, 64))),
    ("SMOLLM2_360M_", KnownFacts(_APACHE, 8192, _cache(32, 5, 64))),
    ("QWEN3_600M_", KnownFacts(_APACHE, 40_960, _cache(28, 8, 128), thinks=True, tools=True)),
    ("QWEN3_1_7B_", KnownFacts(_APACHE, 40_960, _cache(28, 8, 128), thinks=True, tools=True)),
    ("QWEN3_4B_", KnownFacts(_APACHE, 40_960, _cache(36, 8, 128), thinks=True, tools=True)),
    ("QWEN3_8B_", KnownFacts(_APACHE, 40_960, _cache(36, 8, 128), thinks=True, tools=True)),
    ("QWEN3VL_2B_", KnownFacts(_APACHE, 262_144, _cache(28, 8, 128), tools=True)),
    ("LLAMA_3_2_1B_", KnownFacts(_LLAMA, 131_072, _cache(16, 8, 64), tools=True)),
    ("GPT_OSS_20B_", KnownFacts(_APACHE, 131_072, thinks=True, tools=True)),
    ("SMOLVLM2_500M_", KnownFacts(_APACHE, 8192)),
    ("EMBEDDINGGEMMA_300M_", KnownFacts("Gemma", 2048)),
    ("GTE_LARGE_", KnownFacts("MIT", 512)),
    ("WHISPER_", KnownFacts("MIT")),
)


def facts_of_name(name: str) -> KnownFacts:
    """By the SDK's name of a model."""
    return next((facts for beginning, facts in _FACTS if name.startswith(beginning)), KnownFacts())
