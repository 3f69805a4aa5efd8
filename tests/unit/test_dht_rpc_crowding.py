"""One machine with many ports, and so many ids: it takes neither the table nor a walk, and invents no neighbours."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from qvac_core.codec import Address
from qvac_core.dht_rpc import Internal, QueryResult
from qvac_core.dht_rpc.limits import is_public, network_of
from qvac_core.dht_rpc.messages import peer_key
from qvac_core.dht_rpc.table import PER_HOST, PER_NETWORK
from tests.unit.lone_node import LoneNode, with_id

TARGET = bytes([0x5A]) * 32
TARGET_KEY = int.from_bytes(TARGET)
EVIL = "66.6.6.6"


def honest(n: int) -> Address:
    return f"20.{n >> 8}.{n & 255}.1", 4000


def nearest_ports(host: str, count: int) -> list[Address]:
    """What a machine gets that tries its ports until the ids are near to a target."""
    ports = sorted(range(1024, 20_000), key=lambda port: peer_key((host, port)) ^ TARGET_KEY)
    return [(host, port) for port in ports[:count]]


def test_one_host_and_one_network_get_only_some_places_of_each_row() -> None:
    lone = LoneNode()
    for port in range(1024, 5024):
        lone.ask((EVIL, port), Internal.PING, internal=True, id=with_id((EVIL, port)))
    for n in range(4000):
        address = f"77.7.7.{n % 250 + 1}", 5000 + n
        lone.ask(address, Internal.PING, internal=True, id=with_id(address))
    rows = [lone.node.table.row(node.key) for node in lone.node.table]
    assert rows and all(sum(node.host == EVIL for node in row) <= PER_HOST for row in rows)
    assert all(sum(network_of(node.host) == "77.7.7" for node in row) <= PER_NETWORK for row in rows)
    for n in range(200):
        lone.ask(honest(n), Internal.PING, internal=True, id=with_id(honest(n)))
    table = lone.node.table
    assert sum(node.host.startswith("20.") for node in table) >= 40, "there is room for others"
    assert sum(node.host.startswith("20.") for node in table.row(peer_key(honest(0)))) >= 8


def test_a_node_that_is_in_the_table_already_stays_when_its_host_has_its_share() -> None:
    lone = LoneNode()
    crowd = [(EVIL, port) for port in range(1024, 1524)]
    for address in crowd:
        lone.node.add_node(address)
    before = lone.table_addresses
    for address in before:
        lone.ask(address, Internal.PING, internal=True, id=with_id(address))
        lone.node.add_node(address)
    assert lone.table_addresses == before


def test_a_test_network_on_loopback_fills_the_table() -> None:
    lone = LoneNode()
    for port in range(1024, 1524):
        lone.node.add_node(("127.0.0.1", port))
    assert len(lone.node.table.row(peer_key(("127.0.0.1", 1024)))) == 20 or len(lone.node.table) > 60


def walk(lone: LoneNode, answer: Callable[[Address], list[Address]], asked: list[Address]) -> QueryResult:
    results: list[QueryResult] = []
    lone.node.find_node(TARGET, now=lone.now, on_finished=results.append)
    while not results:
        sent = lone.sent_requests()
        for to, message in sent:
            if message.command != Internal.FIND_NODE:
                continue
            asked.append(to)
            lone.answer(message, to, closer_nodes=answer(to))
        if not sent:
            lone.advance(0.1)
    return results[0]


def test_whoever_sits_nearest_to_a_target_with_many_ports_is_not_all_that_a_walk_finds() -> None:
    lone = LoneNode()
    good = [honest(n) for n in range(60)]
    evil = nearest_ports(EVIL, 300)
    for address in good[:5]:
        lone.node.add_node(address)
    chance = Random(3)
    asked: list[Address] = []

    def answer(to: Address) -> list[Address]:
        if to in good:
            near = sorted(good, key=lambda a: peer_key(a) ^ TARGET_KEY)[:12]
            return evil[:8] + near
        return chance.sample(evil, 20)

    result = walk(lone, answer, asked)
    hosts = [reply.from_[0] for reply in result.closest_replies]
    assert hosts.count(EVIL) == 4, hosts
    assert len([address for address in asked if address[0] == EVIL]) <= 16
    true = sorted(good, key=lambda a: peer_key(a) ^ TARGET_KEY)[:12]
    assert [reply.from_ for reply in result.closest_replies if reply.from_[0] != EVIL][:12] == true


@pytest.mark.parametrize("private", ["127.0.0.1", "192.168.1.1", "10.0.0.138", "169.254.169.254", "100.64.0.1"])
def test_a_public_peer_cannot_send_us_into_our_own_network(private: str) -> None:
    lone = LoneNode()
    asked: list[Address] = []
    lone.node.add_node(honest(1))
    inside = [(private, port) for port in range(1000, 1020)]
    walk(lone, lambda to: [*inside, honest(2)][: 21 if to == honest(1) else 0][-20:], asked)
    assert honest(2) in asked and not any(address[0] == private for address in asked)
    assert not any(address[0] == private for address in lone.table_addresses)


def test_a_peer_nearby_may_name_others_nearby() -> None:
    lone = LoneNode()
    asked: list[Address] = []
    lone.node.add_node(("192.168.1.2", 1000))
    walk(lone, lambda to: [("192.168.1.3", 1000), ("127.0.0.1", 5)] if to[1] == 1000 else [], asked)
    assert set(asked) == {("192.168.1.2", 1000), ("192.168.1.3", 1000), ("127.0.0.1", 5)}


def test_what_is_public() -> None:
    assert [is_public(host) for host in ("8.8.8.8", "2001:4860:4860::8888", "::1", "fe80::1", "nonsense", "")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
