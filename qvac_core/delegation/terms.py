"""What a guest is told of its limits before they bite: with the greeting and with each list of models."""

from __future__ import annotations

import math

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.messages import Terms
from qvac_core.delegation.policy import Allowance, State


def terms_of(own: Allowance, state: State, limits: Limits) -> Terms:
    if own.mine:
        return Terms(mine=True)
    opens = own.hours.opens_again(state.now) if own.hours is not None else None
    counted = own.tokens_today is not None
    return Terms(
        tokens_per_day=_given(own.tokens_today),
        tokens_used=state.used if counted else UNSET,
        resets_in_ms=_ms(state.day_ends - state.now) if counted else UNSET,
        parallel=limits.parallel_per_key if own.parallel is None else own.parallel,
        context_tokens=_given(own.context_tokens),
        answer_tokens=_given(own.answer_tokens),
        closed_for_ms=_ms(opens - state.now) if opens is not None else UNSET,
        ends_in_ms=_ms(own.expires_at - state.now) if own.expires_at is not None else UNSET,
    )


def _given(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value


def _ms(seconds: float) -> int:
    return max(0, math.ceil(seconds * 1000))
