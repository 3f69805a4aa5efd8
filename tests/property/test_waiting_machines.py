"""What waits: the queue of answers at a provider, and the providers that are being brought back. In jumping time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qvac_core.core.reconnecting import FIRST_PAUSE, JITTER, LONGEST_PAUSE, Reconnecting
from qvac_core.delegation.turns import Turns
from qvac_core.errors import DelegationError, NetworkError
from tests.simulation.virtual_loop import VirtualLoop
from tests.unit.memory_stream import settle

PARALLEL, QUEUE, QUEUE_PER_KEY = 3, 5, 3
OWN_LIMITS = {b"a": 1, b"b": 2, b"c": 5}


class LoopMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop(0.0)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(coroutine)

    def settle(self) -> None:
        self.run(settle())

    def teardown(self) -> None:
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()


class Asker:
    """One request: it waits for its turn, holds it until told, and knows its place."""

    def __init__(self, number: int, key: bytes) -> None:
        self.number = number
        self.key = key
        self.place: int | None = None
        self.running = False
        self.refused = False
        self.finish = asyncio.Event()
        self.task: asyncio.Task[None]

    async def ask(self, turns: Turns) -> None:
        try:
            async with turns.turn(self.key, OWN_LIMITS[self.key], partial(setattr, self, "place")):
                self.running = True
                await self.finish.wait()
        except DelegationError:
            self.refused = True
        finally:
            self.running = False


class TurnsMachine(LoopMachine):
    """Bounded in all and per key, in order within a key, and neither a turn nor a place is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns(PARALLEL, QUEUE, QUEUE_PER_KEY)
        self.askers: list[Asker] = []
        self.number = 0

    @rule(key=st.sampled_from(sorted(OWN_LIMITS)))
    def ask(self, key: bytes) -> None:
        own = sum(asker.key == key and not asker.running for asker in self.askers)
        full = self.turns.waiting >= QUEUE or own >= QUEUE_PER_KEY
        self.number += 1
        asker = Asker(self.number, key)
        asker.task = self.loop.create_task(asker.ask(self.turns))
        self.askers.append(asker)
        self.settle()
        assert not asker.refused or full

    @precondition(lambda self: self.askers)
    @rule(index=st.integers(0, 20), cancelled=st.booleans(), at_once=st.booleans())
    def finish(self, index: int, cancelled: bool, at_once: bool) -> None:
        asker = self.askers[index % len(self.askers)]
        if cancelled:
            asker.task.cancel()
        asker.finish.set()
        if not at_once:
            self.settle()

    @precondition(lambda self: self.turns.waiting)
    @rule(first=st.integers(0, 2), second=st.integers(0, 4))
    def one_goes_as_the_next_gives_up(self, first: int, second: int) -> None:
        """A turn that is handed to somebody who is being cancelled goes on to the next."""
        running = [asker for asker in self.askers if asker.running]
        waiting = [asker for asker in self.askers if not asker.running]

        async def hand_over() -> None:
            running[first % len(running)].finish.set()
            await asyncio.sleep(0)
            waiting[second % len(waiting)].task.cancel()

        self.run(hand_over())

    @invariant()
    def the_queue_is_in_order(self) -> None:
        self.settle()
        self.askers = [asker for asker in self.askers if not asker.task.done()]
        running = [asker for asker in self.askers if asker.running]
        waiting = [asker for asker in self.askers if not asker.running]
        assert self.turns.running == len(running) <= PARALLEL
        assert self.turns.waiting == len(waiting) <= QUEUE
        assert sorted(asker.place or 0 for asker in waiting) == list(range(1, len(waiting) + 1))
        for key in OWN_LIMITS:
            places = [asker.place or 0 for asker in waiting if asker.key == key]
            assert places == sorted(places), "first come, first served within one key"
            assert len(places) <= QUEUE_PER_KEY
        counts = {key: sum(asker.key == key for asker in running) for key in OWN_LIMITS}
        assert all(counts[key] <= limit for key, limit in OWN_LIMITS.items())
        if len(running) < PARALLEL:
            assert all(counts[asker.key] >= OWN_LIMITS[asker.key] for asker in waiting), "nobody waits for nothing"

    def teardown(self) -> None:
        for asker in self.askers:
            asker.finish.set()
        self.settle()
        self.settle()
        assert (self.turns.running, self.turns.waiting) == (0, 0)
        super().teardown()


TestTurnsMachine = TurnsMachine.TestCase
TestTurnsMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class ReconnectingMachine(LoopMachine):
    """Lost, hurried, stopped and waited for in any order: one try at a time for each, with bounded pauses."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = dict.fromkeys("xyz", "fails")
        self.trying: dict[str, asyncio.Event] = {}
        self.tries: dict[str, list[float]] = {key: [] for key in "xyz"}
        self.hurried = -1.0
        self.again = Reconnecting(self.connect, lambda error: error.name == "REFUSED", chance=Random(1))

    async def connect(self, key: str) -> None:
        assert key not in self.trying, "one try at a time"
        self.tries[key].append(self.loop.time())
        self.trying[key] = asyncio.Event()
        try:
            if self.answers[key] == "hangs":
                await self.trying[key].wait()
            if self.answers[key] == "refuses":
                raise NetworkError("no", name="REFUSED")
            if self.answers[key] != "comes back":
                raise NetworkError("away", name="PEER_NOT_FOUND")
        finally:
            del self.trying[key]

    @rule(key=st.sampled_from("xyz"), answer=st.sampled_from(["fails", "fails", "hangs", "refuses", "comes back"]))
    def will_answer(self, key: str, answer: str) -> None:
        self.answers[key] = answer
        if key in self.trying:
            self.trying[key].set()
        self.settle()

    @rule(key=st.sampled_from("xyz"))
    def lose(self, key: str) -> None:
        under_way = key in self.again.keys
        before = len(self.tries[key])

        async def lose() -> None:
            self.again.lost(key)
            await settle()

        self.run(lose())
        assert len(self.tries[key]) == before + (0 if under_way else 1), "the first try comes at once, and only one"

    @rule(key=st.sampled_from("xyz"))
    def stop(self, key: str) -> None:
        async def stop() -> None:
            self.again.stop(key)
            await settle()

        self.run(stop())
        assert key not in self.again.keys and key not in self.trying and self.again.pause(key) == 0

    @rule()
    def hurry(self) -> None:
        waiting = self.again.keys - self.trying.keys()
        before = {key: len(self.tries[key]) for key in waiting}

        async def hurry() -> None:
            self.again.hurry()
            await settle()

        self.run(hurry())
        assert all(len(self.tries[key]) > before[key] for key in waiting), "all try again at once"

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 100.0]))
    def wait(self, seconds: float) -> None:
        before = {key: len(self.tries[key]) for key in self.again.keys - self.trying.keys()}
        self.run(asyncio.sleep(seconds))
        self.settle()
        for key, count in before.items():
            tried = len(self.tries[key]) - count
            assert tried <= 2 + seconds / (FIRST_PAUSE * (1 - JITTER)), "never faster than the first pause"
            if seconds > LONGEST_PAUSE * (1 + JITTER):
                assert tried >= 1, "and never slower than the longest"

    @invariant()
    def pauses_are_bounded(self) -> None:
        for key in "xyz":
            pause = self.again.pause(key)
            assert (FIRST_PAUSE <= pause <= LONGEST_PAUSE) if key in self.again.keys else pause == 0
        assert self.trying.keys() <= self.again.keys

    def teardown(self) -> None:
        self.run(self.again.close())
        assert not self.again.keys and not self.trying
        super().teardown()


TestReconnectingMachine = ReconnectingMachine.TestCase
TestReconnectingMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
