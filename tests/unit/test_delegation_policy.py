"""The policy as a table: who asks, what for, how things stand, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from qvac_core.delegation.failures import Reason
from qvac_core.delegation.policy import (
    AccessMode,
    Act,
    Allowance,
    Cause,
    Decision,
    State,
    What,
    Who,
    decide,
)
from qvac_core.delegation.policy_words import in_words, rejection

NOW = 1000.0


@dataclass(frozen=True)
class Closed:
    """Hours that begin at `at`; None = they last now."""

    at: float | None

    def opens_again(self, now: float) -> float | None:
        return self.at


STATE = State(NOW, AccessMode.ALLOW, day_ends=5000.0)
EVERYBODY = replace(STATE, mode=AccessMode.DENY)
ANN = Who(allowance=Allowance())
MINE = Who(allowance=Allowance(mine=True, tokens_per_day=0, models=frozenset(), hours=Closed(2000.0)))
NOBODY = Who()
ANSWER, LISTEN, KEEP, LOOK = What(Act.ANSWER, "m"), What(Act.LISTEN, "m"), What(Act.KEEP, "m"), What(Act.LOOK)


def limited(**values: object) -> Who:
    return Who(allowance=Allowance(**values))  # type: ignore[arg-type]


def all_acts(who: Who, state: State) -> set[tuple[Decision, Cause | None]]:
    return {(v.decision, v.cause) for v in (decide(who, What(act, "m"), state) for act in Act)}


@pytest.mark.parametrize(
    ("who", "what", "state", "cause", "until"),
    [
        (ANN, ANSWER, STATE, None, None),
        (NOBODY, ANSWER, EVERYBODY, None, None),
        (ANN, What(Act.MANAGE), STATE, Cause.NOT_OWNERS, None),
        (NOBODY, What(Act.MANAGE), EVERYBODY, Cause.NOT_OWNERS, None),
        (MINE, What(Act.MANAGE), STATE, None, None),
        (MINE, ANSWER, replace(STATE, used=10**9, used_by_all=10**9, tokens_of_all=1), None, None),
        # A pause holds for all, and for nothing that costs nothing.
        (ANN, ANSWER, replace(STATE, resting=True, rests_until=1600.0), Cause.PAUSED, 1600.0),
        (MINE, ANSWER, replace(STATE, resting=True), Cause.PAUSED, None),
        (MINE, What(Act.MANAGE), replace(STATE, resting=True), None, None),
        (ANN, LOOK, replace(STATE, resting=True), None, None),
        # Models
        (limited(models=frozenset({"m"})), ANSWER, STATE, None, None),
        (limited(models=frozenset({"n"})), ANSWER, STATE, Cause.MODEL, None),
        (limited(models=frozenset()), KEEP, STATE, Cause.MODEL, None),
        # Hours
        (limited(hours=Closed(2000.0)), ANSWER, STATE, Cause.HOURS, 2000.0),
        (limited(hours=Closed(2000.0)), KEEP, STATE, Cause.HOURS, 2000.0),
        (limited(hours=Closed(None)), ANSWER, STATE, None, None),
        (limited(hours=Closed(2000.0)), LOOK, STATE, None, None),
        # Tokens of a day: 0 is none at all, and what was given on top counts today
        (limited(tokens_per_day=100), ANSWER, replace(STATE, used=99), None, None),
        (limited(tokens_per_day=100), ANSWER, replace(STATE, used=100), Cause.TOKENS, 5000.0),
        (limited(tokens_per_day=0), ANSWER, STATE, Cause.TOKENS, 5000.0),
        (limited(tokens_per_day=100, extra_tokens=50), ANSWER, replace(STATE, used=149), None, None),
        (limited(tokens_per_day=100), LISTEN, replace(STATE, used=100), None, None),
        (ANN, ANSWER, replace(STATE, used_by_all=7, tokens_of_all=7), Cause.TOKENS_OF_ALL, 5000.0),
        (ANN, ANSWER, replace(STATE, used_by_all=6, tokens_of_all=7), None, None),
        # Audio
        (ANN, LISTEN, replace(STATE, heard=60.0, seconds_per_day=60.0), Cause.AUDIO, 5000.0),
        (MINE, LISTEN, replace(STATE, heard=60.0, seconds_per_day=60.0), None, None),
        # An answer that runs
        (limited(answer_tokens=10), What(Act.ANSWER, "m", 10), STATE, None, None),
        (limited(answer_tokens=10), What(Act.ANSWER, "m", 11), STATE, Cause.ANSWER_LENGTH, None),
        # Of several reasons the first is told
        (limited(models=frozenset(), hours=Closed(2.0), tokens_per_day=0), ANSWER, STATE, Cause.MODEL, None),
    ],
)
def test_inside(who: Who, what: What, state: State, cause: Cause | None, until: float | None) -> None:
    verdict = decide(who, what, state)
    assert (verdict.cause, verdict.until) == (cause, until)
    assert verdict.admits is (cause is None)
    assert verdict.decision in (Decision.ADMIT, Decision.REFUSE)


EXPIRED = limited(expires_at=NOW)


@pytest.mark.parametrize(
    ("who", "state", "decision", "cause"),
    [
        (Who(denied=True, allowance=Allowance(mine=True)), EVERYBODY, Decision.BLOCK, Cause.BLOCKED),
        (NOBODY, STATE, Decision.REFUSE, Cause.NOT_ADMITTED),
        (NOBODY, replace(STATE, knock=True), Decision.KNOCK, Cause.NOT_ADMITTED),
        (NOBODY, replace(STATE, invites=True), Decision.KNOCK, Cause.NOT_ADMITTED),
        (EXPIRED, STATE, Decision.REFUSE, Cause.EXPIRED),
        (EXPIRED, replace(STATE, knock=True), Decision.KNOCK, Cause.EXPIRED),
        (ANN, replace(STATE, mode=AccessMode.NONE), Decision.REFUSE, Cause.NOT_ADMITTED),
    ],
)
def test_who_is_not_let_in_may_do_nothing(who: Who, state: State, decision: Decision, cause: Cause) -> None:
    assert all_acts(who, state) == {(decision, cause)}


def test_where_everybody_is_let_in_limits_end_with_their_time() -> None:
    who = limited(expires_at=NOW, tokens_per_day=0, mine=True)
    assert decide(who, ANSWER, EVERYBODY).admits
    assert decide(who, What(Act.MANAGE), EVERYBODY).cause is Cause.NOT_OWNERS


def test_every_cause_has_its_words_and_when_it_is_possible_again() -> None:
    for cause in Cause:
        verdict = replace(decide(NOBODY, LOOK, STATE), cause=cause, until=NOW + 3 * 3600 + 60)
        refusal = rejection(verdict, NOW, "ab" * 32)
        assert refusal.message.rstrip(".") and refusal.typed_fields["reason"] in {r.value for r in Reason}
        if cause in (Cause.HOURS, Cause.TOKENS, Cause.TOKENS_OF_ALL, Cause.AUDIO):
            assert refusal.typed_fields["retryAfterMs"] == 10_860_000 and "3 h 1 min" in refusal.message
            old = rejection(verdict, NOW, "ab" * 32, tells_when=False)
            assert "retryAfterMs" not in old.typed_fields and "3 h 1 min" in old.message
    assert [in_words(s) for s in (0, 59, 60, 3599, 3600, 47 * 3600, 49 * 3600)] == [
        *("1 min", "1 min", "1 min", "1 h", "1 h", "47 h", "3 days")
    ]
