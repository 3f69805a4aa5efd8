"""One request that a model's process has, and what was said of it so far, on its way to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from qvac_core.errors import ModelError, QvacError

_Event = TypeVar("_Event")


class Underway(Generic[_Event]):
    """id: what the process knows it by. Used from one loop."""

    def __init__(self, id: int, request_id: str) -> None:
        self.id = id
        self.request_id = request_id
        self.ended = False
        self._events: deque[_Event | QvacError] = deque()
        self._wake = asyncio.Event()

    def put(self, event: _Event) -> None:
        """Lost once it has ended."""
        if not self.ended:
            self._add(event)

    def end(self, event: _Event | QvacError) -> None:
        """The last that is said of it; an error is raised where it is awaited. Only the first end counts."""
        if not self.ended:
            self.ended = True
            self._add(event)

    def _add(self, event: _Event | QvacError) -> None:
        self._events.append(event)
        self._wake.set()

    async def next(self) -> _Event:
        while not self._events:
            self._wake.clear()
            await self._wake.wait()  # bounded by the process's stall timeout
        event = self._events.popleft()
        if isinstance(event, QvacError):
            raise event
        return event


def check_free(request_id: str, underway: Iterable[Underway[Any]]) -> None:
    """Raises ModelError REQUEST_ID_CONFLICT (52417) where one of them has this id."""
    if any(known.request_id == request_id for known in underway):
        raise id_taken()


def id_taken() -> ModelError:
    return ModelError(
        "A request with this request id is being answered already.", name="REQUEST_ID_CONFLICT", code=52417
    )
