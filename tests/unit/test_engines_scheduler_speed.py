"""What makes the scheduler fast, in virtual time: drafts, waves of short prompts, the preamble, whose turn it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvac_core.engines.interface import LOCAL_OWNER, StopReason
from qvac_core.engines.scheduler import HOLD, OWNER_HOLD
from tests.unit.scripted_backend import Bench, script

CPU: dict[str, Any] = {"seconds_per_step": 0.010, "seconds_per_token": 0.0077}  # the small model on one thread
TEXT = "It was a dark and stormy night; the rain fell in torrents, except at intervals. "


def seconds(bench: Bench) -> float:
    started = bench.backend.now
    bench.run()
    return bench.backend.now - started


# --- Drafts -----------------------------------------------------------------------------------------------------------


def edited(speculation: bool, says: str | list[int]) -> tuple[float, Bench]:
    bench = Bench(n_ctx=1200, speculation=speculation, n_batch=512, n_cells=2000, **CPU)
    bench.submit(1, script("Repeat: " + TEXT * 2), says)
    return seconds(bench), bench


def test_an_answer_that_repeats_its_prompt_is_faster() -> None:
    says = TEXT + TEXT.replace("dark", "bright")
    slow, plain = edited(False, says)
    fast, drafted = edited(True, says)
    assert plain.out.said(1) == drafted.out.said(1) == says
    assert slow / fast > 1.3
    assert plain.out.stats(1).generated_tokens == drafted.out.stats(1).generated_tokens


def test_an_answer_that_repeats_nothing_loses_little() -> None:
    says = "".join(chr(ord("A") + (number * number + number // 7) % 57) for number in range(300))
    slow, _ = edited(False, says)
    fast, drafted = edited(True, says)
    assert drafted.out.said(1) == says
    assert slow / fast > 0.98


def test_drafts_that_never_come_true_are_given_up() -> None:
    # Three tokens that come again and again, and what follows them never does.
    says = [token for number in range(90) for token in (1, 2, 3, *range(10 + 8 * number, 18 + 8 * number))]
    slow, _ = edited(False, says)
    fast, drafted = edited(True, says)
    assert slow / fast > 0.98
    tried = sum(len(batch) > 1 for batch in drafted.backend.batches[3:])
    assert 1 <= tried < 40


@given(st.text("abc", max_size=60), st.text("abc", max_size=60), st.sampled_from([None, 1, 7, 30]), st.booleans())
def test_the_text_is_that_without_drafts(prompt: str, says: str, predict: int | None, stops: bool) -> None:
    ends = []
    for speculation in (True, False):
        bench = Bench(n_ctx=100, speculation=speculation, seconds_per_step=0.01, seconds_per_token=0.0001)
        bench.submit(1, script("?" + prompt), says, predict=predict, stop=("bcb",) if stops else ())
        bench.submit(2, script("!" + prompt), says)
        bench.run()
        cells = [bench.backend.cells[slot] for slot in range(4)]
        ends.append((bench.out.said(1), bench.out.reason(1), bench.out.said(2), cells))
        assert all(sampler.closed for sampler in bench.samplers)
    assert ends[0] == ends[1]  # and nothing of a draft is left behind


def test_a_full_context_ends_a_draft_where_it_ends_an_answer() -> None:
    bench = Bench(n_ctx=60, speculation=True, seconds_per_token=0.0001)
    bench.submit(1, script("abcdefgh" * 5), "abcdefgh" * 10)
    bench.run()
    assert bench.out.reason(1) is StopReason.LENGTH
    assert len(bench.out.said(1)) == 60 - 40 + 1


def test_no_draft_comes_from_another_chat() -> None:
    text = "abcdefghijklmnopqrstuvwxyz"  # nothing twice
    bench = Bench(n_ctx=300, speculation=True, n_batch=512, slots=2, seconds_per_token=0.0001)
    bench.submit(1, script(text), text, owner="a")
    bench.run()
    assert max(map(len, bench.backend.batches[-5:])) > 1
    before = len(bench.backend.batches)
    bench.submit(2, script("?"), text, owner="a")
    bench.run()
    assert {len(batch) for batch in bench.backend.batches[before:]} == {1}


def test_a_memory_that_cannot_be_cut_has_no_drafts() -> None:
    from qvac_core.engines.checkpoints import MemoryKind

    for kind in (MemoryKind(window=8), MemoryKind(recurrent=True)):
        bench = Bench(n_ctx=600, speculation=True, n_batch=512, kind=kind, seconds_per_token=0.0001)
        bench.submit(1, script(TEXT * 2), TEXT)
        bench.run()
        assert bench.out.said(1) == TEXT
        assert {len(batch) for batch in bench.backend.batches[-len(TEXT) :]} == {1}


def test_a_draft_of_one_chat_hardly_slows_another_down() -> None:
    def pace(speculation: bool) -> float:
        bench = Bench(n_ctx=600, speculation=speculation, n_batch=512, slots=2, **CPU)
        bench.submit(1, script(TEXT), TEXT, owner="a")
        bench.submit(2, [1], "".join(chr(ord("A") + (n * n + n // 7) % 57) for n in range(200)), owner="b")
        bench.run()
        return bench.out.stats(2).tokens_per_second

    assert pace(True) > 0.75 * pace(False)


# --- Waves ------------------------------------------------------------------------------------------------------------


def firsts(bench: Bench, jobs: int) -> list[float]:
    return [bench.out.stats(job).time_to_first_token / 1000 for job in range(jobs)]


def test_eight_chats_have_their_first_tokens_one_after_another() -> None:
    bench = Bench(slots=8, n_ctx=200, n_batch=512, n_cells=4000, **CPU)
    for job in range(8):
        bench.submit(job, [job + 1] * 30, "x" * 32)
    bench.run()
    whole = 0.010 + 8 * 30 * 0.0077  # all prompts in one step, as llama.cpp's server reads them
    times = firsts(bench, 8)
    assert max(times) <= 1.06 * whole
    assert sum(times) / 8 <= 0.7 * whole


def test_a_running_chat_waits_for_no_wave() -> None:
    bench = Bench(slots=8, n_ctx=300, n_batch=512, n_cells=4000, **CPU)
    bench.submit(0, [1] * 10, "x" * 200)
    for _ in range(10):
        bench.scheduler.step()
    for job in range(1, 8):
        bench.submit(job, [job + 1] * 50, "y" * 20)
    longest = 0.0
    while bench.scheduler.waiting or len(bench.out.texts) < 8:
        said, started = len(bench.out.said(0)), bench.backend.now
        bench.scheduler.step()
        longest = max(longest, bench.backend.now - started)
        assert len(bench.out.said(0)) == said + 1
    assert longest < 0.2


def test_a_second_token_is_held_for_a_while_at_most() -> None:
    bench = Bench(slots=4, n_ctx=1000, n_batch=512, n_cells=4000, **CPU)
    bench.submit(0, [1] * 10, "x" * 200)
    for job in range(1, 4):
        bench.submit(job, [job + 1] * 250, "y" * 20)
    while len(bench.out.said(0)) < 1:
        bench.scheduler.step()
    begun = bench.backend.now
    while len(bench.out.said(0)) < 2:
        bench.scheduler.step()
    assert bench.backend.now - begun < HOLD + 0.5


def test_the_longest_gap_while_a_long_prompt_is_read() -> None:
    bench = Bench(n_ctx=3000, n_cells=12_000, n_batch=512, **CPU)
    bench.submit(1, [1, 2, 3], "x" * 400)
    for _ in range(5):
        bench.scheduler.step()
    bench.submit(2, [7] * 1500, "y")
    longest = 0.0
    while 2 not in bench.out.ends:
        said, started = len(bench.out.said(1)), bench.backend.now
        bench.scheduler.step()
        longest = max(longest, bench.backend.now - started)
        assert len(bench.out.said(1)) > said
    assert longest <= 0.2


# --- The preamble -----------------------------------------------------------------------------------------------------

PREAMBLE = list(range(500, 530))


def test_the_preamble_is_read_once_for_all_owners() -> None:
    bench = Bench(preamble=PREAMBLE)
    for job in range(3):
        bench.submit(job, [*PREAMBLE, job + 1, job + 2], "hello", owner=str(job))
        bench.run()
    assert [bench.out.stats(job).cache_tokens for job in range(3)] == [0, 30, 30]
    assert all(bench.out.said(job) == "hello" for job in range(3))


def test_a_part_of_the_preamble_is_not_shared() -> None:
    bench = Bench(preamble=PREAMBLE)
    bench.submit(1, [*PREAMBLE, 1], "hello", owner="a")
    bench.run()
    bench.submit(2, [*PREAMBLE[:-1], 1, 2], "hello", owner="b")
    bench.run()
    assert bench.out.stats(2).cache_tokens == 0


def test_no_more_than_the_preamble_is_shared() -> None:
    bench = Bench(preamble=PREAMBLE)
    for job in (1, 2):
        bench.submit(job, [*PREAMBLE, 1, 2, 3], "hello", owner=str(job))
        bench.run()
    assert bench.out.stats(2).cache_tokens == len(PREAMBLE)


def test_the_preamble_makes_room_where_there_is_none() -> None:
    bench = Bench(preamble=PREAMBLE, n_cells=62, n_ctx=60, slots=1)
    for job in (1, 2):
        bench.submit(job, [*PREAMBLE, job], "x" * 25, owner=str(job))
        bench.run()
        assert bench.out.said(job) == "x" * 25


# --- Whose turn it is -------------------------------------------------------------------------------------------------


def test_who_asks_on_this_machine_waits_for_no_guest() -> None:
    bench = Bench(slots=2)
    for job in range(4):
        bench.submit(job, [job + 1] * 5, "x" * 50, owner=f"guest {job}")
    bench.scheduler.step()
    bench.submit(9, [9] * 5, "mine", owner=LOCAL_OWNER)
    bench.run()
    assert next(iter(bench.out.ends)) == 9
    assert bench.out.said(9) == "mine"
    assert all(bench.out.said(job) == "x" * 50 for job in range(4))


def test_a_second_request_of_this_machine_waits_in_front_of_the_guests() -> None:
    bench = Bench(slots=2)
    for job in range(4):
        bench.submit(job, [job + 1] * 5, "x" * 20, owner=f"guest {job}")
    bench.scheduler.step()
    for job in (8, 9):
        bench.submit(job, [job] * 5, "y" * 60, owner=LOCAL_OWNER)
    bench.run()
    assert max(len(set(batch.slots)) for batch in bench.backend.batches) == 3
    order = list(bench.out.ends)
    assert order.index(9) > order.index(0)  # for the extra slot was taken
    assert bench.out.stats(9).time_to_first_token < bench.out.stats(2).time_to_first_token


def test_the_prompt_of_this_machine_is_read_first() -> None:
    bench = Bench(n_ctx=900, n_cells=4000, n_batch=20)
    bench.submit(1, [1] * 100, "guest", owner="guest")
    bench.scheduler.step()
    bench.submit(2, [2] * 300, "mine", owner=LOCAL_OWNER)
    bench.submit(3, [3] * 10, "guest", owner="other")
    bench.run()
    assert bench.out.stats(2).time_to_first_token < 1.5 * 300 / 15 * 0.03 * 1000
    assert set(bench.out.ends) == {1, 2, 3}


@pytest.mark.parametrize("tokens", [20, 300, 1500])
def test_the_first_token_of_this_machine_comes_as_from_an_idle_one(tokens: int) -> None:
    """Guests' answers and prompts fill all slots; it waits for the step that runs, and then for nothing."""
    times = []
    for guests in (0, 8):
        bench = Bench(slots=8, n_ctx=3000, n_cells=40_000, n_batch=512)
        bench.submit(100, [9] * 500, "x", owner="guest before")  # both know how fast this machine is
        bench.run()
        for job in range(guests):
            bench.submit(job, [job + 1] * (5 if job % 2 else 800), "x" * 400, owner=f"guest {job}")
        for _ in range(20):
            bench.scheduler.step()
        bench.submit(99, [7] * tokens, "mine", owner=LOCAL_OWNER)
        bench.run()
        assert all(bench.out.said(job) == "x" * 400 for job in range(guests))
        times.append(bench.out.stats(99).time_to_first_token)
    idle, busy = times
    assert busy <= 1.1 * idle


def test_guests_have_half_of_the_time_when_this_machine_reads_without_end() -> None:
    bench = Bench(slots=2, n_ctx=3000, n_cells=12_000, n_batch=512)
    for job in range(2):
        bench.submit(job, [job + 1] * 5, "x" * 100, owner=f"guest {job}")
    bench.scheduler.step()
    started, job = bench.backend.now, 9
    while not {0, 1} & bench.out.ends.keys():
        job += 1
        bench.submit(job, [job] * 2000, "y", owner=LOCAL_OWNER)
        while job not in bench.out.ends:
            bench.scheduler.step()
    assert bench.backend.now - started < 2 * 100 * 0.16 + 2 * OWNER_HOLD


def test_guests_never_use_the_slot_of_this_machine() -> None:
    bench = Bench(slots=2)
    for job in range(6):
        bench.submit(job, [job + 1] * 5, "abc", owner=f"guest {job}")
    bench.run()
    assert {slot for batch in bench.backend.batches for slot in batch.slots} == {0, 1}


@pytest.mark.parametrize("owners", [("a", "a", "a", "a", "a", "b"), ("a", "b", "a", "b", "a", "b")])
def test_guests_share_what_is_left(owners: tuple[str, ...]) -> None:
    bench = Bench(slots=2)
    for job, owner in enumerate(owners):
        bench.submit(job, [job + 1] * 5, "x" * 10, owner=owner)
    bench.run()
    order = [owners[job] for job in bench.out.ends]
    assert "b" in order[:2]
