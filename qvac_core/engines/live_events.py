"""What a live transcript has to tell, on its way to whoever reads it: once, to its end or its failure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from qvac_core.engines.live_words import LiveEvent, LiveFinished, Tentative, Voice
from qvac_core.errors import InferenceCancelled, QvacError


class LiveEvents:
    """Used from one asyncio loop."""

    def __init__(self) -> None:
        self.failure: QvacError | None = None
        self.closed = False
        self._events: deque[LiveEvent] = deque()
        self._told = False  # all of it: another iterator finds nothing
        self._wake = asyncio.Event()

    def put(self, event: LiveEvent) -> None:
        # Nobody reads: what only tells the present state is told once.
        if self._events and type(self._events[-1]) is type(event) and isinstance(event, Voice | Tentative):
            self._events.pop()
        self._events.append(event)
        self._wake.set()

    def fail(self, error: QvacError) -> None:
        """It ends with this error, after what was heard before; the first one stays."""
        self.failure = self.failure or error
        self._wake.set()

    def close(self) -> None:
        """Who waits for more hears that it was closed."""
        self.closed = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[LiveEvent]:
        while not self._told:
            while not self._events:
                if self.failure is not None:
                    raise self.failure
                if self.closed:
                    raise InferenceCancelled("The live transcript was closed.")
                self._wake.clear()
                await self._wake.wait()
            event = self._events.popleft()
            self._told = isinstance(event, LiveFinished)
            yield event
