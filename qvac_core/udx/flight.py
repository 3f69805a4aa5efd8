"""A packet that has been sent and not yet acknowledged.

Ours, after `udx_packet_t` of libudx `include/udx.h`.
"""

from __future__ import annotations

# marks: a packet with none of them takes the short way through acknowledgement
MARK_PROBE = 1  # stretched to try out a larger MTU
MARK_RETRANSMITTED = 2  # ever; its round trip time is ambiguous

# (first_sent, delivered_time, delivered, app_limited) when a packet left: one tuple shared by its whole train
RateStamp = tuple[float, float, int, bool]


class SentPacket:
    """`seq` never wraps; `order` counts transmissions, so that it tells what was sent before what."""

    __slots__ = ("datagram", "marks", "order", "sent", "seq", "size", "stamp", "timeouts", "type")

    def __init__(
        self, seq: int, packet_type: int, datagram: bytes, size: int, sent: float, order: int, stamp: RateStamp
    ) -> None:
        self.seq = seq
        self.type = packet_type
        self.datagram = datagram  # header and payload, never the padding of a probe
        self.size = size
        self.sent = sent
        self.order = order
        self.stamp = stamp
        self.marks = 0
        self.timeouts = 0
