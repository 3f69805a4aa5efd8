"""The lines of an answer that takes its time: written at the reader's pace, and signs of life to our own consumers.

Those give up on silence (docs/wire/qvac.md section 12): they hear their place in the queue, and now and then that the
work goes on. A reader that takes nothing for too long loses its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qvac_core.delegation.live_requests import Ending, LiveRequest
from qvac_core.delegation.messages import Message, QueueLine, encode
from qvac_core.delegation.rpc_streams import OutgoingStream
from qvac_core.errors import ConnectionClosed

# How long nothing may be said to a consumer of ours that waits.
STILL_HERE_SECONDS = 10.0


class AnswerLines:
    """stall_seconds: how long a reader may take nothing; then `drop` ends its connection.

    place_line: what a consumer of ours is told of its place in the line; None: another one, which is told nothing.
    """

    def __init__(
        self,
        stream: OutgoingStream,
        live: LiveRequest,
        *,
        stall_seconds: float,
        place_line: Callable[[int], QueueLine] | None,
        drop: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._live = live
        self._stall_seconds = stall_seconds
        self._place_line = place_line
        self._drop = drop
        self._place = 0
        self._still_here: asyncio.TimerHandle | None = None

    async def write(self, message: Message) -> None:
        """Raises StreamGone or ConnectionClosed when nobody takes it."""
        self._say_later()
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._stream.write(encode(message) + b"\n")
        except TimeoutError:
            seconds = self._stall_seconds
            self._live.stop(Ending.DISCONNECTED, f"The guest took nothing of its answer for {seconds:.0f} seconds.")
            self._drop()
            raise ConnectionClosed("the consumer does not take its answer", name="ETIMEDOUT") from None

    def on_place(self, place: int) -> None:
        """The place in the queue has changed; 0: it is being worked on."""
        self._place = place
        if self._place_line is not None:
            self._stream.write_soon(encode(self._place_line(place)) + b"\n")

    @contextmanager
    def alive(self) -> Iterator[None]:
        """While the work goes on, a consumer of ours hears of it now and then."""
        self._say_later()
        try:
            yield
        finally:
            self._be_silent()

    def _say_later(self) -> None:
        self._be_silent()
        if self._place_line is not None:
            self._still_here = asyncio.get_running_loop().call_later(STILL_HERE_SECONDS, self._say)

    def _say(self) -> None:
        self.on_place(self._place)
        self._say_later()

    def _be_silent(self) -> None:
        if self._still_here is not None:
            self._still_here.cancel()
            self._still_here = None
