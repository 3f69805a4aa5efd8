"""The statistics of one answer, from what an engine counted while it made it."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol

from qvac_core.engines.interface import CompletionStats


class Measured(Protocol):
    """Times in seconds of one clock, 0 before the first token. company: answers under way, summed over the steps."""

    @property
    def prompt(self) -> Sized: ...

    @property
    def submitted_at(self) -> float: ...

    @property
    def first_token_at(self) -> float: ...

    @property
    def last_token_at(self) -> float: ...

    @property
    def generated(self) -> int: ...

    @property
    def cached(self) -> int: ...

    @property
    def company(self) -> int: ...

    @property
    def session_tokens(self) -> int: ...


def stats_of(job: Measured, *, steps: int, device: str, now: float) -> CompletionStats:
    first = (job.first_token_at or now) - job.submitted_at
    spent = job.last_token_at - job.first_token_at
    rate = (job.generated - 1) / spent if job.generated > 1 and spent > 0 else 0.0
    if job.generated == 1 and first > 0:
        rate = 1 / first
    return CompletionStats(
        time_to_first_token=first * 1000,
        tokens_per_second=rate,
        prompt_tokens=len(job.prompt),
        generated_tokens=job.generated,
        cache_tokens=job.cached,
        avg_concurrent_seq=job.company / steps if steps else 1.0,
        backend_device=device,
        session_tokens=job.session_tokens,
    )
