"""A second one asked beside a slow first one, where a person allows it: when, and what became of whoever lost.

Ours. Who has the first word answers; the other one is cancelled down to its engine, which nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from statistics import median_low
from typing import Any, TypeVar

from qvac_core.core.ahead import Ahead
from qvac_core.core.state import Target
from qvac_core.errors import QvacError

T = TypeVar("T")

# Seconds until a first word of somebody of whom nothing is known, and the least and the most that is waited for.
UNKNOWN_SECONDS = 2.0
LEAST_SECONDS, MOST_SECONDS = 0.3, 10.0
# Of what is usual for it: later than so many times that is late.
TIMES = 2.0
REMEMBERED = 12  # answers of a provider
AHEAD_PARTS = 4  # of an answer that are taken before they are wanted


class FirstWords:
    """How long each provider took to its first word, lately."""

    def __init__(self) -> None:
        self._took: dict[str, deque[float]] = {}

    def came(self, provider_key: str, seconds: float) -> None:
        self._took.setdefault(provider_key, deque(maxlen=REMEMBERED)).append(seconds)

    def usual(self, provider_key: str) -> float | None:
        """Seconds; None: nothing is known."""
        took = self._took.get(provider_key)
        return median_low(took) if took else None

    def quickest(self, provider_key: str) -> float | None:
        """Seconds it took at best: with nobody before me, and the model loaded. None: nothing is known."""
        took = self._took.get(provider_key)
        return min(took) if took else None

    def patience(self, provider_key: str) -> float:
        """Seconds after which somebody else is asked too."""
        usual = self.usual(provider_key)
        return UNKNOWN_SECONDS if usual is None else min(max(TIMES * usual, LEAST_SECONDS), MOST_SECONDS)


@dataclass(slots=True)
class Second:
    """Who was asked too, and since when (loop time)."""

    target: Target
    name: str
    ahead: Ahead
    asked_at: float


async def left_behind(
    parts: AsyncGenerator[T, None], start: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
) -> AsyncGenerator[T, None]:
    """The parts; closing it early does not wait until whoever makes them has heard that nobody wants more.

    start: who owns the task that does.
    """
    queue: asyncio.Queue[T] = asyncio.Queue(AHEAD_PARTS)
    error: QvacError | None = None
    came = asyncio.Event()

    async def take() -> None:
        nonlocal error
        try:
            async for part in parts:
                await queue.put(part)
                came.set()
        except QvacError as failure:  # it is the caller's
            error = failure
        finally:
            await parts.aclose()

    taking = start(take(), "parts of an answer")
    taking.add_done_callback(lambda _: came.set())
    try:
        while True:
            while not queue.empty():
                yield queue.get_nowait()
            if taking.done():
                break
            came.clear()
            if queue.empty() and not taking.done():
                await came.wait()
        while not queue.empty():
            yield queue.get_nowait()
        if error is not None:
            raise error
        taking.result()  # a mistake of ours
    finally:
        taking.cancel()
