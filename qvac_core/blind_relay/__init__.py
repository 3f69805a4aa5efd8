"""Relaying a connection blindly through a third peer: protomux framing and the relay's pair and unpair messages.

From docs/wire/hyperdht.md section 6.7 (blind-relay 1.6.1, protomux 3.12.1).
"""

from qvac_core.blind_relay.client import PAIRING_LIMIT, ClientEvent, Paired, PairingFailed, RelayClient, Unpaired
from qvac_core.blind_relay.protomux import Protomux
from qvac_core.blind_relay.server import (
    Matched,
    PairingCancelled,
    PairingExpired,
    PairingRequested,
    PairingSide,
    RelayLimits,
    RelaySession,
    RelayState,
    ServerEvent,
)

__all__ = [
    "PAIRING_LIMIT",
    "ClientEvent",
    "Matched",
    "Paired",
    "PairingCancelled",
    "PairingExpired",
    "PairingFailed",
    "PairingRequested",
    "PairingSide",
    "Protomux",
    "RelayClient",
    "RelayLimits",
    "RelaySession",
    "RelayState",
    "ServerEvent",
    "Unpaired",
]
