"""The server's side of a connection that may go through a relay.

From wire reference sections 6.3b and 6.7 (`_relayConnection` of hyperdht/lib/server.js 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qvac_core.blind_relay.messages import TOKEN_BYTES
from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, NetworkError
from qvac_core.hyperdht.connection import Connection
from qvac_core.hyperdht.raw_stream import RawStream
from qvac_core.hyperdht.relay_leg import RelayKeys, RelayLeg, choose_relay, pair_through
from qvac_core.hyperdht.relayed_path import RelayedPath
from qvac_core.rendezvous.messages import NoisePayload, RelayThrough

if TYPE_CHECKING:
    from qvac_core.hyperdht.dht import DHT

logger = logging.getLogger(__name__)

MAX_PAIRINGS = 64
"""At a time: each is a walk through the network to a relay that the client may have named."""


class ServerRelay:
    """One client's. `wish` goes into the answer to its handshake; ours goes before the client's."""

    def __init__(self, dht: DHT, relays: RelayKeys | None, asked: NoisePayload) -> None:
        self._dht = dht
        relay = choose_relay(relays, dht.chance)
        self.wish = RelayThrough(relay, dht.chance.randbytes(TOKEN_BYTES)) if relay is not None else None
        self._through = self.wish or asked.relay_through
        self._direct_id = asked.udx.id if asked.udx is not None else 0
        self._task: asyncio.Task[None] | None = None
        self._path: tuple[int, Address] | None = None

    def is_relay(self, socket: int, address: Address) -> bool:
        return (socket, address) == self._path

    def _note_path(self, raw: RawStream, path: tuple[int, Address]) -> None:
        self._path = raw.relay_path = path

    @property
    def wanted(self) -> bool:
        return self._through is not None

    @property
    def pairing(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(
        self,
        raw: RawStream,
        connect: Callable[[RelayLeg], Connection | None],
        on_settled: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        """`connect` opens the stream through the leg, or says None when it is too late.

        `on_settled` hears that the connection has become a direct one, or is closed; `on_failed` that the relay is of
        no use.
        """
        if len(self._dht.server_pairings) >= MAX_PAIRINGS:
            logger.warning("too many pairings at relays at once: one is left out")
            return
        task = self._dht.spawn(self._pair(raw, connect, on_settled, on_failed), "pairing at a relay")
        self._task = task
        self._dht.server_pairings.add(task)
        task.add_done_callback(self._dht.server_pairings.discard)

    def stop(self) -> None:
        """A direct path was sooner, or the client is given up. A connection that is relayed already stays."""
        if self._task is not None:
            self._task.cancel()

    async def _pair(
        self,
        raw: RawStream,
        connect: Callable[[RelayLeg], Connection | None],
        on_settled: Callable[[], None],
        on_failed: Callable[[], None],
    ) -> None:
        through = self._through
        assert through is not None
        try:
            leg = await pair_through(
                self._dht,
                through.public_key,
                through.token,
                is_initiator=self.wish is not None,
                stream_id=raw.id,
                on_path=partial(self._note_path, raw),
            )
        except NetworkError as error:
            logger.debug("no relay for a client: %s", error)
            self._task = None
            on_failed()
            return
        try:
            connection = connect(leg)
        except ConnectionClosed:
            connection = None
        if connection is None:
            leg.close()
        else:
            RelayedPath(self._dht, raw, connection, leg, self._direct_id, on_settled)
