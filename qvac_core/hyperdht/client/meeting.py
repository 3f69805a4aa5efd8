"""Two peers who mean to be connected: one handshake for each relay that is tried, and more while they are relayed.

Ours; a handshake names one relay, and the original tries one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.client.connect import Attempt
from qvac_core.hyperdht.client.path_keeper import Relaying
from qvac_core.hyperdht.client.stage import OnStage
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.relay_choice import RelayKeys
from qvac_core.hyperdht.relay.leg import ConnectTo
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.noise import KeyPair

T = TypeVar("T")

RELAYS_TRIED = 4
"""Different relays in one connect."""


class Meeting:
    """The client's. `known` are nodes that may lead to the peer, `connect` leads to a relay."""

    def __init__(
        self,
        node: LocalNode,
        connect: ConnectTo,
        key: bytes,
        key_pair: KeyPair,
        known: Sequence[Address],
        relay_through: RelayKeys | None,
    ) -> None:
        self._node = node
        self._connect = connect
        self._key = key
        self._key_pair = key_pair
        self._known = known
        self._relay_through = relay_through

    async def connect(self, limit: float, on_stage: OnStage) -> Connection:
        """As DHT.connect. `on_stage` sees to it that each stage is told once."""
        node = self._node
        deadline = node.now() + limit
        relays = node.relay_choice.order(self._relay_through, node.chance, node.now())
        failed: set[bytes] = set()
        while True:
            left = [relay for relay in relays if relay not in failed]
            # Where we name none the server may name several: only time tells whether there is another.
            is_last = len(left) < 2 and bool(relays or failed)
            relaying = Relaying(left[0] if left else None, is_last, self._relay_through, self.meet_again, self._connect)
            attempt = Attempt(node, self._key, self._key_pair, self._known, relaying, on_stage)
            try:
                return await self._run(attempt, attempt.run(deadline - node.now(), limit))
            except NetworkError:
                relay = attempt.failed_relay
                if node.closed or relay is None or relay in failed or len(failed) >= RELAYS_TRIED - 1:
                    raise
                failed.add(relay)
                if not attempt.relay_named_by_server and failed.issuperset(relays):
                    raise

    def meet_again(
        self, path: PathDriver, relay: bytes | None, *, needs_relay: bool, is_last: bool, limit: float
    ) -> asyncio.Task[None]:
        node = self._node
        known = node.relays_of(self._key) or self._known
        relaying = Relaying(relay, is_last, self._relay_through, self.meet_again, self._connect)
        attempt = Attempt(node, self._key, self._key_pair, known, relaying, path=path, needs_relay=needs_relay)
        return asyncio.create_task(self._run(attempt, attempt.find_again(path, limit)), name="meeting a peer again")

    async def _run(self, attempt: Attempt, running: Coroutine[Any, Any, T]) -> T:
        node = self._node
        node.attempts.add(attempt)
        try:
            return await running
        except NetworkError as error:
            if node.closed:
                raise NetworkError("This node is closed.", name="NODE_DESTROYED") from error
            raise
        finally:
            node.attempts.discard(attempt)
