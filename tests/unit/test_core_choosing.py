"""Who is asked first: a table of what is known of providers, and what holds for all of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.core.choosing import (
    CLEARLY,
    LOAD_RATE,
    LOAD_SECONDS,
    UNKNOWN_FIRST_WORD,
    Standing,
    choose,
    same_model,
    seconds_to_answer,
    standing_as_told,
)
from qvac_core.core.state import ProviderEntry, RemoteModel, Target
from qvac_core.core.waiting_times import MOST_WAIT
from qvac_core.store.settings import FirstAsked

ONE, OTHER = "aa" * 32, "bb" * 32
STUDIO = Standing(Target("01" * 32), "Studio", sha256=ONE)
WORKSHOP = Standing(Target("02" * 32), "Workshop", sha256=ONE)
LAPTOP = Standing(Target("03" * 32), "Laptop", sha256=OTHER)
ORDER, SAME, QUICKEST = FirstAsked.ORDER, FirstAsked.SAME_MODEL, FirstAsked.QUICKEST


@pytest.mark.parametrize(
    ("manner", "order", "name", "why"),
    [
        # Nothing tells them apart: the person's order.
        (SAME, (STUDIO, WORKSHOP), "Studio", ""),
        (QUICKEST, (WORKSHOP, STUDIO), "Workshop", ""),
        # A line, where somebody else has the same model and none.
        (SAME, (replace(STUDIO, wait=42.0), WORKSHOP), "Workshop", "Studio has a line of about 40 s."),
        (SAME, (replace(STUDIO, wait=400.0), WORKSHOP), "Workshop", "Studio has a line of about 390 s."),
        (SAME, (replace(STUDIO, wait=3.4), WORKSHOP), "Workshop", "Studio has a line of about 3 s."),
        (ORDER, (replace(STUDIO, wait=42.0), WORKSHOP), "Studio", ""),
        # Not for less than one notices, nor for a small part of the wait.
        (SAME, (replace(STUDIO, wait=0.9), WORKSHOP), "Studio", ""),
        (SAME, (replace(STUDIO, wait=60.0), replace(WORKSHOP, wait=50.0)), "Studio", ""),
        (
            SAME,
            (replace(STUDIO, wait=60.0), replace(WORKSHOP, wait=30.0)),
            "Workshop",
            "Studio has a line of about 60 s.",
        ),
        # Another model only where a person lets it.
        (SAME, (replace(STUDIO, wait=42.0), LAPTOP), "Studio", ""),
        (QUICKEST, (replace(STUDIO, wait=42.0), LAPTOP), "Laptop", "Studio has a line of about 40 s."),
        (SAME, (replace(STUDIO, wait=42.0), LAPTOP, WORKSHOP), "Workshop", "Studio has a line of about 40 s."),
        # A cold model costs its loading.
        (
            SAME,
            (replace(STUDIO, loaded=False, size_bytes=20 * 10**9), WORKSHOP),
            "Workshop",
            "Studio would have to load the model.",
        ),
        (SAME, (replace(STUDIO, loaded=False, size_bytes=20 * 10**9), replace(WORKSHOP, wait=30.0)), "Studio", ""),
        # How soon they were seen to answer, and the way there.
        (
            SAME,
            (replace(STUDIO, first_word=6.0), replace(WORKSHOP, first_word=0.4)),
            "Workshop",
            "Studio is slower now.",
        ),
        (SAME, (replace(STUDIO, rtt=2.5), WORKSHOP), "Workshop", "Studio is slower now."),
        # Who is away is passed over, and of who is not connected nothing is expected.
        (ORDER, (replace(STUDIO, away=True), WORKSHOP), "Workshop", "Studio is away."),
        (SAME, (replace(STUDIO, away=True), LAPTOP), "Laptop", "Studio is away."),
        (SAME, (replace(STUDIO, away=True), replace(WORKSHOP, away=True)), "Studio", ""),
        (SAME, (replace(STUDIO, wait=42.0), replace(WORKSHOP, connected=False)), "Studio", ""),
        (SAME, (replace(STUDIO, connected=False), WORKSHOP), "Studio", ""),
        # Where nobody tells a checksum, the name says which model it is.
        (
            SAME,
            (
                replace(STUDIO, sha256="", source="LLAMA_3", first_word=8.0),
                replace(WORKSHOP, sha256="", source="LLAMA_3"),
            ),
            "Workshop",
            "Studio is slower now.",
        ),
        (SAME, (replace(STUDIO, sha256="", first_word=8.0), replace(WORKSHOP, sha256="")), "Studio", ""),
    ],
)
def test_who_is_asked_first_and_why(manner: FirstAsked, order: tuple[Standing, ...], name: str, why: str) -> None:
    choice = choose(order, manner)
    assert (next(one.name for one in order if one.target == choice.target), choice.why) == (name, why)


def test_what_is_expected_of_one() -> None:
    assert seconds_to_answer(STUDIO) == UNKNOWN_FIRST_WORD
    assert seconds_to_answer(replace(STUDIO, first_word=0.2, rtt=0.3, wait=4.0)) == pytest.approx(4.3)
    cold = replace(STUDIO, loaded=False, size_bytes=int(2 * LOAD_RATE), first_word=0.2)
    assert seconds_to_answer(cold) == pytest.approx(0.2 + LOAD_SECONDS + 2.0)
    assert seconds_to_answer(replace(STUDIO, away=True)) == math.inf


def test_the_same_model_is_the_same_file_or_name() -> None:
    assert same_model(STUDIO, WORKSHOP) and not same_model(STUDIO, LAPTOP)
    named = replace(STUDIO, sha256="", source="M")
    assert same_model(named, replace(WORKSHOP, source="M")) and not same_model(named, replace(WORKSHOP, source="N"))


seconds = st.floats(0.0, 1000.0)
standings = st.builds(
    lambda number, **known: Standing(Target(f"{number:064x}"), f"P{number}", **known),
    st.integers(0, 1000),
    away=st.booleans(),
    connected=st.booleans(),
    wait=seconds,
    loaded=st.booleans(),
    size_bytes=st.integers(0, 10**11),
    rtt=st.floats(0.0, 5.0),
    first_word=st.none() | st.floats(0.0, 60.0),
    sha256=st.sampled_from(("", ONE, OTHER)),
    source=st.sampled_from(("", "M", "N")),
)
orders = st.lists(standings, min_size=1, max_size=5, unique_by=lambda one: one.target)


@given(orders, st.sampled_from(FirstAsked))
def test_it_is_one_of_them_that_can_be_asked_and_costs_no_time(order: list[Standing], manner: FirstAsked) -> None:
    choice = choose(order, manner)
    chosen = next(one for one in order if one.target == choice.target)
    present = [one for one in order if not one.away]
    if not present:
        assert chosen is order[0]
        return
    assert not chosen.away
    assert bool(choice.why) == (chosen is not order[0])
    if chosen is not present[0]:
        assert manner is not FirstAsked.ORDER and chosen.connected
        assert seconds_to_answer(chosen) <= seconds_to_answer(present[0]) - CLEARLY
    if manner is FirstAsked.SAME_MODEL and chosen is not present[0]:
        assert same_model(chosen, present[0])


@given(orders, seconds, st.sampled_from(FirstAsked))
def test_more_waiting_at_all_others_never_takes_a_question_away(
    order: list[Standing], more: float, manner: FirstAsked
) -> None:
    chosen = choose(order, manner).target
    later = [one if one.target == chosen else replace(one, wait=one.wait + more) for one in order]
    assert choose(later, manner).target == chosen


@pytest.mark.parametrize(
    ("wait_ms", "seconds"), [(0.0, 0.0), (2500.0, 2.5), (-5.0, 0.0), (1e300, MOST_WAIT), (math.inf, MOST_WAIT)]
)
def test_a_wait_is_what_a_provider_says_within_a_day(wait_ms: float, seconds: float) -> None:
    entry = ProviderEntry(STUDIO.target.provider_key, "Studio", "online", 40.0)
    told = standing_as_told(STUDIO.target, entry, RemoteModel("Smol", "SMOL", sha256=ONE, wait_ms=wait_ms))
    assert (told.wait, told.rtt, told.connected, told.loaded) == (seconds, 0.04, True, False)
    assert choose((told, WORKSHOP), SAME).target in (told.target, WORKSHOP.target)
