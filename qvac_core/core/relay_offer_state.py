"""What a front door is told of the relay that this machine offers to others, and may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class RelayPhase(StrEnum):
    OFF = "off"
    STARTING = "starting"
    ON = "on"  # the network leads to it
    NOT_FOUND = "not_found"  # it runs, and nobody is led to it
    USED_UP = "used_up"  # the day's bytes are forwarded


@dataclass(frozen=True, slots=True)
class RelayOffer:
    """public_key: what others name as their relay, 64 hex digits; it is derived from this machine's identity.

    machines: connected to it now; pairs: of these, joined to each other. bytes_today: forwarded in both directions.
    """

    phase: RelayPhase
    public_key: str
    machines: int = 0
    pairs: int = 0
    bytes_today: int = 0


@dataclass(frozen=True, slots=True)
class RelayOfferChanged:
    """Its phase, or who is on; what is forwarded grows without an event."""

    offer: RelayOffer


class RelayOfferInterface(Protocol):
    """`core.relay_offer`. It is switched by the settings of `relay.`: "relay.on", "relay.who", …"""

    def now(self) -> RelayOffer: ...
