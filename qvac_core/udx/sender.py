"""The sending half of a stream: what leaves, when, and what becomes of it.

docs/wire/hyperdht.md 5.4 to 5.7; `send_packets`, `send_new_packet`, `retransmit_packet` and the timers of libudx
`src/udx.c`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from random import Random

from .congestion import MIN_RTT_FLOOR, Bbr
from .delivery_rate import DeliveryRate
from .events import Drained, Event, RemoteChanged
from .flight import MARK_PROBE, SentPacket
from .mtu import MtuSearch
from .pacing import Pacer
from .packet import (
    HEADER,
    HEADER_SIZE,
    MAGIC_AND_VERSION,
    SEQ_MASK,
    TYPE_DATA,
    TYPE_END,
    TYPE_HEARTBEAT,
    encode_header,
    unwrap,
)
from .receive_buffer import RECEIVE_WINDOW, ReceiveBuffer
from .recovery import CaState, Recovery
from .send_queue import SendQueue

WATERMARK = 262144  # bytes queued above the send window at which `write` says False (UDX_HIGH_WATERMARK)
_CALM = 4  # packets in flight
MAX_SEND_WINDOW = 16 * 1024 * 1024  # bytes; ours: a peer that offers more is not believed


class Sender:
    """`receive` is the other half: each packet carries its window and its acknowledgement."""

    def __init__(
        self, receive: ReceiveBuffer, events: deque[Event], now: float, random: Random | None, mtu: MtuSearch
    ) -> None:
        self.remote_id = 0
        self.unacked = 0  # written bytes that the peer has not acknowledged
        self.ending = self.ended = False  # asked to end; END acknowledged
        self.window = RECEIVE_WINDOW  # bytes the peer has room for
        self.heard = False  # anything from the peer since the last timeout
        self.silent_timeouts = 0  # timeouts in a row between which nothing came
        self.urgent: list[bytes] = []  # probes: they leave whatever the windows say
        self.retransmits = 0
        self.recovery = Recovery()
        self._random = random
        self.bbr = Bbr(now, random)
        self.mtu = mtu
        self._receive = receive
        self._events = events
        self._queue = SendQueue()
        self._end_sent = False
        self._above_watermark = False
        self._zero_window_at: float | None = None
        self._pace_at: float | None = None
        self._changed_at_seq: int | None = None
        self._first_seq_there = 0  # of the packets that only ever went to where we send now
        self._rate = DeliveryRate(now)
        self._pacer = Pacer(now)

    def header(self, packet_type: int) -> bytes:
        """Of a packet that consumes no sequence number."""
        receive = self._receive
        return encode_header(packet_type, self.remote_id, receive.advertise(), self.recovery.next_seq, receive.next_seq)

    # what the application does

    def write(self, data: bytes) -> bool:
        if data:
            self._queue.append(data)
            self.unacked += len(data)
        if self.unacked > WATERMARK + self._window_bytes():
            self._above_watermark = True
        return not self._above_watermark

    def change_remote(self, remote_id: int) -> None:
        self.remote_id = remote_id
        self._first_seq_there = self.recovery.next_seq
        self.mtu.reset()
        if self.recovery.outstanding:
            self._changed_at_seq = self.recovery.next_seq
        else:
            self._events.append(RemoteChanged())

    def mark_path(self) -> None:
        self._first_seq_there = self.recovery.next_seq

    def change_path(self, now: float) -> None:
        """Nothing measured on the old way holds on the new one (RFC 9000 section 9.4)."""
        self.mark_path()
        self._count_lost_probes()
        self.mtu.reset()
        self._rate.restart(now)
        self.recovery.change_path(now, self._rate.stamp(now, idle=True))
        self.bbr = Bbr(now, self._random)
        self._pacer = Pacer(now)
        self._pace_at = None

    @property
    def remote_confirmed(self) -> bool:
        return self.recovery.una > self._first_seq_there

    def clear(self) -> None:
        self.recovery.clear()
        self._queue.clear()
        self._zero_window_at = self._pace_at = None

    @property
    def is_calm(self) -> bool:
        """A conversation in which one speaks after the other: nobody waits for what an acknowledgement lets go."""
        recovery = self.recovery
        return (
            len(recovery.in_flight) <= _CALM
            and not self._queue.size
            and not recovery.lost
            and recovery.state is CaState.OPEN
            and not (self.ending or self._above_watermark)
            and self._changed_at_seq is None
        )

    @property
    def has_room_for_one(self) -> bool:
        """Whether all that is written fits into one packet, and that into the windows."""
        mtu = self.mtu
        return (
            self._queue.size <= mtu.payload
            and len(self.recovery.in_flight) < self.bbr.cwnd
            and not self.ending
            and self.window > (_CALM + 1) * mtu.payload
        )

    # what the peer says

    def set_window(self, window: int) -> None:
        self.window = min(window, MAX_SEND_WINDOW)
        if window:
            self._zero_window_at = None

    def on_ack(self, ack: int, sacked: dict[int, int], now: float) -> None:
        """A train's highest acknowledgement and its SACK blocks (32-bit start -> end)."""
        recovery, bbr = self.recovery, self.bbr
        if not recovery.outstanding or not (sacked or ack > recovery.una):
            return
        una = recovery.una
        blocks = sorted((unwrap(start, una), unwrap(end, una)) for start, end in sacked.items()) if sacked else ()
        acked = recovery.on_ack(ack, blocks, now)
        if acked.packets:
            self.unacked -= acked.size - HEADER_SIZE * acked.packets
            self.mtu.on_first_ack()
            if acked.probe_acked:
                self.mtu.on_probe_acked()
        self._count_lost_probes()
        if acked.entered_recovery:
            bbr.on_enter_recovery()
        sample = self._rate.sample(acked.newest, acked.packets, acked.lost, acked.rtt, recovery.rtt.min, now)
        in_flight = len(recovery.in_flight)
        bbr.on_ack(
            sample,
            delivered=self._rate.delivered,
            in_flight=in_flight,
            state=recovery.state,
            srtt=recovery.rtt.smoothed,
            now=now,
        )
        if bbr.in_probe_rtt:
            self._rate.mark_app_limited(in_flight)
        self._tell_progress()

    def _tell_progress(self) -> None:
        if self._changed_at_seq is not None and self.recovery.una >= self._changed_at_seq:
            self._changed_at_seq = None
            self._events.append(RemoteChanged())
        if self._above_watermark and self.unacked < WATERMARK + self._window_bytes():
            self._above_watermark = False
            self._events.append(Drained())
        if self._end_sent and not self.recovery.outstanding:
            self.ended = True

    # timers

    def get_timer(self) -> float | None:
        earliest = self.recovery.next_timer()
        for at in (self._zero_window_at, self._pace_at):
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def handle_timer(self, now: float) -> bool:
        """False when the peer has not answered for too long."""
        recovery = self.recovery
        if self._pace_at is not None and self._pace_at <= now:
            self._pace_at = None
        if self._zero_window_at is not None and self._zero_window_at <= now:
            self.urgent.append(self.header(TYPE_HEARTBEAT))
            self._zero_window_at = now + 2 * recovery.rtt.rto
        if recovery.reorder_at is not None and recovery.reorder_at <= now:
            if recovery.detect_loss(now).entered_recovery:
                self.bbr.on_enter_recovery()
            self._count_lost_probes()
        if recovery.rto_at is not None and recovery.rto_at <= now:
            alive = self.heard and not self.window
            self.silent_timeouts = 0 if self.heard else self.silent_timeouts + 1
            self.heard = False
            if not recovery.on_timeout(now, alive=alive):
                return False
            self.bbr.on_timeout()
            self._count_lost_probes()
        elif recovery.tlp_at is not None and recovery.tlp_at <= now and recovery.tlp_due():
            self._send_tail_loss_probe(now)
        return True

    def _count_lost_probes(self) -> None:
        for _ in range(self.recovery.probes_lost):
            self.mtu.on_probe_lost()
        self.recovery.probes_lost = 0

    # sending

    @property
    def has_work(self) -> bool:
        return bool(self._queue.size or self.recovery.lost or (self.ending and not self._end_sent))

    def send(self, now: float) -> list[bytes]:
        """What the windows and the pacer let go: first what was lost, then new packets of equal size."""
        recovery, pacer, payload_size = self.recovery, self._pacer, self.mtu.payload
        pacer.rate = self.bbr.pacing_rate * payload_size
        pacer.refill(now)
        if 0 < self._queue.size <= payload_size and (datagram := self._send_small(now)) is not None:
            return [datagram]
        room = self.bbr.cwnd - len(recovery.in_flight)
        # faster than a timer can pace, acknowledgements do it
        unpaced = 0.0 < recovery.rtt.min < MIN_RTT_FLOOR
        released = room if unpaced else min(room, pacer.packets(payload_size + HEADER_SIZE))
        was_idle = not recovery.in_flight
        out: list[bytes] = []
        if recovery.lost and released > 0:
            out = self._retransmit(released, now)
            released -= len(out)
        if not recovery.lost:
            window = self._window_packets() - len(recovery.in_flight)
            if released > 0 and window > 0:
                out += self._send_new(min(released, window), now)
            elif not self.window and not recovery.outstanding and self._zero_window_at is None:
                self._zero_window_at = now + recovery.rtt.rto
        if out:
            pacer.spend(sum(map(len, out)))
            if was_idle and self._rate.app_limited_until:
                self.bbr.on_transmit_start(now)
        blocked = self._queue.size or recovery.lost
        if blocked and not unpaced and pacer.tokens <= 0 and len(recovery.in_flight) < self.bbr.cwnd:
            self._pace_at = pacer.next_release(now)
        else:
            self._pace_at = None
        return out

    def _send_small(self, now: float) -> bytes | None:
        """What is written fits into one packet, and nothing holds that back: the short way for messages."""
        recovery, queue, mtu = self.recovery, self._queue, self.mtu
        in_flight = len(recovery.in_flight)
        if (
            recovery.lost
            or self.ending
            or self._pacer.tokens <= 0
            or in_flight >= self.bbr.cwnd
            or self.window < (in_flight + 1) * mtu.payload
            or (mtu.wanted and mtu.padding(queue.size) is not None)
        ):
            return None
        receive, seq = self._receive, recovery.next_seq
        idle = recovery.una == seq
        self._rate.mark_app_limited(in_flight)
        stamp = self._rate.stamp(now, idle=idle)
        header = HEADER.pack(
            MAGIC_AND_VERSION,
            TYPE_DATA,
            0,
            self.remote_id,
            receive.advertise(),
            seq & SEQ_MASK,
            receive.next_seq & SEQ_MASK,
        )
        datagram = header + queue.take_all()
        size = len(datagram)
        recovery.in_flight[seq] = SentPacket(seq, TYPE_DATA, datagram, size, now, recovery.next_order, stamp)
        recovery.next_seq = seq + 1
        recovery.next_order += 1
        recovery.on_sent(size, now, was_idle=idle)
        self._pacer.tokens -= size
        self._pace_at = None
        if not in_flight:
            self.bbr.on_transmit_start(now)
        return datagram

    def _send_new(self, limit: int, now: float, *, probing: bool = True) -> list[bytes]:
        """Packetise up to `limit` packets of the queue."""
        recovery, queue, mtu = self.recovery, self._queue, self.mtu
        idle = not recovery.outstanding
        if queue.size <= limit * mtu.payload and not recovery.lost:
            self._rate.mark_app_limited(len(recovery.in_flight))
        stamp = self._rate.stamp(now, idle=idle)
        payloads = queue.take(mtu.payload, limit)
        ending = self.ending and not queue.size and not self._end_sent
        if ending and not payloads:
            payloads = [b""]
        if not payloads:
            return []
        pack, remote_id = HEADER.pack, self.remote_id
        window, ack = self._receive.advertise(), self._receive.next_seq & SEQ_MASK
        seq, order = recovery.next_seq, recovery.next_order
        stop = seq + len(payloads)
        datagrams = [
            pack(MAGIC_AND_VERSION, TYPE_DATA, 0, remote_id, window, number & SEQ_MASK, ack) + payload
            for number, payload in zip(range(seq, stop), payloads, strict=True)
        ]
        if ending:
            kind = TYPE_END | (TYPE_DATA if len(payloads[-1]) else 0)
            datagrams[-1] = (
                pack(MAGIC_AND_VERSION, kind, 0, remote_id, window, (stop - 1) & SEQ_MASK, ack) + payloads[-1]
            )
            self._end_sent = True
        packets = [
            SentPacket(number, TYPE_DATA, datagram, len(datagram), now, order + number - seq, stamp)
            for number, datagram in zip(range(seq, stop), datagrams, strict=True)
        ]
        if ending:
            packets[-1].type = kind
        recovery.in_flight.update(zip(range(seq, stop), packets, strict=True))
        recovery.next_seq = stop
        recovery.next_order = order + len(packets)
        recovery.on_sent(sum(map(len, datagrams)), now, was_idle=idle)
        if mtu.wanted and probing:
            self._stretch(packets, datagrams)
        return datagrams

    def _stretch(self, packets: list[SentPacket], datagrams: list[bytes]) -> None:
        """Make the first packet an MTU probe, if it is full enough."""
        padding = self.mtu.padding(packets[0].size - HEADER_SIZE)
        if padding is None or not packets[0].type & TYPE_DATA:
            return
        datagram = packets[0].datagram
        packets[0].marks |= MARK_PROBE
        datagrams[0] = (
            datagram[:3] + bytes((padding,)) + datagram[4:HEADER_SIZE] + bytes(padding) + datagram[HEADER_SIZE:]
        )
        self.mtu.on_probe_sent()

    def _retransmit(self, limit: int, now: float) -> list[bytes]:
        recovery = self.recovery
        stamp = self._rate.stamp(now, idle=False)
        out = []
        for packet in list(islice(recovery.lost.values(), limit)):
            out.append(self._repeat(packet, now))
            packet.stamp = stamp
        return out

    def _repeat(self, packet: SentPacket, now: float) -> bytes:
        """The same number and payload; window and acknowledgement are today's."""
        self.recovery.on_retransmit(packet, now)
        self.retransmits += 1
        receive = self._receive
        header = encode_header(packet.type, self.remote_id, receive.advertise(), packet.seq, receive.next_seq)
        return header + packet.datagram[HEADER_SIZE:]

    def _send_tail_loss_probe(self, now: float) -> None:
        """One packet more, whatever the window says: its answer shows what of the tail is missing."""
        recovery = self.recovery
        seq = recovery.next_seq
        if self._queue.size or (self.ending and not self._end_sent):
            self.urgent += self._send_new(1, now, probing=False)
            recovery.on_tlp_sent(seq, now, retransmission=False)
        elif (packet := recovery.tlp_candidate()) is not None:
            self.urgent.append(self._repeat(packet, now))
            recovery.on_tlp_sent(packet.seq, now, retransmission=True)

    def _window_packets(self) -> int:
        return max(1, self.window // self.mtu.payload) if self.window else 0

    def _window_bytes(self) -> int:
        return min(self.bbr.cwnd * self.mtu.payload, self.window)
