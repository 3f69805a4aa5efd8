"""Whether a model fits this machine, with the numbers: what it needs with a context, and what is there.

By its header, where that is known, as `engines/memory.py` reckons before a load; otherwise by its size and parameters.
What other programs hold now decides nothing here: they can be closed. `Fit.now` tells it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from qvac_core.core.library_state import Fit, Kind, MachineMemory, Place, Verdict
from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.gpu_layers import GPU_SPARE
from qvac_core.engines.memory import SPARE, cache_bytes, has_plain_cache

# No conversation is worth having below it; a model that has only so much left counts as too large.
LEAST_CONTEXT = 1024  # tokens
MOST_CONTEXT = 1 << 20  # tokens; where nobody says what a model was trained on
SYSTEM_SHARE = 1 << 30  # bytes of the machine's memory that the system itself has to keep
# Bytes of keys and values of one token at 16 bits, by parameters in billions: two sizes up to which they are so large.
# From headers: SmolLM2 135M 23,040, 360M 40,960; Qwen3 0.6B and 1.7B 114,688, 4B and 8B 147,456, 14B 163,840, 32B
# 262,144; Llama 3 70B 327,680. Newer models share more of them: it is rather too much than too little.
_CACHE_OF_SIZE = ((0.5, 41_000), (3.0, 115_000), (9.0, 148_000), (20.0, 164_000), (40.0, 263_000))
_CACHE_OF_LARGER = 328_000
# whisper.cpp's own table (README, "Memory usage") from tiny (75 MiB: 273 MB) to large (2.9 GiB: 3.9 GB).
_SPEECH_EXTRA, _SPEECH_FACTOR = 200_000_000, 1.25
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)\s*([bm])", re.IGNORECASE)

_TRANSLATION_EXTRA = 90 * 1024 * 1024  # translation_worker: weights are packed anew, and a process has its own


@dataclass(frozen=True, slots=True)
class Need:
    """What a model takes: `weights` in bytes, and the cache of so many tokens. trained: tokens, 0 = not known."""

    weights: int
    cache: Callable[[int], int]
    trained: int = 0
    exact: bool = False

    def bytes_with(self, tokens: int, spare: int) -> int:
        return self.weights + self.cache(tokens) + spare


def need_by_header(gguf: GgufInfo, size_bytes: int) -> Need:
    plain = has_plain_cache(gguf)
    return Need(size_bytes, lambda tokens: cache_bytes(gguf, tokens) if plain else 0, gguf.context_length, True)


def need_by_size(kind: Kind, size_bytes: int, parameters: str, trained: int = 0) -> Need:
    if kind is Kind.TRANSCRIBE:
        return Need(int(size_bytes * _SPEECH_FACTOR) + _SPEECH_EXTRA, lambda tokens: 0)
    if kind is Kind.TRANSLATE:
        return Need(2 * size_bytes + _TRANSLATION_EXTRA, lambda tokens: 0)
    if kind is Kind.EMBED:
        return Need(size_bytes, lambda tokens: 0, trained)
    billions = in_billions(parameters) or size_bytes / 0.6e9  # at about 4.8 bits each
    per_token = next((cache for most, cache in _CACHE_OF_SIZE if billions <= most), _CACHE_OF_LARGER)
    return Need(size_bytes, lambda tokens: per_token * tokens, trained)


def in_billions(parameters: str) -> float:
    """ "1.7B" → 1.7, "135M" → 0.135, "30B-A3B" → 30; 0 where it does not say."""
    found = _BILLIONS.search(parameters)
    if found is None:
        return 0.0
    return float(found[1]) / (1 if found[2].lower() == "b" else 1000)


def judge(need: Need, machine: MachineMemory, context_tokens: int) -> Fit:
    """For one chat of `context_tokens`, or of what the model was trained on, if that is less."""
    asked = min(context_tokens, need.trained) if need.trained else context_tokens
    in_memory = max(0, machine.memory_bytes - SYSTEM_SHARE)
    places = [(Place.MEMORY, SPARE, in_memory, machine.memory_bytes, machine.memory_free)]
    if machine.gpu:
        both = machine.gpu_bytes + machine.memory_bytes, machine.gpu_free + machine.memory_free
        places = [
            (Place.GPU, GPU_SPARE, machine.gpu_bytes, machine.gpu_bytes, machine.gpu_free),
            (Place.SPLIT, GPU_SPARE + SPARE, machine.gpu_bytes + in_memory, *both),
        ]

    def fit(verdict: Verdict, place: tuple[Place, int, int, int, int]) -> Fit:
        name, spare, room, total, free = place
        needed = need.bytes_with(asked, spare)
        largest = _largest_context(need, spare, room)
        return Fit(verdict, asked, needed, name, total, free, largest, needed <= free, need.exact)

    # In full on the GPU, then with less context there, which is faster than with all of it in the machine's memory.
    for place in places:
        if need.bytes_with(asked, place[1]) <= place[2]:
            return fit(Verdict.FITS, place)
        if _largest_context(need, place[1], place[2]) >= min(LEAST_CONTEXT, asked):
            return fit(Verdict.LESS_CONTEXT, place)
    return fit(Verdict.TOO_LARGE, places[0])


def _largest_context(need: Need, spare: int, room: int) -> int:
    """Tokens, in whole steps of 256; 0 where not even the weights find room."""
    low, high = 0, (need.trained or MOST_CONTEXT) // 256
    if need.bytes_with(0, spare) > room:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        if need.bytes_with(middle * 256, spare) <= room:
            low = middle
        else:
            high = middle - 1
    return low * 256 or min(need.trained, 256)
