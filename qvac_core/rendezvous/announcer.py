"""Which nodes a server is announced at, and when that must be renewed.

From docs/wire/hyperdht.md section 7 (hyperdht/lib/announcer.js 6.34.0). Ours also renews at once when a relay's pong
shows that our address changed since the announce: until then that relay forwards into the void.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from qvac_core.codec import Address, blake2b
from qvac_core.noise import KeyPair
from qvac_core.rendezvous.constants import MAX_RELAY_ADDRESSES
from qvac_core.rendezvous.messages import Announce, PeerRecord, RelayInfo
from qvac_core.rendezvous.signatures import sign_announce, sign_unannounce

PING_INTERVAL = 3.0
PINGS_PER_CYCLE = 100
MIN_ACTIVE = 3
"""Fewer answering relays than this (or than there are) means: announce again now."""
MIN_UPDATE_INTERVAL = 3.0
"""Between two updates, whatever asks for them: a flapping address must not become a storm."""


class Closest(Protocol):
    """A reply of the FIND_PEER walk; dht_rpc.Reply has this shape."""

    @property
    def from_(self) -> Address: ...
    @property
    def id(self) -> bytes | None: ...
    @property
    def token(self) -> bytes | None: ...


R = TypeVar("R", bound=Closest)


class Announcer:
    """One server's announces. An update goes: `begin`, walk, `pick`, commits, `publish`, unannounce `dropped`."""

    def __init__(self, key_pair: KeyPair) -> None:
        self.key_pair = key_pair
        self.target = blake2b(key_pair.public_key)
        self.record = PeerRecord(key_pair.public_key).encode()
        self.relays: tuple[RelayInfo, ...] = ()
        self.relay_addresses: tuple[Address, ...] = ()
        self.closest_nodes: tuple[Address, ...] = ()
        self._generations: list[dict[Address, RelayInfo]] = [{}, {}, {}]
        self._committed: list[RelayInfo] = []

    def begin(self) -> None:
        """Start an update: the oldest generation of relays falls out."""
        self._generations = [self._generations[1], self._generations[2], {}]
        self._committed = []

    @staticmethod
    def pick(replies: Sequence[R]) -> list[R]:
        """The first three of the closest nodes that can store anything (they showed an id and gave a token)."""
        return [reply for reply in replies if reply.id is not None and reply.token is not None][:MAX_RELAY_ADDRESSES]

    def announce(self, node_id: bytes, token: bytes) -> Announce:
        return sign_announce(self.key_pair, target=self.target, node_id=node_id, token=token)

    def unannounce(self, node_id: bytes, token: bytes) -> Announce:
        return sign_unannounce(self.key_pair, target=self.target, node_id=node_id, token=token)

    def committed(self, relay_address: Address, peer_address: Address) -> None:
        """A node stored the announce; it knows us as `peer_address`."""
        info = RelayInfo(relay_address, peer_address)
        self._committed.append(info)
        self._generations[2][relay_address] = info

    def publish(self, closest_nodes: Sequence[Address], own_address: Address | None) -> None:
        """All commits are settled: only now may clients learn the new relays."""
        self.relays = tuple(self._committed)
        addresses = [own_address] if own_address is not None else []
        addresses += [info.relay_address for info in self._committed]
        self.relay_addresses = tuple(addresses[:MAX_RELAY_ADDRESSES])
        if closest_nodes:
            self.closest_nodes = tuple(closest_nodes)

    def dropped(self) -> list[Address]:
        """Relays of the previous generation that the new one does without."""
        return [address for address in self._generations[1] if address not in self._generations[2]]

    def current(self) -> list[Address]:
        return list(self._generations[2])

    def everywhere(self) -> list[Address]:
        """Nodes that may still remember us."""
        return [address for generation in self._generations for address in generation]

    def forget(self) -> None:
        """It was withdrawn everywhere; who was near is remembered."""
        self._generations = [{}, {}, {}]
        self._committed = []
        self.relays = self.relay_addresses = ()

    def is_relay(self, address: Address) -> bool:
        return any(address in generation for generation in self._generations)

    def moved(self, relay_address: Address, to: Address) -> bool:
        """Whether a pong's `to` shows another address of ours than the one this relay forwards to."""
        info = self._generations[2].get(relay_address)
        return info is not None and info.peer_address != to

    def lost_too_many(self, asked: int, answered: int) -> bool:
        return answered < min(asked, MIN_ACTIVE)
