"""How much memory the owner lets models take: a model that would not fit under the cap is not loaded.

The sizes are those that `memory.check_memory` reckons with, before anything is loaded.
"""

from __future__ import annotations

from qvac_core.engines.interface import LibraryModel, ModelConfig
from qvac_core.engines.memory import cache_bytes, context_tokens, has_plain_cache
from qvac_core.engines.model_files import read_model
from qvac_core.engines.model_kind import CHAT_TYPE
from qvac_core.errors import ModelError

MEGABYTE = 1_000_000


def needed_bytes(model: LibraryModel, config: ModelConfig) -> int:
    """Weights, and the cache of all chats at once when each is as long as it may be. Reads the file's header."""
    if model.model_type != CHAT_TYPE:
        return model.size_bytes
    files = read_model(model.path)
    tokens = context_tokens(files.gguf, config.n_ctx) * config.slots
    cache = cache_bytes(files.gguf, tokens, config.slots + 1) if has_plain_cache(files.gguf) else 0
    return files.size_bytes + cache


def check_cap(name: str, needed: int, held: int, *, cap_mb: int, cap_of_all_mb: int) -> None:
    """cap_mb: of this model, cap_of_all_mb: of all loaded ones, of which others hold `held` bytes; 0 = no cap.

    Raises ModelError with typed field `reason`: "memory".
    """
    fields = {"reason": "memory", "neededBytes": needed}
    if cap_mb and needed > cap_mb * MEGABYTE:
        raise ModelError(
            f"{name} needs about {needed / 1e9:.1f} GB, and you let it have {cap_mb / 1000:.1f} GB. "
            "Raise its memory cap, or give it a shorter context or fewer slots.",
            typed_fields=fields,
        )
    if cap_of_all_mb and held + needed > cap_of_all_mb * MEGABYTE:
        wanted, cap = f"{needed / 1e9:.1f}", f"{cap_of_all_mb / 1000:.1f}"
        raise ModelError(
            f"{name} needs about {wanted} GB, while others hold {held / 1e9:.1f} GB, and the cap for all models is "
            f"{cap} GB. Raise the cap, or share a smaller model."
            if held
            else f"{name} needs about {wanted} GB, and the cap for all models is {cap} GB. "
            "Raise the cap, or share a smaller model.",
            typed_fields=fields,
        )
