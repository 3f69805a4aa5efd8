"""One topic of a swarm, and those who asked for it.

From hyperswarm/lib/peer-discovery.js 4.17.2 (PeerDiscovery and PeerDiscoverySession).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from types import TracebackType

from qvac_core.codec import Address
from qvac_core.hyperdht import TopicKeeper, TopicPeers
from qvac_core.hyperdht.node.requests import Requests
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.messages import PeerRecord

OnPeer = Callable[[PeerRecord], None]


class Discovery:
    """All that is done for one topic: it announces while one member serves, and tells of peers while one seeks."""

    def __init__(
        self,
        topic: bytes,
        key_pair: KeyPair,
        *,
        requests: Callable[[bool], Awaitable[Requests]],
        relay_addresses: Callable[[], Sequence[Address]],
        is_connected: Callable[[bytes], bool],
        on_peer: OnPeer,
        random: Random,
    ) -> None:
        """`requests(serves)` opens the node, and has it listen where we serve."""
        self.topic = topic
        self.members: list[Membership] = []
        self.keeper = TopicKeeper(
            lambda: requests(self.keeper.announces),
            topic,
            key_pair,
            relay_addresses=relay_addresses,
            announces=False,
            on_found=self._on_found,
            random=random,
        )
        self._is_connected = is_connected
        self._on_peer = on_peer
        self._found: set[bytes] = set()

    @property
    def serves(self) -> bool:
        return any(member.server for member in self.members)

    @property
    def seeks(self) -> bool:
        return any(member.client for member in self.members)

    def changed(self) -> None:
        """Members came, went or want something else: walk anew."""
        self.keeper.announces = self.serves
        self.keeper.refresh()

    def begin(self) -> None:
        self.keeper.announces = self.serves
        self.keeper.begin()

    def _on_found(self, found: TopicPeers) -> None:
        if not self.seeks:
            return
        for peer in found.peers:
            if self._has_room(peer.public_key):
                self._found.add(peer.public_key)
                self._on_peer(peer)

    def _has_room(self, key: bytes) -> bool:
        """Those that are connected count, and those that were told of and may become it."""
        limits = [member.limit for member in self.members if member.client]
        if None in limits or key in self._found:
            return True
        self._found = {known for known in self._found if self._is_connected(known)}
        return len(self._found) < max(limit for limit in limits if limit is not None)


class Membership:
    """What `Swarm.join` gives: `await member.flushed()`, `member.refresh(server=False)`, `await member.leave()`.

    The topic is left when its last member is. `async with swarm.join(topic):` leaves it at the end.
    """

    def __init__(
        self,
        discovery: Discovery,
        leave: Callable[[Membership], Awaitable[None]],
        *,
        server: bool,
        client: bool,
        limit: int | None,
    ) -> None:
        self._discovery = discovery
        self._leave = leave
        self.server = server
        self.client = client
        self.limit = limit
        self.left = False

    async def __aenter__(self) -> Membership:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    @property
    def topic(self) -> bytes:
        return self._discovery.topic

    async def flushed(self) -> bool:
        """Returns when the topic is announced and looked up; False when nobody answered, or the topic was left."""
        return await self._discovery.keeper.flushed()

    def refresh(self, *, server: bool | None = None, client: bool | None = None) -> None:
        """Walk again now, as server or client or both from now on. `limit` stays.

        Raises ValueError for neither, RuntimeError after `leave`.
        """
        if self.left:
            raise RuntimeError("This topic was left.")
        server = self.server if server is None else server
        client = self.client if client is None else client
        if not server and not client:
            raise ValueError("Who joins a topic is a server, a client or both.")
        self.server, self.client = server, client
        self._discovery.changed()

    async def leave(self) -> None:
        """Take the announce back when nobody else of this swarm serves the topic. Connections stay."""
        if not self.left:
            self.left = True
            await self._leave(self)
