"""Two peers that a relay forwards between, and the accounts that this is paid from: of each key, and of the relay.

Ours, in the place of BlindRelayLink (blind-relay/index.js 1.6.1); the original counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.blind_relay import PairingSide
from qvac_core.codec import Address
from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.udx import RelayStream

_BURST = 1.0  # seconds' worth of a key's rate that may pass at once

Path = tuple[int, Address]


class RelayAccount:
    """What one key, or all of them together, may still forward. None is no limit."""

    __slots__ = ("_in_all", "_rate", "_since", "_tokens", "key", "links", "used")

    def __init__(self, key: bytes, rate: float | None, in_all: int | None, now: float) -> None:
        self.key = key
        self.links = 0
        self.used = 0  # bytes
        self._rate = rate
        self._in_all = in_all
        self._tokens = (rate or 0.0) * _BURST
        self._since = now

    def use(self, rate: float | None, in_all: int | None) -> None:
        """Other limits from now on; what was used counts."""
        if self._rate is None or rate is None:
            self._tokens = (rate or 0.0) * _BURST
        self._rate, self._in_all = rate, in_all

    @property
    def exhausted(self) -> bool:
        return self._in_all is not None and self.used >= self._in_all

    @property
    def forgettable(self) -> bool:
        """Nothing hangs on it any more."""
        return self.links == 0 and self._in_all is None

    def allows(self, now: float) -> bool:
        """Whether a train may pass now. One that passes may overdraw the rate, which then rests."""
        if self.exhausted:
            return False
        if self._rate is None:
            return True
        self._tokens = min(self._tokens + (now - self._since) * self._rate, self._rate * _BURST)
        self._since = now
        return self._tokens > 0

    def charge(self, size: int) -> None:
        self._tokens -= size
        self.used += size


class _Half:
    """One peer's stream at the relay, as the endpoint drives it."""

    __slots__ = ("_link", "other", "stream")

    def __init__(self, link: RelayLink, stream: RelayStream[Path]) -> None:
        self._link = link
        self.stream = stream
        self.other = self

    def feed(self, datagrams: list[bytes], socket: int, source: Address, now: float) -> None:
        self._link.forward(self, datagrams, (socket, source), now)

    def flush(self, now: float) -> None:
        """Nothing is ever kept back."""


class RelayLink:
    """Forwards from the moment it is made. `on_over` is called when it should be closed, any number of times."""

    def __init__(
        self,
        id: int,
        endpoint: Endpoint,
        sides: tuple[tuple[PairingSide, Path], tuple[PairingSide, Path]],
        accounts: tuple[RelayAccount, ...],
        on_over: Callable[[], None],
    ) -> None:
        """The paths are those of the peers' connections to us: theirs until a first packet shows another."""
        self.id = id
        self.since = self.heard = endpoint.loop.time()
        self._endpoint = endpoint
        self.accounts = accounts
        self._on_over = on_over
        first, second = (
            _Half(self, RelayStream(endpoint.new_stream_id(), side.stream_id, path)) for side, path in sides
        )
        first.other, second.other = second, first
        first.stream.relay_to(second.stream)
        second.stream.relay_to(first.stream)
        self._halves = (first, second)
        for account in accounts:
            account.links += 1
        for half in self._halves:
            endpoint.add_stream(half.stream.local_id, half)

    @property
    def stream_ids(self) -> tuple[int, int]:
        first, second = self._halves
        return first.stream.local_id, second.stream.local_id

    @property
    def forwarded(self) -> int:
        """Bytes of datagrams, both directions."""
        return sum(half.stream.forwarded for half in self._halves)

    def forward(self, half: _Half, datagrams: list[bytes], path: Path, now: float) -> None:
        self.heard = now
        if not all(account.allows(now) for account in self.accounts):
            if any(account.exhausted for account in self.accounts):
                self._over()
            return
        before = half.stream.forwarded
        out = half.stream.receive_datagrams(datagrams, path)
        target = half.other.stream.path
        if out and target is not None:
            for account in self.accounts:
                account.charge(half.stream.forwarded - before)
            self._endpoint.send_train(target[0], out, target[1])
        if half.stream.closed:
            self._over()

    def move(self, side: int, path: Path) -> None:
        """The connection of that side's peer to us was followed to another address: its stream is there, too."""
        stream = self._halves[side].stream
        stream.path, stream.path_known = path, True

    def _over(self) -> None:
        # Not from inside the endpoint's walk over what arrived.
        self._endpoint.loop.call_soon(self._on_over)

    def close(self, *, abort: bool) -> None:
        """`abort` ends the peers' streams, too; without it one that has moved to a direct path lives on."""
        ended = any(half.stream.closed for half in self._halves)  # a DESTROY passed, and may have been lost
        for half in self._halves:
            word = half.stream.destroy(abort=abort or ended)
            if word is not None and half.stream.path is not None:
                self._endpoint.send_train(half.stream.path[0], [word], half.stream.path[1])
            self._endpoint.remove_stream(half.stream.local_id)
        for account in self.accounts:
            account.links -= 1
