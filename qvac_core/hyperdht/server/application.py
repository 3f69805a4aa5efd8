"""Whom a server serves: open connections on their way to the application, bounded in number.

Ours. Connections that it was given are its own to end, but for those that have to make room for newer ones.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable

from qvac_core.errors import ConnectionClosed
from qvac_core.hyperdht.local_node import LocalNode
from qvac_core.hyperdht.server.limits import ServerLimits
from qvac_core.hyperdht.stream.connection import Connection
from qvac_core.rendezvous.places import Full, Place, who_gives_way

logger = logging.getLogger(__name__)

OnConnection = Callable[[Connection], Awaitable[None] | None]


class Application:
    """`on_connection` may be a function or a coroutine function; what it raises costs its own connection."""

    def __init__(self, node: LocalNode, on_connection: OnConnection, limits: ServerLimits) -> None:
        self._node = node
        self._on_connection = on_connection
        self._bounds = limits.bounds
        self._hosts: dict[Connection, str] = {}

    def take(self, connection: Connection) -> None:
        leaving = self._make_room(connection)
        if leaving is not None:
            logger.info("%r is one too many", leaving)
            self._node.endpoint.loop.call_soon(leaving.destroy)
        if leaving is connection:
            return
        try:
            outcome = self._on_connection(connection)
        except Exception:
            logger.exception("on_connection failed; the connection is dropped")
            self._node.endpoint.loop.call_soon(connection.destroy)
            return
        if inspect.isawaitable(outcome):
            self._node.spawn(self._serve(connection, outcome), "on_connection")

    async def _serve(self, connection: Connection, work: Awaitable[None]) -> None:
        try:
            await work
        except ConnectionClosed as error:
            logger.debug("%r: %s", connection, error)
        except BaseException:
            connection.destroy()
            raise

    def _make_room(self, connection: Connection) -> Connection | None:
        """Counts one more. Whoever has to leave for it: it may be the newcomer itself."""
        self._hosts = {other: host for other, host in self._hosts.items() if not other.closed}
        host = connection.remote_address[0]
        present = [Place(other, other.remote_public_key, at) for other, at in self._hosts.items()]
        leaving = who_gives_way(Place(connection, connection.remote_public_key, host), present, self._bounds)
        if isinstance(leaving, Full):
            return connection
        self._hosts[connection] = host
        if leaving is not None:
            del self._hosts[leaving]
        return leaving
