"""bare-rpc on one connection, as either side: requests out, requests in, response streams, with bounded memory.

Wire and codec of bare-rpc 1.3.8 (docs/wire/qvac.md section 1); the runtime is ours because the PyPI one is not fit for
strangers (section 11): here DESTROY reaches the handler, writers wait for the transport, a frame that is too long or
unknown ends the connection, an abandoned request leaves the table, and leaving a stream never sends the ERROR flag.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from qvac_core.delegation.frames import (
    REQUEST_STREAM,
    RESPONSE_STREAM,
    FrameReader,
    Message,
    RequestMessage,
    ResponseMessage,
    StreamFlag,
    StreamMessage,
    TooLongRequest,
    encode_request,
)
from qvac_core.delegation.held_bytes import HeldBytes
from qvac_core.delegation.peer_stream import PeerStream
from qvac_core.delegation.rpc_streams import (
    Gone,
    IncomingRequest,
    IncomingStream,
    OutgoingStream,
    RequestHandler,
    StreamGone,
    remote_failure,
)
from qvac_core.errors import ConnectionClosed, QvacError, RemoteProtocolError

logger = logging.getLogger(__name__)

# One write to the transport: small frames are joined up to this, large ones cut.
WRITE_BYTES = 64 * 1024
# How long handlers may take to notice that their peer is gone before they are cancelled.
HANDLER_GRACE_SECONDS = 5.0
# How long the last bytes may take to leave when a connection is closed.
CLOSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of one connection. frame: one message. open_requests: the peer's unanswered requests, in number and bytes.

    outbox: bytes waiting for the transport before writers wait. stream_buffer: one incoming answer that nobody reads.
    """

    frame_bytes: int = 64 * 1024 * 1024
    request_bytes: int | None = None  # a request beyond it is answered by its length; None: it ends the connection
    open_requests: int = 256
    open_request_bytes: int = 128 * 1024 * 1024
    outbox_bytes: int = 256 * 1024
    stream_buffer_bytes: int = 32 * 1024 * 1024


class Rpc:
    """One RPC object per connection. Its owner awaits `run()`, which ends with the connection."""

    def __init__(
        self,
        stream: PeerStream,
        on_request: RequestHandler | None = None,
        limits: RpcLimits | None = None,
        held: HeldBytes | None = None,
    ) -> None:
        """`held` counts what is held of the peer's frames, together with other connections."""
        self._stream = stream
        self._held = held
        self._on_request = on_request
        self._limits = limits or RpcLimits()
        self._frames = FrameReader(self._limits.frame_bytes, self._limits.request_bytes)
        self._last_id = 0
        self._replies: dict[int, asyncio.Future[bytes]] = {}
        self._incoming_streams: dict[int, IncomingStream] = {}
        self._incoming_requests: dict[int, IncomingRequest] = {}
        self._uploads: dict[int, OutgoingStream] = {}  # bodies of our own requests, until their answers end
        self._open_request_bytes = 0
        self._handlers: set[asyncio.Task[None]] = set()
        self._outbox: deque[tuple[bytes, bool]] = deque()  # a frame, and whether it is a small one sent soon
        self._outbox_bytes = 0
        self._soon_bytes = 0
        self._queued_in_all = 0
        self._written_in_all = 0
        self._write_done: asyncio.Future[None] | None = None
        self._outbox_filled = asyncio.Event()
        self._outbox_room = asyncio.Event()
        self._error: QvacError | None = None
        self._closing = False
        self._let_go = asyncio.Event()

    # --- Life -------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._error is not None

    @property
    def error(self) -> QvacError | None:
        """Why the connection ended, once it has."""
        return self._error

    async def run(self) -> None:
        """Serve the connection until it ends. When this returns, no handler of it runs any more."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_outbox())
                await self._read_frames(group)
                await self._end_handlers()
        finally:
            self.destroy()
            if self._held is not None:
                self._held.release(self)

    def destroy(self, error: QvacError | None = None) -> None:
        """Drop the connection now; everything open on it fails with `error`."""
        self._fail(error or ConnectionClosed("the connection was closed", name="ECLOSED"))
        self._stream.destroy()
        self._let_go.set()

    async def close(self) -> None:
        """Deliver what is queued, then end the connection gracefully. Bounded: a peer that does not read is dropped."""
        self._closing = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._outbox_bytes and self._error is None:
                    self._outbox_room.clear()
                    await self._outbox_room.wait()
                if self._error is None:
                    await self._stream.close()
        except TimeoutError:
            logger.debug("a peer did not take the last bytes of its connection")
        finally:
            self.destroy()

    async def finish(self, seconds: float) -> None:
        """Let the requests that are being answered end, for so long at most, and close gracefully."""
        if self._handlers:
            await asyncio.wait(set(self._handlers), timeout=seconds)
        await self.close()

    def _fail(self, error: QvacError) -> None:
        if self._error is not None:
            return
        self._error = error
        self._outbox.clear()
        self._outbox_bytes = self._soon_bytes = 0
        self._outbox_filled.set()
        self._outbox_room.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(error)
                reply.exception()  # one nobody awaits any more is not a mistake
        self._replies.clear()
        for stream in list(self._incoming_streams.values()):
            stream.on_error(error)
        for upload in list(self._uploads.values()):
            upload.on_gone(Gone.DISCONNECTED)
        for request in list(self._incoming_requests.values()):
            if request.upload is not None:
                request.upload.on_error(error)
            request.on_end_of_peer(Gone.DISCONNECTED)

    async def _end_handlers(self) -> None:
        if not self._handlers:
            return
        _, late = await asyncio.wait(self._handlers, timeout=HANDLER_GRACE_SECONDS)
        for task in late:
            task.cancel()

    # --- Asking -----------------------------------------------------------------------------------------------

    async def request(self, body: bytes, seconds: float | None = None) -> bytes:
        """Send a request of the reply shape and wait for its answer. Cancelling forgets the request.

        seconds: for the answer, from when the request has gone out: a long one before it takes its time on a slow line,
        and nobody could answer meanwhile. As long as nothing at all goes out, too. Raises TimeoutError.
        """
        request_id = self._next_id()
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        try:
            self._enqueue(encode_request(request_id, request_id, body))
            end = self._queued_in_all
            while self._written_in_all < end and not reply.done():
                going_out = self._next_write()
                waits: set[asyncio.Future[Any]] = {reply, going_out}
                await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if not reply.done() and not going_out.done():
                    raise TimeoutError
            async with asyncio.timeout(seconds):
                return await reply
        finally:
            self._replies.pop(request_id, None)

    def _next_write(self) -> asyncio.Future[None]:
        """Done when the transport takes more."""
        if self._write_done is None or self._write_done.done():
            self._write_done = asyncio.get_running_loop().create_future()
        return self._write_done

    @property
    def written_in_all(self) -> int:
        """Bytes of those that the transport took: who waits for an answer sees whether its question still goes out."""
        return self._written_in_all

    @property
    def backlog(self) -> int:
        """Bytes that the transport has not taken yet."""
        return self._queued_in_all - self._written_in_all

    @property
    def awaited(self) -> int:
        """Replies and answers that are still to come."""
        return len(self._replies) + len(self._incoming_streams)

    def open_stream(self, body: bytes) -> IncomingStream:
        """Send a request of the stream shape; its answer arrives on the returned stream.

        The request may be long: it goes out as the transport takes it, in front of whatever is sent after it.
        """
        request_id = self._next_id()
        self._enqueue(encode_request(request_id, request_id, body))
        return self._open_answer(request_id)

    def open_duplex(self) -> tuple[OutgoingStream, IncomingStream]:
        """Send a request of the duplex shape: its body goes into the first stream, its answer comes out of the other.

        Once the answer ended, or was left, nothing more of the body goes out.
        """
        request_id = self._next_id()
        self._enqueue(encode_request(request_id, request_id, None))
        upload = self._uploads[request_id] = OutgoingStream(self, request_id, REQUEST_STREAM)
        return upload, self._open_answer(request_id)

    def _open_answer(self, request_id: int) -> IncomingStream:
        stream = IncomingStream(
            self,
            request_id,
            sent_at=self._queued_in_all,
            limit=self._limits.stream_buffer_bytes,
            on_closed=lambda closed: self._forget_stream(closed),
        )
        self._incoming_streams[request_id] = stream
        return stream

    def _forget_stream(self, stream: IncomingStream) -> None:
        self._incoming_streams.pop(stream.id, None)
        if (upload := self._uploads.pop(stream.id, None)) is not None:
            upload.destroy()

    def _next_id(self) -> int:
        if self._error is not None:
            raise self._error
        self._last_id += 1
        return self._last_id

    # --- Writing ----------------------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        self._enqueue(frame)
        while self._outbox_bytes > self._limits.outbox_bytes and self._error is None:
            self._outbox_room.clear()
            await self._outbox_room.wait()
        if self._error is not None:
            raise self._error

    def send_soon(self, frame: bytes) -> None:
        if self._error is not None:
            return
        self._enqueue(frame, soon=True)
        if self._soon_bytes > self._limits.outbox_bytes:
            # Only a peer that provokes control frames and reads none of them gets here. Long frames are not counted:
            # one of them in front, ours or an answer, says nothing about the peer.
            self.destroy(RemoteProtocolError("the peer does not read what it asks for"))

    def _enqueue(self, frame: bytes, *, soon: bool = False) -> None:
        if self._error is not None:
            raise self._error
        self._outbox.append((frame, soon))
        self._outbox_bytes += len(frame)
        self._queued_in_all += len(frame)
        if soon:
            self._soon_bytes += len(frame)
        self._outbox_filled.set()

    async def _write_outbox(self) -> None:
        try:
            while self._error is None:
                if not self._outbox:
                    self._outbox_room.set()
                    self._outbox_filled.clear()
                    await self._outbox_filled.wait()
                    continue
                await self._write(self._take_batch())
        except ConnectionClosed:
            pass  # the reader sees the same end, behind what the peer said before it
        except QvacError as error:
            self.destroy(error)

    def _take_batch(self) -> bytes:
        batch = bytearray(self._next_frame())
        while self._outbox and len(batch) + len(self._outbox[0][0]) <= WRITE_BYTES:
            batch += self._next_frame()
        return bytes(batch)

    def _next_frame(self) -> bytes:
        frame, soon = self._outbox.popleft()
        if soon:
            self._soon_bytes -= len(frame)
        return frame

    async def _write(self, batch: bytes) -> None:
        for start in range(0, len(batch), WRITE_BYTES):
            part = batch[start : start + WRITE_BYTES]
            await self._stream.write(part)
            self._written_in_all += len(part)
            if self._write_done is not None and not self._write_done.done():
                self._write_done.set_result(None)
        # Counted until the transport took it: one batch in its hands still keeps writers waiting.
        self._outbox_bytes = max(0, self._outbox_bytes - len(batch))
        if self._outbox_bytes <= self._limits.outbox_bytes:
            self._outbox_room.set()

    # --- Reading ----------------------------------------------------------------------------------------------

    async def _read_frames(self, group: asyncio.TaskGroup) -> None:
        try:
            async for chunk in self._stream:
                for message in self._frames.feed(chunk):
                    self._dispatch(message, group)
                self._count_held()
                if self._error is not None:
                    return
            await self._begin_handlers()
            self._fail(ConnectionClosed("the peer closed the connection"))
            if self._closing:
                await self._let_go.wait()  # or what is still on its way would be lost with the first lost packet
        except QvacError as error:
            await self._begin_handlers()
            self.destroy(error)

    def _count_held(self) -> None:
        if self._held is not None and self._error is None:
            self._held.hold(self, self._frames.buffered + self._open_request_bytes)

    async def _begin_handlers(self) -> None:
        """What came right before the end was said by a peer that was there: its cancel is no mere disconnect."""
        await asyncio.sleep(0)

    def _dispatch(self, message: Message, group: asyncio.TaskGroup) -> None:
        if message.id == 0:
            return  # bare-rpc events: never used by the SDK
        if isinstance(message, RequestMessage):
            self._on_request_message(message, group)
        elif isinstance(message, ResponseMessage):
            self._on_response_message(message)
        else:
            self._on_stream_message(message)

    def _on_request_message(self, message: RequestMessage, group: asyncio.TaskGroup) -> None:
        if self._on_request is None:
            return  # a consumer answers nothing, as in the SDK
        size = len(message.data or b"")
        if message.id in self._incoming_requests:
            raise RemoteProtocolError("the peer used the id of an open request again")
        if len(self._incoming_requests) >= self._limits.open_requests:
            raise RemoteProtocolError("the peer has too many open requests")
        if self._open_request_bytes + size > self._limits.open_request_bytes:
            raise RemoteProtocolError("the peer has too many bytes in open requests")
        body = None if message.stream & StreamFlag.OPEN else (message.data or b"")
        too_long = message.length if isinstance(message, TooLongRequest) else 0
        request = IncomingRequest(self, message.id, message.command, body, too_long=too_long)
        self._incoming_requests[message.id] = request
        self._open_request_bytes += size
        task = group.create_task(self._handle(self._on_request, request, size))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _handle(self, handler: RequestHandler, request: IncomingRequest, size: int) -> None:
        try:
            await handler(request)
        except (StreamGone, ConnectionClosed):
            pass  # nobody is left to answer; the handler has cleaned up
        finally:
            if request.upload is not None:
                request.upload.destroy()  # what is left of it, or all of it
            if request.stream is not None:
                request.stream.end()
            self._incoming_requests.pop(request.id, None)
            self._open_request_bytes -= size
            self._count_held()

    def _on_response_message(self, message: ResponseMessage) -> None:
        reply = self._replies.get(message.id)
        if reply is not None:
            if not reply.done():
                if message.error is not None:
                    reply.set_exception(remote_failure(message.error))
                elif not message.stream & StreamFlag.OPEN:
                    reply.set_result(message.data or b"")
            return
        stream = self._incoming_streams.get(message.id)
        if stream is None:
            return
        if message.error is not None:
            stream.on_error(remote_failure(message.error))
        elif not message.stream & StreamFlag.OPEN:
            # A plain reply to a request of the stream shape, as for a method the peer does not know: its only line.
            stream.on_data((message.data or b"") + b"\n")
            stream.on_end()

    def _on_stream_message(self, message: StreamMessage) -> None:
        if not message.flags & RESPONSE_STREAM:
            self._on_upload_message(message)
            return
        incoming = self._incoming_streams.get(message.id)
        if incoming is not None:
            self._on_answer(incoming, message)
            return
        request = self._incoming_requests.get(message.id)
        if request is None:
            return
        if message.flags & StreamFlag.DESTROY:
            request.on_end_of_peer(Gone.DESTROYED)
        elif request.stream is not None and message.flags & StreamFlag.PAUSE:
            request.stream.on_pause()
        elif request.stream is not None and message.flags & StreamFlag.RESUME:
            request.stream.on_resume()

    def _on_upload_message(self, message: StreamMessage) -> None:
        """Of the stream that is a request's body: ours, or the peer's."""
        upload = self._uploads.get(message.id)
        request = self._incoming_requests.get(message.id)
        if upload is not None:
            if message.flags & StreamFlag.DESTROY:
                upload.on_gone(Gone.DESTROYED)
            elif message.flags & StreamFlag.PAUSE:
                upload.on_pause()
            elif message.flags & StreamFlag.RESUME:
                upload.on_resume()
        elif request is not None and request.upload is not None:
            self._on_answer(request.upload, message)
            if message.flags & StreamFlag.DESTROY:
                request.upload.on_error(StreamGone("the peer takes its request back"))

    def _on_answer(self, stream: IncomingStream, message: StreamMessage) -> None:
        if message.error is not None:
            stream.on_error(remote_failure(message.error))
        elif message.flags & StreamFlag.DATA:
            stream.on_data(message.data or b"")
        elif message.flags & (StreamFlag.END | StreamFlag.CLOSE):
            stream.on_end()
