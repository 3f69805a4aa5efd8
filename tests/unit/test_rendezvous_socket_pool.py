"""Who keeps a pool socket open, and for how long."""

from __future__ import annotations

from qvac_core.rendezvous.socket_pool import FIRST_POOL_SOCKET, LINGER, MAX_ROUTES, SocketPool

PEER = ("2.2.2.2", 20)
KEY = bytes([1]) * 32


def test_a_socket_lives_as_long_as_somebody_owns_it() -> None:
    pool = SocketPool()
    socket = pool.acquire()
    assert socket >= FIRST_POOL_SOCKET
    pool.hold(socket)
    pool.release(socket, 1.0)
    assert not pool.closable(100.0)
    pool.release(socket, 2.0)
    assert pool.get_timer() == 2.0
    assert pool.closable(2.0) == [socket]
    assert socket not in pool
    assert len(pool) == 0
    assert pool.acquire() != socket


def test_the_nodes_own_sockets_are_nobodys_to_close() -> None:
    pool = SocketPool()
    pool.hold(0)
    pool.release(0, 1.0)
    assert pool.get_timer() is None
    assert not pool.closable(100.0)


def test_a_reusable_socket_lingers_and_can_be_taken_up_again() -> None:
    pool = SocketPool()
    socket = pool.acquire()
    pool.add_route(KEY, socket, PEER)
    pool.release(socket, 1.0)
    assert not pool.closable(1.0)
    route = pool.route(KEY)
    assert route is not None
    assert (route.socket, route.address) == (socket, PEER)
    pool.hold(socket)
    assert pool.get_timer() is None
    pool.release(socket, 5.0)
    assert pool.closable(5.0 + LINGER) == [socket]
    assert pool.route(KEY) is None


def test_a_broken_stream_spoils_route_and_socket() -> None:
    pool = SocketPool()
    socket = pool.acquire()
    pool.add_route(KEY, socket, PEER)
    pool.forget_route(KEY, 99)
    assert pool.route(KEY) is not None
    pool.forget_route(KEY, socket)
    assert pool.route(KEY) is None
    pool.release(socket, 1.0)
    assert pool.closable(1.0) == [socket]


def test_routes_are_limited() -> None:
    pool = SocketPool()
    for n in range(MAX_ROUTES + 1):
        pool.add_route(n.to_bytes(32), 0, PEER)
    assert pool.route(bytes(32)) is None
    assert pool.route(MAX_ROUTES.to_bytes(32)) is not None
