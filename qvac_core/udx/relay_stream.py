"""One half of a relayed connection: a stream that hands packets on instead of reading them.

docs/wire/hyperdht.md 5.10 (`relay_packet` of libudx `src/udx.c`). Neither acknowledges nor buffers: the two ends do
that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from .packet import HEADER, SEQ_MASK, TYPE_DATA_OR_END, TYPE_DESTROY, encode_header, parse_stream_id

Path = TypeVar("Path")
"""Where a peer is reached, as the driver writes it: a socket and an address."""


class RelayStream(Generic[Path]):
    """`local_id` is what this peer writes into its packets to us, `remote_id` what it expects in ours.

    `path` is where it is believed to be until its first packet shows it. Afterwards it does not move: packets of
    others are forwarded (as the original does), but nothing is sent to them.
    """

    __slots__ = ("_next_seq", "_other", "closed", "forwarded", "local_id", "path", "path_known", "remote_id")

    def __init__(self, local_id: int, remote_id: int, path: Path | None = None) -> None:
        self.local_id = local_id
        self.remote_id = remote_id
        self.path = path
        self.path_known = False
        self.closed = False
        self.forwarded = 0
        """Bytes of datagrams that came from this peer and were handed on."""
        self._other: RelayStream[Path] | None = None
        self._next_seq = 0  # of this peer, as far as its packets show

    def relay_to(self, other: RelayStream[Path]) -> None:
        self._other = other

    def receive_datagrams(self, datagrams: Sequence[bytes], path: Path) -> list[bytes]:
        """What is to be sent to the other peer (`other.path`) for a train that this one sent.

        A DESTROY among them closes this half, after it was handed on.
        """
        if self.closed:
            return []
        if not self.path_known:
            self.path, self.path_known = path, True
        other = self._other
        if other is None or other.closed or other.path is None:
            return []
        remote_id = other.remote_id.to_bytes(4, "little")
        out: list[bytes] = []
        for datagram in datagrams:
            if parse_stream_id(datagram) != self.local_id:
                continue
            out.append(datagram[:4] + remote_id + datagram[8:])
            if datagram[2] & TYPE_DESTROY:
                self.closed = True
                break
        if out:
            self.forwarded += sum(map(len, out))
            self._note_seq(out[-1])
        return out

    def _note_seq(self, datagram: bytes) -> None:
        _, kind, _, _, _, seq, _ = HEADER.unpack_from(datagram)
        following = seq + 1 if kind & TYPE_DATA_OR_END else seq
        ahead = (following - self._next_seq) & SEQ_MASK
        if 0 < ahead < 0x80000000:
            self._next_seq = following & SEQ_MASK

    def destroy(self, *, abort: bool = False) -> bytes | None:
        """Close this half; the packet that tells its peer, None when there is no way to it.

        The original's DESTROY carries number 0, and a stream that has received anything ignores it: so it must be
        when a peer leaves the relay because its stream has moved to a direct path. With `abort` the number is the
        other peer's next one, which ends the stream: the relay stops, and nothing else would tell.
        """
        if self.closed:
            return None
        self.closed = True
        if self.path is None:
            return None
        seq = self._other._next_seq if abort and self._other is not None else 0
        return encode_header(TYPE_DESTROY, self.remote_id, 0, seq, 0)
