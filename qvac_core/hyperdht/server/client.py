"""One handshake of a server, while it is on its way to a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from qvac_core.codec import Address
from qvac_core.hyperdht.server.punch import ServerPunch
from qvac_core.hyperdht.server.relay import ServerRelay
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.ipv6_path import ServerGreeting
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.rendezvous.handshake import RememberedHandshake, ServerHandshake, Session
from qvac_core.rendezvous.messages import NoisePayload
from qvac_core.rendezvous.places import Place


@dataclass(slots=True)
class Client:
    """A handshake that is on its way to a connection."""

    entry: RememberedHandshake
    handshake: ServerHandshake
    remote_public_key: bytes
    payload: NoisePayload
    peer_address: Address
    seen_as: Address
    """Ourselves, as the relay (or the peer, when direct) sees us."""
    direct: bool
    socket: int
    source: str
    """The host that answers for it: its own, as far as one of our relays says so, else whoever sent it."""
    read_for: str
    """The host from which its first message came, the client's own or a relay's; it counts there until it is open."""
    loose: bool = False
    paths: PathDriver | None = None
    connection: Connection | None = None
    session: Session | None = None
    timer: asyncio.TimerHandle | None = None
    punch: ServerPunch | None = None
    relay: ServerRelay | None = None
    greeting: ServerGreeting | None = None
    expired: bool = False
    """It did not come directly in time; a relay may still bring it."""
    handed_over: bool = False
    """It is the application's, but relayed: a direct path is still looked for."""
    meets_again: bool = False
    """`connection` is an open one, for which the client looks for another path."""

    @property
    def place(self) -> Place[Client]:
        return Place(self, self.remote_public_key, self.source, loose=self.loose)
