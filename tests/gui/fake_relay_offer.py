"""The relay for others without a network: what FakeCore's `relay_offer` tells."""

from __future__ import annotations

from collections.abc import Callable

from qvac_core.core.relay_offer_state import RelayOffer, RelayOfferChanged, RelayPhase

RELAY_KEY = "7a1e" * 16


class FakeRelayOffer:
    """Implements RelayOfferInterface."""

    def __init__(self, emit: Callable[[RelayOfferChanged], None]) -> None:
        self._emit = emit
        self.offer = RelayOffer(RelayPhase.OFF, RELAY_KEY)

    def now(self) -> RelayOffer:
        return self.offer

    def set(self, offer: RelayOffer) -> None:
        self.offer = offer
        self._emit(RelayOfferChanged(offer))
