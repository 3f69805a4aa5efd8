"""A plain stream of bytes between two nodes: ordered and reliable, but without keys, and for all on the way to read.

From hyperdht/index.js 6.34.0 createRawStream and connectRawStream, and udx-native's UDXStream 1.21.3.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType

from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.raw_stream import RawStream
from qvac_core.udx import Closed, DataReceived, Drained, EndReceived, Event, Stats


class ByteStream:
    """Made by `DHT.create_raw_stream`. Both sides tell each other their `id` and then call `connect_along`.

    `async for data in stream`, `await stream.write(data)`, `stream.end()`, `await stream.close()`. Where one piece that
    is read ends says nothing. What comes before `connect_along` is kept, to a bound.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._raw = RawStream(endpoint)
        self._raw.on_event = self._on_event
        self._parts: deque[bytes] = deque()
        self._wakers: set[asyncio.Future[None]] = set()
        self._has_room = True
        self._ended = self._remote_ended = False
        self._closed: asyncio.Future[None] = endpoint.loop.create_future()
        self.error: ConnectionClosed | None = None
        """Why it broke; None while it is open and after an ordered end."""

    async def __aenter__(self) -> ByteStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    @property
    def id(self) -> int:
        """What the other side has to name: 32 bits."""
        return self._raw.id

    @property
    def connected(self) -> bool:
        return self._raw.connected and not self.closed

    @property
    def closed(self) -> bool:
        return self._closed.done()

    @property
    def stats(self) -> Stats:
        return self._raw.stream.stats

    def connect_along(self, connection: Connection, remote_id: int) -> None:
        """Go where this connection goes now, to the peer's stream `remote_id`. Raises ConnectionClosed."""
        if connection.closed:
            raise ConnectionClosed("The connection is closed.", name="ECLOSED")
        self._raw.connect(*connection.socket_and_address, remote_id)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Waits while too much is on the way. Raises ConnectionClosed."""
        while not self._has_room and not self._ended and not self.closed:
            await self._next_change()
        if self._ended or self.closed or not self._raw.connected:
            raise self.error or ConnectionClosed("The stream is not open for writing.", name="ECLOSED")
        self._has_room = self._raw.write(bytes(data))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (data := await self.read()) is not None:
            yield data

    async def read(self) -> bytes | None:
        """The next bytes, None at the end. Raises ConnectionClosed when the stream broke."""
        while not self._parts:
            if self.error is not None:
                raise self.error
            if self._remote_ended or self.closed:
                return None
            await self._next_change()
        data = self._parts.popleft()
        self._raw.consumed(len(data))
        return data

    def end(self) -> None:
        """No more will be written; the other side may go on."""
        if not self._ended and not self.closed:
            self._ended = True
            self._raw.end()

    async def close(self, limit: float = 30.0) -> None:
        """End our side, wait for the other side's end (`limit` seconds at most), then let go."""
        self.end()
        try:
            await asyncio.wait([self._closed], timeout=limit)
        finally:
            self.destroy()

    def destroy(self) -> None:
        """Drop it at once; the other side sees ECONNRESET."""
        if not self.closed:
            self._closed.set_result(None)
            self._raw.destroy()
            self._wake()

    async def _next_change(self) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.add(waker)
        try:
            await waker
        finally:
            self._wakers.discard(waker)

    def _wake(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._parts.append(event.data)
        elif isinstance(event, Drained):
            self._has_room = True
        elif isinstance(event, EndReceived):
            self._remote_ended = True
        elif isinstance(event, Closed) and not self.closed:
            self.error = event.error
            self._closed.set_result(None)
        self._wake()
