"""The server's side of a connection that may go through a relay.

From docs/wire/hyperdht.md sections 6.3 and 6.7 (`_relayConnection` of hyperdht/lib/server.js 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from qvac_core.blind_relay.messages import TOKEN_BYTES
from qvac_core.codec import Address
from qvac_core.errors import NetworkError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.node.relay_choice import RelayKeys
from qvac_core.hyperdht.relay.leg import ConnectTo, RelayLeg, pair_through, wait_until_direct
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.path_driver import PathDriver
from qvac_core.rendezvous.messages import NoisePayload, RelayThrough

logger = logging.getLogger(__name__)

MAX_PAIRINGS = 64
"""At a time: each is a walk through the network to a relay that the client may have named."""


class ServerRelay:
    """One client's. `wish` goes into the answer to its handshake; ours goes before the client's."""

    def __init__(
        self, node: LocalNode, connect: ConnectTo, client: bytes, relays: RelayKeys | None, asked: NoisePayload
    ) -> None:
        self._node = node
        self._connect = connect
        self._client = client
        relay = node.relay_choice.name_to(client, relays, node.chance, node.now())
        self.wish = RelayThrough(relay, node.chance.randbytes(TOKEN_BYTES)) if relay is not None else None
        self._through = self.wish or asked.relay_through
        self._task: asyncio.Task[None] | None = None
        self._paths: PathDriver | None = None
        self._path: tuple[int, Address] | None = None

    def is_relay(self, socket: int, address: Address) -> bool:
        return (socket, address) == self._path

    @property
    def wanted(self) -> bool:
        return self._through is not None

    @property
    def pairing(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(
        self,
        paths: PathDriver,
        deliver: Callable[[RelayLeg], None],
        on_failed: Callable[[], None],
        on_path: Callable[[tuple[int, Address]], None] | None = None,
    ) -> None:
        """`deliver` gets the leg for good; `on_failed` hears that the relay is of no use; `on_path` where it is."""
        if len(self._node.pairings) >= MAX_PAIRINGS:
            logger.warning("too many pairings at relays at once: one is left out")
            return

        def note(path: tuple[int, Address]) -> None:
            self._path = path
            paths.expect_relay(path)
            if on_path is not None:
                on_path(path)

        task = self._node.spawn(self._pair(paths.raw.id, deliver, on_failed, note), "pairing at a relay")
        self._task, self._paths = task, paths
        self._node.pairings.add(task)
        task.add_done_callback(self._node.pairings.discard)

    def stop(self) -> None:
        """A direct path was sooner, or the client is given up. A connection that is relayed already stays."""
        task, self._task = self._task, None
        if task is None or task.done():
            return
        paths = self._paths
        if self._path is not None and paths is not None and paths.raw.connected and not paths.raw.closed:
            self._node.spawn(_leave(task, paths), "leaving a relay that was not needed")
        else:
            task.cancel()

    async def _pair(
        self,
        stream_id: int,
        deliver: Callable[[RelayLeg], None],
        on_failed: Callable[[], None],
        on_path: Callable[[tuple[int, Address]], None],
    ) -> None:
        through = self._through
        assert through is not None
        try:
            leg = await pair_through(
                self._node,
                self._connect,
                through.public_key,
                through.token,
                is_initiator=self.wish is not None,
                stream_id=stream_id,
                on_path=on_path,
            )
        except NetworkError as error:
            logger.debug("no relay for a client: %s", error)
            self._task = None
            on_failed()
            return
        self._node.relay_choice.met(self._client, through.public_key, self._node.now())
        deliver(leg)


async def _leave(pairing: asyncio.Task[None], paths: PathDriver) -> None:
    try:
        await wait_until_direct(paths)
    finally:
        pairing.cancel()


class RelayedStreams:
    """A server's connections that run through relays, for clients that meet us again to find them another path."""

    def __init__(self, node: LocalNode) -> None:
        self._node = node
        self._open: dict[tuple[bytes, int], Connection] = {}

    def add(self, connection: Connection, asked: NoisePayload) -> None:
        """It has begun on a relay, for a client that can meet us again."""
        assert asked.udx is not None
        if not connection.paths.settled and asked.udx.resumable:
            self._open[(connection.remote_public_key, asked.udx.id)] = connection

    def forget(self, connection: Connection, asked: NoisePayload) -> None:
        assert asked.udx is not None
        key = (connection.remote_public_key, asked.udx.id)
        if self._open.get(key) is connection:
            del self._open[key]

    def find(self, remote_public_key: bytes, asked: NoisePayload) -> Connection | None:
        """The open connection that a handshake of its client names. Nobody but the holder of its key can name it."""
        if asked.udx is None or not asked.udx.resumable:
            return None
        return self._open.get((remote_public_key, asked.udx.id))
