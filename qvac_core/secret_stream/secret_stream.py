"""The encrypted framing on top of one reliable byte stream: messages in, messages out.

docs/wire/hyperdht.md section 4; behaves as @hyperswarm/secret-stream 6.9.2.

    frame         = uint24 LE length ‖ that many bytes
    first frame   = stream id 32 ‖ secretstream header 24      (length 56, each direction)
    later frames  = one secretstream push, 17 bytes longer than the message; empty messages are keep-alives
"""

from __future__ import annotations

import hmac
from typing import Final

from qvac_core.codec import blake2b, namespace
from qvac_core.errors import LocalProtocolError, RemoteProtocolError
from qvac_core.secret_stream.sodium_push_pull import (
    HEADER_BYTES,
    KEY_BYTES,
    LENGTH_BYTES,
    OVERHEAD_BYTES,
    Pull,
    Push,
    pinned,
)
from qvac_core.secret_stream.unordered import COUNTER_BYTES, UnorderedSender, decrypt_unordered

HANDSHAKE_HASH_BYTES: Final = 64
STREAM_ID_BYTES: Final = 32
FIRST_FRAME_BYTES: Final = STREAM_ID_BYTES + HEADER_BYTES
MAX_FRAME_BYTES: Final = (1 << 24) - 1
MAX_MESSAGE_BYTES: Final = MAX_FRAME_BYTES - OVERHEAD_BYTES

_SMALL_FRAME: Final = 2048  # bytes that are copied rather than pinned

_INITIATOR: Final = namespace("hyperswarm/secret-stream", 0)
_RESPONDER: Final = namespace("hyperswarm/secret-stream", 1)
_SEND: Final = namespace("hyperswarm/secret-stream", 2)
# Ours: the original tries its own key on these datagrams, fails, and drops them without a word.
_PATH: Final = namespace("qvac-desktop/path", 0)


def stream_id(handshake_hash: bytes, *, initiator: bool) -> bytes:
    """The 32 bytes by which that side of the handshake opens its direction of the stream."""
    return blake2b(_INITIATOR if initiator else _RESPONDER, key=handshake_hash)


def _unordered_key(handshake_hash: bytes, *, initiator: bool, purpose: bytes = _SEND) -> bytes:
    return blake2b(_INITIATOR if initiator else _RESPONDER, purpose, key=handshake_hash)


class SecretStream:
    """One side of one encrypted stream.

    `tx`, `rx` and `handshake_hash` come from the handshake; `header` is 24 fresh random bytes. `max_frame` bounds, in
    bytes, what a peer may announce as one frame: memory is only ever taken for what has arrived. `counter` is where
    unordered datagrams start counting; their key is fresh in each connection, so any start is as good as another.

    The first error destroys the stream: keys are wiped, and every later call raises.
    """

    __slots__ = (
        "_buffer",
        "_destroyed",
        "_expected_id",
        "_handshake_hash",
        "_header",
        "_initiator",
        "_max_frame",
        "_path_rx",
        "_path_sender",
        "_pull",
        "_push",
        "_rx",
        "_started",
        "_unordered_rx",
        "_unordered_sender",
        "_wanted",
    )

    def __init__(
        self,
        *,
        initiator: bool,
        tx: bytes,
        rx: bytes,
        handshake_hash: bytes,
        header: bytes,
        max_frame: int = MAX_FRAME_BYTES,
        counter: bytes | None = None,
    ) -> None:
        if (len(tx), len(rx), len(handshake_hash), len(header)) != (
            KEY_BYTES,
            KEY_BYTES,
            HANDSHAKE_HASH_BYTES,
            HEADER_BYTES,
        ):
            raise LocalProtocolError("A secret stream needs keys of 32 bytes, a hash of 64 and a header of 24.")
        if counter is not None and len(counter) != COUNTER_BYTES:
            raise LocalProtocolError("The counter of unordered datagrams has 8 bytes.")
        self.limit_frames(max_frame)
        self._initiator = initiator
        self._handshake_hash = bytes(handshake_hash)
        self._header = bytes(header)
        self._rx = bytes(rx)
        self._push = Push(bytes(tx), self._header)
        self._pull: Pull | None = None
        self._expected_id = stream_id(self._handshake_hash, initiator=not initiator)
        self._unordered_sender = UnorderedSender(
            _unordered_key(self._handshake_hash, initiator=initiator),
            self._header[:COUNTER_BYTES] if counter is None else counter,
        )
        self._unordered_rx = _unordered_key(self._handshake_hash, initiator=not initiator)
        self._path_sender = UnorderedSender(
            _unordered_key(self._handshake_hash, initiator=initiator, purpose=_PATH),
            self._header[:COUNTER_BYTES] if counter is None else counter,
        )
        self._path_rx = _unordered_key(self._handshake_hash, initiator=not initiator, purpose=_PATH)
        self._buffer = bytearray()
        # How much the buffer must hold before it is worth looking into: small chunks of a large frame cost nothing.
        self._wanted = LENGTH_BYTES
        self._started = False
        self._destroyed = False

    @property
    def destroyed(self) -> bool:
        return self._destroyed

    @property
    def opened(self) -> bool:
        """Whether the peer's first frame has arrived and was right."""
        return self._pull is not None

    @property
    def buffered(self) -> int:
        """Bytes held of a frame that has not arrived completely."""
        return len(self._buffer)

    def limit_frames(self, max_frame: int) -> None:
        """From now on a frame that announces more bytes than this ends the stream. Overhead included."""
        if not FIRST_FRAME_BYTES <= max_frame <= MAX_FRAME_BYTES:
            raise LocalProtocolError(f"max_frame must lie between {FIRST_FRAME_BYTES} and {MAX_FRAME_BYTES}.")
        self._max_frame = max_frame

    def start(self) -> bytes:
        """Our first frame; send it once, before anything else."""
        if self._started or self._destroyed:
            raise LocalProtocolError("A secret stream starts once.")
        self._started = True
        own_id = stream_id(self._handshake_hash, initiator=self._initiator)
        return FIRST_FRAME_BYTES.to_bytes(LENGTH_BYTES, "little") + own_id + self._header

    def encrypt(self, message: bytes) -> bytes:
        """`message` as one frame, which the peer receives as one message. An empty one is only a keep-alive."""
        if not self._started or self._destroyed:
            raise LocalProtocolError("The secret stream is not open for writing.")
        if len(message) > MAX_MESSAGE_BYTES:
            raise LocalProtocolError(f"A message holds at most {MAX_MESSAGE_BYTES} bytes.")
        return self._push.frame(message if type(message) is bytes else bytes(message))

    def keepalive(self) -> bytes:
        """A frame that tells the peer nothing but that we live."""
        return self.encrypt(b"")

    def receive(self, data: bytes) -> list[bytes]:
        """The messages completed by these bytes of the stream, in order, keep-alives left out.

        Raises RemoteProtocolError, and destroys the stream, if they are not what the peer of the handshake wrote.
        """
        if self._destroyed:
            raise RemoteProtocolError("The secret stream is destroyed.")
        buffer = self._buffer
        try:
            if not buffer:
                if (message := self._open_single(data)) is not None:
                    return [message] if message else []
                messages, consumed = self._open_frames(data)
                if consumed < len(data):
                    buffer += memoryview(data)[consumed:] if consumed else data
                return messages
            buffer += data
            if len(buffer) < self._wanted:
                return []
            messages, consumed = self._open_frames(buffer)
            del buffer[:consumed]
            return messages
        except RemoteProtocolError:
            self.destroy()
            raise

    def encrypt_unordered(self, message: bytes) -> bytes:
        """`message` as one datagram that may be lost, repeated or overtaken."""
        if self._destroyed:
            raise LocalProtocolError("The secret stream is not open for writing.")
        return self._unordered_sender.encrypt(bytes(message))

    def decrypt_unordered(self, datagram: bytes) -> bytes | None:
        """The message of one datagram; None for a forged one, which is dropped and harms nobody."""
        if self._destroyed:
            return None
        return decrypt_unordered(self._unordered_rx, bytes(datagram))

    def seal_path(self, message: bytes) -> bytes:
        """As `encrypt_unordered`, under a key that only our own implementation knows of."""
        if self._destroyed:
            raise LocalProtocolError("The secret stream is not open for writing.")
        return self._path_sender.encrypt(bytes(message))

    def open_path(self, datagram: bytes) -> bytes | None:
        """The message of a `seal_path` of the peer; None for anything else, which harms nobody."""
        if self._destroyed:
            return None
        return decrypt_unordered(self._path_rx, bytes(datagram))

    def destroy(self) -> None:
        """Forget keys and half frames. May be called again."""
        if self._destroyed:
            return
        self._destroyed = True
        self._push.wipe()
        if self._pull is not None:
            self._pull.wipe()
        self._buffer = bytearray()
        self._rx = self._unordered_rx = self._path_rx = b""

    def _open_single(self, data: bytes) -> bytes | None:
        """The message of `data` that is exactly one small frame, as in most conversations; None for anything else."""
        size = len(data) - LENGTH_BYTES
        if self._pull is None or type(data) is not bytes or not OVERHEAD_BYTES <= size <= _SMALL_FRAME:
            return None
        if data[0] | data[1] << 8 | data[2] << 16 != size or size > self._max_frame:
            return None
        message = self._pull.open_frame(data[LENGTH_BYTES:])
        if message is None:
            raise RemoteProtocolError("A frame of the peer is not authentic.")
        return message

    def _open_frames(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        """The messages of all complete frames at the start of `data`, and how many bytes those were."""
        messages: list[bytes] = []
        with pinned(data) as source:
            position, end = 0, len(data)
            if self._pull is None:
                position = self._open_first_frame(data)
            pull = self._pull
            if pull is None:
                return messages, position
            open_message, max_frame = pull.open, self._max_frame
            self._wanted = LENGTH_BYTES
            while end - position >= LENGTH_BYTES:
                size = data[position] | data[position + 1] << 8 | data[position + 2] << 16
                if not OVERHEAD_BYTES <= size <= max_frame:
                    raise RemoteProtocolError(f"The peer announced a frame of {size} bytes.")
                start = position + LENGTH_BYTES
                if end - start < size:
                    self._wanted = LENGTH_BYTES + size
                    break
                message = open_message(source, start, size)
                if message is None:
                    raise RemoteProtocolError("A frame of the peer is not authentic.")
                if message:
                    messages.append(message)
                position = start + size
        return messages, position

    def _open_first_frame(self, data: bytes | bytearray) -> int:
        """Check the peer's id and take its header; the bytes used, 0 while the frame is incomplete."""
        if len(data) < LENGTH_BYTES:
            return 0
        size = int.from_bytes(data[:LENGTH_BYTES], "little")
        if size != FIRST_FRAME_BYTES:
            raise RemoteProtocolError(f"The peer's first frame has {size} bytes instead of {FIRST_FRAME_BYTES}.")
        end = self._wanted = LENGTH_BYTES + FIRST_FRAME_BYTES
        if len(data) < end:
            return 0
        header_at = LENGTH_BYTES + STREAM_ID_BYTES
        if not hmac.compare_digest(bytes(data[LENGTH_BYTES:header_at]), self._expected_id):
            raise RemoteProtocolError("The peer's first frame belongs to another handshake.")
        self._pull = Pull(self._rx, bytes(data[header_at:end]))
        return end
