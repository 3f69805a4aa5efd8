"""Whose turn it is: a fair queue in front of the models, bounded in all and per key.

wire/QVAC.md section 3: 0.16 runs completions of a model one after the other and lets 64 wait; here several run at once,
and one key cannot take every place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from qvac_core.delegation.failures import Reason, by_policy


@dataclass(eq=False, slots=True)
class _Waiter:
    public_key: bytes
    parallel: int
    on_place: Callable[[int], None]
    turn: asyncio.Future[None] = field(repr=False)


class Turns:
    """At most `parallel` turns at once, `queue_length` waiting; first come, first served among keys below their own."""

    def __init__(self, parallel: int, queue_length: int) -> None:
        self._parallel = parallel
        self._queue_length = queue_length
        self._taken: dict[bytes, int] = {}
        self._waiting: deque[_Waiter] = deque()

    @property
    def running(self) -> int:
        return sum(self._taken.values())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def turn(
        self, public_key: bytes, parallel: int, on_place: Callable[[int], None] = lambda place: None
    ) -> AsyncIterator[None]:
        """Wait for a turn and hold it. `on_place` hears the place in the queue (1 = next) whenever it changes.

        Raises Rejection (queue_full) instead of waiting behind too many.
        """
        await self._take(public_key, max(1, parallel), on_place)
        try:
            yield
        finally:
            self._give_back(public_key)

    async def _take(self, public_key: bytes, parallel: int, on_place: Callable[[int], None]) -> None:
        if self._may_run(public_key, parallel):
            self._taken[public_key] = self._taken.get(public_key, 0) + 1
            return
        if len(self._waiting) >= self._queue_length:
            raise by_policy(Reason.QUEUE_FULL, "Too many requests are waiting at this provider. Try again later.")
        waiter = _Waiter(public_key, parallel, on_place, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        on_place(len(self._waiting))
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._give_back(public_key)
            else:
                self._waiting.remove(waiter)
                self._tell_places()
            raise

    def _may_run(self, public_key: bytes, parallel: int) -> bool:
        return self.running < self._parallel and self._taken.get(public_key, 0) < parallel

    def _give_back(self, public_key: bytes) -> None:
        left = self._taken[public_key] - 1
        if left:
            self._taken[public_key] = left
        else:
            del self._taken[public_key]
        self._start_waiting()

    def _start_waiting(self) -> None:
        moved = False
        for waiter in list(self._waiting):
            if self._may_run(waiter.public_key, waiter.parallel) and not waiter.turn.done():
                self._waiting.remove(waiter)
                self._taken[waiter.public_key] = self._taken.get(waiter.public_key, 0) + 1
                waiter.turn.set_result(None)
                moved = True
        if moved:
            self._tell_places()

    def _tell_places(self) -> None:
        for place, waiter in enumerate(self._waiting, start=1):
            waiter.on_place(place)
