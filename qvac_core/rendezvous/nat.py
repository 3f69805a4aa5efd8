"""What kind of NAT a socket is behind, judged by the addresses under which others see it.

From docs/wire/hyperdht.md section 6.6 (hyperdht/lib/nat.js 6.34.0). Three things are ours: it takes four samples to
decide (the original: three), later samples that disagree take "consistent" back, and what a node said before a remap is
replaced by what it says now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qvac_core.codec import Address
from qvac_core.rendezvous.constants import Firewall

MIN_SAMPLES = 4
_FEWEST_SAMPLES = 3
"""Enough when nobody is left to ask."""
_ASKED = MIN_SAMPLES + 2
"""Nodes that are asked at once: two more than needed, so that a lost answer does not cost a second."""
_NEWEST_SKIPPED = 5
_MANY_NODES = 8
_MAX_SAMPLES = 16
_MAX_ADDRESSES = 8


def tally(seen: Iterable[Address]) -> list[tuple[Address, int]]:
    """How often each was seen, most often first; of equals the one that got there first."""
    counts: list[tuple[Address, int]] = []
    for address in seen:
        at = next((i for i, (other, _) in enumerate(counts) if other == address), len(counts))
        hits = counts.pop(at)[1] + 1 if at < len(counts) else 1
        while at > 0 and counts[at - 1][1] < hits:
            at -= 1
        counts.insert(at, (address, hits))
    return counts


class Nat:
    """The view of one socket. `firewall` and `addresses` are what the peer is told; frozen, they stay as they are."""

    __slots__ = ("_asked", "_enough", "_exhausted", "_firewalled", "_frozen", "_seen", "addresses", "firewall")

    def __init__(self, *, firewalled: bool, decide_from: int = MIN_SAMPLES) -> None:
        self._firewalled = firewalled
        self._enough = decide_from
        self._exhausted = False
        self._frozen = False
        self._asked: set[Address] = set()
        self._seen: dict[Address, Address] = {}
        self.firewall = Firewall.UNKNOWN if firewalled else Firewall.OPEN
        self.addresses: tuple[Address, ...] | None = None

    @property
    def sampled(self) -> int:
        return len(self._seen)

    @property
    def settled(self) -> bool:
        """Whether waiting for more samples is pointless."""
        return self.firewall is Firewall.OPEN or self.sampled >= MIN_SAMPLES or self._exhausted

    def nodes_to_ask(self, newest_first: Sequence[Address]) -> list[Address]:
        """Whom to ping from this socket; nobody twice. The newest may well be neighbours of one walk: not those."""
        nodes = newest_first[_NEWEST_SKIPPED:] if len(newest_first) >= _MANY_NODES else newest_first
        wanted = [node for node in nodes if node not in self._asked][: max(0, _ASKED - self.sampled)]
        self._asked.update(wanted)
        return wanted

    def exhausted(self) -> None:
        """Nobody is left to ask: decide on what there is."""
        self._exhausted = True
        self._enough = min(self._enough, _FEWEST_SAMPLES)
        self._update()

    def add(self, to: Address, from_: Address) -> None:
        """A node says that it sees the socket as `to`."""
        if self._seen.get(from_) == to:
            return
        self._seen.pop(from_, None)
        self._seen[from_] = to
        while len(self._seen) > _MAX_SAMPLES:
            del self._seen[next(iter(self._seen))]
        self._update()

    def freeze(self) -> None:
        """The peer has been told: changing our mind now would make the two sides punch past each other."""
        self._frozen = True

    def _update(self) -> None:
        if self._frozen:
            return
        counts = tally(self._seen.values())
        if self._firewalled:
            self.firewall = self._classify(counts)
        if self.firewall is Firewall.UNKNOWN:
            self.addresses = None
        elif self.firewall is Firewall.RANDOM:
            host = tally((host, 0) for host, _ in self._seen.values())[0][0]
            self.addresses = (host,)
        else:
            # Ours tells them for an open node, too: the peer has to know where to aim.
            kept = [address for rank, (address, hits) in enumerate(counts) if hits >= 2 or rank < 2]
            self.addresses = tuple(kept[:_MAX_ADDRESSES]) or None

    def _classify(self, counts: Sequence[tuple[Address, int]]) -> Firewall:
        if self.sampled < self._enough:
            return self.firewall
        best = counts[0][1]
        if best >= 3:
            return Firewall.RANDOM if _disagree(counts) else Firewall.CONSISTENT
        if best == 1:
            return Firewall.RANDOM
        hosts = {address[0] for address, _ in counts}
        if len(hosts) == 1 and self.sampled > 3:
            return Firewall.RANDOM
        if len(hosts) > 1 and counts[1][1] > 1:
            return Firewall.CONSISTENT
        return Firewall.RANDOM if self.sampled > 4 else self.firewall


def _disagree(counts: Sequence[tuple[Address, int]]) -> bool:
    """Several addresses that were seen only once, beside few that repeat: the first agreement was chance."""
    loners = sum(1 for _, hits in counts if hits == 1)
    repeated = sum(hits for _, hits in counts if hits > 1)
    return loners >= 2 and 2 * loners > repeated
