"""What a guest reads of its limits: beforehand, near the end, and when they bite; and numbers of a stranger."""

from __future__ import annotations

from app.presenters.guest_terms import biting, terms_in_words
from app.views.chat_reach import reach
from qvac_core.core.guest_terms import guest_terms
from qvac_core.core.state import GuestTerms, ProviderEntry, RemoteModel
from qvac_core.delegation.messages import Terms

NOW = 1_795_532_000.0
HOUR = 3600.0
LIMITED = GuestTerms(20_000, 1_000, NOW + 10 * HOUR, 1)


def entry(terms: GuestTerms | None) -> ProviderEntry:
    return ProviderEntry("ab" * 32, "Studio", "online", models=(RemoteModel("m", "m"),), terms=terms)


def test_limits_are_told_beforehand() -> None:
    assert terms_in_words(LIMITED, NOW) == "20,000 tokens a day, 1 request at once"
    assert terms_in_words(GuestTerms(), NOW) == ""
    assert terms_in_words(GuestTerms(mine=True), NOW) == "your own machine: no limits"
    assert "until " in terms_in_words(GuestTerms(ends_at=NOW + HOUR), NOW)


def test_what_is_near_or_reached_is_told_with_when_it_goes_on() -> None:
    assert biting(LIMITED, "Studio", NOW) is None and reach(entry(LIMITED), NOW) is None
    near = GuestTerms(20_000, 17_204, NOW + 10 * HOUR)
    told = reach(entry(near), NOW)
    assert told is not None and told.clause == "Your tokens for today at Studio are running out."
    assert told.facts.startswith("2,796 of 20,000 are left. They begin anew at ") and not told.away
    spent = reach(entry(GuestTerms(20_000, 20_000, NOW + 10 * HOUR)), NOW)
    assert spent is not None and spent.clause == "Your tokens for today at Studio are used up." and spent.tone == "warn"
    assert reach(entry(GuestTerms(20_000, 20_000, NOW - 1)), NOW) is None  # a new day began meanwhile
    closed = reach(entry(GuestTerms(opens_at=NOW + HOUR)), NOW)
    assert closed is not None and closed.clause == "Studio does not serve you at this hour."


def test_a_strangers_numbers_do_no_harm() -> None:
    assert guest_terms(None, NOW) is None
    said = guest_terms(Terms(resets_in_ms=1e300, ends_in_ms=-5, closed_for_ms=float("inf"), tokens_per_day=0), NOW)
    assert said == GuestTerms(tokens_per_day=0)
