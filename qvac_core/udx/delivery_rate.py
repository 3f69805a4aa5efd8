"""How fast the path delivers, sampled once per train of acknowledgements.

libudx `src/udx_rate.c`; draft-cheng-iccrg-delivery-rate-estimation. Rates are packets per second.
"""

from __future__ import annotations

from dataclasses import dataclass

from .flight import RateStamp, SentPacket

MIN_INTERVAL = 50e-6  # seconds; on loopback a train is answered faster than a clock can measure


@dataclass(slots=True)
class RateSample:
    """`interval` 0 says that there is no usable rate in this sample."""

    acked: int  # packets newly acknowledged
    lost: int  # packets newly found lost
    rtt: float | None = None  # seconds
    delivered: int = 0
    interval: float = 0.0
    prior_delivered: int = 0
    app_limited: bool = False


class DeliveryRate:
    """The count behind each sample: packets delivered so far, and when. Times in seconds, rates in packets a second."""

    __slots__ = ("_first_sent", "app_limited_until", "delivered", "delivered_time")

    def __init__(self, now: float) -> None:
        self.delivered = 0  # packets, all in all
        self.delivered_time = now
        self._first_sent = now
        self.app_limited_until = 0  # samples count as limited by the application until so many are delivered

    def restart(self, now: float) -> None:
        """Another path: no interval reaches back before it. The count goes on, as stamps under way refer to it."""
        self._first_sent = self.delivered_time = now
        self.app_limited_until = 0

    def stamp(self, now: float, *, idle: bool) -> RateStamp:
        """What packets sent now carry along; `idle`: nothing is in flight."""
        if idle:
            self._first_sent = now
            self.delivered_time = now
        return (self._first_sent, self.delivered_time, self.delivered, self.app_limited_until > 0)

    def mark_app_limited(self, in_flight: int) -> None:
        self.app_limited_until = self.delivered + in_flight or 1

    def sample(
        self, newest: SentPacket | None, acked: int, lost: int, rtt: float | None, min_rtt: float, now: float
    ) -> RateSample:
        """`newest`: of the packets just acknowledged, the one that was sent last."""
        self.delivered += acked
        if self.app_limited_until and self.delivered > self.app_limited_until:
            self.app_limited_until = 0
        sample = RateSample(acked, lost, rtt)
        if newest is None:
            return sample
        first_sent, delivered_time, delivered, app_limited = newest.stamp
        self.delivered_time = now
        self._first_sent = newest.sent
        interval = max(newest.sent - first_sent, now - delivered_time, MIN_INTERVAL)
        sample.delivered = self.delivered - delivered
        sample.prior_delivered = delivered
        sample.app_limited = app_limited
        if interval >= min_rtt:  # shorter than any round trip: an acknowledgement of something older
            sample.interval = interval
        return sample
