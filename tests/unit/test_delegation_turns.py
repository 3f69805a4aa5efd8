"""The queue in front of the models: fair between keys, bounded per key and in all, honest about places."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from qvac_core.delegation.failures import Rejection
from qvac_core.delegation.turns import PLACES_SECONDS, Lane, Turns

from .memory_stream import run

RUNNER = run

ANN, BOB, EVE = (bytes([n]) * 32 for n in (1, 2, 3))


class Room:
    """Requests that hold their turn until they are told to go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.started: list[str] = []
        self.refused: list[str] = []
        self.places: dict[str, list[int]] = {}
        self._go: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, key: bytes, name: str, parallel: int = 1, lane: Lane | None = None) -> None:
        self.places[name] = []
        self._go[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(key, name, parallel, lane))
        await self._settle()

    async def _hold(self, key: bytes, name: str, parallel: int, lane: Lane | None) -> None:
        try:
            async with self.turns.turn(key, parallel, self.places[name].append, lane):
                self.started.append(name)
                await self._go[name].wait()
        except Rejection as error:
            assert error.typed_fields["reason"] == "queue_full" and error.typed_fields["retryAfterMs"] > 0
            self.refused.append(name)

    async def finish(self, name: str, *, after: float = 1.0) -> None:
        if after:
            await asyncio.sleep(after)
        self._go[name].set()
        await self._settle()

    async def finish_all(self) -> None:
        for go in self._go.values():
            go.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert self.turns.running == self.turns.waiting == 0

    @staticmethod
    async def _settle() -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_keys_take_turns_however_many_requests_one_has_waiting() -> None:

    room = Room(Turns(parallel=1, queue_length=64))
    for n in range(6):
        await room.ask(EVE, f"eve{n}")
    await room.ask(ANN, "ann0")
    await room.ask(ANN, "ann1")
    await room.ask(BOB, "bob0")
    assert room.places["ann0"] == [1] and room.places["bob0"] == [2] and room.places["ann1"][0] == 3
    for name in ("eve0", "ann0", "bob0", "eve1", "ann1", "eve2"):
        assert room.started[-1] == name
        await room.finish(name)
    await room.finish_all()


async def test_what_waits_for_a_slot_of_its_model_has_a_place_in_the_queue() -> None:
    """More turns than the model has slots: those that would only wait inside it were told no place."""

    room = Room(Turns(parallel=8, queue_length=64))
    model = Lane("model", 2)
    for n in range(2):
        await room.ask(EVE, f"eve{n}", parallel=3, lane=model)
    await room.ask(ANN, "ann", lane=model)
    await room.ask(BOB, "bob", lane=model)
    assert room.started == ["eve0", "eve1"]
    assert room.places["ann"] == [1] and room.places["bob"] == [2]
    await room.ask(BOB, "other model", lane=Lane("other", 1))  # BOB waits, but not for this one
    await room.ask(EVE, "no model", parallel=3)
    assert room.started[2:] == ["other model", "no model"]
    await room.finish("eve1")
    assert room.started[-1] == "ann" and room.places["bob"][-1] == 1
    await room.finish("other model")
    await room.finish("eve0")
    assert room.started[-1] == "bob"
    await room.finish_all()


async def test_keys_take_turns_in_a_lane() -> None:

    room = Room(Turns(parallel=8, queue_length=64))
    model = Lane("model", 1)
    for n in range(3):
        await room.ask(EVE, f"eve{n}", parallel=3, lane=model)
    await room.ask(ANN, "ann", parallel=3, lane=model)
    for name in ("eve0", "ann", "eve1", "eve2"):
        assert room.started[-1] == name
        await room.finish(name)
    await room.finish_all()


async def test_one_key_has_only_its_own_places_and_is_told_so() -> None:

    turns = Turns(parallel=1, queue_length=64, queue_length_per_key=4)
    room = Room(turns)
    for n in range(40):
        await room.ask(EVE, f"eve{n}", parallel=3)
    assert turns.waiting == 4 and len(room.refused) == 35
    with pytest.raises(Rejection, match="4 of your requests are waiting"):
        async with turns.turn(EVE, 3):
            raise AssertionError("a place beyond its own")
    await room.ask(ANN, "ann")
    assert "ann" not in room.refused
    await room.finish("eve0")
    assert room.started[-1] == "ann"
    await room.finish_all()


async def test_in_a_full_queue_the_last_of_the_greediest_makes_room_for_a_newcomer() -> None:

    turns = Turns(parallel=1, queue_length=6, queue_length_per_key=4)
    room = Room(turns)
    for n in range(5):
        await room.ask(EVE, f"eve{n}")
    await room.ask(BOB, "bob0")
    await room.ask(BOB, "bob1")
    assert turns.waiting == 6
    await room.ask(ANN, "ann0")
    assert room.refused == ["eve4"] and turns.waiting == 6
    await room.ask(ANN, "ann1")
    assert room.refused == ["eve4", "eve3"]
    await room.ask(ANN, "ann2")  # everybody has two: nobody has to leave for a third
    assert room.refused == ["eve4", "eve3", "ann2"] and turns.waiting == 6
    await room.finish_all()


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_comes_leaves_or_is_cancelled_no_turn_is_lost(seed: int) -> None:

    chance = Random(seed)
    turns = Turns(parallel=2, queue_length=8, queue_length_per_key=3)
    room = Room(turns)
    for n in range(120):
        lane = chance.choice((None, Lane("model", 1)))
        await room.ask(bytes([chance.randrange(5)]) * 32, str(n), parallel=chance.choice((1, 2)), lane=lane)
        assert turns.running <= 2 and turns.waiting <= 8
        if chance.random() < 0.4:
            await room.finish(chance.choice(list(room.tasks)))
        if chance.random() < 0.3:
            room.tasks[chance.choice(list(room.tasks))].cancel()
    await room.finish_all()


async def test_a_turn_that_comes_at_the_moment_of_a_cancel_goes_to_the_next() -> None:
    """A cancelled waiter hears of it only in its next step: the turn that is given before must not be lost on it."""

    room = Room(Turns(1, 4))
    for key, name in ((ANN, "first"), (BOB, "leaves"), (EVE, "stays")):
        await room.ask(key, name)
    leaving = room.tasks["leaves"]
    finishing = asyncio.create_task(room.finish("first", after=0))
    await asyncio.sleep(0)  # the first goes in the next step,
    leaving.cancel()  # and this one hears of its end behind it
    await finishing
    assert room.started == ["first", "stays"]
    await room.finish_all()


async def test_a_full_queue_takes_no_notice_of_one_that_is_just_cancelled() -> None:

    room = Room(Turns(1, 2))
    for key, name in ((ANN, "runs"), (ANN, "second"), (ANN, "third")):
        await room.ask(key, name)
    asking = asyncio.create_task(room.ask(EVE, "newcomer"))
    await asyncio.sleep(0)
    room.tasks["third"].cancel()
    await asking
    assert room.refused == [] and room.turns.waiting == 2
    await room.finish_all()


async def test_places_are_told_when_they_change_and_only_then() -> None:

    room = Room(Turns(parallel=1, queue_length=64))
    for key, name in ((ANN, "a0"), (ANN, "a1"), (ANN, "a2"), (BOB, "b0")):
        await room.ask(key, name)
    assert room.places == {"a0": [], "a1": [1, 2], "a2": [2, 3], "b0": [1]}
    await room.finish("a0")
    assert room.places == {"a0": [], "a1": [1, 2, 1], "a2": [2, 3, 2], "b0": [1]}
    await room.finish("b0")
    assert room.started == ["a0", "b0", "a1"] and room.places["a2"] == [2, 3, 2, 1]
    await room.finish_all()


async def test_who_is_refused_a_place_is_not_forgiven_what_it_had() -> None:

    room = Room(Turns(parallel=1, queue_length=2))
    cay, dan = bytes([4]) * 32, bytes([5]) * 32
    await room.ask(ANN, "long")
    await room.ask(BOB, "b")
    await room.ask(EVE, "e")
    await room.finish("long", after=100)
    assert room.started == ["long", "b"]
    await room.ask(cay, "c")
    await room.ask(ANN, "none left")
    assert room.refused == ["none left"]
    await room.finish("b")
    await room.ask(ANN, "again")
    await room.finish("e")
    await room.ask(dan, "d")
    await room.finish("c")
    assert room.started == ["long", "b", "e", "c", "d"]
    await room.finish_all()


async def test_a_newcomer_in_a_crowd_costs_no_look_at_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of questions is given places or sent away; the answers of others go on meanwhile."""
    room = Room(Turns(parallel=1, queue_length=202))
    for number in range(200):
        await room.ask((1000 + number).to_bytes(32), f"g{number}")
    await asyncio.sleep(PLACES_SECONDS + 0.1)
    looked, had = 0, Turns._had

    def counted(turns: Turns, account: Any) -> float:
        nonlocal looked
        looked += 1
        return had(turns, account)

    monkeypatch.setattr(Turns, "_had", counted)
    for number in range(6):
        await room.ask(ANN, f"a{number}")
    assert looked <= 12
    assert room.places["a0"] == [200] and room.refused == ["a3", "a4", "a5"]
    await room.finish_all()
