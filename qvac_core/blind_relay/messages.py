"""The two messages of a blind relay.

From docs/wire/hyperdht.md section 6.7 (blind-relay/index.js 1.6.1, `messages`).
"""

from __future__ import annotations

from dataclasses import dataclass

from qvac_core.codec import Reader, Writer
from qvac_core.errors import RemoteProtocolError

PROTOCOL = "blind-relay"
TYPE_PAIR = 0
TYPE_UNPAIR = 1
TOKEN_BYTES = 32

_INITIATOR_BIT = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """To the relay: `stream_id` is the sender's own raw stream. From it: the relay's stream for that sender."""

    is_initiator: bool
    token: bytes
    stream_id: int
    seq: int = 0

    def encode(self) -> bytes:
        flags = _INITIATOR_BIT if self.is_initiator else 0
        return Writer().uint8(flags).fixed(self.token).uint(self.stream_id).uint(self.seq).finish()

    @classmethod
    def decode(cls, data: bytes) -> Pair:
        """Raises RemoteProtocolError."""
        reader = Reader(data)
        flags, token = reader.uint8(), reader.fixed(TOKEN_BYTES)
        stream_id, seq = reader.uint(), reader.uint()
        if stream_id > 0xFFFFFFFF:
            raise RemoteProtocolError("a stream id has 32 bits")
        return cls(bool(flags & _INITIATOR_BIT), token, stream_id, seq)


@dataclass(frozen=True, slots=True)
class Unpair:
    token: bytes

    def encode(self) -> bytes:
        return Writer().uint8(0).fixed(self.token).finish()

    @classmethod
    def decode(cls, data: bytes) -> Unpair:
        """Raises RemoteProtocolError."""
        reader = Reader(data)
        reader.uint8()
        return cls(reader.fixed(TOKEN_BYTES))
