"""The policy for any guest in any state: what may never happen, and what must not make things worse."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qvac_core.delegation.policy import AccessMode, Act, Allowance, Cause, Decision, State, What, Who, decide
from qvac_core.delegation.policy_words import rejection


@dataclass(frozen=True)
class Opens:
    at: float | None

    def opens_again(self, now: float) -> float | None:
        return self.at if self.at is not None and self.at > now else None


# Drawing a whole state takes longer than deciding about it.
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
names = st.sampled_from(["", "a", "b"])
times = st.floats(0, 1e6)
counts = st.integers(0, 1000)
maybe = st.none() | counts
allowances = st.builds(
    Allowance,
    expires_at=st.none() | times,
    tokens_per_day=maybe,
    parallel=maybe,
    context_tokens=maybe,
    answer_tokens=maybe,
    models=st.none() | st.frozensets(names),
    hours=st.none() | st.builds(Opens, st.none() | times),
    mine=st.booleans(),
    extra_tokens=counts,
)
whos = st.builds(Who, denied=st.booleans(), allowance=st.none() | allowances)
whats = st.builds(What, st.sampled_from(Act), names, counts)
states = st.builds(
    State,
    now=times,
    mode=st.sampled_from(AccessMode),
    knock=st.booleans(),
    invites=st.booleans(),
    resting=st.booleans(),
    rests_until=st.none() | times,
    day_ends=times,
    used=counts,
    used_by_all=counts,
    tokens_of_all=maybe,
    heard=times,
    seconds_per_day=st.none() | times,
)


@quick
@given(whos, whats, states)
def test_a_decision_and_its_reason_belong_together(who: Who, what: What, state: State) -> None:
    verdict = decide(who, what, state)
    assert verdict == decide(who, what, state)
    assert verdict.admits is (verdict.cause is None)
    assert not verdict.admits or verdict.until is None
    if not verdict.admits:
        assert rejection(verdict, state.now, "ab" * 32).typed_fields["reason"]


@quick
@given(whos, whats, states)
def test_blocked_is_silence_whatever_else_is_said(who: Who, what: What, state: State) -> None:
    verdict = decide(replace(who, denied=True), what, state)
    assert (verdict.decision, verdict.cause) == (Decision.BLOCK, Cause.BLOCKED)


@quick
@given(whos, whats, states)
def test_who_does_not_get_in_gets_nothing(who: Who, what: What, state: State) -> None:
    door = decide(who, What(Act.CONNECT), state)
    assert door.admits or decide(who, what, state) == door
    assert decide(who, What(Act.LOOK), state) == door


@quick
@given(whos, states)
def test_only_the_owners_own_machines_manage(who: Who, state: State) -> None:
    mine = who.allowance is not None and who.allowance.mine
    assert mine or not decide(who, What(Act.MANAGE), state).admits


@quick
@given(whos, whats, states, counts, counts)
def test_having_used_more_never_helps(who: Who, what: What, state: State, more: int, longer: int) -> None:
    worse = replace(state, used=state.used + more, used_by_all=state.used_by_all + more, heard=state.heard + more)
    if decide(who, replace(what, generated=what.generated + longer), worse).admits:
        assert decide(who, what, state).admits


@quick
@given(allowances, whats, states)
def test_a_limit_that_is_lifted_never_hurts(own: Allowance, what: What, state: State) -> None:
    if decide(Who(allowance=own), what, state).admits:
        for freer in (
            replace(own, tokens_per_day=None),
            replace(own, answer_tokens=None),
            replace(own, models=None),
            replace(own, hours=None),
        ):
            assert decide(Who(allowance=freer), what, state).admits


@quick
@given(allowances, whats, states)
def test_a_later_moment_may_only_end_an_access(own: Allowance, what: What, state: State) -> None:
    """An allowance that is over stays over: nothing but the owner makes it good again."""
    over = Who(allowance=replace(own, expires_at=state.now))
    if state.mode is AccessMode.ALLOW:
        assert not decide(over, what, state).admits
        assert not decide(over, what, replace(state, now=state.now + 1)).admits
