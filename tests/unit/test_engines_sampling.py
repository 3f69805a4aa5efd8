"""What a model's file says about sampling, and what goes over it."""

from __future__ import annotations

from typing import Any

import pytest

from qvac_core.engines.interface import SamplingParams
from qvac_core.engines.request_defaults import merge_sampling
from qvac_core.engines.sampling import decide, sampling_of_file

FILE: dict[str, Any] = {
    "general.sampling.temp": 0.3,
    "general.sampling.top_k": 20,
    "general.sampling.top_p": 0.8,
    "general.sampling.min_p": 0.0,
    "general.sampling.penalty_repeat": 1.05,
}


def test_the_file_decides_where_nobody_else_does() -> None:
    own = sampling_of_file(FILE)
    assert own == SamplingParams(temp=0.3, top_k=20, top_p=0.8, min_p=0.0, repeat_penalty=1.05)
    decided = decide(merge_sampling(SamplingParams(top_k=5, seed=1), own))
    assert (decided.temp, decided.top_k, decided.top_p, decided.min_p, decided.repeat_penalty) == (
        0.3,
        5,
        0.8,
        0.0,
        1.05,
    )
    plain = decide(merge_sampling(SamplingParams(), sampling_of_file({})))
    assert (plain.temp, plain.top_k, plain.top_p, plain.min_p) == (0.8, 40, 0.95, 0.05)


@pytest.mark.parametrize("value", ["0.5", True, float("nan"), float("inf"), (1,), None])
def test_what_is_no_number_says_nothing(value: object) -> None:
    assert sampling_of_file({"general.sampling.temp": value}) == SamplingParams()


def test_a_number_out_of_range_is_brought_into_it() -> None:
    assert decide(sampling_of_file({"general.sampling.temp": -3.0, "general.sampling.top_p": 9.0})).greedy
