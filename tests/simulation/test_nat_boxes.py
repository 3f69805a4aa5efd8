"""The simulated NAT boxes themselves: whom each kind lets in, which port it shows, and what a low TTL opens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qvac_core.codec import Address

from .datagram_network import MAPPING_LIFE, Host, Internet, Link, SimulatedSocket
from .nat_boxes import Kind, NatBox, home
from .virtual_loop import run

PUNCHABLE = [Kind.FULL_CONE, Kind.ADDRESS_RESTRICTED, Kind.PORT_RESTRICTED, Kind.SYMMETRIC, Kind.CGNAT]
SOME_TIME = 0.1


class Peer:
    """A socket that remembers what came."""

    def __init__(self, host: Host, port: int = 0) -> None:
        self.got: list[tuple[bytes, Address]] = []
        self.socket: SimulatedSocket = host.open("0.0.0.0", port, self.got.extend)

    async def send(self, to: Address, ttl: int = 64) -> None:
        self.socket.send_with_ttl(b"x", to, ttl)
        await asyncio.sleep(SOME_TIME)

    @property
    def address(self) -> Address:
        return self.socket.outside

    @property
    def source(self) -> Address:
        return self.got[-1][1]


def simulate(test: Callable[[Internet], Awaitable[None]]) -> None:
    async def body() -> None:
        await test(Internet(1, Link(delay=(0.01, 0.01))))

    run(body())


@pytest.mark.parametrize("kind", PUNCHABLE)
def test_whom_a_box_lets_in(kind: Kind) -> None:
    async def test(internet: Internet) -> None:
        inside = Peer(home(internet, kind))
        host = internet.host()
        friend, neighbour, stranger = Peer(host), Peer(host), Peer(internet.host())
        await inside.send(friend.address)
        outside = friend.source
        assert outside != inside.address
        entered = []
        for peer in (friend, neighbour, stranger):
            inside.got.clear()
            await peer.send(outside)
            entered.append(bool(inside.got))
        expected = {Kind.FULL_CONE: [True, True, True], Kind.ADDRESS_RESTRICTED: [True, True, False]}
        assert entered == expected.get(kind, [True, False, False])

    simulate(test)


@pytest.mark.parametrize("kind", PUNCHABLE)
def test_which_port_a_box_shows(kind: Kind) -> None:
    async def test(internet: Internet) -> None:
        inside = Peer(home(internet, kind))
        others = [Peer(internet.host()) for _ in range(5)]
        for other in others:
            await inside.send(other.address)
        ports = {other.source[1] for other in others}
        assert len(ports) == (5 if kind is Kind.SYMMETRIC else 1)
        assert (inside.address[1] in ports) == (kind is not Kind.SYMMETRIC)

    simulate(test)


@pytest.mark.parametrize("hairpin", [False, True])
def test_two_behind_one_box_meet_inside_and_outside_only_by_hairpin(hairpin: bool) -> None:
    async def test(internet: Internet) -> None:
        box = NatBox(internet, Kind.PORT_RESTRICTED, hairpin=hairpin)
        first, second = Peer(box.host()), Peer(box.host())
        await first.send(second.address)
        assert second.source == first.address
        witness = Peer(internet.host())
        seen = []
        for peer in (first, second):
            await peer.send(witness.address)
            seen.append(witness.source)
        first.got.clear()
        await first.send(seen[1])
        await second.send(seen[0])
        assert bool(first.got) == hairpin

    simulate(test)


def test_neighbours_of_one_carrier_meet_through_their_home_boxes() -> None:
    async def test(internet: Internet) -> None:
        carrier = NatBox(internet, Kind.CGNAT)
        homes = [NatBox(internet, Kind.PORT_RESTRICTED, outer=carrier) for _ in range(2)]
        first, second = (Peer(box.host()) for box in homes)
        await first.send((homes[1].address, second.address[1]))
        await second.send((homes[0].address, first.address[1]))
        assert first.source == (homes[1].address, second.address[1])

    simulate(test)


def test_a_low_ttl_opens_ones_own_box_without_reaching_the_other_side() -> None:
    async def test(internet: Internet) -> None:
        inside, outside = Peer(home(internet, Kind.PORT_RESTRICTED), 5000), Peer(internet.host())
        await inside.send(outside.address, ttl=5)
        assert not outside.got
        carrier = inside.socket._host.wire
        assert isinstance(carrier, NatBox)
        await outside.send((carrier.address, 5000))
        assert inside.got

    simulate(test)


def test_blocked_is_blocked_and_mappings_age() -> None:
    async def test(internet: Internet) -> None:
        blocked, outside = Peer(home(internet, Kind.BLOCKED)), Peer(internet.host())
        await blocked.send(outside.address)
        assert not outside.got
        inside = Peer(home(internet, Kind.FULL_CONE))
        await inside.send(outside.address)
        await asyncio.sleep(MAPPING_LIFE)
        await outside.send(outside.source)
        assert not inside.got

    simulate(test)
