"""What we know of ourselves: our address as others see it, our id, and whether others reach us unasked.

docs/wire/hyperdht.md section 1.8; dht-rpc 6.27.0 `index.js` and `lib/io.js`. Plain state: `Reachability` finds out what
is true and says it here.
"""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.codec import Address
from qvac_core.dht_rpc.commands import SocketId
from qvac_core.dht_rpc.messages import peer_id
from qvac_core.dht_rpc.nat_sampler import NatSampler


class OwnAddress:
    """`ephemeral` starts true, and so does `firewalled` unless told; `server_port` is the local one, 0 while unknown.

    `on_seen` hears each time that `host` or `port` became another one. The word of nodes without id counts only until
    `strangers` of them have spoken.
    """

    def __init__(self, *, firewalled: bool | None, strangers: int, on_seen: Callable[[], None]) -> None:
        self._nat = NatSampler()
        self._believed: set[Address] = set()
        self._strangers = max(1, strangers)
        self._on_seen = on_seen
        self._starts_firewalled = firewalled is not False
        self._proven: Address | None = None
        self._id: bytes | None = None
        self.firewalled = self._starts_firewalled
        self.ephemeral = True
        self.server_port = 0

    @property
    def host(self) -> str | None:
        """Our address as others see it, None while they disagree."""
        return self._nat.host

    @property
    def port(self) -> int:
        """The port that goes with `host`; 0 when it differs from peer to peer."""
        return self._nat.port

    @property
    def samples(self) -> int:
        """How many said what they see."""
        return self._nat.size

    @property
    def id(self) -> bytes | None:
        """Our id as others know it, None while we are ephemeral."""
        return None if self.ephemeral else self._id

    def id_on(self, socket: int) -> bytes | None:
        """Only the server socket has the address that our id is the hash of."""
        return self.id if socket == SocketId.SERVER else None

    @property
    def socket(self) -> SocketId:
        """The socket that requests leave from."""
        return SocketId.CLIENT if self.firewalled else SocketId.SERVER

    def remote_address(self) -> Address | None:
        """Where anybody reaches our server socket, None while that is unknown or not so."""
        if self.host is None or self.port == 0 or self.firewalled or self.port != self.server_port:
            return None
        return self.host, self.port

    @property
    def has_moved(self) -> bool:
        """A persistent node is seen at another address than the one that its id is the hash of."""
        return not self.ephemeral and (self.host, self.port) != self._proven

    # What others say

    def sample(self, to: Address) -> None:
        """One more node says that our address is `to`."""
        before = (self.host, self.port)
        self._nat.add(*to)
        self._tell_change(before)

    def sample_from_stranger(self, sender: Address, to: Address) -> None:
        """The same from a node without id."""
        if sender not in self._believed and len(self._believed) < self._strangers:
            self._believed.add(sender)
            self.sample(to)

    def _tell_change(self, before: tuple[str | None, int]) -> None:
        if before != (self.host, self.port):
            self._on_seen()

    # What was found out

    def prove(self, address: Address, seen: NatSampler | None, *, persistent: bool) -> bytes | None:
        """Nothing is in the way: `address` is ours, and the answer the id that we earned by it.

        `seen` is what those say whose answers reached the server socket, None when nobody had to be asked. None, and
        nothing earned, when our address changed while we were asking.
        """
        self.firewalled = False
        seen = seen or self._nat
        if not self.ephemeral or address != (self.host, self.port):
            return None
        if seen.host != address[0] or seen.port == 0:
            return None
        self._proven = (seen.host, seen.port)
        self._id = peer_id(self._proven)
        self.ephemeral = not persistent
        if seen is not self._nat:
            before = (self.host, self.port)
            self._believed.clear()
            self._nat = seen
            self._tell_change(before)
        return self._id

    def give_up(self) -> None:
        """The address that our id is the hash of is not ours any more."""
        self.ephemeral = True
        self.firewalled = self._starts_firewalled

    def forget(self) -> None:
        """We are in another network: nothing that was seen of us holds any more."""
        before = (self.host, self.port)
        self._nat = NatSampler()
        self._believed.clear()
        self._proven = None
        if self.ephemeral:
            self.firewalled = self._starts_firewalled
        self._tell_change(before)
