"""What one address may ask of us per second. The original has no such limits.

Ours, after wire/TRAPS.md "Limits against hostile peers": answers to these commands cost a table walk, a ping to
somebody else, or go to a port that the sender names.
"""

from __future__ import annotations

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import Internal

REFUSAL = -1
"""Not a command: answers to wrong tokens, which are larger than what a forged sender has to send."""

PER_SECOND: dict[int, int] = {
    Internal.PING_NAT: 20,
    Internal.FIND_NODE: 100,
    Internal.DOWN_HINT: 50,
    Internal.DELAYED_PING: 20,
    REFUSAL: 100,
}
"""A JavaScript node sends at most 50 down hints in five seconds, to all its peers together."""

_MAX_ADDRESSES = 1 << 14
"""Counted in one second; what comes from further ones is dropped until the next."""


class RateLimit:
    """Counts per command and address in windows of one second."""

    __slots__ = ("_counts", "_since")

    def __init__(self) -> None:
        self._since = 0.0
        self._counts: dict[tuple[int, Address], int] = {}

    def allows(self, command: int, sender: Address, now: float) -> bool:
        limit = PER_SECOND.get(command)
        if limit is None:
            return True
        if not 0 <= now - self._since < 1.0:
            self._since = now
            self._counts.clear()
        key = (command, sender)
        count = self._counts.get(key, 0)
        if count >= limit or (count == 0 and len(self._counts) >= _MAX_ADDRESSES):
            return False
        self._counts[key] = count + 1
        return True
