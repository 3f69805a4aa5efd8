"""The datagrams beside a connection, for one who reads them: as many as are kept, and an end with the connection."""

from __future__ import annotations

import asyncio

_MOST = 256
"""Those that nobody reads: the oldest go, as they may on the way."""


class DatagramReader:
    """An iterator, and no generator: a wait that is cancelled does not end it, and who drops it is gone at once."""

    def __init__(self, closed: asyncio.Future[None]) -> None:
        self._closed = closed
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=_MOST)

    def __aiter__(self) -> DatagramReader:
        return self

    async def __anext__(self) -> bytes:
        if self._closed.done() and self._queue.empty():
            raise StopAsyncIteration
        datagram = await self._queue.get()
        if datagram is None:
            raise StopAsyncIteration
        return datagram

    def take(self, datagram: bytes) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(datagram)

    def end(self) -> None:
        """The connection is closed: wake whoever waits."""
        if not self._queue.full():
            self._queue.put_nowait(None)
