"""How many prompt tokens fit into one step, so that a step takes about as long as we want.

A fixed chunk stalls running chats on a slow machine and starves a fast one; time does not.
"""

from __future__ import annotations

SHARED_STEP = 0.15  # seconds, while others wait for their next token
ALONE_STEP = 0.5  # seconds, when only a cancel could be waiting
WAVE_STEP = 0.25  # seconds, while several wait for their first token: the shortest prompts have theirs soon
SMALLEST_CHUNK = 16  # tokens; below this the fixed cost of a step outweighs the prompt
FIRST_CHUNK = 32  # tokens, before anything was measured
GROWTH = 4  # a chunk is at most this many times the last one: one lucky measurement must not cost seconds
_WEIGHT = 0.3  # of the newest measurement


class Pace:
    """Learns from the steps that were made: `observe` each, ask `chunk` before the next."""

    def __init__(self) -> None:
        self._per_token = 0.0
        self._per_decode_step = 0.0
        self._last_chunk = FIRST_CHUNK // GROWTH

    def chunk(self, *, decoding: bool, prompts: int = 1) -> int:
        """Prompt tokens for the next step, of so many prompts."""
        if self._per_token <= 0:
            return FIRST_CHUNK
        alone = ALONE_STEP if prompts == 1 else WAVE_STEP
        budget = SHARED_STEP - self._per_decode_step if decoding else alone
        fitting = int(budget / self._per_token)
        return max(SMALLEST_CHUNK, min(fitting, self._last_chunk * GROWTH))

    def seconds(self, tokens: int) -> float | None:
        """How long it takes to read so many tokens of prompts; None before anything was measured."""
        return tokens * self._per_token if self._per_token > 0 else None

    def observe(self, prompt_tokens: int, decode_tokens: int, seconds: float) -> None:
        if prompt_tokens == 0:
            self._per_decode_step = _mix(self._per_decode_step, seconds)
            return
        overhead = min(self._per_decode_step, seconds / 2) if decode_tokens else 0.0
        self._per_token = _mix(self._per_token, (seconds - overhead) / prompt_tokens)
        self._last_chunk = max(prompt_tokens, SMALLEST_CHUNK)


def _mix(old: float, new: float) -> float:
    return new if old <= 0 else old + _WEIGHT * (new - old)
