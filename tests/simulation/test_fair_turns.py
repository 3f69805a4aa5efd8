"""A provider's time is shared evenly between its guests, in hours of virtual time: twenty, a hundred, a thousand."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.turns import Turns
from tests.unit.memory_stream import run

from .fair_guests import FairGuest, busy_hours, even_shares

RUNNER = run

LIMITS = Limits()
SLOTS, PER_KEY = LIMITS.parallel, LIMITS.parallel_per_key
MOST = 1.2
"""Of its share that a key may get, at most."""


def turns() -> Turns:
    return Turns(SLOTS, LIMITS.queue_length, LIMITS.queue_length_per_key)


def key(number: int) -> bytes:
    return number.to_bytes(32)


def crowd(count: int, greedy: int) -> list[FairGuest]:
    """Every second one of the greedy asks for long answers, too."""
    return [FairGuest(key(n), 16, 10.0 if n % 2 else 5.0) if n < greedy else FairGuest(key(n)) for n in range(count)]


@pytest.mark.parametrize(
    ("guests", "greedy", "rounds"),
    [(20, 4, 60), (100, 20, 12), *(pytest.param(1000, greedy, 20, marks=pytest.mark.long) for greedy in (100, 500))],
)
async def test_no_guest_gets_much_more_than_its_share_and_everybody_gets_something(
    guests: int, greedy: int, rounds: int
) -> None:

    everybody = crowd(guests, greedy)
    seconds = rounds * 5.0 * guests / SLOTS
    await busy_hours(turns(), everybody, parallel=PER_KEY, seconds=seconds, seed=guests)
    shares = [
        guest.had / (share * seconds)
        for guest, share in zip(everybody, even_shares(everybody, SLOTS, PER_KEY), strict=True)
    ]
    assert max(shares) <= MOST, f"somebody got {max(shares):.2f} of its share"
    assert min(shares) >= 0.7, f"somebody got {min(shares):.2f} of its share"
    assert not any(guest.refused for guest in everybody if guest.at_once == 1)


@pytest.mark.parametrize("pause", [1.0, 20.0])
async def test_who_pauses_between_its_questions_loses_little_to_those_who_always_ask(pause: float) -> None:

    everybody = [FairGuest(key(n), 16) if n < 10 else FairGuest(key(n), pause=pause) for n in range(20)]
    seconds = 1200.0
    await busy_hours(turns(), everybody, parallel=PER_KEY, seconds=seconds, seed=7)
    even = SLOTS * seconds / len(everybody)
    patient = [guest.had for guest in everybody[10:]]
    # It waits one turn of the others at most: so its answers cannot come oftener than that.
    assert min(patient) >= 0.5 * min(even, seconds * 5.0 / (pause + 5.0 + even / seconds))
    assert max(guest.had for guest in everybody[:10]) <= 2 * even


async def test_newcomers_without_end_keep_nobody_waiting_for_ever() -> None:
    """Each of them is a key that never asked before; a guest that had much before still gets its turn."""

    queue, loop = turns(), asyncio.get_running_loop()
    chance = Random(5)
    stayer = FairGuest(key(0), 16, 20.0)
    end = loop.time() + 1200
    numbers = iter(range(1, 1 << 30))

    async def newcomers() -> None:
        while loop.time() < end:
            async with queue.turn(key(next(numbers)), PER_KEY):
                await asyncio.sleep(chance.uniform(2, 8))

    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(stayer.ask(queue, chance, PER_KEY, end))
        await asyncio.sleep(200)  # it had the machine for itself
        for _ in range(40):
            group.create_task(newcomers())
    # One of 41: eight slots for 1000 s are 195 s for each, and 600 it had before.
    assert stayer.had >= 600 + 100


async def test_an_hour_alone_with_an_idle_machine_is_held_against_nobody() -> None:

    queue, loop = turns(), asyncio.get_running_loop()
    chance = Random(6)
    early, other = FairGuest(key(1), 3, 30.0), FairGuest(key(2), 1, pause=20.0)
    start, free = loop.time(), 3600.0
    crowd = [FairGuest(key(n), 16) for n in range(3, 13)]
    async with asyncio.TaskGroup() as group:
        for guest in (early, other):
            for _ in range(guest.at_once):
                group.create_task(guest.ask(queue, chance, PER_KEY, start + free + 1000))
        await asyncio.sleep(free)
        before = early.had
        for guest in crowd:
            for _ in range(guest.at_once):
                group.create_task(guest.ask(queue, chance, PER_KEY, start + free + 1000))
    even = SLOTS * 1000 / 12
    assert early.had - before >= 0.8 * even
    assert all(guest.had >= 0.8 * even for guest in crowd)


async def test_the_owners_machine_waits_for_the_first_turn_that_ends_and_no_longer() -> None:

    queue, loop = turns(), asyncio.get_running_loop()
    chance = Random(8)
    end = loop.time() + 200
    waits: list[float] = []

    async def owner() -> None:
        while loop.time() < end:
            asked = loop.time()
            async with queue.turn(key(999), SLOTS, first=True):
                waits.append(loop.time() - asked)
                await asyncio.sleep(1)
            await asyncio.sleep(3)

    async with asyncio.TaskGroup() as group:
        for guest in crowd(50, 10):
            for _ in range(guest.at_once):
                group.create_task(guest.ask(queue, chance, PER_KEY, end))
        group.create_task(owner())
    assert max(waits) <= 15.0, "eight answers of at most 15 s run: one of them ends before"
    assert sorted(waits)[len(waits) // 2] <= 2.0


async def test_what_is_refused_hears_when_there_is_room() -> None:
    """Who asks again just then finds a place: nobody is sent away again and again."""

    queue = Turns(2, 64, 4)
    everybody = [FairGuest(key(n), 6) for n in range(6)]  # four wait, and at most one runs
    await busy_hours(queue, everybody, parallel=1, seconds=1000, seed=9)
    for guest in everybody:
        assert guest.refused and guest.answers
        assert 1.0 <= sum(guest.retries_after) / guest.refused <= 60.0
        assert guest.refused <= 4 * guest.answers
    shares = [guest.had / (2 * 1000 / 6) for guest in everybody]
    assert max(shares) <= MOST and min(shares) >= 0.8
