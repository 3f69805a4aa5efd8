"""What a provider lets this machine use, from what it says on the wire: times from now become times of the clock."""

from __future__ import annotations

from msgspec import UnsetType

from qvac_core.core.state import GuestTerms
from qvac_core.delegation.messages import MOST_MACS, Terms


def guest_terms(said: Terms | None, now: float) -> GuestTerms | None:
    """A stranger's numbers: what cannot be a time is left out."""
    if said is None:
        return None
    return GuestTerms(
        tokens_per_day=_count(said.tokens_per_day),
        tokens_used=_count(said.tokens_used) or 0,
        resets_at=_moment(said.resets_in_ms, now),
        parallel=_count(said.parallel),
        context_tokens=_count(said.context_tokens),
        answer_tokens=_count(said.answer_tokens),
        opens_at=_moment(said.closed_for_ms, now),
        ends_at=_moment(said.ends_in_ms, now),
        mine=said.mine is True,
        wake=() if isinstance(said.wake, UnsetType) else tuple(said.wake[:MOST_MACS]),
    )


MOST_MS = 100 * 365.25 * 86_400_000  # beyond a lifetime nothing is told to anybody


def _count(value: int | UnsetType) -> int | None:
    return None if isinstance(value, UnsetType) else value


def _moment(ms: float | UnsetType, now: float) -> float | None:
    return now + ms / 1000 if isinstance(ms, int | float) and 0 <= ms <= MOST_MS else None
