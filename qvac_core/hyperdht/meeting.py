"""Two peers who mean to be connected: one handshake for each relay that is tried, and more while they are relayed.

Ours; a handshake names one relay, and the original tries one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.connect import Attempt
from qvac_core.hyperdht.connect_stage import OnStage
from qvac_core.hyperdht.connection import Connection
from qvac_core.hyperdht.path_keeper import Relaying
from qvac_core.hyperdht.relay_choice import RelayKeys
from qvac_core.hyperdht.relayed_path import RelayedPath
from qvac_core.noise import KeyPair

if TYPE_CHECKING:
    from qvac_core.hyperdht.dht import DHT

T = TypeVar("T")

RELAYS_TRIED = 4
"""Different relays in one connect."""


class Meeting:
    """The client's. `known` are nodes that may lead to the peer."""

    def __init__(
        self, dht: DHT, key: bytes, key_pair: KeyPair, known: Sequence[Address], relay_through: RelayKeys | None
    ) -> None:
        self._dht = dht
        self._key = key
        self._key_pair = key_pair
        self._known = known
        self._relay_through = relay_through

    async def connect(self, limit: float, on_stage: OnStage) -> Connection:
        """As DHT.connect. `on_stage` sees to it that each stage is told once."""
        dht = self._dht
        deadline = dht.now() + limit
        relays = dht.relay_choice.order(self._relay_through, dht.chance, dht.now())
        failed: set[bytes] = set()
        while True:
            left = [relay for relay in relays if relay not in failed]
            # Where we name none the server may name several: only time tells whether there is another.
            is_last = len(left) < 2 and bool(relays or failed)
            relaying = Relaying(left[0] if left else None, is_last, self._relay_through, self.meet_again)
            attempt = Attempt(dht, self._key, self._key_pair, self._known, relaying, on_stage)
            try:
                return await self._run(attempt, attempt.run(deadline - dht.now(), limit))
            except NetworkError:
                relay = attempt.failed_relay
                if dht.closed or relay is None or relay in failed or len(failed) >= RELAYS_TRIED - 1:
                    raise
                failed.add(relay)
                if not attempt.relay_named_by_server and failed.issuperset(relays):
                    raise

    def meet_again(
        self, path: RelayedPath, relay: bytes | None, *, needs_relay: bool, is_last: bool, limit: float
    ) -> asyncio.Task[None]:
        dht = self._dht
        known = dht.relays_of(self._key) or self._known
        relaying = Relaying(relay, is_last, self._relay_through, self.meet_again)
        attempt = Attempt(dht, self._key, self._key_pair, known, relaying, path=path, needs_relay=needs_relay)
        return asyncio.create_task(self._run(attempt, attempt.find_again(path, limit)), name="meeting a peer again")

    async def _run(self, attempt: Attempt, running: Coroutine[Any, Any, T]) -> T:
        dht = self._dht
        dht.attempts.add(attempt)
        try:
            return await running
        except NetworkError as error:
            if dht.closed:
                raise NetworkError("This node is closed.", name="NODE_DESTROYED") from error
            raise
        finally:
            dht.attempts.discard(attempt)
