"""The search for the largest packet that the path carries.

docs/wire/hyperdht.md 5.6 (RFC 8899 shape); `mtu_probeify_packet`, `ack_packet` of libudx `src/udx.c`.
"""

from __future__ import annotations

from enum import Enum

from .packet import HEADER_SIZE, MAX_PADDING

MTU_BASE = 1200  # bytes, IP and UDP headers included
MTU_MAX = 1500
MTU_STEP = 32
MAX_PROBES = 3  # losses at one size that end the search
OVERHEAD_IPV4 = 20 + 8
OVERHEAD_IPV6 = 40 + 8


class MtuState(Enum):
    BASE = "nothing acknowledged yet"
    SEARCH = "probing"
    COMPLETE = "found"


class MtuSearch:
    """Where the search stands. `mtu` and `probe_size` in bytes with the headers of IP and UDP, `payload` without.

    limit: of the link. One probe is in flight at a time; a size that is lost MAX_PROBES times is too large.
    """

    __slots__ = ("_limit", "_losses", "_overhead", "mtu", "payload", "probe_size", "state", "wanted")

    def __init__(self, limit: int = MTU_MAX, *, ipv6: bool = False) -> None:
        self._limit = limit
        self._overhead = OVERHEAD_IPV6 if ipv6 else OVERHEAD_IPV4
        self.reset()

    def reset(self) -> None:
        """Start anew: the path is another one."""
        self._set_mtu(MTU_BASE)
        self.probe_size = MTU_BASE
        self.state = MtuState.BASE if self._limit > MTU_BASE else MtuState.COMPLETE
        self.wanted = False
        self._losses = 0

    def _set_mtu(self, mtu: int) -> None:
        self.mtu = mtu
        self.payload = mtu - self._overhead - HEADER_SIZE

    def on_first_ack(self) -> None:
        if self.state is MtuState.BASE:
            self.state = MtuState.SEARCH
            self.wanted = True

    def padding(self, payload_size: int) -> int | None:
        """Zero bytes that stretch a packet to the wanted size; None when it is too small for that."""
        padding = self.probe_size - self._overhead - HEADER_SIZE - payload_size
        return padding if 0 <= padding <= MAX_PADDING else None

    def on_probe_sent(self) -> None:
        self.wanted = False

    def on_probe_acked(self) -> None:
        if self.state is not MtuState.SEARCH:
            return
        self._losses = 0
        self._set_mtu(self.probe_size)
        if self.probe_size >= self._limit:
            self.state = MtuState.COMPLETE
        else:
            self.probe_size = min(self.probe_size + MTU_STEP, self._limit)
            self.wanted = True

    def on_probe_lost(self) -> None:
        if self.state is not MtuState.SEARCH:
            return
        self._losses += 1
        if self._losses >= MAX_PROBES:
            self.state = MtuState.COMPLETE
        else:
            self.wanted = True
