"""The slot scheduler in virtual time: batches, order, endings, prefixes, failures."""

from __future__ import annotations

import pytest

from qvac_core.engines.checkpoints import MemoryKind
from qvac_core.engines.interface import StopReason
from qvac_core.engines.slots import WAITING_LIMIT
from qvac_core.errors import ModelError
from tests.unit.scripted_backend import Bench


def test_one_answer_streams_to_its_end() -> None:
    bench = Bench()
    bench.submit(1, range(1, 11), "hello")
    bench.run()
    assert bench.out.texts[1] == list("hello")
    reason, stats = bench.out.ends[1]
    assert reason is StopReason.EOS
    assert (stats.prompt_tokens, stats.generated_tokens, stats.cache_tokens) == (10, 5, 0)
    assert stats.time_to_first_token == pytest.approx(20.0)  # one step of ten tokens, in milliseconds
    assert stats.tokens_per_second == pytest.approx(1 / 0.011)
    assert all(sampler.closed for sampler in bench.samplers)


def test_a_sampler_that_fails_ends_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    for job in (1, 2):
        bench.submit(job, [job], "abcdefgh")
    bench.scheduler.step()
    failing = bench.samplers[0]

    def fail(_index: int) -> int:
        raise ModelError("The response schema is too complex for this model.")

    monkeypatch.setattr(failing, "sample", fail)
    bench.run()
    assert bench.out.failures[1].message.startswith("The response schema")
    assert 1 not in bench.out.ends
    assert bench.out.said(2) == "abcdefgh"
    assert all(sampler.closed for sampler in bench.samplers)
    bench.submit(3, [1, 2], "again")  # its slot is free, and its sequence as it was
    bench.run()
    assert bench.out.said(3) == "again"


def test_answers_advance_together() -> None:
    bench = Bench()
    for job in range(4):
        bench.submit(job, [10 * job + 1, 10 * job + 2], "abcdefgh")
    bench.run()
    assert {bench.out.said(job) for job in range(4)} == {"abcdefgh"}
    assert len(bench.backend.batches) == 9  # one for all prompts, eight for all answers and their ends
    assert bench.out.stats(2).avg_concurrent_seq == 4.0


def test_a_long_prompt_does_not_stall_a_running_answer() -> None:
    bench = Bench(n_ctx=3000, n_cells=12_000, n_batch=512)
    bench.submit(1, [1, 2, 3], "x" * 200)
    bench.scheduler.step()
    bench.submit(2, [7] * 1500, "y")
    before = bench.backend.now
    longest = 0.0
    while 2 not in bench.out.ends:
        said, started = len(bench.out.said(1)), bench.backend.now
        bench.scheduler.step()
        longest = max(longest, bench.backend.now - started)
        assert len(bench.out.said(1)) == said + 1  # a token in every step
    assert longest < 0.16
    assert bench.backend.now - before > 1.5  # the prompt alone takes that long: it was spread over many steps


def test_a_prompt_that_is_alone_takes_larger_chunks() -> None:
    bench = Bench(n_ctx=3000, n_cells=12_000, n_batch=512)
    bench.submit(1, [7] * 2000, "y")
    bench.run()
    assert max(map(len, bench.backend.batches)) > 400


def test_the_oldest_prompt_moves_on_while_shorter_ones_overtake_it() -> None:
    bench = Bench(n_ctx=900, n_cells=4000, n_batch=20)
    bench.submit(1, [5] * 800, "long")
    bench.scheduler.step()
    for job in range(2, 5):
        bench.submit(job, [job] * 100, "short")
    for _ in range(10):
        have = len(bench.backend.cells[0])
        bench.scheduler.step()
        assert len(bench.backend.cells[0]) > have


def test_never_more_than_n_batch() -> None:
    bench = Bench(n_batch=8)  # the backend asserts it
    for job in range(6):
        bench.submit(job, [job + 1] * 50, "abc")
    bench.run()
    assert len(bench.out.ends) == 6


def test_stop_sequence_across_tokens_is_not_shown() -> None:
    bench = Bench()
    bench.submit(1, [1], "one END two", stop=("END",))
    bench.run()
    assert bench.out.said(1) == "one "
    assert bench.out.reason(1) is StopReason.STOP_SEQUENCE


def test_a_partial_stop_sequence_at_the_end_is_shown() -> None:
    bench = Bench()
    bench.submit(1, [1], "one EN", stop=("END",))
    bench.run()
    assert bench.out.said(1) == "one EN"
    assert bench.out.reason(1) is StopReason.EOS


def test_predict_ends_with_length() -> None:
    bench = Bench()
    bench.submit(1, [1], "abcdef", predict=3)
    bench.run()
    assert bench.out.said(1) == "abc"
    assert bench.out.reason(1) is StopReason.LENGTH
    assert bench.out.stats(1).generated_tokens == 3


def test_a_full_context_ends_with_length() -> None:
    bench = Bench(n_ctx=20)
    bench.submit(1, [1] * 15, "abcdefghijkl")
    bench.run()
    assert bench.out.reason(1) is StopReason.LENGTH
    assert max(map(len, bench.backend.cells)) <= 20
    assert bench.out.stats(1).generated_tokens == 6  # the last one needs no cell


def test_a_prompt_that_does_not_fit_is_refused_before_any_token() -> None:
    bench = Bench(n_ctx=20)
    with pytest.raises(ModelError) as raised:
        bench.submit(1, [1] * 20)
    assert (raised.value.name, raised.value.code) == ("CONTEXT_OVERFLOW", 52421)
    assert bench.samplers[0].closed
    assert not bench.scheduler.step()


def test_cancel_frees_the_slot_at_once() -> None:
    bench = Bench(slots=1)
    bench.submit(1, [1, 2], "a" * 80)
    bench.submit(2, [3, 4], "b")
    for _ in range(5):
        bench.scheduler.step()
    assert bench.scheduler.cancel(1)
    assert bench.out.reason(1) is StopReason.CANCELLED
    assert bench.out.said(1) == "a" * 5
    bench.scheduler.step()
    assert bench.out.said(2) == "b"  # in the very next step
    assert not bench.scheduler.cancel(1)
    assert all(sampler.closed for sampler in bench.samplers[:1])


def test_cancel_of_a_waiting_answer() -> None:
    bench = Bench(slots=1)
    bench.submit(1, [1], "a")
    bench.submit(2, [2], "b")
    assert bench.scheduler.cancel(2)
    bench.run()
    assert bench.out.reason(2) is StopReason.CANCELLED
    assert bench.out.stats(2).generated_tokens == 0
    assert bench.out.said(1) == "a"


def test_waiting_is_first_come_but_fair_between_owners() -> None:
    bench = Bench(slots=2)
    for job in range(6):
        bench.submit(job, [job + 1], "aaaa", owner="greedy")
    bench.submit(9, [99], "bbbb", owner="modest")
    bench.run()
    order = list(bench.out.ends)
    assert order.index(9) < order.index(2)  # it did not wait for the six
    assert [job for job in order if job != 9] == [0, 1, 2, 3, 4, 5]


def test_too_many_waiting_are_refused() -> None:
    bench = Bench(slots=1)
    for job in range(WAITING_LIMIT):
        bench.submit(job, [1], "a")
    with pytest.raises(ModelError) as raised:
        bench.submit(999, [1], "a")
    assert raised.value.code == 52420
    assert raised.value.typed_fields == {"reason": "queue_full"}
    bench.run()
    assert len(bench.out.ends) == WAITING_LIMIT


def test_second_turn_of_a_chat_reuses_the_first() -> None:
    bench = Bench()
    bench.submit(1, [1, 2, 3, 4], "hi", owner="k")
    bench.run()
    history = [*bench.backend.cells[0], 50, 51]
    bench.submit(2, history, "again", owner="k")
    bench.run()
    assert bench.out.stats(2).cache_tokens == len(history) - 2
    assert bench.out.said(2) == "again"


def test_the_same_prompt_again_still_decodes_its_last_token() -> None:
    bench = Bench()
    for job in (1, 2):
        bench.submit(job, [1, 2, 3, 4], "hi", owner="k")
        bench.run()
    assert bench.out.stats(2).cache_tokens == 3


def test_no_prefix_is_shared_between_owners() -> None:
    bench = Bench()
    bench.submit(1, [1, 2, 3, 4, 5, 6], "hi", owner="a")
    bench.run()
    bench.submit(2, [1, 2, 3, 4, 5, 6], "hi", owner="b")
    bench.run()
    assert bench.out.stats(2).cache_tokens == 0


def test_a_busy_chat_of_the_same_owner_lends_its_prefix() -> None:
    bench = Bench()
    system = list(range(1, 30))
    bench.submit(1, [*system, 40], "a" * 60, owner="k")
    bench.scheduler.step()
    bench.submit(2, [*system, 41], "b", owner="k")
    bench.run()
    assert bench.out.stats(2).cache_tokens == len(system)
    assert bench.out.said(2) == "b"


def test_without_copying_every_chat_reads_its_own_prompt() -> None:
    bench = Bench(kind=MemoryKind(recurrent=True))
    system = list(range(1, 30))
    bench.submit(1, [*system, 40], "a" * 60, owner="k")
    bench.scheduler.step()
    bench.submit(2, [*system, 41], "b", owner="k")
    bench.run()
    assert bench.out.stats(2).cache_tokens == 0


def test_a_memory_that_cannot_be_cut_starts_again() -> None:
    bench = Bench(kind=MemoryKind(recurrent=True))
    for job in (1, 2):
        bench.submit(job, [1, 2, 3, 4], "hi", owner="k")
        bench.run()
    assert bench.out.stats(2).cache_tokens == 0
    assert bench.out.said(2) == "hi"


def test_a_failed_decode_ends_the_jobs_of_that_step_only() -> None:
    bench = Bench(slots=2)
    bench.submit(1, [1, 2], "aaaa")
    bench.submit(2, [3, 4], "bbbb")
    bench.submit(3, [5, 6], "cc")
    bench.scheduler.step()
    bench.backend.statuses = [-3]
    bench.scheduler.step()
    assert {error.code for error in bench.out.failures.values()} == {52406}
    assert set(bench.out.failures) == {1, 2}
    bench.run()
    assert bench.out.said(3) == "cc"
    assert all(sampler.closed for sampler in bench.samplers)


def test_no_room_is_tried_again_without_the_idle_chats() -> None:
    bench = Bench()
    bench.submit(1, [1, 2], "aa", owner="k")
    bench.run()
    bench.backend.statuses = [1]
    bench.submit(2, [7, 8], "bb", owner="other")
    bench.run()
    assert bench.out.said(2) == "bb"
    assert bench.backend.cells[0] == []


def test_a_small_cache_forgets_idle_chats_first() -> None:
    bench = Bench(n_ctx=30, n_cells=40, slots=4)
    for job in range(4):
        bench.submit(job, [job + 1] * 20, "abc", owner=str(job))
        bench.run()
    assert [bench.out.said(job) for job in range(4)] == [
        "abc"
    ] * 4  # the backend asserts that the cache never overflows


def test_a_cache_too_small_for_all_ends_the_longest() -> None:
    bench = Bench(n_ctx=30, n_cells=40, slots=2)
    bench.submit(1, [1] * 10, "a" * 25)
    bench.submit(2, [2] * 5, "b" * 20)
    bench.run()
    assert bench.out.reason(1) is StopReason.LENGTH
    assert bench.out.said(2) == "b" * 20


def test_a_character_across_tokens() -> None:
    bench = Bench()
    bench.submit(1, [1], "größe 🙂")
    bench.run()
    assert bench.out.texts[1] == list("größe 🙂")


def test_a_prompt_without_tokens_is_refused() -> None:
    bench = Bench()
    with pytest.raises(ModelError):
        bench.submit(1, [])
