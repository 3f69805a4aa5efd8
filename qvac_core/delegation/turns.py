"""Whose turn it is: a fair queue in front of the models, bounded in all and per key.

docs/wire/qvac.md section 3: 0.16 runs completions of a model one after the other and lets 64 wait; here several run at
once, keys take turns, and one key has only so many places.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from qvac_core.delegation.failures import Reason, Rejection, by_policy


@dataclass(frozen=True, slots=True)
class Lane:
    """What answers only so many at once, for whomever: the slots of one model. A turn there is one of them."""

    name: str
    width: int


@dataclass(eq=False, slots=True)
class _Waiter:
    public_key: bytes
    parallel: int
    lane: Lane | None
    on_place: Callable[[int], None]
    turn: asyncio.Future[None] = field(repr=False)
    first: bool = False
    place: int = 0


class Turns:
    """At most `parallel` turns at once, `queue_length` waiting, `queue_length_per_key` of them for one key.

    Round-robin between keys, first come, first served within one, but for those whose lane is full: nobody waits behind
    them. Keys that go first do so before all others. A turn is only given with a place in its lane: what waits waits
    here, where its place is told. When every place is taken, a key with fewer than its fair share takes the last place
    of the one that has most.
    """

    def __init__(self, parallel: int, queue_length: int, queue_length_per_key: int | None = None) -> None:
        self._parallel = parallel
        self._queue_length = queue_length
        self._per_key = queue_length if queue_length_per_key is None else queue_length_per_key
        self._taken: dict[bytes, int] = {}
        self._lanes: dict[str, int] = {}
        self._waiting: dict[bytes, deque[_Waiter]] = {}  # the key whose turn comes next is first

    @property
    def running(self) -> int:
        return sum(self._taken.values())

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(
        self,
        public_key: bytes,
        parallel: int,
        on_place: Callable[[int], None] = lambda place: None,
        lane: Lane | None = None,
        *,
        first: bool = False,
    ) -> AsyncIterator[None]:
        """Wait for a turn and hold it. `on_place` hears the place in the queue (1 = next) whenever it changes.

        Raises Rejection (queue_full) instead of waiting behind too many, also later when others need the place more.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(public_key, max(1, parallel), lane, on_place, turn, first)
        await self._take(waiter)
        try:
            yield
        finally:
            self._give_back(waiter)

    async def _take(self, waiter: _Waiter) -> None:
        public_key = waiter.public_key
        if self._may_run(waiter) and not any(self._may_run(other) for other in self._waiting.get(public_key, ())):
            self._count(waiter)
            return
        self._make_room(public_key)
        self._waiting.setdefault(public_key, deque()).append(waiter)
        self._tell_places()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.done() or waiter.turn.cancelled():
                self._leave(waiter)
                self._tell_places()
            elif waiter.turn.exception() is None:
                self._give_back(waiter)
            raise

    def _make_room(self, public_key: bytes) -> None:
        own = len(self._waiting.get(public_key, ()))
        if own >= self._per_key:
            raise by_policy(
                Reason.QUEUE_FULL,
                f"{own} of your requests are waiting at this provider already. Send more when some are answered.",
            )
        if self.waiting < self._queue_length:
            return
        greediest = max((line for line in self._waiting.values() if not line[0].first), key=len, default=None)
        if greediest is None or len(greediest) <= own + 1:
            raise _queue_full()
        last = greediest[-1]
        self._leave(last)
        if not last.turn.done():
            last.turn.set_exception(_queue_full())

    def _leave(self, waiter: _Waiter) -> None:
        """Nothing happens when it was taken out already: one that is cancelled hears of it only in its next step."""
        line = self._waiting.get(waiter.public_key)
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        if not line:
            del self._waiting[waiter.public_key]

    def _may_run(self, waiter: _Waiter) -> bool:
        lane = waiter.lane
        return (
            self.running < self._parallel
            and self._taken.get(waiter.public_key, 0) < waiter.parallel
            and (lane is None or self._lanes.get(lane.name, 0) < lane.width)
        )

    def _count(self, waiter: _Waiter) -> None:
        self._taken[waiter.public_key] = self._taken.get(waiter.public_key, 0) + 1
        if waiter.lane is not None:
            self._lanes[waiter.lane.name] = self._lanes.get(waiter.lane.name, 0) + 1

    def _give_back(self, waiter: _Waiter) -> None:
        _less(self._taken, waiter.public_key)
        if waiter.lane is not None:
            _less(self._lanes, waiter.lane.name)
        self._start_waiting()

    def _start_waiting(self) -> None:
        moved = False
        while (waiter := self._next()) is not None:
            moved = True
            if not waiter.turn.done():  # else it is cancelled, and does not know yet
                self._count(waiter)
                waiter.turn.set_result(None)
        if moved:
            self._tell_places()

    def _next(self) -> _Waiter | None:
        """The first that may run, of the first key that has one; the key then queues up behind the others."""
        for public_key, line in self._lines():
            waiter = next((waiter for waiter in line if self._may_run(waiter)), None)
            if waiter is not None:
                line.remove(waiter)
                del self._waiting[public_key]
                if line:
                    self._waiting[public_key] = line
                return waiter
        return None

    def _lines(self) -> list[tuple[bytes, deque[_Waiter]]]:
        """In whose turn it is; those that go first before the others."""
        return sorted(self._waiting.items(), key=lambda item: not item[1][0].first)

    def _in_order(self) -> Iterator[_Waiter]:
        """As turns will come if all answers take equally long: the first of each key, then the second of each."""
        lines = [line for _, line in self._lines()]
        yield from (waiter for line in lines if line[0].first for waiter in line)
        lines = [line for line in lines if not line[0].first]
        for nth in range(max(map(len, lines), default=0)):
            yield from (line[nth] for line in lines if nth < len(line))

    def _tell_places(self) -> None:
        for place, waiter in enumerate(list(self._in_order()), start=1):
            if waiter.place != place:
                waiter.place = place
                waiter.on_place(place)


_Key = TypeVar("_Key", bytes, str)


def _less(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def _queue_full() -> Rejection:
    return by_policy(Reason.QUEUE_FULL, "Too many requests are waiting at this provider. Try again later.")
