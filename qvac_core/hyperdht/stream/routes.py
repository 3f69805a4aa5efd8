"""The way on which a peer was reached, kept for the next connection to it, which needs no punch then.

From hyperdht/lib/socket-pool.js 6.34.0 (class SocketRoutes).
"""

from __future__ import annotations

from qvac_core.hyperdht.node.endpoint import Endpoint
from qvac_core.hyperdht.stream.connection import Connection


def remember_route(endpoint: Endpoint, connection: Connection) -> None:
    """For a connection whose two sides have both said that their sockets may be used again."""
    key = connection.remote_public_key
    socket, address = connection.socket_and_address
    endpoint.pool.add_route(key, socket, address)

    def closed(_: Connection) -> None:
        if connection.error is not None:
            endpoint.pool.forget_route(key, socket)

    connection.when_closed(closed)
