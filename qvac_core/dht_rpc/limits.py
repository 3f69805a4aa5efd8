"""What one host may ask of us, and how much may go to a host that did not prove that it asked.

Ours, after docs/wire/traps.md "Against strangers": the original has neither. The source of a datagram can be
forged, and ports are free: so everything counts by host, and whoever is counted takes no memory of his own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from qvac_core.dht_rpc.commands import Internal

REFUSAL = -1
"""Not a command: answers to wrong tokens, which are larger than what a forged sender has to send."""

PER_SECOND: dict[int, int] = {
    Internal.PING_NAT: 40,
    Internal.FIND_NODE: 200,
    Internal.DOWN_HINT: 100,
    Internal.DELAYED_PING: 40,
    REFUSAL: 100,
}
"""A JavaScript node sends at most 50 down hints in five seconds, to all its peers together; many share a host."""

NEARBY_FACTOR = 32
"""A whole test network lives on 127.0.0.1, and nobody on the internet can speak from an address that is not there."""

REPLY_FACTOR = 3
"""An answer up to so many times its request is always given (the rule of QUIC, RFC 9000 section 8)."""
SMALL_REPLY = 64
"""Bytes that may always be answered: a ping with an id has 42."""
EXCESS_BYTES = 64 * 1024
EXCESS_WINDOW = 10.0
"""Beyond that, to one host within these seconds. Lookups of a house take hundreds of bytes each."""

_SLOTS = 1 << 14
_HOSTS_CACHED = 1 << 12


@lru_cache(maxsize=_HOSTS_CACHED)
def is_public(host: str) -> bool:
    """Whether the host can be anywhere on the internet, and not only nearby."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


def network_of(host: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) that a public host is in: what one customer of a hoster easily has."""
    return host.rpartition(".")[0] or ":".join(host.split(":")[:3])


def crowds(host: str, hosts: Iterable[str], *, per_host: int, per_network: int) -> bool:
    """Whether one more of `host` is too many among `hosts`. Ports are free, and so are the ids that belong to them."""
    if not is_public(host):
        return False
    network = network_of(host)
    same = near = 0
    for other in hosts:
        same += other == host
        near += network_of(other) == network
    return same >= per_host or near >= per_network


class HostCounts:
    """Counts per key in windows of time, in bounded memory.

    A key has one of so many places; two keys that meet in one share what they may. Python spreads them by a secret of
    the process, so that nobody can choose with whom he meets.
    That happens under a flood of forged sources, and lets nearly everybody pass where a list of limited length would
    turn away whoever comes late.
    """

    __slots__ = ("_counts", "_since", "_slots", "_window")

    def __init__(self, window: float, slots: int = _SLOTS) -> None:
        self._window = window
        self._slots = slots
        self._since = 0.0
        self._counts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, key: str, amount: int, limit: int, now: float) -> bool:
        """Whether `amount` more stays within `limit` in this window; counts it when it does."""
        if not 0 <= now - self._since < self._window:
            self._since = now
            self._counts.clear()
        slot = hash(key) % self._slots
        count = self._counts.get(slot, 0) + amount
        if count > limit:
            return False
        self._counts[slot] = count
        return True


class RateLimit:
    """Requests per command and host in windows of one second."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = HostCounts(1.0)

    def __len__(self) -> int:
        return len(self._counts)

    def allows(self, command: int, host: str, now: float) -> bool:
        limit = PER_SECOND.get(command)
        if limit is None:
            return True
        if not is_public(host):
            limit *= NEARBY_FACTOR
        return self._counts.take(f"{command} {host}", 1, limit, now)


class ReplyBudget:
    """How much goes to hosts that did not prove by a token that they asked. Nearby hosts cannot be forged from afar."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = HostCounts(EXCESS_WINDOW)

    def __len__(self) -> int:
        return len(self._counts)

    def allows(self, host: str, excess: int, now: float) -> bool:
        return excess <= 0 or not is_public(host) or self._counts.take(host, excess, EXCESS_BYTES, now)
