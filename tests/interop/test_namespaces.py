"""The boxes of the namespaces themselves: whom each lets in, which ports it shows, what it turns round."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qvac_core.codec import Address

from .namespaces import PUBLIC_HOST, Internet, Nat, inside

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
ANSWER_WAIT = 5.0
SILENCE = 0.2
"""Seconds in which nothing comes when nothing is let in; what is let in takes a millisecond."""
OTHER_HOST = "60.0.0.9"
PORT = 5000
BOXES = [Nat.FULL_CONE, Nat.ADDRESS_RESTRICTED, Nat.KEEPING, Nat.RANDOM, Nat.CGNAT, Nat.MOBILE]


class Peer:
    """A UDP socket in a namespace. A socket stays where the thread was that made it."""

    def __init__(self, space: str, host: str = "0.0.0.0", port: int = 0) -> None:
        self._space = space
        self._bound = (host, port)
        making = threading.Thread(target=self._make)
        making.start()
        making.join()

    def _make(self) -> None:
        entry = os.open(NAMESPACES / self._space, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(entry, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(self._bound)
        finally:
            os.close(entry)

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()
        return host, port

    def send(self, to: Address) -> None:
        self.socket.sendto(b"x", to)

    def receive(self, seconds: float = ANSWER_WAIT) -> Address | None:
        """Where a datagram came from; None when none came."""
        self.socket.settimeout(seconds)
        try:
            _, (host, port) = self.socket.recvfrom(10)
        except TimeoutError:
            return None
        return host, port


class Places:
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.internet = stack.enter_context(Internet())
        self.internet.add_public_host(OTHER_HOST)

    def peer(self, space: str, host: str = "0.0.0.0", port: int = 0) -> Peer:
        peer = Peer(space, host, port)
        self._stack.callback(peer.socket.close)
        return peer

    def outsiders(self) -> tuple[Peer, Peer, Peer]:
        """Two ports of one host, and another host."""
        public = self.internet.public
        return self.peer(public, PUBLIC_HOST), self.peer(public, PUBLIC_HOST), self.peer(public, OTHER_HOST)


@pytest.fixture
def places(permitted: None) -> Iterator[Places]:
    with ExitStack() as stack:
        yield Places(stack)


def meets(sender: Peer, to: Address, receiver: Peer, *, hoped: bool) -> bool:
    """Whether a datagram gets there; what is hoped for may take its time on a busy machine."""
    sender.send(to)
    return receiver.receive(ANSWER_WAIT if hoped else SILENCE) is not None


@pytest.mark.parametrize("nat", BOXES, ids=lambda nat: nat.value)
def test_whom_a_box_lets_in_and_which_ports_it_shows(places: Places, nat: Nat) -> None:
    machine = places.peer(places.internet.home(nat), port=PORT)
    friend, neighbour, stranger = places.outsiders()
    stranger.send(("60.0.1.2", PORT))  # unsolicited: it must not keep the port from the machine
    machine.send(friend.address)
    seen = friend.receive()
    assert seen is not None
    assert (seen[1] == PORT) == (nat not in (Nat.RANDOM, Nat.MOBILE))
    welcome = {Nat.FULL_CONE: (True, True, True), Nat.ADDRESS_RESTRICTED: (True, True, False)}
    for outsider, hoped in zip((friend, neighbour, stranger), welcome.get(nat, (True, False, False)), strict=True):
        assert meets(outsider, seen, machine, hoped=hoped) == hoped
    machine.send(stranger.address)
    other = stranger.receive()
    assert other is not None
    assert (other == seen) == (nat not in (Nat.RANDOM, Nat.MOBILE))


@pytest.mark.parametrize(("nat", "port", "passes"), [(Nat.BLOCKED, 53, False), (Nat.WEB_ONLY, 443, True)])
def test_which_datagrams_leave(places: Places, nat: Nat, port: int, passes: bool) -> None:
    machine = places.peer(places.internet.home(nat))
    public = places.internet.public
    assert not meets(machine, (PUBLIC_HOST, PORT), places.peer(public, PUBLIC_HOST, PORT), hoped=False)
    assert meets(machine, (PUBLIC_HOST, port), places.peer(public, PUBLIC_HOST, port), hoped=passes) == passes


@pytest.mark.parametrize("hairpin", [False, True])
def test_what_a_carrier_turns_round(places: Places, hairpin: bool) -> None:
    first, second = (
        places.peer(space, port=PORT + n)
        for n, space in enumerate(places.internet.carrier(Nat.KEEPING, 2, hairpin=hairpin))
    )
    witness = places.peer(places.internet.public, PUBLIC_HOST)
    outside = []
    for peer in (first, second):
        peer.send(witness.address)
        outside.append(witness.receive())
    assert outside == [("60.0.1.2", PORT), ("60.0.1.2", PORT + 1)]
    first.send(("60.0.1.2", PORT + 1))  # opens its own box
    assert meets(second, ("60.0.1.2", PORT), first, hoped=hairpin) == hairpin
    if hairpin:
        second.send(("60.0.1.2", PORT))
        assert first.receive() == ("60.0.1.2", PORT + 1)


def test_machines_of_one_house_see_each_other(places: Places) -> None:
    first, second = (places.peer(space) for space in places.internet.house(Nat.KEEPING, 2))
    assert meets(first, ("192.168.1.3", second.address[1]), second, hoped=True)
    assert meets(second, ("192.168.1.2", first.address[1]), first, hoped=True)


def test_nothing_is_left_of_an_internet(permitted: None) -> None:
    with Internet() as internet:
        internet.home(Nat.MOBILE)
        prefix = internet.public.removesuffix("public")
        assert any(entry.name.startswith(prefix) for entry in NAMESPACES.iterdir())
        assert inside(internet.public)[-1] == internet.public
    assert not any(entry.name.startswith(prefix) for entry in NAMESPACES.iterdir())
