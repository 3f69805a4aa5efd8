"""The scheduler keeps its invariants whatever comes; answers' text survives any split of bytes into tokens."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from qvac_core.engines.answer_text import AnswerText
from qvac_core.engines.checkpoints import MemoryKind
from qvac_core.engines.interface import StopReason
from qvac_core.engines.slots import common_prefix
from qvac_core.engines.state_cache import StateCache
from qvac_core.errors import ModelError
from tests.unit.scripted_backend import Bench, script

TEXT = "ab"  # few letters: prefixes and stop sequences meet often

jobs = st.tuples(
    st.lists(st.integers(1, 3), min_size=1, max_size=35),  # prompt
    st.text("xyü", max_size=12),  # what the model says
    st.sampled_from(["", "a", "b"]),  # owner
    st.sampled_from([None, 1, 5]),  # predict
)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), jobs),
        st.tuples(st.just("step"), st.integers(1, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("fail"), st.sampled_from([1, -1, -3])),
    ),
    max_size=40,
)


@given(
    actions,
    st.integers(1, 4),
    st.sampled_from([4, 7, 64]),
    st.sampled_from([30, 60, 1000]),
    st.sampled_from([MemoryKind(), MemoryKind(window=4), MemoryKind(window=17), MemoryKind(recurrent=True)]),
    st.sampled_from([120, 400]),
    st.sampled_from([0, 500, 100_000]),
    st.booleans(),
    st.booleans(),
)
def test_every_answer_ends_once_with_its_own_text(
    todo: list[tuple[str, object]],
    slots: int,
    n_batch: int,
    n_cells: int,
    kind: MemoryKind,
    most_cells: int,
    budget: int,
    deaf: bool,
    speculation: bool,
) -> None:
    cache = StateCache(budget, free=lambda: 1 << 40)
    bench = Bench(
        n_ctx=40,
        cache=cache,
        slots=slots,
        n_batch=n_batch,
        n_cells=n_cells,
        most_cells=most_cells,
        kind=kind,
        deaf=deaf,
        speculation=speculation,
    )
    submitted: dict[int, tuple[list[int], str, str, int | None]] = {}
    for action, value in todo:
        if action == "submit":
            job = value
            assert isinstance(job, tuple)
            prompt, says, owner, predict = job
            try:
                bench.submit(len(submitted), prompt, says, owner=owner, predict=predict)
            except ModelError:
                continue
            submitted[len(submitted)] = job
        elif action == "step":
            assert isinstance(value, int)
            for _ in range(value):
                bench.scheduler.step()
        elif action == "cancel":
            assert isinstance(value, int)
            bench.scheduler.cancel(value)
        else:
            assert isinstance(value, int)
            bench.backend.statuses.append(value)
        assert cache.used <= budget
    bench.run()
    assert set(bench.out.ends) | set(bench.out.failures) == set(submitted)
    assert all(sampler.closed for sampler in bench.samplers)
    for job_id, (reason, stats) in bench.out.ends.items():
        prompt, says, owner, predict = submitted[job_id]
        said = bench.out.said(job_id)
        assert says.startswith(said)
        if reason is StopReason.EOS:
            assert said == says
            assert predict is None or stats.generated_tokens < predict
        if reason is StopReason.LENGTH and max(n_cells, most_cells) >= 400:  # there was room for all of them
            assert stats.generated_tokens == predict or len(prompt) + stats.generated_tokens > 40
        earlier = [
            [*other[0], *script(other[1])]
            for other_id, other in submitted.items()
            if other_id < job_id and other[2] == owner
        ]
        assert stats.cache_tokens <= max((common_prefix(prompt, tokens) for tokens in earlier), default=0)
        assert stats.cache_tokens < len(prompt)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def shown(text: AnswerText, tokens: list[bytes]) -> str:
    parts = []
    for token in tokens:
        parts.append(text.push(token))
        if text.stopped:
            return "".join(parts)
    return "".join([*parts, text.finish()])


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_any_split_of_bytes_gives_the_text(text: str, cuts: list[int]) -> None:
    assert shown(AnswerText(), pieces(text.encode("utf-8"), cuts)) == text


@given(st.text(TEXT, max_size=30), st.text(TEXT, min_size=1, max_size=4), st.lists(st.integers(0, 1000)))
def test_one_stop_sequence_cuts_at_its_first_place(text: str, stop: str, cuts: list[int]) -> None:
    answer = AnswerText([stop])
    assert shown(answer, pieces(text.encode(), cuts)) == text.split(stop)[0]
    assert answer.stopped == (stop in text)


@given(
    st.text(TEXT + "ü", max_size=30),
    st.lists(st.text(TEXT + "ü", max_size=4), max_size=4),
    st.lists(st.integers(0, 1000)),
)
def test_no_stop_sequence_is_ever_shown(text: str, stops: list[str], cuts: list[int]) -> None:
    answer = AnswerText(stops)
    said = shown(answer, pieces(text.encode(), cuts))
    real = [stop for stop in stops if stop]
    assert text.startswith(said)
    assert not any(stop in said for stop in real)
    assert answer.stopped == any(stop in text for stop in real)
    if not answer.stopped:
        assert said == text


@given(st.binary(max_size=40), st.lists(st.integers(0, 100)))
def test_bytes_that_are_no_text_do_no_harm(data: bytes, cuts: list[int]) -> None:
    whole = data.decode("utf-8", "replace")
    said = shown(AnswerText(), pieces(data, cuts))
    assert whole.startswith(said)
    assert len(whole) - len(said) <= 3  # the cut character at the end is left out
