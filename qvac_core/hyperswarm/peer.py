"""One peer of a swarm: how it was found, how connecting to it went, and when it is tried again.

From hyperswarm/lib/peer-info.js and lib/retry-timer.js 4.17.2. No I/O: the time comes in.
"""

from __future__ import annotations

from collections.abc import Sequence

from qvac_core.codec import Address

FAST_RETRY_AFTER = 15.0
"""Seconds that a connection has to last for the next try to be as good as the first."""
BACKOFFS = (1.0, 5.0, 15.0, 600.0)
"""Seconds until the next try: short, middle, long, and for peers that were asked for by key after all of these."""
JITTER = 0.5
"""Seconds, at most, that chance adds."""
MAX_ATTEMPTS = 3


class Peer:
    """What a swarm knows of a peer.

    `topics` are those under which it was found (none where it came to us), `is_client` says whether it was us who
    connected. `ban()` keeps it away until `ban(False)`; `reconnects` False: it is not tried again by itself.
    """

    def __init__(self, public_key: bytes, relay_addresses: Sequence[Address] = ()) -> None:
        self.public_key = public_key
        self.relay_addresses = tuple(relay_addresses)
        self.topics: list[bytes] = []
        self.reconnects = True
        self.is_client = False
        self.banned = False
        self.explicit = False
        """Asked for by its key."""
        self.forces_relay = False
        """The last try showed that no direct path is there."""
        self.proven = False
        """A connection to it has been open."""
        self.attempts = 0
        """Tries since the last good connection."""
        self._connected_at: float | None = None

    def __repr__(self) -> str:
        return f"<Peer {self.public_key.hex()[:8]} tried {self.attempts} times>"

    def ban(self, banned: bool = True) -> None:
        """Whether it is kept away. A connection that is open stays open."""
        self.banned = banned

    def found_under(self, topic: bytes) -> None:
        if topic not in self.topics:
            self.topics.append(topic)

    @property
    def priority(self) -> int:
        """Whom to try first: those just lost, then those never tried, last those that failed often."""
        return {0: 2, 1: 4, 2: 3}.get(self.attempts, 1)

    @property
    def may_be_tried(self) -> bool:
        return not self.banned and (self.explicit or self.attempts <= MAX_ATTEMPTS)

    def connected(self, now: float) -> None:
        self.proven = True
        self._connected_at = now

    def disconnected(self, now: float) -> None:
        """Also after a try that failed."""
        if self._connected_at is not None and now - self._connected_at >= FAST_RETRY_AFTER:
            self.attempts = 0
        self._connected_at = None
        self.attempts += 1

    def found_again(self) -> None:
        """A lookup brought it once more: what failed before may go well now."""
        if self.attempts >= MAX_ATTEMPTS or not self.is_client:
            self.proven = False
            self.attempts = 0

    def retry_in(self, backoffs: Sequence[float] = BACKOFFS) -> float | None:
        """Seconds until it is tried again; None: not before it is found again."""
        short, middle, long, longest = backoffs
        if self.banned or not self.reconnects:
            return None
        if self.attempts > MAX_ATTEMPTS:
            return longest if self.explicit else None
        if self.attempts == 0:
            return short
        return ((short, middle, long) if self.proven else (middle, long, long))[self.attempts - 1]
