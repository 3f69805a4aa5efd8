"""One peer's connection to a blind relay, and the partner that was found there for one stream.

From docs/wire/hyperdht.md section 6.7 (hyperdht/lib/connect.js, lib/server.js `_relayConnection` and
lib/relay-connection.js 6.34.0).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from qvac_core.blind_relay import PAIRING_LIMIT, Paired, PairingFailed, RelayClient, Unpaired
from qvac_core.codec import Address
from qvac_core.errors import ConnectionClosed, IdentityError, NetworkError, RemoteProtocolError
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.hyperdht.stream.path_driver import PathDriver

logger = logging.getLogger(__name__)

PROOF_LIMIT = 4.0
"""Seconds for a direct path to bring an acknowledgement; then a relay that is not needed is left all the same."""
STAY = 3.0
"""Seconds at the relay after that. What the original's stream sent through it before is on its way, and when that is
lost it is sent there again: after one second, and after two more."""


ConnectTo = Callable[[bytes], Awaitable[Connection]]
"""An open connection to the server with this key, as DHT.connect."""


def relay_aborted(why: str) -> NetworkError:
    return NetworkError(why, name="RELAY_ABORTED")


class RelayLeg:
    """Made by `pair_through`. `on_lost` is called when the relay is gone or has ended the pair, not after `close`."""

    def __init__(self, node: LocalNode, connection: Connection, client: RelayClient, remote_id: int) -> None:
        self.remote_id = remote_id
        self.relay = connection.remote_public_key
        self.on_lost: Callable[[], None] | None = None
        self.lost = False
        self._node = node
        self._connection = connection
        self._client = client
        self._closing = False
        self._path = connection.socket_and_address
        node.spawn(self._watch(), "connection to a relay")

    @property
    def path(self) -> tuple[int, Address]:
        """Where the relayed stream goes: the same socket and address as the connection to the relay."""
        return self._path

    def close(self) -> None:
        """Leave the relay in order. May be called again."""
        if self._closing:
            return
        self._closing = True
        if not self._node.closed and not self._connection.closed:
            self._client.close()
            self._node.spawn(self._leave(), "leaving a relay")

    async def _leave(self) -> None:
        try:
            await _flush(self._client, self._connection)
            await self._connection.close()
        except ConnectionClosed:
            logger.debug("the relay was gone before we left it")

    async def _watch(self) -> None:
        try:
            while (message := await self._connection.read()) is not None:
                self._client.receive(message, self._node.now())
                if self._client.closed or self._unpaired():
                    break
        except (ConnectionClosed, RemoteProtocolError) as error:
            logger.debug("the connection to the relay broke: %s", error)
        self.lost = True
        if not self._closing and self.on_lost is not None:
            self.on_lost()

    def _unpaired(self) -> bool:
        found = False
        while (event := self._client.next_event()) is not None:
            found = found or isinstance(event, Unpaired)
        return found


async def pair_through(
    node: LocalNode,
    connect: ConnectTo,
    relay: bytes,
    token: bytes,
    *,
    is_initiator: bool,
    stream_id: int,
    on_path: Callable[[tuple[int, Address]], None],
    limit: float = PAIRING_LIMIT,
) -> RelayLeg:
    """Meet the peer that names the same token at this relay. Raises NetworkError RELAY_ABORTED.

    `on_path` hears early where the relay is: the partner's first packets may overtake the relay's word that it is
    there, and must not be taken for a direct path.
    """
    deadline = node.now() + limit
    try:
        async with asyncio.timeout_at(deadline):
            connection = await connect(relay)
    except TimeoutError as error:
        node.relay_choice.failed(relay, node.now())
        raise relay_aborted("The relay could not be reached in time.") from error
    except (NetworkError, IdentityError) as error:  # the peer named the relay, and may name what is no key
        if not node.closed:
            node.relay_choice.failed(relay, node.now())
        raise relay_aborted(f"The relay could not be reached: {error.message}") from error
    try:
        async with asyncio.timeout_at(deadline):
            on_path(connection.socket_and_address)
            client = RelayClient(connection.public_key)
            client.pair(is_initiator=is_initiator, token=token, stream_id=stream_id, now=node.now(), limit=limit)
            remote_id = await _wait_for_partner(node, client, connection)
        node.relay_choice.worked(relay)
        return RelayLeg(node, connection, client, remote_id)
    except TimeoutError as error:
        connection.destroy()
        raise relay_aborted("The other peer did not come to the relay in time.") from error
    except (ConnectionClosed, RemoteProtocolError) as error:
        connection.destroy()
        raise relay_aborted("The relay dropped the connection.") from error
    except BaseException:
        connection.destroy()
        raise


async def wait_until_direct(paths: PathDriver) -> None:
    """Until a relay that was asked to pair may be left: the peer has acknowledged something, and some time has passed.

    What a relay says when it lets a pair go ends a stream of the original's that has received nothing yet.
    """
    await paths.wait_until_acknowledged(PROOF_LIMIT, STAY)


async def _wait_for_partner(node: LocalNode, client: RelayClient, connection: Connection) -> int:
    while True:
        await _flush(client, connection)
        message = await connection.read()
        if message is None:
            client.connection_lost()
        else:
            client.receive(message, node.now())
        while (event := client.next_event()) is not None:
            if isinstance(event, Paired):
                return event.remote_id
            if isinstance(event, PairingFailed):
                raise relay_aborted(event.reason)


async def _flush(client: RelayClient, connection: Connection) -> None:
    for frame in client.frames_to_send():
        await connection.write(frame)
