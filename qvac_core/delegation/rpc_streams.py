"""The ends of one exchange: an `IncomingRequest`, the `OutgoingStream` of its answer, and the asker's `IncomingStream`.
Of a request whose body is a stream (duplex) the ends are the same the other way round.

bare-rpc 1.3.8 lib/{outgoing,incoming}-stream.js, with bounds and without its ERROR flag on leaving: that flag ends a
JavaScript provider's worker (docs/wire/qvac.md section 6). Both orders of the OPENs work: no side waits for the
other's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from qvac_core.delegation.frames import (
    REQUEST_STREAM,
    RESPONSE_STREAM,
    RPCRemoteError,
    StreamFlag,
    encode_response,
    encode_stream,
)
from qvac_core.errors import ConnectionClosed, ProviderError, QvacError, RemoteProtocolError

# A reader asks its peer to pause above the first and to go on below the second. Our choice: a few round trips.
PAUSE_ABOVE_BYTES = 256 * 1024
RESUME_BELOW_BYTES = 64 * 1024
# Of a request's stream: what may come before it is accepted, and what is held of it then. Its peer was told to pause.
UNACCEPTED_BYTES = 64 * 1024
REQUEST_STREAM_BYTES = 4 * 1024 * 1024


class Gone(Enum):
    """Why an answer has nobody to go to any more."""

    DESTROYED = "destroyed"  # the peer sent DESTROY: it does not want the rest
    DISCONNECTED = "disconnected"  # the connection ended


class StreamGone(QvacError):
    """Nobody reads this answer any more. Never crosses the room's wall: it ends a handler."""

    name = "STREAM_GONE"


class FrameSink(Protocol):
    async def send(self, frame: bytes) -> None:
        """Queue and wait for room. Raises ConnectionClosed."""

    def send_soon(self, frame: bytes) -> None:
        """Queue a small frame at once; nothing when the connection is over."""


class OutgoingStream:
    """The lines of one answer. Holds at most the chunk being written: its writer waits for the reader.

    direction: REQUEST_STREAM for the body of a request of ours; nothing goes out before the peer asks for it.
    """

    def __init__(self, sink: FrameSink, request_id: int, direction: int = RESPONSE_STREAM) -> None:
        self._sink = sink
        self._id = request_id
        self._direction = direction
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ended = False
        self._gone: Gone | None = None
        if direction == RESPONSE_STREAM:
            sink.send_soon(encode_response(request_id))
        else:
            self._flowing.clear()  # until its reader takes it: what comes before is refused beyond a little

    @property
    def ended(self) -> bool:
        return self._ended or self._gone is not None

    async def write(self, data: bytes) -> None:
        """Raises StreamGone when the peer destroyed the stream, ConnectionClosed when there is no peer."""
        while not self._flowing.is_set() and self._gone is None:
            await self._flowing.wait()
        self._check()
        await self._sink.send(encode_stream(self._id, self._direction | StreamFlag.DATA, data))

    def write_soon(self, data: bytes) -> None:
        """A small line that may be lost on a reader that pauses: news, not part of the answer."""
        if self._flowing.is_set() and not self.ended:
            self._sink.send_soon(encode_stream(self._id, self._direction | StreamFlag.DATA, data))

    def end(self) -> None:
        """Everything is written. Both frames are small and go out even to a reader that pauses."""
        if self.ended:
            return
        self._ended = True
        self._sink.send_soon(encode_stream(self._id, self._direction | StreamFlag.END))
        self._sink.send_soon(encode_stream(self._id, self._direction | StreamFlag.CLOSE))

    def destroy(self) -> None:
        """Leave it: the peer hears a plain DESTROY."""
        if not self.ended:
            self._ended = True
            self._sink.send_soon(encode_stream(self._id, self._direction | StreamFlag.DESTROY))

    def _check(self) -> None:
        if self._gone is Gone.DISCONNECTED:
            raise ConnectionClosed("the connection ended while something was being sent")
        if self._gone is Gone.DESTROYED or self._ended:
            raise StreamGone("the peer does not want the rest")

    # Called by the connection's reader.

    def on_pause(self) -> None:
        self._flowing.clear()

    def on_resume(self) -> None:
        self._flowing.set()

    def on_gone(self, gone: Gone) -> None:
        if self._gone is not None:
            return
        self._gone = gone
        self._flowing.set()
        if gone is Gone.DESTROYED and not self._ended:
            self._sink.send_soon(encode_stream(self._id, self._direction | StreamFlag.CLOSE))


class IncomingStream:
    """An answer as it arrives: `async for chunk in stream`. Chunks have no meaning; lines may straddle them."""

    def __init__(
        self,
        sink: FrameSink,
        request_id: int,
        *,
        limit: int,
        on_closed: Callable[[IncomingStream], None],
        sent_at: int = 0,
        direction: int = RESPONSE_STREAM,
    ) -> None:
        """sent_at: how much the connection has written when the request has gone out.

        direction: REQUEST_STREAM for the body of a peer's request; then nothing is asked for before `accept`.
        """
        self.id = request_id
        self.sent_at = sent_at
        self._sink = sink
        self._direction = direction
        self._limit = limit
        self._on_closed = on_closed
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._ended = False
        self._error: QvacError | None = None
        self._changed = asyncio.Event()
        self._destroyed = False
        if direction == RESPONSE_STREAM:
            self._open()

    def _open(self) -> None:
        self._sink.send_soon(encode_stream(self.id, self._direction | StreamFlag.OPEN))
        self._sink.send_soon(encode_stream(self.id, self._direction | StreamFlag.RESUME))

    def accept(self, limit: int) -> None:
        """Take the body of a peer's request, so many bytes at once."""
        self._limit = limit
        self._open()

    def __aiter__(self) -> IncomingStream:
        return self

    async def __anext__(self) -> bytes:
        while True:
            if self._chunks:
                return self._take()
            if self._error is not None:
                raise self._error
            if self._ended:
                self.destroy()  # what a JavaScript reader also sends once it has read the end
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()

    def _take(self) -> bytes:
        chunk = self._chunks.popleft()
        self._buffered -= len(chunk)
        if self._paused and self._buffered <= RESUME_BELOW_BYTES:
            self._paused = False
            self._sink.send_soon(encode_stream(self.id, self._direction | StreamFlag.RESUME))
        return chunk

    def destroy(self) -> None:
        """Take no more. The peer hears a plain DESTROY, which a JavaScript provider survives."""
        if self._destroyed:
            return
        self._destroyed = True
        self._ended = True
        self._chunks.clear()
        self._buffered = 0
        self._changed.set()
        self._on_closed(self)
        if self._error is None:
            self._sink.send_soon(encode_stream(self.id, self._direction | StreamFlag.DESTROY))

    # Called by the connection's reader.

    def on_data(self, data: bytes) -> None:
        if self._ended or self._error is not None:
            return
        self._chunks.append(data)
        self._buffered += len(data)
        self._changed.set()
        if self._buffered > self._limit:
            # PAUSE was ignored: this peer would fill our memory. Only this stream ends.
            error = RemoteProtocolError("the peer sends faster than it is read and does not pause")
            self.destroy()
            self._error = error
        elif self._buffered > PAUSE_ABOVE_BYTES and not self._paused:
            self._paused = True
            self._sink.send_soon(encode_stream(self.id, self._direction | StreamFlag.PAUSE))

    def on_end(self) -> None:
        self._ended = True
        self._changed.set()

    def on_error(self, error: QvacError) -> None:
        if self._error is None and not self._ended:
            self._error = error
            self._changed.set()
            self._on_closed(self)


def remote_failure(error: RPCRemoteError) -> ProviderError:
    """bare-rpc's own error response. 0.16.0 handlers do not send it, other peers may."""
    return ProviderError(f"the provider failed: {error.message}")


RequestHandler = Callable[["IncomingRequest"], Awaitable[None]]


class IncomingRequest:
    """A peer's request until it is answered: by one `reply` or by the lines of one `respond()` stream.

    `body` is None for a request whose body comes as a stream: `receive` it, or leave it and it is refused. `on_gone` is
    called once when the peer destroys the answer or the connection ends; from then on writing raises.
    too_long: its length in bytes where that was too much; `body` is then only how it begins.
    """

    def __init__(
        self, sink: FrameSink, request_id: int, command: int, body: bytes | None, *, too_long: int = 0
    ) -> None:
        self.id = request_id
        self.command = command
        self.body = body
        self.too_long = too_long
        self.gone: Gone | None = None
        self.on_gone: Callable[[Gone], None] | None = None
        self._sink = sink
        self._replied = False
        self.stream: OutgoingStream | None = None
        self.upload: IncomingStream | None = None
        self._accepted = False
        if body is None:
            self.upload = IncomingStream(
                sink, request_id, limit=UNACCEPTED_BYTES, on_closed=lambda _: None, direction=REQUEST_STREAM
            )

    @property
    def answered(self) -> bool:
        return self._replied or self.stream is not None

    async def reply(self, body: bytes) -> None:
        if self.gone is not None or self.answered:
            return
        self._replied = True
        await self._sink.send(encode_response(self.id, body))

    def respond(self) -> OutgoingStream:
        stream = OutgoingStream(self._sink, self.id)
        self.stream = stream
        if self.gone is not None:
            stream.on_gone(self.gone)
        return stream

    def receive(self) -> IncomingStream:
        """The body of a request that has none yet."""
        assert self.upload is not None
        self._accepted = True
        self.upload.accept(REQUEST_STREAM_BYTES)
        return self.upload

    def on_end_of_peer(self, gone: Gone) -> None:
        if self.gone is not None:
            return
        self.gone = gone
        if self.stream is not None:
            self.stream.on_gone(gone)
        if self.on_gone is not None:
            self.on_gone(gone)
