"""What a node tells its owner, in the order in which it happened.

The events of the DHT object of dht-rpc 6.27.0: ready, persistent, ephemeral, nat-update, network-update, wakeup.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """The bootstrap is over: the table knows the neighbourhood as well as it can for now."""


@dataclass(frozen=True, slots=True)
class Persistent:
    """Others reach us from outside: from now on we have an id, enter their tables and store for them."""


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """We stopped being persistent, for example because the machine slept."""


@dataclass(frozen=True, slots=True)
class NatUpdated:
    """Our address as others see it changed. No host: they disagree; port 0: the port differs from peer to peer."""

    host: str | None
    port: int


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """Nobody answers any more, or somebody does again; degraded: more than half of the requests time out."""

    online: bool
    degraded: bool


@dataclass(frozen=True, slots=True)
class WakeUp:
    """The clock jumped: the machine slept. The owner rebinds its sockets and announces again."""


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """This machine's own addresses changed: it is in another network now."""


Event = AddressesChanged | Ready | Persistent | Ephemeral | NatUpdated | NetworkChanged | WakeUp
