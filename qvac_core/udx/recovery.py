"""What is in flight, what of it was lost, and when to doubt the rest.

docs/wire/hyperdht.md 5.5 and 5.8 (RFC 8985, RFC 6298); libudx `src/udx.c` (`ack_packet`, `rack_detect_loss`, timeouts).

The order of transmissions is a counter, not a clock: a train leaves within one tick of any clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .flight import MARK_PROBE, MARK_RETRANSMITTED, RateStamp, SentPacket
from .packet import SackBlock
from .windowed import WindowedMax

RTO_MIN = 1.0  # seconds
RTO_MAX = 30.0
RTT_MAX = 30.0
RTT_OUTLIER = 5.0  # longer ones are a suspended machine more often than a slow path
RTT_MIN_WINDOW = 300.0
MAX_TIMEOUTS = 6  # the next one of the same packet ends the stream
TLP_FIRST = 1.0  # seconds, while no round trip was measured
TLP_ACK_DELAY = 0.002
TLP_MIN = 0.010  # ours: below it the peer's scheduling would look like a lost tail
SACKS_WITHOUT_REORDERING = 3


class CaState(Enum):
    OPEN = "no loss known"
    RECOVERY = "repairing what RACK found lost"
    LOSS = "a retransmission timeout happened"


class Rtt:
    """Smoothed round trip time and the timeout that follows from it; seconds."""

    __slots__ = ("_min", "rto", "smoothed", "variance")

    def __init__(self) -> None:
        self.smoothed = 0.0
        self.variance = 0.0
        self.rto = RTO_MIN
        self._min = WindowedMax(RTT_MIN_WINDOW)

    @property
    def min(self) -> float:
        """Smallest of the last 300 seconds; 0 while unknown."""
        return max(-self._min.value, 0.0) if self.smoothed else 0.0

    def update(self, sample: float, now: float) -> None:
        self._min.update(now, -sample)
        if not self.smoothed:
            self.smoothed = sample
            self.variance = sample / 2
        else:
            self.variance = (3 * self.variance + abs(self.smoothed - sample)) / 4
            self.smoothed = (7 * self.smoothed + sample) / 8
        self.rto = min(max(self.smoothed + 4 * self.variance, RTO_MIN), RTO_MAX)

    def clamp(self, sample: float) -> float:
        sample = max(sample, 1e-6)
        if not self.smoothed:
            return min(sample, RTT_MAX)
        bound = self.smoothed + 5 * self.variance
        return min(bound, RTT_MAX) if sample > bound and sample > RTT_OUTLIER else sample


@dataclass(slots=True)
class Acked:
    """What a train of acknowledgements said. `newest` was sent last of those now acknowledged."""

    packets: int = 0
    size: int = 0  # bytes, headers included
    lost: int = 0
    newest: SentPacket | None = None
    rtt: float | None = None
    probe_acked: bool = False
    entered_recovery: bool = False


class Recovery:
    """The sender's view of its packets. Sequence numbers count packets, `*_at` are seconds, None = no timer runs.

    Raises nothing: an acknowledgement of what was never sent is left out.
    """

    def __init__(self) -> None:
        self.rtt = Rtt()
        self.state = CaState.OPEN
        self.una = 0  # the oldest number not acknowledged
        self.next_seq = 0
        self.next_order = 1
        # by sequence number, in order of transmission
        self.in_flight: dict[int, SentPacket] = {}
        self.lost: dict[int, SentPacket] = {}
        self.bytes_in_flight = 0
        self.probes_lost = 0  # since the last take
        self.lost_total = 0
        self.timeout_count = 0
        self.recovery_count = 0
        self.rto_at: float | None = None
        self.tlp_at: float | None = None
        self.reorder_at: float | None = None
        self._high_seq = 0  # recovery is over when all before it is acknowledged
        self._sacked = 0  # packets above `una` that are acknowledged
        self._sacked_to: dict[int, int] = {}  # block start -> end, of blocks seen: they come again and again
        self._rack_order = 0
        self._rack_rtt = 0.0
        self._fack = 0  # highest number acknowledged, plus one
        self._reordering_seen = False
        self._tlp_allowed = False
        self._tlp_end: int | None = None
        self._tlp_is_retransmission = False

    @property
    def outstanding(self) -> bool:
        return self.una != self.next_seq

    # sending

    def on_sent(self, size: int, now: float, *, was_idle: bool) -> None:
        """A train of new packets of `size` bytes has been put in flight."""
        self.bytes_in_flight += size
        if was_idle or self.rto_at is None:
            self.rto_at = now + self.rtt.rto
        self._schedule_tlp(now)

    def on_retransmit(self, packet: SentPacket, now: float) -> None:
        self.lost.pop(packet.seq, None)
        if self.in_flight.pop(packet.seq, None) is None:
            self.bytes_in_flight += packet.size
        self.in_flight[packet.seq] = packet
        packet.marks |= MARK_RETRANSMITTED
        packet.sent = now
        packet.order = self.next_order
        self.next_order += 1
        if self.rto_at is None:
            self.rto_at = now + self.rtt.rto

    # acknowledgements

    def on_ack(self, ack: int, blocks: Iterable[SackBlock], now: float) -> Acked:
        """`ack` between `una` and `next_seq`; `blocks` in ascending order, invalid ones are ignored."""
        acked = Acked()
        advanced = ack > self.una
        if self._tlp_end is not None and ack >= self._tlp_end + self._tlp_is_retransmission:
            self._tlp_end = None
        if advanced:
            self._acknowledge(range(self.una, ack), acked, now, cumulative=True)
            self.una = ack
            if self._sacked_to:
                self._sacked_to = {s: e for s, e in self._sacked_to.items() if e > ack}
            if self.state is not CaState.OPEN and ack >= self._high_seq:
                self.state = CaState.OPEN
        reach = self.una  # blocks that overlap must not make us walk the same packets over and over
        for start, end in blocks:
            if self.una <= start < end <= self.next_seq:
                known = max(self._sacked_to.get(start, start), reach)
                self._sacked_to[start] = max(end, known)
                if known < end:
                    self._acknowledge(range(known, end), acked, now, cumulative=False)
                    reach = end
        if acked.packets:
            self.reorder_at = None
            if not self.outstanding:
                self.rto_at = self.tlp_at = None
            else:
                self.rto_at = now + self.rtt.rto
                if advanced:
                    self._schedule_tlp(now)
            self.detect_loss(now, acked)
        return acked

    def _acknowledge(self, seqs: range, acked: Acked, now: float, *, cumulative: bool) -> None:
        in_flight = self.in_flight
        newest, fresh, oldest_fresh = acked.newest, None, None
        order = newest.order if newest is not None else 0
        count = size = out_of_flight = 0
        for seq in seqs:
            packet = in_flight.pop(seq, None)
            if packet is None:
                packet = self.lost.pop(seq, None)
                if packet is None:
                    self._sacked -= cumulative
                    continue
                out_of_flight += packet.size
            count += 1
            size += packet.size
            if packet.order > order:
                newest, order = packet, packet.order
            if not packet.marks & MARK_RETRANSMITTED:
                if fresh is None:
                    oldest_fresh = packet
                fresh = packet
            if packet.marks & MARK_PROBE:
                acked.probe_acked = True
        if not count:
            return
        if not cumulative:
            self._sacked += count
        acked.packets += count
        acked.size += size
        acked.newest = newest
        self.bytes_in_flight -= size - out_of_flight
        if fresh is not None:
            self._measure(fresh, acked, now)
        if newest is not None:
            self._update_rack(newest, acked, now)
        if oldest_fresh is not None and oldest_fresh.seq + 1 < self._fack:
            self._reordering_seen = True
        self._fack = max(self._fack, seqs.stop)

    def _measure(self, packet: SentPacket, acked: Acked, now: float) -> None:
        acked.rtt = self.rtt.clamp(now - packet.sent)
        self.rtt.update(acked.rtt, now)
        self._tlp_allowed = True

    def _update_rack(self, packet: SentPacket, acked: Acked, now: float) -> None:
        rtt = self.rtt.clamp(now - packet.sent)
        # an acknowledgement sooner than any round trip answers the original, not the retransmission
        if packet.marks & MARK_RETRANSMITTED and rtt < self.rtt.min:
            return
        self._rack_rtt = rtt
        if acked.rtt is None:
            acked.rtt = rtt
        self._rack_order = max(self._rack_order, packet.order)

    # loss

    def _reorder_window(self) -> float:
        if not self._reordering_seen and (self.state is not CaState.OPEN or self._sacked >= SACKS_WITHOUT_REORDERING):
            return 0.0
        return min(self.rtt.min / 4, self.rtt.smoothed)

    def detect_loss(self, now: float, acked: Acked | None = None) -> Acked:
        """RACK: what was sent before something that arrived, and is overdue, is lost."""
        acked = acked if acked is not None else Acked()
        overdue = self._rack_rtt + self._reorder_window()
        longest = 0.0
        late: list[SentPacket] = []
        for packet in self.in_flight.values():
            if packet.order > self._rack_order:
                break
            remaining = packet.sent + overdue - now
            if remaining <= 0:
                late.append(packet)
            elif remaining > longest:
                longest = remaining
        self.reorder_at = now + longest if longest else None
        if not late:
            return acked
        real = sum([self._lose(packet) for packet in late])
        acked.lost += real
        if real and self.state is CaState.OPEN:
            self.state = CaState.RECOVERY
            self.recovery_count += 1
            self._high_seq = self.next_seq
            self._tlp_end = None
            self.tlp_at = None
            acked.entered_recovery = True
        return acked

    def _lose(self, packet: SentPacket) -> bool:
        """Queue a packet for retransmission. False for an MTU probe: its loss says nothing about congestion."""
        del self.in_flight[packet.seq]
        self.lost[packet.seq] = packet
        self.bytes_in_flight -= packet.size
        if packet.marks & MARK_PROBE:
            packet.marks &= ~MARK_PROBE
            self.probes_lost += 1
            return False
        self.lost_total += 1
        return True

    def on_timeout(self, now: float, *, alive: bool = False) -> bool:
        """The retransmission timeout. False when a packet has timed out too often: the peer is gone.

        `alive`: the peer answers but has no room, so that this timeout says nothing about its health.
        """
        self.timeout_count += 1
        self.state = CaState.LOSS
        self._high_seq = self.next_seq
        self._tlp_end = self.tlp_at = self.reorder_at = None
        self.rto_at = now + 2 * self.rtt.rto
        overdue = self._rack_rtt + self._reorder_window()
        for packet in list(self.in_flight.values()):
            if packet.seq == self.una or packet.sent + overdue < now:
                if packet.timeouts >= MAX_TIMEOUTS and not alive:
                    return False
                packet.timeouts += not alive
                self._lose(packet)
        self.lost = dict(sorted(self.lost.items()))
        return True

    def change_path(self, now: float, stamp: RateStamp) -> None:
        """What is in flight went the old way: all of it is due again, none of it counts as loss."""
        self.rtt = Rtt()
        self.lost.update(self.in_flight)
        self.in_flight.clear()
        self.lost = dict(sorted(self.lost.items()))
        self.bytes_in_flight = 0
        for packet in self.lost.values():
            packet.marks = MARK_RETRANSMITTED  # a late answer on the old way measures nothing
            packet.timeouts = 0
            packet.stamp = stamp
        self.state = CaState.OPEN
        self._rack_rtt = 0.0
        self._reordering_seen = False
        self._tlp_allowed = False
        self._tlp_end = self.tlp_at = self.reorder_at = None
        self.rto_at = now + self.rtt.rto if self.outstanding else None

    # tail-loss probes

    def _schedule_tlp(self, now: float) -> None:
        if self.state is not CaState.OPEN or self._sacked or self.rto_at is None:
            self.tlp_at = None
            return
        wait = TLP_FIRST
        if self.rtt.smoothed:
            wait = max(2 * self.rtt.smoothed, TLP_MIN)
            if len(self.in_flight) + len(self.lost) == 1:
                wait += TLP_ACK_DELAY
        self.tlp_at = min(now + wait, self.rto_at)

    def tlp_due(self) -> bool:
        """Consume the probe timer; True when a probe may go out."""
        self.tlp_at = None
        return self.outstanding and self._tlp_end is None and self._tlp_allowed

    def tlp_candidate(self) -> SentPacket | None:
        """The packet to repeat when there is nothing new to send."""
        return self.in_flight.get(self.next_seq - 1)

    def on_tlp_sent(self, seq: int, now: float, *, retransmission: bool) -> None:
        self._tlp_end = seq
        self._tlp_is_retransmission = retransmission
        self._tlp_allowed = False
        self.tlp_at = None
        self.rto_at = now + self.rtt.rto

    def next_timer(self) -> float | None:
        return min((t for t in (self.rto_at, self.tlp_at, self.reorder_at) if t is not None), default=None)

    def clear(self) -> None:
        self.in_flight.clear()
        self.lost.clear()
        self.bytes_in_flight = 0
        self.rto_at = self.tlp_at = self.reorder_at = None
