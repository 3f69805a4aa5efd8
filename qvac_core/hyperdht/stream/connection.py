"""An open connection to a peer: whole messages in both directions, encrypted end to end.

From docs/wire/hyperdht.md section 4 (@hyperswarm/secret-stream 6.9.2) on top of a UDX stream. Unlike the original it
exerts back-pressure: what the reader has not taken shrinks the window that the peer may fill.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable

from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, LocalProtocolError, RemoteProtocolError
from qvac_core.hyperdht.node.arguments import check_seconds
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.stream.datagram_reader import DatagramReader
from qvac_core.hyperdht.stream.path_driver import MeetAgain, PathDriver
from qvac_core.rendezvous.handshake import Session
from qvac_core.rendezvous.path_set import Kind
from qvac_core.secret_stream import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, SecretStream
from qvac_core.udx import Closed, DataReceived, Drained, EndReceived, Event, MessageReceived, Stats

KEEP_ALIVE = 5.0
CLOSE_STEP = 4.0
"""A closing connection may go on while it still delivers something in so many seconds: for two losses in a row."""
CLOSE_LIMIT = 30.0
LOCAL_PATH = Kind.LAN.value
MAX_DATAGRAM_BYTES = 1100
"""What fits, sealed, into the packet of 1200 bytes that every path carries."""
_FRAME_OVERHEAD = 20
_HEADER_BYTES = 24


def closed_by_us() -> ConnectionClosed:
    return ConnectionClosed("The connection is closed.", name="ECLOSED")


class Connection:
    """`async for message in connection`, `await connection.write(message)`, `await connection.close()`.

    One message written is one message read. Iteration ends when the peer ended its side or we closed ours, and raises
    ConnectionClosed when the connection broke (ECONNRESET: the peer destroyed it, ETIMEDOUT: it vanished).
    `end` closes our side alone: what the peer still says can be read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        paths: PathDriver,
        session: Session,
        *,
        initiator: bool,
        public_key: bytes,
        keep_alive: float = KEEP_ALIVE,
        on_open: Callable[[Connection], None] | None = None,
        on_closed: Callable[[Connection], None] | None = None,
        meet_again: MeetAgain | None = None,
    ) -> None:
        """The stream of `paths` must be connected.

        `on_open` is called once, when the peer has proved that it holds its keys.

        `meet_again` looks for a peer that cannot be found by following it.
        """
        self.is_initiator = initiator
        """Whether we connected to the peer; False on the server's side."""
        self.public_key = public_key
        self.remote_public_key = session.remote_public_key
        self.handshake_hash = session.handshake_hash
        """64 bytes, the same on both sides and of no other connection."""
        self.bytes_written = 0
        """Bytes of the messages that were written."""
        self.bytes_read = 0
        """Bytes of the messages that came, those included that nobody has read yet."""
        self._path_watchers: list[tuple[Callable[[Connection], None], bool]] = []
        self._endpoint = endpoint
        self._loop = endpoint.loop
        self.paths = paths
        self._raw = raw = paths.raw
        self._on_open = on_open
        self._on_closed = on_closed
        self._secret = SecretStream(
            initiator=initiator,
            tx=session.tx,
            rx=session.rx,
            handshake_hash=session.handshake_hash,
            header=endpoint.chance.randbytes(_HEADER_BYTES),
        )
        self._messages: deque[bytes] = deque()
        self._queued_bytes = 0
        self._unconsumed = 0
        self._readers: deque[asyncio.Future[None]] = deque()
        self._writers: deque[asyncio.Future[None]] = deque()
        self._has_room = True
        self._ended = False
        self._remote_ended = False
        self._introduced = False
        self._discarding = False
        self._datagrams: weakref.ref[DatagramReader] | None = None
        self._error: ConnectionClosed | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._keep_alive = keep_alive
        self._last_write = self._loop.time()
        self._keep_alive_timer: asyncio.TimerHandle | None = None
        paths.belong_to(self, self._secret, meet_again)
        raw.on_event = self._on_event
        raw.write(self._secret.start())
        self._set_keep_alive_timer()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Connection to {self.remote_public_key.hex()[:8]} at {self.remote_address} {state}>"

    @property
    def closed(self) -> bool:
        return self._closed.done()

    @property
    def error(self) -> ConnectionClosed | None:
        """Why the connection broke; None while it is open and after an ordered end."""
        return self._error

    @property
    def remote_address(self) -> Address:
        """The path in use now."""
        address = self._raw.remote_address
        assert address is not None
        return address

    def limit_frames(self, size: int) -> None:
        """From now on a message of the peer above `size` bytes breaks the connection, before it is buffered."""
        self._secret.limit_frames(min(size, MAX_MESSAGE_BYTES) + MAX_FRAME_BYTES - MAX_MESSAGE_BYTES)

    @property
    def relay(self) -> bytes | None:
        """The key of the blind relay in use now; None on a direct path."""
        return self.paths.relay

    @property
    def path(self) -> str:
        """ "local network", "direct", or "relay" while a third machine forwards what we say (it cannot read it)."""
        return self.paths.path

    def path_changed(self, *, address_only: bool) -> None:
        """For `paths`: the stream has moved."""
        for watcher, wants_addresses in self._path_watchers:
            if wants_addresses or not address_only:
                self._loop.call_soon(watcher, self)

    def when_path_changes(self, then: Callable[[Connection], None], *, addresses: bool = False) -> None:
        """Call back, from the loop, whenever `path` or `relay` have become other ones.

        `addresses`: also when the peer was followed to another address on the same kind of path.
        """
        self._path_watchers.append((then, addresses))

    @property
    def socket_and_address(self) -> tuple[int, Address]:
        """The path in use now, as the endpoint names it."""
        assert self._raw.socket is not None
        return self._raw.socket, self.remote_address

    @property
    def rtt(self) -> float:
        """Smoothed round trip time in seconds, 0 before the first measurement."""
        return self._raw.stream.srtt

    @property
    def heard_at(self) -> float:
        """When anything came from the peer the last time, also a mere acknowledgement; in seconds of the loop."""
        return self._raw.heard_at

    @property
    def stats(self) -> Stats:
        """What the stream has sent and received, and how it sees the path."""
        return self._raw.stream.stats

    # Writing

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one message; waits while too much is on the way. Raises ConnectionClosed."""
        while not self._has_room and not self._ended and not self.closed:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._writers.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._writers:
                    self._writers.remove(waiter)
        self._write(data)

    def write_nowait(self, data: bytes | bytearray | memoryview) -> bool:
        """Send one message without waiting; False when the next one should wait. Raises ConnectionClosed."""
        self._write(data)
        return self._has_room

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"A message is bytes, and not of type {type(data).__name__}.")
        if self.closed or self._ended:
            raise self._error or closed_by_us()
        self._last_write = self._loop.time()
        self._has_room = self._raw.write(self._secret.encrypt(bytes(data)))
        self.bytes_written += len(data)

    def write_keep_alive(self) -> None:
        """A word that tells nothing but that we live, and that the peer acknowledges."""
        if not self.closed and not self._ended:
            self._last_write = self._loop.time()
            self._raw.write(self._secret.keepalive())

    @property
    def keep_alive(self) -> float:
        """Seconds without a message after which we say that we live; 0 for never. May be set."""
        return self._keep_alive

    @keep_alive.setter
    def keep_alive(self, seconds: float) -> None:
        check_seconds(seconds, "The time between two keep-alives", zero=True)
        self._keep_alive = seconds
        self._set_keep_alive_timer()

    def _set_keep_alive_timer(self) -> None:
        if self._keep_alive_timer is not None:
            self._keep_alive_timer.cancel()
            self._keep_alive_timer = None
        if self._keep_alive > 0 and not self.closed and not self._ended:
            self._keep_alive_timer = self._loop.call_at(self._last_write + self._keep_alive, self._on_keep_alive)

    def _on_keep_alive(self) -> None:
        self._keep_alive_timer = None
        if self.closed or self._ended:
            return
        now = self._loop.time()
        if now >= self._last_write + self._keep_alive:  # as the timer was set: a difference would round
            self._last_write = now
            self._raw.write(self._secret.keepalive())
        self._keep_alive_timer = self._loop.call_at(self._last_write + self._keep_alive, self._on_keep_alive)

    # Reading

    def __aiter__(self) -> Connection:
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self._remote_ended or self._discarding or self.closed:
                raise StopAsyncIteration
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._readers.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._readers:
                    self._readers.remove(waiter)
        message = self._messages.popleft()
        self._queued_bytes -= len(message) + _FRAME_OVERHEAD
        self._give_room()
        return message

    async def read(self) -> bytes | None:
        """The next message, None at the end. Raises ConnectionClosed when the connection broke."""
        try:
            return await anext(self)
        except StopAsyncIteration:
            return None

    def _give_room(self) -> None:
        excess = self._unconsumed - self._queued_bytes
        if excess > 0:
            self._unconsumed -= excess
            self._raw.consumed(excess)

    # Beside the stream

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Send up to MAX_DATAGRAM_BYTES beside the messages, sealed as they are: it may be lost, doubled or overtaken.

        False when the connection is closed. Raises LocalProtocolError for more bytes than that.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"A datagram is bytes, and not of type {type(data).__name__}.")
        if len(data) > MAX_DATAGRAM_BYTES:
            raise LocalProtocolError(f"A datagram holds at most {MAX_DATAGRAM_BYTES} bytes, not {len(data)}.")
        if self.closed:
            return False
        self._raw.send_message(self._secret.encrypt_unordered(bytes(data)))
        return True

    def datagrams(self) -> AsyncIterator[bytes]:
        """What the peer sends by `send`, from now on, until the connection is gone; one reader at a time.

        It is free for the next one as soon as the iterator is dropped.
        """
        if self._datagram_reader is not None:
            raise LocalProtocolError("Somebody reads the datagrams of this connection already.")
        reader = DatagramReader(self._closed)
        self._datagrams = weakref.ref(reader)
        return reader

    @property
    def _datagram_reader(self) -> DatagramReader | None:
        return self._datagrams() if self._datagrams is not None else None

    def _on_datagram(self, data: bytes) -> None:
        """Of the application's, or of those by which a peer of ours shows where it is."""
        reader = self._datagram_reader
        if reader is not None and (datagram := self._secret.decrypt_unordered(data)) is not None:
            reader.take(datagram)
        else:
            self.paths.receive(data)

    # Ending

    def end(self) -> None:
        """No more will be written. Reading goes on until the peer ends its side, too, and then the connection is gone.

        We do not say that we live any more: whoever reads on sets a limit to its waiting.
        """
        if not self._ended and not self.closed:
            self._ended = True
            self._raw.end()
            self._set_keep_alive_timer()
            _wake(self._writers)

    async def close(self) -> None:
        """End our side in order, wait for the peer to end its own, then let go. Bounded; never raises ConnectionClosed.

        What the peer still sends is thrown away. Cancelled, it lets go at once.
        """
        if self.closed:
            return
        self.end()
        self._discard()
        deadline = self._loop.time() + CLOSE_LIMIT
        delivered = -1
        try:
            while not self.closed and self._loop.time() < deadline:
                progress = self._delivered()
                if progress == delivered:
                    break
                delivered = progress
                await asyncio.wait([self._closed], timeout=CLOSE_STEP)
        finally:
            self.destroy()

    def _discard(self) -> None:
        self._discarding = True
        self._messages.clear()
        self._queued_bytes = 0
        self._give_room()
        _wake(self._readers)
        _wake(self._writers)

    def _delivered(self) -> int:
        """A number that changes whenever the peer acknowledges something."""
        return self._raw.stream.bytes_unacked

    def destroy(self, error: ConnectionClosed | None = None) -> None:
        """Drop the connection at once. The peer sees ECONNRESET."""
        if self.closed:
            return
        self._finish(error)
        self._raw.destroy()

    async def wait_closed(self) -> None:
        """Returns when the connection is gone, whoever ended it."""
        await asyncio.wait([self._closed])

    def when_closed(self, then: Callable[[Connection], None]) -> None:
        """Call back, from the loop, once the connection is gone."""
        self._closed.add_done_callback(lambda _: then(self))

    # Events of the stream

    def _on_event(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._on_data(event.data)
        elif isinstance(event, Drained):
            self._has_room = True
            _wake(self._writers)
        elif isinstance(event, EndReceived):
            self._on_end()
        elif isinstance(event, MessageReceived):
            self._on_datagram(event.data)
        elif isinstance(event, Closed):
            self._finish(event.error)

    def _on_data(self, data: bytes) -> None:
        self._unconsumed += len(data)
        try:
            messages = self._secret.receive(data)
        except RemoteProtocolError as error:
            self._break(f"The peer broke the encryption: {error.message}", error)
            return
        if self._secret.opened:
            self._raw.believe_source()
            if not self._introduced:
                self._introduced = True
                if self._on_open is not None:
                    opened, self._on_open = self._on_open, None
                    opened(self)
                self.paths.introduce()
        if messages:
            size = sum(map(len, messages))
            self.bytes_read += size
            if not self._discarding:
                self._messages.extend(messages)
                self._queued_bytes += size + _FRAME_OVERHEAD * len(messages)
                _wake(self._readers)
        self._give_room()

    def _on_end(self) -> None:
        if self._secret.buffered:
            # The end itself is not encrypted: whoever sits on the path can forge one, or the length before a message.
            self._break("The stream of the peer ended in the middle of a message.")
            return
        self._remote_ended = True
        _wake(self._readers)

    def _break(self, sentence: str, cause: RemoteProtocolError | None = None) -> None:
        """The peer, or somebody in its name, broke the rules. Stays the reason, even if a good end follows at once."""
        self._error = ConnectionClosed(sentence, name="ECONNRESET")
        self._error.__cause__ = cause
        # Not from inside the event: the stream is in the middle of handing them out.
        self._loop.call_soon(self.destroy, self._error)

    def _finish(self, error: ConnectionClosed | None) -> None:
        if self.closed:
            return
        self._error = self._error or error
        self._closed.set_result(None)
        self._secret.destroy()
        self.paths.stop()
        self._set_keep_alive_timer()
        if (reader := self._datagram_reader) is not None:
            reader.end()
        _wake(self._readers)
        _wake(self._writers)
        if self._on_closed is not None:
            self._on_closed(self)


def _wake(waiters: deque[asyncio.Future[None]]) -> None:
    while waiters:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
