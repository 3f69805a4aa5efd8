"""Whose turn it is: a fair queue in front of the models, bounded in all and per key.

docs/wire/qvac.md section 3: 0.16 runs completions of a model one after the other and lets 64 wait; here several run at
once, and keys share the machine's time. How: docs/decisions/fair-turns.md.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from qvac_core.delegation.failures import Reason, Rejection, by_policy

# Where more wait than so many, the others hear of their new place within PLACES_SECONDS, and not at every step.
PLACES_AT_ONCE = 64
PLACES_SECONDS = 1.0
FIRST_GUESS = 1.0  # seconds of a turn, before one has ended
MEMORY = 0.1  # how much a turn that ended counts in what the next is expected to take
REMEMBERED_KEYS = 4096  # that ask for nothing and had more than others; those that had least are forgotten first


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
    number: int
    first: bool = False
    place: int = 0
    began: float = 0.0
    charged: float = 0.0


@dataclass(eq=False, slots=True)
class _Account:
    """One key. had: seconds of turns, those that run with what they are expected to take, on the queue's own clock."""

    had: float = 0.0
    waiting: deque[_Waiter] = field(default_factory=deque)
    running: list[_Waiter] = field(default_factory=list)


class _Crowd:
    """Accounts by how many of theirs wait: who has most is found without a look at all of them."""

    def __init__(self) -> None:
        self._by_length: dict[int, dict[_Account, None]] = {}

    def refile(self, account: _Account, before: int) -> None:
        """The number that waits has changed from `before`."""
        if before:
            same = self._by_length[before]
            del same[account]
            if not same:
                del self._by_length[before]
        if account.waiting:
            self._by_length.setdefault(len(account.waiting), {})[account] = None

    def greediest(self) -> _Account | None:
        """Of most that wait; of those that had most. None goes that goes first."""
        for length in sorted(self._by_length, reverse=True):
            others = [one for one in self._by_length[length] if not one.waiting[0].first]
            if others:
                return max(others, key=lambda one: one.had)
        return None


class Turns:
    """At most `parallel` turns at once, `queue_length` waiting, `queue_length_per_key` of them for one key.

    The next turn is for the key that had least of the machine's time while others waited, whatever the number of its
    requests; first come, first served within one, but for those whose lane is full: nobody waits behind
    them. Keys that go first do so before all others. A turn is only given with a place in its lane: what waits waits
    here, where its place is told. When every place is taken, a key with fewer than its fair share takes the last place
    of the one that has most: as long as no more keys wait than there are places, each has one.
    """

    def __init__(
        self,
        parallel: int,
        queue_length: int,
        queue_length_per_key: int | None = None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """clock: seconds; None = the running loop's."""
        self._parallel = parallel
        self._queue_length = queue_length
        self._per_key = queue_length if queue_length_per_key is None else queue_length_per_key
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._accounts: dict[bytes, _Account] = {}
        self._past: dict[bytes, float] = {}  # what keys had that ask for nothing now
        self._lanes: dict[str, int] = {}
        self._running = 0
        self._waiting = 0
        self._crowd = _Crowd()
        self._ranked: list[tuple[bool, float, int]] = []  # of those who waited when places were last told, in order
        self._number = 0
        self._even = 0.0  # what a key would have had that shared evenly: where one begins that waited for nothing
        self._expected = FIRST_GUESS
        self._telling: asyncio.TimerHandle | None = None

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return self._waiting

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

        Raises Rejection (queue_full, with retryAfterMs) instead of waiting behind too many, also later when others need
        the place more.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        waiter = _Waiter(public_key, max(1, parallel), lane, on_place, turn, self._number, first)
        await self._take(waiter)
        try:
            yield
        finally:
            self._give_back(waiter)

    async def _take(self, waiter: _Waiter) -> None:
        account = self._accounts.get(waiter.public_key)
        if account is None or not account.waiting:
            account = account or _Account(self._past.get(waiter.public_key, self._even))
            # Who waited for nothing has no claim to the time of others.
            account.had = max(account.had, self._even)
        if self._may_run(waiter) and not any(map(self._may_run, account.waiting)):
            self._open(waiter.public_key, account)
            self._begin(waiter)
            return
        self._make_room(waiter.public_key)  # what a key had is held against it also when it is refused
        self._open(waiter.public_key, account)
        account.waiting.append(waiter)
        self._waiting += 1
        self._crowd.refile(account, len(account.waiting) - 1)
        self._tell_newcomer(waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.done() or waiter.turn.cancelled():
                self._leave(waiter)
                self._tell_places()
            elif waiter.turn.exception() is None:
                self._give_back(waiter)
            raise

    def _open(self, public_key: bytes, account: _Account) -> None:
        self._accounts[public_key] = account
        self._past.pop(public_key, None)

    def _make_room(self, public_key: bytes) -> None:
        account = self._accounts.get(public_key)
        own = len(account.waiting) if account is not None else 0
        if own >= self._per_key:
            message = f"{own} of your requests are waiting at this provider already. Send more when some are answered."
            raise self._queue_full(message, self._seconds_to_place_of(public_key))
        if self._waiting < self._queue_length:
            return
        greediest = self._crowd.greediest()
        message = "Too many requests are waiting at this provider. Try again later."
        if greediest is None or len(greediest.waiting) <= own + 1:
            raise self._queue_full(message, self._seconds_to_place_of(public_key))
        last = greediest.waiting[-1]
        seconds = self._seconds_to_place_of(last.public_key)
        self._leave(last)
        if not last.turn.done():
            last.turn.set_exception(self._queue_full(message, seconds))

    def _leave(self, waiter: _Waiter) -> None:
        """Nothing happens when it was taken out already: one that is cancelled hears of it only in its next step."""
        account = self._accounts.get(waiter.public_key)
        if account is None or waiter not in account.waiting:
            return
        self._take_out(account, waiter)
        self._settle(waiter.public_key)

    def _take_out(self, account: _Account, waiter: _Waiter) -> None:
        account.waiting.remove(waiter)
        self._waiting -= 1
        self._crowd.refile(account, len(account.waiting) + 1)

    def _may_run(self, waiter: _Waiter) -> bool:
        lane, account = waiter.lane, self._accounts.get(waiter.public_key)
        return (
            self._running < self._parallel
            and (account is None or len(account.running) < waiter.parallel)
            and (lane is None or self._lanes.get(lane.name, 0) < lane.width)
        )

    # --- Turns ------------------------------------------------------------------------------------------------

    def _begin(self, waiter: _Waiter) -> None:
        account = self._accounts[waiter.public_key]
        self._share_evenly(account.had)
        account.running.append(waiter)
        self._running += 1
        waiter.began, waiter.charged = self._clock(), self._expected
        account.had += waiter.charged
        if waiter.lane is not None:
            self._lanes[waiter.lane.name] = self._lanes.get(waiter.lane.name, 0) + 1

    def _share_evenly(self, had: float) -> None:
        """A turn goes to a key that had so much. Who comes from now on begins there, or behind those who wait: each
        turn moves that on by its part of it, so that newcomers, however many, never keep one waiting for ever.
        """
        moved = self._even + self._expected / len(self._accounts)
        most = self._even
        for account in self._accounts.values():
            if account.waiting and account.had > most:
                most = account.had
                if most >= moved:  # one is enough, and soon found: no look at all
                    most = moved
                    break
        self._even = most
        self._even = max(self._even, had)

    def _give_back(self, waiter: _Waiter) -> None:
        account = self._accounts[waiter.public_key]
        took = max(0.0, self._clock() - waiter.began)
        account.running.remove(waiter)
        account.had += took - waiter.charged
        self._expected += MEMORY * (took - self._expected)
        self._running -= 1
        if waiter.lane is not None:
            _less(self._lanes, waiter.lane.name)
        self._settle(waiter.public_key)
        self._start_waiting()

    def _settle(self, public_key: bytes) -> None:
        """Keep of a key that asks for nothing now what others would hold against it."""
        account = self._accounts[public_key]
        if account.waiting or account.running:
            return
        del self._accounts[public_key]
        if not self._accounts:
            self._past.clear()  # nobody waits that had less
            self._even = 0.0
        elif account.had > self._even:
            self._past[public_key] = account.had
            if len(self._past) > REMEMBERED_KEYS:
                by_had = sorted(self._past.items(), key=lambda one: one[1], reverse=True)
                self._past = {key: had for key, had in by_had[: REMEMBERED_KEYS // 2] if had > self._even}

    def _start_waiting(self) -> None:
        while self._waiting and (waiter := self._next()) is not None:
            if waiter.turn.done():
                self._settle(waiter.public_key)  # it is cancelled, and does not know yet
            else:
                self._begin(waiter)
                waiter.turn.set_result(None)
        self._tell_places()

    def _next(self) -> _Waiter | None:
        """The first that may run, of the key that had least among those that have one."""
        if self._running >= self._parallel:
            return None
        best: _Waiter | None = None
        rank = (True, math.inf, 0)
        for account in self._accounts.values():
            if not account.waiting or (account.had > rank[1] and not account.waiting[0].first):
                continue  # no place of its could be before the best one: most are left out by this
            waiter = next(filter(self._may_run, account.waiting), None)
            if waiter is not None:
                own = (not waiter.first, self._had(account), waiter.number)
                if best is None or own < rank:
                    best, rank = waiter, own
        if best is not None:
            self._take_out(self._accounts[best.public_key], best)
        return best

    def _had(self, account: _Account) -> float:
        """With what its running turns took beyond what was expected."""
        if not account.running:
            return account.had
        now = self._clock()
        return account.had + sum(max(0.0, now - one.began - one.charged) for one in account.running)

    # --- Places -----------------------------------------------------------------------------------------------

    def _ranks(self) -> Iterator[tuple[bool, float, int, _Waiter]]:
        """As turns will come if all answers take as long as they did lately."""
        for account in self._accounts.values():
            had = self._had(account) if account.waiting else 0.0
            for nth, waiter in enumerate(account.waiting):
                yield not waiter.first, had + nth * self._expected, waiter.number, waiter

    def _tell_newcomer(self, waiter: _Waiter) -> None:
        """All others keep their order; where many wait, it alone is told at once."""
        if self._waiting <= PLACES_AT_ONCE:
            self._tell_places()
            return
        waiter.place = 1 + self._ahead_of(waiter)
        waiter.on_place(waiter.place)
        self._tell_places()

    def _ahead_of(self, waiter: _Waiter) -> int:
        """Nearly: by where the others stood when places were last told, at most PLACES_SECONDS ago."""
        account = self._accounts[waiter.public_key]
        nth = account.waiting.index(waiter)
        rank = (not waiter.first, self._had(account) + nth * self._expected, waiter.number)
        return max(nth, bisect_left(self._ranked, rank))

    def _tell_places(self) -> None:
        if self._waiting <= PLACES_AT_ONCE:
            self._tell_now()
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(PLACES_SECONDS, self._tell_now)

    def _tell_now(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        in_order = sorted(self._ranks(), key=lambda rank: rank[:3])
        self._ranked = [rank[:3] for rank in in_order]
        for place, (*_, waiter) in enumerate(in_order, start=1):
            if waiter.place != place:
                waiter.place = place
                waiter.on_place(place)

    # --- Refusals ---------------------------------------------------------------------------------------------

    def _seconds_to_place_of(self, public_key: bytes) -> float:
        """Until the first of this key's waiting requests begins, and its place is free; of any, if it has none.

        As long as turns took lately.
        """
        account = self._accounts.get(public_key)
        ahead = self._ahead_of(account.waiting[0]) if account is not None and account.waiting else 0
        return (ahead + 1) * self._expected / max(1, self._running)

    def _queue_full(self, message: str, seconds: float) -> Rejection:
        return by_policy(Reason.QUEUE_FULL, message, seconds)


_Key = TypeVar("_Key", bytes, str)


def _less(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
