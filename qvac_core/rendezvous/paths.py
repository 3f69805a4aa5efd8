"""How a client reaches a server whose handshake answer it has read.

From docs/wire/hyperdht.md section 6.3 steps 7 to 12 (hyperdht/lib/connect.js `holepunch` 6.34.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.rendezvous.addresses import first_public_address, lan_address
from qvac_core.rendezvous.constants import Firewall, PeerError
from qvac_core.rendezvous.messages import NOISE_PAYLOAD_VERSION, NoisePayload, RelayInfo, UdxInfo


class Way(Enum):
    DIRECT = auto()
    """The server answered without a relay: connect to where the answer came from, on the socket that asked."""
    OPEN = auto()
    """The server can be reached by anybody, or offers nothing better: send to `address`, no probe."""
    PASSIVE = auto()
    """We can be reached by anybody: the server comes to us."""
    LAN = auto()
    """Same public address: ping `address`, then connect there from the server socket."""
    IPV6 = auto()
    """Beside the others, never chosen here: greetings over IPv6, between two of ours."""
    PUNCH = auto()
    """Both are behind NATs: hole punching through `relays`."""


@dataclass(frozen=True, slots=True)
class Path:
    way: Way
    address: Address | None = None
    relays: tuple[RelayInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class HandshakeReply:
    """A PEER_HANDSHAKE that was answered: by whom, and which addresses the answer showed.

    `server_address` is the server as its relay sees it, `client_address` ourselves as the relay sees us, `socket` where
    the answer arrived.
    """

    noise: bytes
    relayed: bool
    relay_address: Address
    server_address: Address
    client_address: Address
    socket: int = 0


def check_payload(payload: NoisePayload) -> UdxInfo:
    """The server's stream, or the NetworkError that its answer means."""
    if payload.version != NOISE_PAYLOAD_VERSION or payload.error == PeerError.VERSION_MISMATCH:
        raise NetworkError("The peer speaks another version of this protocol.", name="SERVER_INCOMPATIBLE")
    if payload.error != PeerError.NONE:
        raise NetworkError("The peer refused the connection: it does not admit this key.", name="SERVER_ERROR")
    if payload.udx is None:
        raise NetworkError("The peer answered without a stream to connect to.", name="SERVER_ERROR")
    return payload.udx


def choose_paths(
    reply: HandshakeReply,
    payload: NoisePayload,
    *,
    firewall: Firewall,
    local_addresses: Sequence[Address],
    use_lan: bool = True,
) -> tuple[Path, ...]:
    """The paths worth trying, best first; none when the two cannot meet (CANNOT_HOLEPUNCH)."""
    if not reply.relayed:
        return (Path(Way.DIRECT, reply.relay_address),)
    relays = payload.holepunch.relays if payload.holepunch is not None else ()
    if payload.firewall == Firewall.OPEN or (not relays and reply.server_address != reply.relay_address):
        return (Path(Way.OPEN, first_public_address(payload.addresses4, reply.server_address)),)
    if firewall == Firewall.OPEN:
        return (Path(Way.PASSIVE),)
    paths: list[Path] = []
    if use_lan and reply.client_address[0] == reply.server_address[0]:
        nearby = lan_address(local_addresses, payload.addresses4)
        if nearby is not None:
            paths.append(Path(Way.LAN, nearby))
    if relays:
        paths.append(Path(Way.PUNCH, relays=relays))
    return tuple(paths)
