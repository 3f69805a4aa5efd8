"""Sockets beside a node's two: who still needs which, which stay a while for the next time, and the routes they make.

From docs/wire/hyperdht.md section 6.6 (hyperdht/lib/socket-pool.js 6.34.0), with a limit on the routes remembered.
Sockets are numbers here; the owner opens one for each `acquire` and closes what `closable` names.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from qvac_core.codec import Address

FIRST_POOL_SOCKET = 2
"""0 and 1 are the node's server and client sockets."""
LINGER = 3.0
"""Seconds that a reusable socket outlives its last stream."""
MAX_ROUTES = 512


@dataclass(slots=True)
class _Holding:
    """`owners` of the socket: whoever acquired it, and the streams on it."""

    owners: int = 1
    reusable: bool = False
    close_at: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The way on which a peer was reached last."""

    socket: int
    address: Address


class SocketPool:
    """Which sockets exist beside the node's two, by number, and who holds them. Times in seconds, of the caller's
    clock.

    A route is how a peer was reached the last time: its addresses and the socket; the oldest are forgotten first.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, _Holding] = {}
        self._routes: OrderedDict[bytes, Route] = OrderedDict()
        self._next = FIRST_POOL_SOCKET

    def __len__(self) -> int:
        return len(self._sockets)

    def __contains__(self, socket: int) -> bool:
        return socket in self._sockets

    def acquire(self) -> int:
        """The number of a fresh socket, never used before: an old one would have the old NAT mapping."""
        socket, self._next = self._next, self._next + 1
        self._sockets[socket] = _Holding()
        return socket

    def hold(self, socket: int) -> None:
        """One more owner: a stream that runs on it. Sockets that are not of the pool are always there."""
        holding = self._sockets.get(socket)
        if holding is not None:
            holding.owners += 1
            holding.close_at = None

    def release(self, socket: int, now: float) -> None:
        """One owner less; after the last the socket is closable, at once or after its linger."""
        holding = self._sockets.get(socket)
        if holding is None:
            return
        holding.owners -= 1
        if holding.owners <= 0:
            holding.close_at = now + (LINGER if holding.reusable else 0.0)

    def get_timer(self) -> float | None:
        return min((h.close_at for h in self._sockets.values() if h.close_at is not None), default=None)

    def closable(self, now: float) -> list[int]:
        """Sockets that nobody needs any more; they leave the pool, and their routes with them."""
        gone = [s for s, holding in self._sockets.items() if holding.close_at is not None and holding.close_at <= now]
        for socket in gone:
            self._drop(socket)
        return gone

    def clear(self) -> None:
        self._sockets.clear()
        self._routes.clear()

    def _drop(self, socket: int) -> None:
        del self._sockets[socket]
        for key in [key for key, route in self._routes.items() if route.socket == socket]:
            del self._routes[key]

    # Routes

    def add_route(self, public_key: bytes, socket: int, address: Address) -> None:
        """Both sides are willing to meet here again."""
        if socket in self._sockets:
            self._sockets[socket].reusable = True
        self._routes.pop(public_key, None)
        self._routes[public_key] = Route(socket, address)
        while len(self._routes) > MAX_ROUTES:
            self._routes.popitem(last=False)

    def route(self, public_key: bytes) -> Route | None:
        return self._routes.get(public_key)

    def forget_route(self, public_key: bytes, socket: int) -> None:
        """The stream on it broke: neither the way nor the socket is good for another."""
        route = self._routes.get(public_key)
        if route is not None and route.socket == socket:
            del self._routes[public_key]
        if socket in self._sockets:
            self._sockets[socket].reusable = False
