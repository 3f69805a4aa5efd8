"""What each guest may use: the owner's limits per key, what they used, and which keys are the owner's own machines."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qvac_core.errors import StoreError
from qvac_core.store.days import begin_of_day, day_of, end_of_day
from qvac_core.store.log_records import DayTotals, LogQuery, LogTotals, ModelTotals
from qvac_core.store.records import AccessRecord
from qvac_core.store.records import KeyLimits as KeyLimits

if TYPE_CHECKING:
    from qvac_core.store.store import Store

DAYS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What a key has used: today, today by model, and by day for DAYS_SHOWN days, newest first. ends: Unix seconds at
    which a new day begins."""

    today: LogTotals
    models: tuple[ModelTotals, ...]
    days: tuple[DayTotals, ...]
    ends: float


class LimitsInterface(Protocol):
    """`core.limits`. Everything acts at once, on what runs too. Raises StoreError, also for a key that is not known."""

    async def set_limits(self, public_key: str, limits: KeyLimits) -> None:
        """In the place of those it had."""

    async def set_expiry(self, public_key: str, expires_at: float | None) -> None:
        """When its access ends, in Unix seconds; None = not by time."""

    async def set_mine(self, public_key: str, mine: bool) -> None:
        """Whether it is one of the owner's own machines: no limits, and it may act on this one from afar."""

    async def give_extra(self, public_key: str, tokens: int) -> None:
        """So many tokens more, today alone."""

    async def usage(self, public_key: str) -> KeyUsage: ...


class Limits:
    """changed: applies the rules of the store, and tells everybody."""

    def __init__(
        self, store: Store, changed: Callable[[], Awaitable[None]], now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._run = store.database.run
        self._changed = changed
        self._now = now

    async def set_limits(self, public_key: str, limits: KeyLimits) -> None:
        await self._known(public_key)
        await self._run(self._store.access_list.set_limits, public_key, limits)
        await self._changed()

    async def set_expiry(self, public_key: str, expires_at: float | None) -> None:
        await self._known(public_key)
        await self._run(self._store.access_list.set_expiry, public_key, expires_at)
        await self._changed()

    async def set_mine(self, public_key: str, mine: bool) -> None:
        if (await self._known(public_key)).blocked and mine:
            raise StoreError("This key is blocked. Allow it first.", name="KEY_BLOCKED")
        await self._run(self._store.access_list.set_mine, public_key, mine)
        await self._changed()

    async def give_extra(self, public_key: str, tokens: int) -> None:
        await self._known(public_key)
        await self._run(self._store.access_list.give_extra, public_key, day_of(self._now()), tokens)
        await self._changed()

    async def usage(self, public_key: str) -> KeyUsage:
        now, history = self._now(), self._store.history
        today = LogQuery(public_key=public_key, since=begin_of_day(now))
        since = begin_of_day(now - (DAYS_SHOWN - 1) * 86_400)
        return KeyUsage(
            await self._run(history.totals, today),
            await self._run(history.by_model, today),
            await self._run(history.by_day, LogQuery(public_key=public_key, since=since)),
            end_of_day(now),
        )

    async def _known(self, public_key: str) -> AccessRecord:
        record = await self._run(self._store.access_list.get, public_key)
        if record is None:
            raise StoreError("Nobody has decided about this key yet. Allow it first.", name="UNKNOWN_KEY")
        return record
