"""Cutting a byte stream into bare-rpc frames, with a limit that is checked before anything is kept.

wire/QVAC.md section 1; the codec is the PyPI package bare-rpc 0.0.1, which reads all frames of two real peers.
"""

from __future__ import annotations

import bare_rpc
from bare_rpc import RequestMessage, ResponseMessage, RPCRemoteError, StreamFlag, StreamMessage
from compact_encoding import CompactError

from qvac_core.errors import RemoteProtocolError

HEADER_BYTES = 4

# A stream frame's direction bits (wire/QVAC.md section 1): which of a request's two streams it belongs to.
REQUEST_STREAM = int(StreamFlag.REQUEST)
RESPONSE_STREAM = int(StreamFlag.RESPONSE)

Message = RequestMessage | ResponseMessage | StreamMessage


__all__ = [
    "REQUEST_STREAM",
    "RESPONSE_STREAM",
    "FrameReader",
    "Message",
    "RPCRemoteError",
    "RequestMessage",
    "ResponseMessage",
    "StreamFlag",
    "StreamMessage",
    "encode_request",
    "encode_response",
    "encode_stream",
]


def encode_request(request_id: int, command: int, body: bytes) -> bytes:
    frame: bytes = bare_rpc.encode_request(request_id, command, data=body)  # type: ignore[no-untyped-call]
    return frame


def encode_response(request_id: int, body: bytes | None = None) -> bytes:
    """A reply with its body, or without one the opening of a response stream."""
    stream = StreamFlag.OPEN if body is None else 0
    frame: bytes = bare_rpc.encode_response(request_id, stream=stream, data=body)  # type: ignore[no-untyped-call]
    return frame


def encode_stream(request_id: int, flags: int, data: bytes | None = None) -> bytes:
    frame: bytes = bare_rpc.encode_stream(request_id, flags, data=data)  # type: ignore[no-untyped-call]
    return frame


class FrameReader:
    """Feed chunks, get messages. `limit` bounds one frame in bytes and may be changed between chunks."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[Message]:
        """Raises RemoteProtocolError on a frame that is too long, of an unknown type, or cut short inside."""
        self._buffer += chunk
        messages: list[Message] = []
        start = 0
        while len(self._buffer) - start >= HEADER_BYTES:
            length = int.from_bytes(self._buffer[start : start + HEADER_BYTES], "little")
            if length > self.limit:
                raise RemoteProtocolError(f"the peer announced a frame of {length} bytes; {self.limit} is the limit")
            end = start + HEADER_BYTES + length
            if len(self._buffer) < end:
                break
            messages.append(_decode(bytes(self._buffer[start:end])))
            start = end
        if start:
            del self._buffer[:start]
        return messages


def _decode(frame: bytes) -> Message:
    try:
        message: object = bare_rpc.decode_frame(frame)  # type: ignore[no-untyped-call]
    except (CompactError, UnicodeDecodeError, ValueError, IndexError, OverflowError) as error:
        # What the codec raises on fields that do not fit their frame; all of it is the peer's doing.
        raise RemoteProtocolError(f"the peer sent a frame that cannot be read: {error}") from error
    if not isinstance(message, RequestMessage | ResponseMessage | StreamMessage):
        raise RemoteProtocolError("the peer sent a frame of an unknown type")
    return message
