"""Noticing another network, and sockets that must be bound anew."""

from __future__ import annotations

import asyncio
import errno
import socket

from qvac_core.dht_rpc import AddressesChanged, Ephemeral
from qvac_core.hyperdht.node.network import SystemNetwork
from qvac_core.hyperdht.node.network_watch import INTERVAL, NetworkWatch
from tests.simulation.virtual_loop import run
from tests.unit.lone_node import LoneNode, address


class Machine(SystemNetwork):
    """Interfaces as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.source: str | None = "192.168.1.2"
        self.hosts = ["192.168.1.2"]

    def source_host(self, to: str) -> str | None:
        return self.source

    def local_hosts(self) -> list[str]:
        return self.hosts


def test_another_way_out_and_an_address_that_went_are_changes_and_nothing_else() -> None:
    async def body() -> None:
        machine = Machine()
        changes = 0
        broken = False

        def changed() -> None:
            nonlocal changes
            changes += 1

        async def then() -> int:
            nonlocal changes
            changes = 0
            await asyncio.sleep(2 * INTERVAL)
            return changes

        watch = NetworkWatch(asyncio.get_running_loop(), machine, changed, lambda: broken)
        assert await then() == 0
        machine.hosts = ["192.168.1.2", "172.17.0.1"]  # a bridge, a VPN for one subnet: nothing moves
        assert await then() == 0
        machine.hosts = ["192.168.1.2"]
        assert await then() == 1
        machine.hosts, machine.source = ["10.1.1.1"], "10.1.1.1"
        assert await then() == 1
        machine.hosts, machine.source = [], None  # nothing can be done
        assert await then() == 0
        machine.hosts, machine.source = ["10.1.1.1"], "10.1.1.1"  # the same as before, but who knows
        assert await then() == 1
        machine.hosts, machine.source = ["10.1.1.1", "192.168.1.9"], "192.168.1.9"
        assert await then() == 1
        broken = True
        assert await then() == 2
        watch.stop()
        assert await then() == 0

    run(body())


async def test_the_system_names_the_address_that_is_used() -> None:

    network = SystemNetwork()
    assert network.source_host("127.0.0.1") == "127.0.0.1"
    assert network.source_host("127.0.0.5") in ("127.0.0.1", "127.0.0.5")
    assert network.source_host("nowhere.invalid.") is None


async def test_a_socket_without_an_address_is_broken_until_something_leaves_again() -> None:

    sock = SystemNetwork().open("127.0.0.1", 0, lambda batch: None)

    def broken() -> bool:
        return sock.broken

    assert not broken()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    to = sink.getsockname()
    for _ in range(5):
        sock._lost(to, OSError(errno.EMSGSIZE, "too long for the path"))  # type: ignore[attr-defined]
    assert not broken()
    for _ in range(5):
        sock._lost(to, OSError(errno.EADDRNOTAVAIL, "its address has left the machine"))  # type: ignore[attr-defined]
    assert broken()
    sock.send_many([(b"hello", to)])
    assert not broken()
    sock.close()
    assert broken()
    sink.close()


def test_in_another_network_a_node_looks_around_at_once_and_forgets_how_it_was_seen() -> None:
    lone = LoneNode(bootstrap=[address(1)], ephemeral=None)
    lone.node.bootstrap(lone.now)
    for to, request in lone.sent_requests():
        lone.answer(request, to)
    lone.node.know_address(("198.51.100.7", 50000))

    def seen_as() -> str | None:
        return lone.node.host

    assert seen_as() == "198.51.100.7"
    while lone.node.next_event() is not None:
        pass
    lone.sent()
    lone.node.network_changed(lone.now)
    assert seen_as() is None
    asked = [to for to, _ in lone.sent_requests()]
    assert address(1) in asked
    events = []
    while (event := lone.node.next_event()) is not None:
        events.append(event)
    assert AddressesChanged() in events
    assert Ephemeral() not in events
