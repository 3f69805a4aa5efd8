"""Who stays in the routing table: newcomers, full rows, checks, ticks."""

from __future__ import annotations

from itertools import count

from qvac_core.codec import Address
from qvac_core.dht_rpc import Internal, TableNode
from qvac_core.dht_rpc.commands import OLD_NODE, RECENT_NODE, TICK, K
from qvac_core.dht_rpc.messages import peer_key
from qvac_core.dht_rpc.table import Recency, Table
from tests.unit.lone_node import LoneNode, address


def far_addresses(lone: LoneNode, n: int) -> list[Address]:
    """Addresses that all belong into the table's first row: half of all do."""
    found: list[Address] = []
    numbers = count(1)
    while len(found) < n:
        at = address(next(numbers))
        if (peer_key(at) ^ lone.node.key) >> 255:
            found.append(at)
    return found


def bootstrapped(*, nodes: int = 0) -> LoneNode:
    """A node whose bootstrap is over, at a tick at which nothing periodic happens."""
    lone = LoneNode()
    lone.node.bootstrap(lone.now)
    lone.advance(0)
    assert lone.node.bootstrapped
    for at in far_addresses(lone, nodes):
        lone.node.add_node(at)
    return lone


def pings(lone: LoneNode) -> list[Address]:
    return [to for to, message in lone.sent_requests() if message.internal and message.command == Internal.PING]


def hello(lone: LoneNode, sender: Address) -> None:
    lone.ask(sender, Internal.PING, internal=True, id=TableNode(sender, 0).id)


def test_a_full_row_pings_its_oldest_and_keeps_it_if_it_answers() -> None:
    lone = bootstrapped(nodes=K)
    *members, newcomer = far_addresses(lone, K + 1)
    lone.node.neighbourhood.tick += RECENT_NODE
    for at in members[1:]:
        hello(lone, at)
    lone.node.neighbourhood.tick += 1
    lone.sent()
    hello(lone, newcomer)
    [(to, message)] = lone.sent_requests()
    assert (to, message.command) == (members[0], Internal.PING)
    lone.answer(message, to)
    assert newcomer not in lone.table_addresses
    assert members[0] in lone.table_addresses


def test_eviction_waits_for_four_silent_pings() -> None:
    lone = bootstrapped(nodes=K)
    *members, newcomer = far_addresses(lone, K + 1)
    lone.node.neighbourhood.tick += 1
    hello(lone, newcomer)
    sent = pings(lone)
    [victim] = sent
    for _ in range(3):
        lone.advance(1.0)
        sent += pings(lone)
        assert victim in lone.table_addresses
    lone.advance(1.0)
    assert sent == [victim] * 4
    assert lone.table_addresses == {*members, newcomer} - {victim}


def test_an_answer_to_the_third_ping_saves_a_lossy_node() -> None:
    lone = bootstrapped(nodes=K)
    *_, newcomer = far_addresses(lone, K + 1)
    lone.node.neighbourhood.tick += 1
    hello(lone, newcomer)
    lone.advance(2.5)
    to, message = lone.sent_requests()[-1]
    lone.answer(message, to)
    lone.advance(3)
    assert to in lone.table_addresses
    assert newcomer not in lone.table_addresses


def test_an_answer_without_id_does_not_save() -> None:
    lone = bootstrapped(nodes=K)
    *_, newcomer = far_addresses(lone, K + 1)
    lone.node.neighbourhood.tick += 1
    hello(lone, newcomer)
    [(to, message)] = lone.sent_requests()
    lone.answer(message, to, id=False)
    assert to not in lone.table_addresses
    assert newcomer in lone.table_addresses


def test_old_friends_heard_of_lately_are_not_doubted() -> None:
    lone = bootstrapped(nodes=K)
    *members, newcomer = far_addresses(lone, K + 1)
    lone.node.neighbourhood.tick += OLD_NODE + 1
    for at in members:
        hello(lone, at)
    lone.node.neighbourhood.tick += RECENT_NODE - 1
    lone.sent()
    hello(lone, newcomer)
    assert pings(lone) == []


def test_at_most_three_evictions_at_once() -> None:
    lone = bootstrapped(nodes=K)
    addresses = far_addresses(lone, K + 6)
    lone.node.neighbourhood.tick += 1
    for newcomer in addresses[K:]:
        hello(lone, newcomer)
    assert len(pings(lone)) == 3


def test_a_stranger_floods_the_table_in_vain() -> None:
    lone = bootstrapped()
    for number in range(3000):
        hello(lone, address(number))
        lone.now += 0.02
    assert len(lone.node.table) < 12 * K
    assert len(lone.node.neighbourhood.recent) == len(lone.node.table)


def test_every_eighth_tick_pings_those_silent_for_longest() -> None:
    lone = bootstrapped(nodes=8)
    members = far_addresses(lone, 8)
    lone.node.neighbourhood.tick += RECENT_NODE + 8 - lone.node.neighbourhood.tick % 8
    lone.sent()
    asked: list[Address] = []
    for _ in range(8):
        lone.advance(TICK)
        for to, message in lone.sent_requests():
            if message.command == Internal.PING:
                asked.append(to)
            lone.answer(message, to)
    assert asked == members[:5]


def test_with_an_empty_table_the_bootstrap_nodes_are_asked_again() -> None:
    lone = LoneNode(bootstrap=[address(1)])
    lone.node.bootstrap(lone.now)
    lone.advance(60 * 5)
    lone.sent()
    lone.advance(8 * TICK)
    assert (address(1), Internal.FIND_NODE) in [(to, message.command) for to, message in lone.sent_requests()]


def test_recency_keeps_the_order_of_the_last_word() -> None:
    recent = Recency()
    nodes = [TableNode(address(n), 0) for n in range(4)]
    for node in nodes:
        recent.touch(node)
    recent.touch(nodes[0])
    assert recent.oldest(2) == [nodes[1], nodes[2]]
    assert recent.latest(2) == [nodes[0], nodes[3]]
    recent.remove(nodes[3])
    recent.remove(nodes[3])
    assert recent.latest() == [nodes[0], nodes[2], nodes[1]]


def test_a_node_that_is_replaced_cannot_be_removed_in_place_of_its_heir() -> None:
    table = Table(bytes(32))
    first, second = TableNode(address(1), 0), TableNode(address(1), 1)
    table.add(first)
    table.add(second)
    assert not table.remove(first)
    assert table.get(second.key) is second
    assert len(table) == 1


def test_nodes_known_from_last_time_are_kept_newest_first() -> None:
    known = [address(n) for n in range(5)]
    lone = LoneNode(nodes=known)
    assert lone.node.to_array() == known
    assert lone.node.to_array(2) == known[:2]
