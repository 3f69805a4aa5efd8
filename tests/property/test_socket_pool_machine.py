"""The socket pool in any order of events: no socket is closed while somebody needs it, none is kept for ever."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qvac_core.rendezvous.socket_pool import FIRST_POOL_SOCKET, LINGER, MAX_ROUTES, Route, SocketPool

keys = st.integers(0, 4).map(lambda n: bytes([n]) * 32)


class PoolMachine(RuleBasedStateMachine):
    """The model: how many owners each socket has, since when it has none, and whether it may linger."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = SocketPool()
        self.now = 0.0
        self.owners: dict[int, int] = {}
        self.free_at: dict[int, float] = {}
        self.reusable: set[int] = set()
        self.ever: set[int] = set()
        self.routes: dict[bytes, Route] = {}

    @rule()
    def acquire(self) -> None:
        socket = self.pool.acquire()
        assert socket >= FIRST_POOL_SOCKET and socket not in self.ever, "an old number has the old mapping"
        self.ever.add(socket)
        self.owners[socket] = 1

    @precondition(lambda self: self.owners)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        socket = data.draw(st.sampled_from(sorted(self.owners)))
        self.pool.hold(socket)
        self.owners[socket] += 1
        self.free_at.pop(socket, None)

    @precondition(lambda self: any(self.owners.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        socket = data.draw(st.sampled_from([socket for socket, count in self.owners.items() if count]))
        self.pool.release(socket, self.now)
        self.owners[socket] -= 1
        if not self.owners[socket]:
            self.free_at[socket] = self.now + (LINGER if socket in self.reusable else 0.0)

    @rule(socket=st.sampled_from([0, 1, 9999]))
    def others_are_none_of_its_business(self, socket: int) -> None:
        self.pool.hold(socket)
        self.pool.release(socket, self.now)
        assert socket not in self.pool

    @precondition(lambda self: self.owners)
    @rule(key=keys, data=st.data())
    def add_route(self, key: bytes, data: st.DataObject) -> None:
        socket = data.draw(st.sampled_from(sorted(self.owners)))
        self.pool.add_route(key, socket, ("1.1.1.1", socket))
        self.reusable.add(socket)
        self.routes[key] = Route(socket, ("1.1.1.1", socket))

    @precondition(lambda self: self.owners)
    @rule(key=keys, data=st.data())
    def forget_route(self, key: bytes, data: st.DataObject) -> None:
        socket = data.draw(st.sampled_from(sorted(self.owners)))
        self.pool.forget_route(key, socket)
        self.reusable.discard(socket)
        if key in self.routes and self.routes[key].socket == socket:
            del self.routes[key]

    @rule(seconds=st.sampled_from([0.0, 0.5, LINGER, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        closed = self.pool.closable(self.now)
        assert set(closed) == {socket for socket, at in self.free_at.items() if at <= self.now}
        for socket in closed:
            assert self.owners.pop(socket) == 0
            del self.free_at[socket]
            self.routes = {key: route for key, route in self.routes.items() if route.socket != socket}

    @invariant()
    def it_knows_what_the_model_knows(self) -> None:
        assert len(self.pool) == len(self.owners)
        assert all(socket in self.pool for socket in self.owners)
        assert self.pool.get_timer() == min(self.free_at.values(), default=None)
        for number in range(5):
            key = bytes([number]) * 32
            assert self.pool.route(key) == self.routes.get(key)

    def teardown(self) -> None:
        for socket, count in self.owners.items():
            for _ in range(count):
                self.pool.release(socket, self.now)
        self.pool.closable(self.now + LINGER)
        assert len(self.pool) == 0 and self.pool.get_timer() is None


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_routes_are_remembered_only_so_far() -> None:
    pool = SocketPool()
    for number in range(MAX_ROUTES + 50):
        pool.add_route(number.to_bytes(32), 0, ("1.1.1.1", 1))
    assert pool.route((0).to_bytes(32)) is None and pool.route((MAX_ROUTES + 49).to_bytes(32)) is not None
    assert sum(pool.route(number.to_bytes(32)) is not None for number in range(MAX_ROUTES + 50)) == MAX_ROUTES
