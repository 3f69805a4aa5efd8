"""Chats on the host: their budget, whose they are, which go first; and how far back a memory can go."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.engines import state_cache
from qvac_core.engines.checkpoints import CHECKPOINTS, Checkpoint, MemoryKind, best_checkpoint, reach, thinned
from qvac_core.engines.state_cache import SavedChat, StateCache, budget_of
from tests.unit.scripted_backend import Bench

PLENTY = 1 << 50


def cache_of(budget: int) -> StateCache:
    return StateCache(budget, free=lambda: PLENTY)


def chat(tokens: list[int], size: int = 10, owner: str = "k") -> SavedChat:
    return SavedChat(owner, tokens, bytearray(size))


def test_the_longest_beginning_of_the_owners_chats_is_found() -> None:
    cache = cache_of(100)
    short, long = chat([1, 2, 3]), chat([1, 2, 4, 5])
    for one in (short, long, chat([1, 2, 4, 5, 6], owner="other")):
        cache.put(one)
    found = cache.find("k", [1, 2, 4, 5, 6])
    assert found is not None and found.chat is long and found.shared == 4
    assert cache.find("k", [9]) is None
    assert cache.find("", [1, 2, 3]) is None


def test_the_least_recently_used_goes_first() -> None:
    cache = cache_of(30)
    chats = [chat([number]) for number in range(3)]
    for one in chats:
        cache.put(one)
    cache.touch(chats[0])
    cache.put(chat([7]))
    assert cache.find("k", [0]) and cache.find("k", [2]) and cache.find("k", [7])
    assert cache.find("k", [1]) is None


def test_nobody_pushes_out_all_of_anothers_chats() -> None:
    cache = cache_of(50)
    cache.put(chat([1], owner="modest"))
    for number in range(50):
        cache.put(chat([number], owner="greedy"))
    assert cache.find("modest", [1])
    assert len(cache) == 5


def test_what_a_chat_has_grown_from_is_not_kept_beside_it() -> None:
    cache = cache_of(100)
    cache.put(chat([1, 2]))
    cache.put(chat([1, 2, 3]))
    assert len(cache) == 1 and cache.used == 10


def test_what_is_larger_than_the_budget_costs_the_others_nothing() -> None:
    cache = cache_of(25)
    cache.put(chat([1]))
    cache.put(chat([2], size=26))
    assert cache.find("k", [1]) and cache.find("k", [2]) is None
    assert not cache.hold(26)
    assert cache.hold(20)  # the others make way for what runs
    assert cache.find("k", [1]) is None and cache.used == 20
    cache.release(20)
    assert cache.used == 0


def test_the_machines_last_memory_is_left_alone() -> None:
    free = state_cache.LEFT_FREE + 15
    cache = StateCache(1000, free=lambda: free)
    cache.put(chat([1]))
    free = state_cache.LEFT_FREE - 100
    cache.put(chat([2]))
    assert len(cache) == 1 and cache.find("k", [2])


def test_the_budget_is_what_was_asked_for_or_a_share_of_what_is_free() -> None:
    assert budget_of(0) == 0
    assert budget_of(12345) == 12345
    assert 0 < budget_of(-1) <= state_cache.LARGEST_BUDGET


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.sampled_from("ab"))), st.integers(0, 100))
def test_never_more_than_the_budget(todo: list[tuple[int, int, str]], budget: int) -> None:
    cache = cache_of(budget)
    for token, size, owner in todo:
        cache.put(chat([token], size, owner))
        assert 0 <= cache.used <= budget


def test_how_far_back_a_memory_goes() -> None:
    plain, window, recurrent = MemoryKind(), MemoryKind(window=8), MemoryKind(recurrent=True)
    assert reach(plain, 0, 100, 3)
    assert reach(window, 92, 100, 99) and not reach(window, 92, 100, 98)
    assert reach(window, 0, 20, 3)  # nothing was overwritten yet
    assert not reach(window, -1, 20, 3)
    assert reach(recurrent, 99, 100, 100) and not reach(recurrent, 99, 100, 99)


def test_checkpoints_are_spread_and_the_last_one_stays() -> None:
    marks = [Checkpoint(tokens, bytearray()) for tokens in (*range(100, 2000, 100), 2001, 2002)]
    kept = [one.tokens for one in thinned(marks)]
    assert len(kept) == CHECKPOINTS and kept[-1] == 2002
    assert max(b - a for a, b in itertools.pairwise(kept)) <= 700
    recurrent, window = MemoryKind(recurrent=True), MemoryKind(window=8)
    assert best_checkpoint(recurrent, marks, 250) == (marks[1], 200)
    assert best_checkpoint(recurrent, marks, 299) == (marks[1], 200)
    assert best_checkpoint(window, marks, 299) == (marks[2], 299)
    assert best_checkpoint(recurrent, marks, 99) is None


# --- With the scheduler -----------------------------------------------------------------------------------------------

QUESTION = list(range(1, 31))


def test_a_chat_comes_back_to_a_slot_that_others_had() -> None:
    bench = Bench(slots=1, cache=cache_of(PLENTY))
    bench.submit(1, QUESTION, "answer", owner="k")
    bench.run()
    history = [*bench.backend.cells[0], 50, 51]
    bench.submit(2, list(range(60, 90)), "other", owner="other")
    bench.run()
    bench.submit(3, history, "again", owner="k")
    bench.run()
    assert bench.out.stats(3).cache_tokens == len(history) - 2
    bench.submit(4, QUESTION, "mine", owner="other")
    bench.run()
    assert bench.out.stats(4).cache_tokens == 0


def test_a_state_that_is_not_taken_costs_the_time_and_nothing_else() -> None:
    bench = Bench(slots=1, cache=cache_of(PLENTY), deaf=True)
    for job, prompt in enumerate([QUESTION, list(range(60, 90)), QUESTION]):
        bench.submit(job, prompt, "answer", owner="k")
        bench.run()
    assert bench.out.stats(2).cache_tokens == 0
    assert bench.out.said(2) == "answer"


def test_a_beginning_that_many_chats_share_stays_on_the_host() -> None:
    bench = Bench(slots=1, cache=cache_of(PLENTY))
    system = list(range(100, 120))
    bench.submit(1, [*system, *range(1, 41)], "answer", owner="k")
    bench.submit(2, list(range(60, 90)), "other", owner="other")
    bench.submit(3, [*system, 5], "short", owner="k")
    bench.submit(4, [*system, *range(1, 41)], "again", owner="k")
    bench.run()
    assert bench.out.stats(3).cache_tokens == len(system)
    assert bench.out.stats(4).cache_tokens == 59


def test_idle_chats_make_way_for_running_ones_and_come_back() -> None:
    bench = Bench(slots=3, n_cells=100, cache=cache_of(PLENTY))
    for job in range(3):
        bench.submit(job, [job + 1] * 40, "answer", owner="k")
        bench.run()
    bench.submit(3, [1] * 40, "back", owner="k")
    bench.run()
    assert bench.out.stats(3).cache_tokens == 39


def test_a_memory_grows_before_an_idle_chat_leaves_it() -> None:
    bench = Bench(slots=3, n_cells=50, most_cells=300)
    for job in range(3):
        bench.submit(job, [job + 1] * 40, "answer", owner="k")
        bench.run()
    bench.submit(3, [1] * 40, "back", owner="k")
    bench.run()
    assert bench.out.stats(3).cache_tokens == 39
    assert bench.backend.n_cells > 120


def test_a_sliding_window_goes_back_to_a_checkpoint() -> None:
    for kind in (MemoryKind(window=8), MemoryKind(recurrent=True)):
        bench = Bench(slots=1, kind=kind, cache=cache_of(PLENTY))
        bench.submit(1, QUESTION, "a long answer to it", owner="k")
        bench.run()
        turn = [*bench.backend.cells[0], *range(40, 50)]
        bench.submit(2, turn, "another long answer", owner="k")
        bench.run()
        bench.submit(3, turn, "said anew", owner="k")  # the same question again
        bench.run()
        assert bench.out.stats(3).cache_tokens == len(turn) - 1
        edited = [*turn[:-10], *range(70, 80)]
        bench.submit(4, edited, "to another question", owner="k")
        bench.run()
        assert bench.out.stats(4).cache_tokens == len(turn) - 10  # where the turn begins
        assert bench.out.said(4) == "to another question"


def test_checkpoints_travel_to_the_host_and_back() -> None:
    bench = Bench(slots=1, kind=MemoryKind(recurrent=True), cache=cache_of(PLENTY))
    bench.submit(1, QUESTION, "a long answer to it", owner="k")
    bench.submit(2, list(range(60, 90)), "other", owner="other")
    bench.submit(3, QUESTION, "said anew", owner="k")
    bench.run()
    assert bench.out.stats(3).cache_tokens == len(QUESTION) - 1


def test_an_answer_that_waits_for_others_is_not_ended_where_the_memory_can_grow() -> None:
    """A step that fills the cells to the last one, while an answer holds its second token."""
    bench = Bench(n_ctx=200, slots=3, n_batch=34, n_cells=68, most_cells=1000)
    for job, length in enumerate([30, 60, 60]):
        bench.submit(job, [job + 1] * length, "a" * 20)
    bench.run()
    assert [bench.out.said(job) for job in range(3)] == ["a" * 20] * 3


@pytest.mark.parametrize("kind", [MemoryKind(), MemoryKind(window=8), MemoryKind(recurrent=True)])
def test_what_there_is_no_room_for_is_not_even_copied(kind: MemoryKind) -> None:
    bench = Bench(slots=1, kind=kind, cache=cache_of(20))
    for job, owner in enumerate(["k", "other", "k"]):
        bench.submit(job, QUESTION, "answer", owner=owner)
        bench.run()
    assert bench.backend.saves == 0
    assert bench.out.stats(2).cache_tokens == 0
