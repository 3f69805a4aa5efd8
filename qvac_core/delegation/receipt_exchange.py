"""Receipts on their way to a guest that signs them, behind the answers and never before one.

docs/wire/qvac.md section 12. A guest asks for what it was not given yet after each request of its own, and when it
comes back: an answer that was cut has its receipt as well. Whatever fails here is tried again at the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.given_receipts import AT_ONCE, FEATURE
from qvac_core.delegation.messages import (
    GuestWord,
    OfferedReceipt,
    Receipts,
    ReceiptsReply,
    SignReceipts,
    SignReceiptsReply,
)
from qvac_core.delegation.receipts import Seen
from qvac_core.errors import QvacError

logger = logging.getLogger(__name__)

REPLY_SECONDS = 10.0
# A provider may still be at the end of what its guest has left: seconds before each look.
PAUSES = (0.0, 0.5, 3.0)
CLOSE_SECONDS = 1.0  # for what is under way when the guest's program ends


class TakenReceipts(Protocol):
    """Where a guest keeps what it was served, and signs. Keys and ids in hex. Raises StoreError."""

    async def note(self, seen: Seen) -> None: ...

    async def awaited(self, provider: str) -> Sequence[str]:
        """Request ids for which no receipt came yet, newest first."""

    async def take(self, provider: str, offered: OfferedReceipt) -> GuestWord | None:
        """Judge, sign and keep one. None: it is of a request that this guest does not know of."""

    async def given_none(self, provider: str, request_ids: Sequence[str]) -> None:
        """Its provider has no receipt of these, and nothing of them is under way there."""


@dataclass(slots=True)
class _Round:
    task: asyncio.Task[None]
    again: bool = False


class ReceiptExchange:
    """The guest's side. `own` takes the tasks of this, as their owner awaits them."""

    def __init__(self, taken: TakenReceipts, own: Callable[[asyncio.Task[Any]], None]) -> None:
        self._taken = taken
        self._own = own
        self._rounds: dict[ProviderConnection, _Round] = {}
        self._notes: set[asyncio.Task[None]] = set()

    def served(self, connection: ProviderConnection, seen: Seen) -> None:
        """A request of this guest has ended, in whatever way."""
        task = self._start(self._note(connection, seen))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    def begin(self, connection: ProviderConnection) -> None:
        """Ask for what is missing, once for all who want it."""
        running = self._rounds.get(connection)
        if running is not None:
            running.again = True
        elif not connection.closed and connection.offers(FEATURE):
            self._rounds[connection] = _Round(self._start(self._rounds_of(connection)))

    async def close(self) -> None:
        """What is under way gets a moment; the rest is asked for at the next time."""
        tasks = {*self._notes, *(one.task for one in self._rounds.values())}
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in {*self._notes, *(one.task for one in self._rounds.values())}:
            task.cancel()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._own(task)
        return task

    async def _note(self, connection: ProviderConnection, seen: Seen) -> None:
        if not connection.offers(FEATURE):
            return  # an original, or one of ours that gives none
        try:
            await self._taken.note(seen)
        except QvacError as error:
            logger.warning("what was served could not be noted: %s", error)
            return
        self.begin(connection)

    async def _rounds_of(self, connection: ProviderConnection) -> None:
        try:
            while True:
                round = self._rounds[connection]
                round.again = False
                await self._ask(connection)
                if not round.again:
                    return
        except QvacError as error:
            logger.debug("receipts could not be exchanged: %s", error)
        finally:
            del self._rounds[connection]

    async def _ask(self, connection: ProviderConnection) -> None:
        provider, whole_list = connection.public_key.hex(), False
        for pause in PAUSES:
            await asyncio.sleep(pause)
            awaited = await self._taken.awaited(provider)
            if not awaited or connection.closed:
                return
            reply = await connection.ask(Receipts(list(awaited[:AT_ONCE])), ReceiptsReply, REPLY_SECONDS)
            said = [await self._taken.take(provider, offered) for offered in reply.receipts]
            if words := [word for word in said if word is not None]:
                await connection.ask(SignReceipts(words), SignReceiptsReply, REPLY_SECONDS)
            whole_list = len(reply.receipts) < AT_ONCE
        if whole_list:
            await self._taken.given_none(provider, await self._taken.awaited(provider))
