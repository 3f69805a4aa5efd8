"""Many channels over one stream of whole messages: protomux as a state machine without I/O.

From docs/wire/hyperdht.md section 6.7 (protomux/index.js 3.12.1).

A channel is one side's open and the other side's open of the same (protocol, id), in either order. Every side names its
channels by numbers of its own, from 1, and writes its own number into what it sends. The original keeps an open that
nobody wants until its application has decided; here the application says beforehand what it `serves`, so that an open
is answered or rejected at once and nothing ever waits in memory.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from qvac_core.codec import Reader, Writer
from qvac_core.errors import LocalProtocolError, RemoteProtocolError

CONTROL = 0
BATCH = 0
OPEN = 1
REJECT = 2
CLOSE = 3

MAX_CHANNELS = 64
"""Channels that a peer may hold open at a time; the original has no limit. A relay needs one."""
MAX_REMOTE_ID = 4096
"""Numbers grow by one at most, and free ones are reused: nobody honest comes near."""
MAX_BATCH = 4096
"""Messages in one batch."""
MAX_NAME = 256
"""Bytes of a protocol's name, and of an id."""

Key = tuple[str, bytes]


@dataclass(eq=False, slots=True)
class Channel:
    """Ours to hold, the multiplexer's to change. `local_id` is 0 once it is closed."""

    protocol: str
    id: bytes
    local_id: int
    remote_id: int = 0
    opened: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """Both sides have opened it; `handshake` is what the peer added to its open."""

    channel: Channel
    handshake: bytes


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    channel: Channel
    type: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The peer closed or rejected it. What we close ourselves is not told."""

    channel: Channel
    rejected: bool


MuxEvent = ChannelOpened | ChannelMessage | ChannelClosed


class Protomux:
    """`receive` each message of the stream, write each of `frames_to_send`, handle each `next_event`."""

    def __init__(self) -> None:
        self._local: dict[int, Channel] = {}
        self._remote: dict[int, Channel] = {}
        self._free: list[int] = []
        self._ids = 0
        self._remote_ids = 0
        # Numbers of ours whose open the peer has not answered; a closed one stays until it does.
        self._unanswered: dict[Key, deque[int]] = {}
        self._served: set[Key | str] = set()
        self._out: list[bytes] = []
        self._events: deque[MuxEvent] = deque()
        self._corked = 0
        self._batch: list[tuple[int, bytes]] = []

    # what the application does

    def serve(self, protocol: str, id: bytes | None = None) -> None:
        """Answer a peer's open of this channel with our own; without `id`, of any of this protocol."""
        self._served.add(protocol if id is None else (protocol, id))

    def open(self, protocol: str, id: bytes = b"", handshake: bytes = b"") -> Channel:
        """A new channel. Messages may be sent on it before the peer has answered."""
        channel = self._new_channel(protocol, id)
        self._unanswered.setdefault((protocol, id), deque()).append(channel.local_id)
        self._write_open(channel, handshake)
        return channel

    def send(self, channel: Channel, type: int, payload: bytes) -> None:
        """Nothing happens when the channel is closed."""
        if not channel.closed:
            self._write(channel.local_id, Writer().uint(type).raw(payload).finish())

    def close(self, channel: Channel) -> None:
        if channel.closed:
            return
        frame = Writer().uint(CLOSE).uint(channel.local_id).finish()
        self._forget(channel)
        self._write(CONTROL, frame)

    def cork(self) -> None:
        """Collect what is sent into one frame until `uncork`."""
        self._corked += 1

    def uncork(self) -> None:
        if self._corked == 0:
            raise LocalProtocolError("uncorked more often than corked")
        self._corked -= 1
        if self._corked == 0 and self._batch:
            batch, self._batch = self._batch, []
            self._out.append(_encode_batch(batch))

    def frames_to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def next_event(self) -> MuxEvent | None:
        return self._events.popleft() if self._events else None

    @property
    def channels(self) -> int:
        """How many are open, or opening."""
        return len(self._local)

    # what the peer says

    def receive(self, frame: bytes) -> None:
        """One message of the stream. Raises RemoteProtocolError, after which the stream is to be dropped."""
        if not frame:
            return
        reader = Reader(frame)
        channel = reader.uint()
        self._receive_one(channel, reader, in_batch=False)

    def _receive_one(self, number: int, reader: Reader, *, in_batch: bool) -> None:
        type = reader.uint()
        if number == CONTROL:
            self._receive_control(type, reader, in_batch=in_batch)
            return
        channel = self._remote.get(number)
        if channel is not None:  # else it is closed, and this was on the way
            self._events.append(ChannelMessage(channel, type, reader.rest()))

    def _receive_control(self, type: int, reader: Reader, *, in_batch: bool) -> None:
        if type == BATCH:
            if in_batch:
                raise RemoteProtocolError("a batch inside a batch")
            self._receive_batch(reader)
        elif type == OPEN:
            self._receive_open(reader)
        elif type == REJECT:
            self._receive_reject(reader.uint())
        elif type == CLOSE:
            channel = self._remote.get(reader.uint())
            if channel is not None:
                self._forget(channel)
                self._events.append(ChannelClosed(channel, rejected=False))

    def _receive_batch(self, reader: Reader) -> None:
        number = reader.uint()
        count = 0
        while reader.remaining:
            count += 1
            if count > MAX_BATCH:
                raise RemoteProtocolError(f"a batch of more than {MAX_BATCH} messages")
            size = reader.uint()
            if size == 0:
                number = reader.uint()
            else:
                self._receive_one(number, Reader(reader.fixed(size)), in_batch=True)

    def _receive_open(self, reader: Reader) -> None:
        number, protocol, id = reader.uint(), reader.string(), reader.buffer() or b""
        if number == 0:
            self._reject(0)
            return
        if number > self._remote_ids + 1 or number in self._remote or number > MAX_REMOTE_ID:
            raise RemoteProtocolError("the peer opened a channel under a number that is not free")
        if len(protocol) > MAX_NAME or len(id) > MAX_NAME:
            raise RemoteProtocolError("the peer opened a channel with an endless name")
        self._remote_ids = max(self._remote_ids, number)
        key = (protocol, id)
        if key in self._unanswered:
            self._answered(key, number, reader.rest())
        elif self._serves(key) and len(self._remote) < MAX_CHANNELS:
            channel = self._new_channel(protocol, id)
            self._pair(channel, number, reader.rest())
            self._write_open(channel, b"")
        else:
            self._reject(number)

    def _serves(self, key: Key) -> bool:
        return key in self._served or key[0] in self._served

    def _answered(self, key: Key, number: int, handshake: bytes) -> None:
        waiting = self._unanswered[key]
        local_id = waiting.popleft()
        if not waiting:
            del self._unanswered[key]
        channel = self._local.get(local_id)
        if channel is None:
            self._free.append(local_id)  # we closed it meanwhile; our close, on its way, ends the peer's half
        else:
            self._pair(channel, number, handshake)

    def _pair(self, channel: Channel, number: int, handshake: bytes) -> None:
        channel.remote_id, channel.opened = number, True
        self._remote[number] = channel
        self._events.append(ChannelOpened(channel, handshake))

    def _receive_reject(self, local_id: int) -> None:
        for key, waiting in self._unanswered.items():
            if local_id not in waiting:
                continue
            waiting.remove(local_id)
            if not waiting:
                del self._unanswered[key]
            channel = self._local.pop(local_id, None)
            self._free.append(local_id)
            if channel is not None:
                channel.closed, channel.local_id = True, 0
                self._events.append(ChannelClosed(channel, rejected=True))
            return
        raise RemoteProtocolError("the peer rejected a channel that we did not open")

    # numbers and frames

    def _new_channel(self, protocol: str, id: bytes) -> Channel:
        if self._free:
            local_id = self._free.pop()
        else:
            self._ids += 1
            local_id = self._ids
        channel = self._local[local_id] = Channel(protocol, id, local_id)
        return channel

    def _forget(self, channel: Channel) -> None:
        channel.closed = True
        self._local.pop(channel.local_id, None)
        if channel.remote_id:
            del self._remote[channel.remote_id]
            self._free.append(channel.local_id)  # else it is free once the peer has answered the open
        channel.local_id = channel.remote_id = 0

    def _write_open(self, channel: Channel, handshake: bytes) -> None:
        writer = Writer().uint(OPEN).uint(channel.local_id).string(channel.protocol).buffer(channel.id or None)
        self._write(CONTROL, writer.raw(handshake).finish())

    def _reject(self, number: int) -> None:
        self._write(CONTROL, Writer().uint(REJECT).uint(number).finish())

    def _write(self, channel: int, message: bytes) -> None:
        if self._corked:
            self._batch.append((channel, message))
        else:
            self._out.append(Writer().uint(channel).raw(message).finish())


def _encode_batch(batch: list[tuple[int, bytes]]) -> bytes:
    current = batch[0][0]
    writer = Writer().uint(CONTROL).uint(BATCH).uint(current)
    for channel, message in batch:
        if channel != current:
            current = channel
            writer.uint(0).uint(channel)
        writer.buffer(message)
    return writer.finish()
