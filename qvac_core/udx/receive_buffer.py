"""What has arrived: the next number expected, packets that came too early, and the window we offer.

docs/wire/hyperdht.md 5.2 to 5.4; `process_packet` and `send_ack` of libudx `src/udx.c`. The bounds are ours
(docs/wire/traps.md).
"""

from __future__ import annotations

from bisect import bisect_right

from .packet import MAX_SACK_BLOCKS, TYPE_DATA, TYPE_END, SackBlock

RECEIVE_WINDOW = 4 * 1024 * 1024  # bytes, what JavaScript peers offer and assume
# Bytes of early packets that do not narrow the window. While one packet is missing everything else of a round trip is
# early: a path that loses one in a hundred would have half of its window.
EARLY_FREE = RECEIVE_WINDOW
# Bytes accepted above both: tail-loss probes and retransmissions ignore the window, and a sender of libudx counts
# neither lost packets nor those that a SACK named against it.
OVERRUN = 1024 * 1024
MAX_AHEAD = 65536  # packets beyond the next expected one; a SACK of libudx reaches no further
WINDOW_UPDATE = RECEIVE_WINDOW // 4  # reopening by less is not worth a packet of its own


class ReceiveBuffer:
    """What the reader of one stream is owed, in order. `next_seq` counts packets; the rest is in bytes.

    A packet beyond the window, or seen before, is not kept.
    """

    __slots__ = ("_ends", "_starts", "advertised", "backlog", "early", "early_bytes", "end_seq", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 0
        self.end_seq: int | None = None
        self.backlog = 0  # bytes handed to the reader that it has not consumed
        self.advertised = RECEIVE_WINDOW
        self.early: dict[int, tuple[int, bytes]] = {}
        self.early_bytes = 0
        # received ranges beyond next_seq, half open, ascending, never touching each other
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def window(self) -> int:
        return max(0, RECEIVE_WINDOW - self.backlog - max(0, self.early_bytes - EARLY_FREE))

    def advertise(self) -> int:
        """The window, as a packet that leaves now carries it."""
        self.advertised = window = self.window
        return window

    @property
    def room(self) -> int:
        """Bytes that may still be stored, whatever window the peer believes in."""
        return RECEIVE_WINDOW + OVERRUN - self.backlog - max(0, self.early_bytes - EARLY_FREE)

    def consumed(self, n: int) -> bool:
        """True when the window has opened so far that the peer should hear of it."""
        self.backlog = max(0, self.backlog - n)
        return self.window - self.advertised >= WINDOW_UPDATE

    def accept(self, seq: int, packet_type: int, payload: bytes | memoryview) -> list[bytes]:
        """Store a DATA or END packet; what can be handed out now, in order."""
        ahead = seq - self.next_seq
        if ahead < 0 or ahead > MAX_AHEAD or (self.end_seq is not None and seq > self.end_seq):
            return []
        if ahead and (seq in self.early or len(payload) > self.room):
            return []
        if not ahead and len(payload) > self.room and not self._make_room():
            return []
        if packet_type & TYPE_END and self.end_seq is None:
            self._set_end(seq)
        if ahead:
            self.early[seq] = (packet_type, bytes(payload))
            self.early_bytes += len(payload)
            self._add_range(seq)
            return []
        self.next_seq += 1
        parts = [bytes(payload)] if packet_type & TYPE_DATA and payload else []
        if self.early:
            self._drain(parts)
        self.backlog += sum(map(len, parts))
        return parts

    @property
    def ended(self) -> bool:
        return self.end_seq is not None and self.next_seq > self.end_seq

    def _make_room(self) -> bool:
        """Give up early packets for the one that is missing, when the reader itself leaves room."""
        if self.backlog >= RECEIVE_WINDOW or not self.early:
            return False
        self.early.clear()
        self.early_bytes = 0
        self._starts.clear()
        self._ends.clear()
        return True

    def _set_end(self, seq: int) -> None:
        """Nothing follows an END: a peer that had sent more broke the rules."""
        self.end_seq = seq
        for beyond in [s for s in self.early if s > seq]:
            self.early_bytes -= len(self.early.pop(beyond)[1])
        while self._ends and self._ends[-1] > seq:
            self._ends[-1] = seq
            if self._starts[-1] >= seq:
                self._starts.pop()
                self._ends.pop()

    def _drain(self, parts: list[bytes]) -> None:
        early = self.early
        while (entry := early.pop(self.next_seq, None)) is not None:
            self.next_seq += 1
            self.early_bytes -= len(entry[1])
            if entry[0] & TYPE_DATA and entry[1]:
                parts.append(entry[1])
        if self._starts and self._starts[0] <= self.next_seq:
            del self._starts[0], self._ends[0]

    def _add_range(self, seq: int) -> None:
        starts, ends = self._starts, self._ends
        if ends and ends[-1] == seq:  # the usual case: the next packet after the newest
            ends[-1] = seq + 1
            return
        at = bisect_right(starts, seq)
        joins_left = at > 0 and ends[at - 1] == seq
        joins_right = at < len(starts) and starts[at] == seq + 1
        if joins_left and joins_right:
            ends[at - 1] = ends[at]
            del starts[at], ends[at]
        elif joins_left:
            ends[at - 1] = seq + 1
        elif joins_right:
            starts[at] = seq
        else:
            starts.insert(at, seq)
            ends.insert(at, seq + 1)

    def sack_blocks(self) -> list[SackBlock]:
        return list(zip(self._starts[:MAX_SACK_BLOCKS], self._ends, strict=False))

    def clear(self) -> None:
        self.early.clear()
        self.early_bytes = 0
        self._starts.clear()
        self._ends.clear()
