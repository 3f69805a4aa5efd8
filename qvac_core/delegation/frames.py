"""Cutting a byte stream into bare-rpc frames, with a limit that is checked before anything is kept.

docs/wire/qvac.md section 1; the codec is the PyPI package bare-rpc 0.0.1, which reads all frames of two real peers.
"""

from __future__ import annotations

from dataclasses import dataclass

import bare_rpc
from bare_rpc import RequestMessage, ResponseMessage, RPCRemoteError, StreamFlag, StreamMessage
from compact_encoding import CompactError

from qvac_core.errors import RemoteProtocolError

HEADER_BYTES = 4

# A stream frame's direction bits (docs/wire/qvac.md section 1): which of a request's two streams it belongs to.
REQUEST_STREAM = int(StreamFlag.REQUEST)
RESPONSE_STREAM = int(StreamFlag.RESPONSE)

# Of a request that is too long: what is kept, to see what was asked; and what is read past at most, to stay in step.
HEAD_BYTES = 4096
SKIPPED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class TooLongRequest(RequestMessage):
    """A request that is refused by its length alone: `data` is how it begins, the rest is read past and never kept."""

    length: int


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
    "TooLongRequest",
    "encode_request",
    "encode_response",
    "encode_stream",
]


def encode_request(request_id: int, command: int, body: bytes | None) -> bytes:
    """A request with its body, or without one the opening of a stream that brings it."""
    stream = StreamFlag.OPEN if body is None else 0
    frame: bytes = bare_rpc.encode_request(request_id, command, stream=stream, data=body)  # type: ignore[no-untyped-call]
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
    """Feed chunks, get messages. `limit` bounds one frame in bytes and may be changed between chunks.

    request_limit: a request beyond it becomes a TooLongRequest; any other frame that is too long is an error.
    """

    def __init__(self, limit: int, request_limit: int | None = None) -> None:
        self.limit = limit
        self._request_limit = limit if request_limit is None else request_limit
        self._answers_long = request_limit is not None
        self._to_skip = 0
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[Message]:
        """Raises RemoteProtocolError on a frame that is too long, of an unknown type, or cut short inside."""
        if self._to_skip:
            skipped = min(self._to_skip, len(chunk))
            self._to_skip -= skipped
            chunk = chunk[skipped:]
        self._buffer += chunk
        messages: list[Message] = []
        start = 0
        while len(self._buffer) - start >= HEADER_BYTES:
            length = int.from_bytes(self._buffer[start : start + HEADER_BYTES], "little")
            if self._answers_long and self._request_limit < length <= SKIPPED_BYTES:
                body = bytes(self._buffer[start + HEADER_BYTES : start + HEADER_BYTES + HEAD_BYTES])
                if len(body) < min(HEAD_BYTES, length):
                    break
                if (long := _too_long_request(body, length)) is not None:
                    messages.append(long)
                    end = start + HEADER_BYTES + length
                    self._to_skip = max(0, end - len(self._buffer))
                    start = min(end, len(self._buffer))
                    continue
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


_REQUEST = 1


def _too_long_request(head: bytes, length: int) -> TooLongRequest | None:
    """None when a frame of `length` bytes is something else than a request with its body in it."""
    kind, at = _uint(head, 0)
    if kind != _REQUEST:
        return None
    request_id, at = _uint(head, at)
    command, at = _uint(head, at)
    stream, at = _uint(head, at)
    if stream:
        return None
    size, at = _uint(head, at)
    if at + size != length:
        return None
    return TooLongRequest(request_id, command, stream, head[at:], size)


def _uint(data: bytes, at: int) -> tuple[int, int]:
    """compact-encoding's uint and where it ends; `data` is long enough for all of a header."""
    width = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(data[at], 0)
    if not width:
        return data[at], at + 1
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def _decode(frame: bytes) -> Message:
    try:
        message: object = bare_rpc.decode_frame(frame)  # type: ignore[no-untyped-call]
    except (CompactError, UnicodeDecodeError, ValueError, IndexError, OverflowError) as error:
        # What the codec raises on fields that do not fit their frame; all of it is the peer's doing.
        raise RemoteProtocolError(f"the peer sent a frame that cannot be read: {error}") from error
    if not isinstance(message, RequestMessage | ResponseMessage | StreamMessage):
        raise RemoteProtocolError("the peer sent a frame of an unknown type")
    return message
