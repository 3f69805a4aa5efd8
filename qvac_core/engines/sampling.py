"""The numbers of a sampler chain, as a request asked for them and within what samplers bear."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qvac_core.engines.interface import SamplingParams

GREEDY_BELOW = 0.001  # temperature; dividing by less overflows
PENALTY_WINDOW = 64  # tokens, llama.cpp's own default
DEFAULT_TEMP, DEFAULT_TOP_K, DEFAULT_TOP_P, DEFAULT_MIN_P = 0.8, 40, 0.95, 0.05  # llama.cpp's own defaults


# How a file says what its model was tuned for (llama.cpp's LLM_KV_GENERAL_SAMPLING_*), and the name here.
# Others there are (XTC, Mirostat, the order of samplers) are not followed.
_KEYS = {"temp": "temp", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "penalty_repeat": "repeat_penalty"}


def sampling_of_file(metadata: Mapping[str, object]) -> SamplingParams:
    """What the header of a model file asks for, where neither a request nor a configuration says otherwise."""
    given: dict[str, Any] = {}
    for key, name in _KEYS.items():
        value = metadata.get(f"general.sampling.{key}")
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            given[name] = int(value) if name == "top_k" else float(value)
    return SamplingParams(**given)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Every parameter decided. greedy: always the likeliest token; temperature, cuts and seed then mean nothing."""

    greedy: bool
    temp: float
    top_k: int
    top_p: float
    min_p: float
    seed: int
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float


def decide(asked: SamplingParams) -> Sampling:
    """An infinity, or a number outside of a sampler's range, would end the process: strangers send both."""
    temp = _within(asked.temp, DEFAULT_TEMP, 0.0, 5.0)
    seed = asked.seed if asked.seed is not None and asked.seed >= 0 else random.getrandbits(32)
    return Sampling(
        greedy=temp < GREEDY_BELOW,
        temp=temp,
        top_k=int(_within(asked.top_k, DEFAULT_TOP_K, 0, 1 << 20)),
        top_p=_within(asked.top_p, DEFAULT_TOP_P, 0.0, 1.0),
        min_p=_within(asked.min_p, DEFAULT_MIN_P, 0.0, 1.0),
        seed=seed & 0xFFFFFFFF,
        repeat_penalty=_within(asked.repeat_penalty, 1.0, 0.1, 5.0),
        frequency_penalty=_within(asked.frequency_penalty, 0.0, -2.0, 2.0),
        presence_penalty=_within(asked.presence_penalty, 0.0, -2.0, 2.0),
    )


def _within(value: float | None, default: float, low: float, high: float) -> float:
    if value is None or not math.isfinite(value):
        return default
    return min(max(value, low), high)
