"""Whether a peer is still there while something is expected of it: how long nothing came, and whom that concerns.

Ours; docs/wire/qvac.md sections 3 and 12. A connection finds out by itself that its peer is gone, but only after 5 to
18 s. Whatever comes counts, also an acknowledgement by the peer's network loop: an engine that computes, a long queue
and a lost packet are no silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol, TypeVar

from qvac_core.errors import ConnectionClosed

T = TypeVar("T")

LOOK_SECONDS = 0.05
# Of the time between two looks, what counts at most: the rest was not ours to listen in.
COUNTED_SECONDS = 0.25
# Nothing came for so long: it is asked. The stream keeps order, so one question at a time tells as much as many.
ASK_OURS_AFTER_SECONDS = 0.2
ASK_AFTER_SECONDS = 1.0
# Nothing came for so long, although one of ours was asked: it is gone, or cut off. Two round trips are allowed on top.
GONE_SECONDS = 0.65
# The same of an original: its wire allows 1.5 s for the answer to a heartbeat.
ORIGINAL_GONE_SECONDS = ASK_AFTER_SECONDS + 1.5
# Of guests of ours, which say something at least every ASK_OURS_AFTER_SECONDS: nobody computes for them any longer.
GUEST_GONE_SECONDS = 1.4
# One that asks again on another connection, under the same id, has given up the one that is quiet for so long.
GUEST_LOST_LINE_SECONDS = 0.8
# What cannot go on from where it was stopped, as soon as its guest is back, is computed for so long.
GUEST_LOST_SECONDS = 4.0
GUEST_LOOK_SECONDS = 0.2
# A person should be told. A slow way is not meant: a round trip of nearly two seconds is still heard in time.
SILENT_SECONDS = 3.0


def stopped_answering() -> ConnectionClosed:
    """Nothing comes any more, and somebody else goes on; the connection may find out for itself much later."""
    return ConnectionClosed("the peer stopped answering", name="ETIMEDOUT")


async def unless_lost(
    parts: AsyncIterator[T], is_lost: Callable[[], bool], look_seconds: float = LOOK_SECONDS
) -> AsyncGenerator[T, None]:
    """The parts of an answer. Raises `stopped_answering` when none comes and is_lost() says that none will.

    is_lost: asked every so many seconds in which nothing comes. Whoever made `parts` closes it.
    """
    while True:
        coming = asyncio.ensure_future(anext(parts, None))
        try:
            while not (await asyncio.wait({coming}, timeout=look_seconds))[0]:
                if is_lost():
                    raise stopped_answering()
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        part = coming.result()
        if part is None:
            return
        yield part


class Silence:
    """Seconds without a sign, of those in which this process itself ran.

    A machine that was asleep, or so busy that its own loop stood still, has heard nothing and may blame nobody.
    """

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        self._looked_at = now
        self._heard_at = now

    def look(self, heard_at: float, now: float) -> float:
        """To be called several times a second."""
        passed = min(now - self._looked_at, COUNTED_SECONDS)
        self._looked_at = now
        if heard_at > self._heard_at:
            self._heard_at = heard_at
            self.seconds = min(max(0.0, now - heard_at), passed)
        else:
            self.seconds += passed
        return self.seconds

    def forget(self, now: float) -> None:
        """Nothing was expected until now."""
        self.seconds = 0.0
        self._looked_at = self._heard_at = now


class Quiet(Protocol):
    @property
    def quiet(self) -> float:
        """Seconds without a sign though something was expected."""


class LifeSigns:
    """`connection` is the one in use now, if there is one. `on_silent` gets the seconds without a sign when they become
    too many, and None when there is one again or the connection is gone."""

    def __init__(self, connection: Callable[[], Quiet | None], on_silent: Callable[[float | None], None]) -> None:
        self._connection = connection
        self._on_silent = on_silent
        self._wanted = 1
        self._silent = False

    def want(self) -> None:
        """One more waits for the provider."""
        self._wanted += 1

    def release(self) -> None:
        """One less. A provider that is silent is watched until it is not, or its connection ends."""
        self._wanted -= 1

    async def watch(self) -> None:
        """Until nobody waits any more."""
        while self._wanted or self._silent:
            await asyncio.sleep(LOOK_SECONDS)
            connection = self._connection()
            quiet = 0.0 if connection is None else connection.quiet
            self._tell(quiet if quiet >= SILENT_SECONDS else None)

    def _tell(self, quiet: float | None) -> None:
        if (quiet is not None) != self._silent:
            self._silent = quiet is not None
            self._on_silent(quiet)
