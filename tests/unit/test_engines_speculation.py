"""Drafts from a chat's own n-grams: what is drafted, when it pays, and what becomes of a chat where it does not."""

from __future__ import annotations

import pytest

from qvac_core.engines.speculation import LONGEST_DRAFT, Speculator, lengths
from qvac_core.engines.step_cost import StepCost

CPU = (0.010, 0.0077)  # seconds of a step and of each token in it: the small model on one thread
GPU = (0.010, 0.0001)


def test_the_draft_is_what_followed_the_last_time() -> None:
    chat = Speculator([1, 2, 3, 4, 5, 6, 7, 9, 9])
    assert chat.look() == 0.0
    for token in (2, 3, 4):
        chat.add(token)
    assert chat.look() > 0.0
    assert chat.draft(3) == [5, 6, 7]


def test_a_draft_runs_on_into_itself() -> None:
    chat = Speculator([1, 2, 1, 2, 1])
    assert chat.look() > 0.0
    assert chat.draft(6) == [2, 1, 2, 1, 2, 1]


def test_the_latest_place_is_followed() -> None:
    chat = Speculator([1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3])
    assert chat.look() > 0.0
    assert chat.draft(1) == [5]


def test_a_longer_repetition_is_trusted_more() -> None:
    text = list(range(40))
    short, long = Speculator([*text, 99, 7, 8, 9]), Speculator([*text, 99, *range(20)])
    assert 0.0 < short.look() < long.look()


@pytest.mark.parametrize("prompt", [[], [1], [1, 2], [1, 2, 3]])
def test_a_chat_too_short_for_an_n_gram(prompt: list[int]) -> None:
    chat = Speculator(prompt)
    assert chat.look() == 0.0
    chat.add(1)
    assert chat.look() == 0.0


def test_a_sure_draft_is_long_and_an_unsure_one_is_none() -> None:
    assert lengths([0.97], CPU, 16, 1.0)[0] >= 6
    assert lengths([0.4], CPU, 16, 1.0) == [0]
    assert lengths([0.0], CPU, 16, 1.0) == [0]
    assert lengths([], CPU, 16, 1.0) == []
    assert lengths([0.3], GPU, 16, 1.0)[0] >= 2  # nearly free there


def test_a_draft_stays_within_every_limit() -> None:
    assert lengths([0.999], GPU, 100, 1.0) == [LONGEST_DRAFT]
    assert lengths([0.999, 0.999], GPU, 7, 1.0) in ([4, 3], [3, 4])
    assert lengths([0.999], CPU, 16, 0.05)[0] <= (0.05 - 0.0177) / 0.0077


def test_the_likeliest_chat_drafts_first_and_a_full_batch_none() -> None:
    unsure, sure = lengths([0.5, 0.95], GPU, 4, 1.0)
    assert sure > unsure
    assert sum(lengths([0.6] * 8, CPU, 16, 1.0)) == 0  # eight chats fill the step already


def test_a_chat_whose_drafts_fail_stops_drafting_and_tries_again() -> None:
    chat = Speculator([1, 2, 3, 4, 1, 2, 3])
    begun = chat.look()
    tries = 0
    while lengths([chat.look()], CPU, 16, 1.0) != [0]:
        chat.judge(1, 0)
        tries += 1
        assert tries < 20
    waited = 0
    while lengths([chat.look()], CPU, 16, 1.0) == [0]:
        chat.rest()
        waited += 1
        assert waited < 500
    assert chat.look() <= begun


def test_a_chat_whose_drafts_are_right_drafts_more() -> None:
    chat = Speculator([1, 2, 3, 4, 1, 2, 3])
    before = chat.look()
    for _ in range(20):
        chat.judge(4, 4)
    assert chat.look() > max(before, 0.9)


def test_the_cost_of_a_step_is_learned_from_steps_of_two_sizes() -> None:
    cost = StepCost()
    assert cost.line() is None
    for _ in range(1000):
        cost.observe(1, 0.0177)
    assert cost.line() is None
    cost.observe(32, 0.010 + 32 * 0.0077)
    fixed, per_token = cost.line() or (0.0, 0.0)
    assert fixed == pytest.approx(0.010, rel=0.01)
    assert per_token == pytest.approx(0.0077, rel=0.01)
    for _ in range(1000):
        cost.observe(1, 0.0177)
    assert cost.line() == pytest.approx((fixed, per_token))  # not forgotten


def test_steps_of_answers_say_more_than_those_of_prompts() -> None:
    cost = StepCost()
    cost.observe(1, 0.0177)
    cost.observe(32, 0.250, prompts=True)
    _, per_token = cost.line() or (0.0, 0.0)
    assert per_token < 0.008
    cost.observe(8, 0.0768)
    _, per_token = cost.line() or (0.0, 0.0)
    assert per_token == pytest.approx((0.0768 - 0.0177) / 7)


def test_odd_measurements_make_no_negative_cost() -> None:
    cost = StepCost()
    cost.observe(1, 0.5)
    cost.observe(16, 0.1)
    fixed, per_token = cost.line() or (-1.0, -1.0)
    assert fixed >= 0.0
    assert per_token >= 0.0
    cost.observe(0, 1.0)
    cost.observe(4096, 1.0)
    assert cost.line() == (fixed, per_token)


def followed(answer: list[int], prompt: list[int]) -> list[int]:
    """What is drafted as the next token before each token of an answer; 0 = nothing."""
    chat = Speculator(prompt)
    drafted = []
    for token in answer:
        drafted.append(chat.draft(1)[0] if chat.look() else 0)
        chat.add(token)
    return drafted


@pytest.mark.parametrize(
    "edited",
    [
        [1, 2, 3, 4, 99, 6, 7, 8, 9],  # one in the place of another
        [1, 2, 3, 4, 7, 8, 9],  # two left out
    ],
)
def test_after_an_edit_the_place_is_found_again_at_once(edited: list[int]) -> None:
    drafted = followed(edited, [1, 2, 3, 4, 5, 6, 7, 8, 9, 50])
    wrong = [token for token, guess in zip(edited[3:], drafted[3:], strict=True) if token != guess]
    assert len(wrong) == 1


def test_after_too_many_edits_the_place_is_lost() -> None:
    drafted = followed([1, 2, 3, 90, 91, 92, 93, 94, 95, 96, 97], list(range(1, 30)))
    assert drafted[3:8] == [4, 5, 6, 7, 8]
    assert drafted[-1] == 0
