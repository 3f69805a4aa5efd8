"""Numbers and namespaces of the hyperdht commands.

From docs/wire/hyperdht.md sections 2 and 6.8 (hyperdht/lib/constants.js 6.34.0). Times are seconds.
"""

from __future__ import annotations

from enum import IntEnum

from qvac_core.codec import namespace


class Command(IntEnum):
    """User commands of dht-rpc requests."""

    PEER_HANDSHAKE = 0
    PEER_HOLEPUNCH = 1
    FIND_PEER = 2
    LOOKUP = 3
    ANNOUNCE = 4
    UNANNOUNCE = 5
    MUTABLE_PUT = 6
    MUTABLE_GET = 7
    IMMUTABLE_PUT = 8
    IMMUTABLE_GET = 9
    PLUGIN = 10


class Firewall(IntEnum):
    """What a peer believes about the NAT in front of it."""

    UNKNOWN = 0
    OPEN = 1
    CONSISTENT = 2
    RANDOM = 3


def read_firewall(value: int) -> Firewall:
    """What a peer says stands before it; what we do not know counts as unknown."""
    try:
        return Firewall(value)
    except ValueError:
        return Firewall.UNKNOWN


class PeerError(IntEnum):
    """Error field of Noise and hole punch payloads."""

    NONE = 0
    ABORTED = 1
    VERSION_MISMATCH = 2
    TRY_LATER = 3


class Mode(IntEnum):
    """Which hop a PEER_HANDSHAKE or PEER_HOLEPUNCH message is on."""

    FROM_CLIENT = 0
    FROM_SERVER = 1
    FROM_RELAY = 2
    FROM_SECOND_RELAY = 3
    REPLY = 4


SEQ_REUSED = 16
SEQ_TOO_LOW = 17

_NAME = "hyperswarm/dht"
NS_ANNOUNCE = namespace(_NAME, Command.ANNOUNCE)
NS_UNANNOUNCE = namespace(_NAME, Command.UNANNOUNCE)
NS_MUTABLE_PUT = namespace(_NAME, Command.MUTABLE_PUT)
NS_PEER_HANDSHAKE = namespace(_NAME, Command.PEER_HANDSHAKE)
NS_PEER_HOLEPUNCH = namespace(_NAME, Command.PEER_HOLEPUNCH)

BOOTSTRAP_NODES = (
    "88.99.3.86@node1.hyperdht.org:49737",
    "142.93.90.113@node2.hyperdht.org:49737",
    "138.68.147.8@node3.hyperdht.org:49737",
)

MAX_RELAY_ADDRESSES = 3
MAX_RECORDS_PER_LOOKUP = 20

HANDSHAKE_MEMORY = 10.0
FIRST_PACKET_WAIT = 10.0
PASSIVE_WAIT = 10.0
FIREWALL_LIMIT = 6.0
"""Ours: seconds for an asynchronous firewall decision. The original's client with three relays has given up after 8."""
