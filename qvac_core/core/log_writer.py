"""The provider's request log, written behind the core's loop: a slow disk must not delay a heartbeat.

One write after the other, in order: an end that overtook its beginning would leave a request that never ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping

from qvac_core.errors import StoreError
from qvac_core.store.days import day_of
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

BUSY_TRIES = 4  # while another program holds the file; each waits up to 5 s in SQLite itself
BUSY_PAUSE = 0.5  # seconds between them
ADVANCE_EVERY = 5.0  # seconds between two notes of how far a request has come
DAYS_KEPT = 4  # whose counts are in memory
PRUNE_EVERY = 250  # requests; so many more than its most rows the log may have for a while


class LogWriter:
    """Implements delegation's RequestLog. Writes go to the store's one thread, in order; quotas count in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks = TaskOwner()
        self._waiting: deque[Callable[[], object]] = deque()
        self._writing = False
        self._keys: dict[str, str] = {}
        self._unpruned = 0
        self._advanced: dict[str, float] = {}
        self._day = day_of(time.time())
        # By day: a clock that is set back and forth must not refill anybody's quota.
        self._tokens = {day: Counter(tokens) for day, tokens in store.request_log.tokens_by_day().items()}
        amounts: Mapping[tuple[str, str], float] = store.request_log.amounts_today(time.time())
        self._amounts: dict[str, dict[tuple[str, str], float]] = {self._day: defaultdict(float, amounts)}

    async def close(self) -> None:
        """Nothing is cancelled here: what was served is written."""
        await self._tasks.finish()

    def start(self, id: str, remote_public_key: str, method: str, model: str, started_at: float) -> None:
        self._keys[id] = remote_public_key
        self._write(lambda: self._store.request_log.start(id, remote_public_key, method, model, started_at))

    def finish(
        self,
        id: str,
        outcome: str,
        *,
        prompt_tokens: int = 0,
        generated_tokens: int = 0,
        ms: float = 0.0,
        error: str = "",
        amount: float = 0.0,
        unit: str = "",
    ) -> None:
        key, ended_at = self._keys.pop(id, ""), time.time()
        self._advanced.pop(id, None)
        self._turn_day()
        self._tokens_now[key] += prompt_tokens + generated_tokens
        self._amounts_now[key, unit] += amount
        self._write(
            lambda: self._store.request_log.finish(
                id,
                outcome,
                prompt_tokens=prompt_tokens,
                generated_tokens=generated_tokens,
                ms=ms,
                error=error,
                amount=amount,
                unit=unit,
                ended_at=ended_at,
            )
        )

        self._unpruned += 1
        if self._unpruned >= PRUNE_EVERY:
            self._prune()

    def keep_contents(self, id: str, question: str, answer: str) -> None:
        if self._store.settings.settings.sharing.keep_contents:  # the owner may have thought better of it meanwhile
            self._write(lambda: self._store.history.keep_contents(id, question, answer))

    def _prune(self) -> None:
        self._unpruned = 0
        sharing = self._store.settings.settings.sharing
        self._write(lambda: self._store.request_log.prune(time.time(), sharing.log_days, sharing.log_rows))
        self._write(lambda: self._store.receipts.prune(time.time(), sharing.log_days))

    def advance(self, id: str, generated_tokens: int) -> None:
        now = time.monotonic()
        if id in self._keys and now - self._advanced.setdefault(id, now) >= ADVANCE_EVERY:
            self._advanced[id] = now
            self._write(lambda: self._store.request_log.advance(id, generated_tokens))

    def tokens_today(self, remote_public_key: str, now: float) -> int:
        self._turn_day()
        return self._tokens_now[remote_public_key]

    def tokens_of_all_today(self, now: float) -> int:
        self._turn_day()
        return self._tokens_now.total()

    def amount_today(self, remote_public_key: str, unit: str, now: float) -> float:
        self._turn_day()
        return self._amounts_now[remote_public_key, unit]

    @property
    def _tokens_now(self) -> Counter[str]:
        return self._tokens.setdefault(self._day, Counter())

    @property
    def _amounts_now(self) -> dict[tuple[str, str], float]:
        return self._amounts.setdefault(self._day, defaultdict(float))

    def _turn_day(self) -> None:
        """Quotas begin anew at local midnight."""
        if (today := day_of(time.time())) != self._day:
            self._day = today
            for day in sorted({*self._tokens, *self._amounts} - {today})[:-DAYS_KEPT]:
                self._tokens.pop(day, None)
                self._amounts.pop(day, None)
            self._prune()

    def _write(self, write: Callable[[], object]) -> None:
        self._waiting.append(write)
        if not self._writing:
            self._writing = True
            self._tasks.start(self._write_all(), "request log")

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._written(self._waiting.popleft())
        finally:
            self._writing = False

    async def _written(self, write: Callable[[], object]) -> None:
        for left in reversed(range(BUSY_TRIES)):
            try:
                await self._store.database.run(write)
                return
            except StoreError as error:  # a full disk costs the log a line, not the consumer an answer
                if error.name != "DATABASE_BUSY" or not left:
                    logger.warning("a request could not be logged: %s", error)
                    return
            await asyncio.sleep(BUSY_PAUSE)
