"""How a node learns its address and whether it may become persistent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qvac_core.codec import Address, Reader
from qvac_core.dht_rpc import (
    Ephemeral,
    Internal,
    NatUpdated,
    NetworkChanged,
    Persistent,
    Ready,
    RequestMessage,
    SocketId,
    WakeUp,
    peer_id,
)
from qvac_core.dht_rpc.commands import STABLE_TICKS, TICK
from qvac_core.dht_rpc.health import Health
from tests.unit.lone_node import CLIENT_PORT, OUR_HOST, SERVER_PORT, LoneNode, address

US = (OUR_HOST, SERVER_PORT)
NEIGHBOURS = [address(n) for n in range(1, 9)]

Route = Callable[[RequestMessage], tuple[int, Address] | None]


def open_road(message: RequestMessage) -> tuple[int, Address]:
    if message.command == Internal.PING_NAT and message.internal:
        assert Reader(message.value or b"").uint16() == SERVER_PORT
        return SocketId.SERVER, US
    return SocketId.CLIENT, (OUR_HOST, CLIENT_PORT)


def behind_a_firewall(message: RequestMessage) -> tuple[int, Address] | None:
    return None if message.command == Internal.PING_NAT else open_road(message)


def behind_a_port_map(message: RequestMessage) -> tuple[int, Address]:
    socket, (host, port) = open_road(message)
    return socket, (host, port + 1)


def serve(lone: LoneNode, route: Route, seconds: float = 60.0) -> None:
    """Everybody answers what the node sends, in the order in which it sent; the answers take `route`."""
    end = lone.now + seconds
    while lone.now < end:
        sent = lone.sent()
        for socket, to, message in sent:
            if isinstance(message, RequestMessage):
                way = route(message)
                if way is not None:
                    arrives, us = way if socket == SocketId.CLIENT else (socket, US)
                    lone.answer(message, to, socket=arrives, to=us, closer_nodes=NEIGHBOURS)
        if not sent:
            lone.advance(0.5)


def started(**options: Any) -> LoneNode:
    lone = LoneNode(bootstrap=[NEIGHBOURS[0]], **options)
    lone.node.bootstrap(lone.now)
    return lone


def test_told_to_be_open_it_becomes_persistent_under_its_address() -> None:
    lone = started(ephemeral=False, firewalled=False)
    serve(lone, open_road)
    assert lone.node.id == peer_id(US)
    assert lone.node.remote_address() == US
    events = lone.events()
    assert events.index(Persistent()) < events.index(Ready())
    assert NatUpdated(*US) in events


def test_told_to_be_persistent_it_still_looks_whether_it_can_be() -> None:
    lone = started(ephemeral=False)
    serve(lone, behind_a_firewall)
    assert (lone.node.ephemeral, lone.node.firewalled, lone.node.bootstrapped) == (True, True, True)
    open_one = started(ephemeral=False)
    serve(open_one, open_road)
    assert (open_one.node.ephemeral, open_one.node.firewalled) == (False, False)


def test_the_quick_test_finds_the_open_road_but_stays_ephemeral() -> None:
    lone = started()
    serve(lone, open_road)
    assert lone.node.ephemeral
    assert not lone.node.firewalled
    assert lone.node.id is None
    assert lone.node.remote_address() == US
    assert lone.node.table.id == peer_id(US)


def test_without_the_quick_test_nothing_is_known_at_first() -> None:
    lone = started(quick_firewall=False)
    serve(lone, open_road)
    assert lone.node.firewalled
    assert lone.node.remote_address() is None


@pytest.mark.parametrize("route", [behind_a_firewall, behind_a_port_map])
def test_whoever_is_not_reached_from_outside_stays_firewalled(route: Route) -> None:
    lone = started()
    serve(lone, route, 30)
    answers: list[bool] = []
    lone.node.reachability.update(answers.append)
    serve(lone, route, 30)
    assert answers == [False]
    assert (lone.node.ephemeral, lone.node.firewalled, lone.node.remote_address()) == (True, True, None)
    assert lone.node.host == OUR_HOST


def test_answers_that_come_to_the_client_socket_prove_nothing() -> None:
    lone = started()
    serve(lone, lambda message: (SocketId.CLIENT, open_road(message)[1]))
    answers: list[bool] = []
    lone.node.reachability.update(answers.append)
    serve(lone, lambda message: (SocketId.CLIENT, open_road(message)[1]))
    assert answers == [False]


def test_after_twenty_stable_minutes_it_becomes_persistent() -> None:
    lone = started(quick_firewall=False)
    serve(lone, open_road, STABLE_TICKS * TICK - 10)
    assert lone.node.id is None
    serve(lone, open_road, 30)
    assert not lone.node.ephemeral
    assert lone.node.id == peer_id(US)


def test_samples_from_the_other_socket_do_not_count() -> None:
    lone = started(firewalled=False, ephemeral=True)
    [(to, message)] = lone.sent_requests()
    lone.answer(message, to, socket=SocketId.CLIENT, to=("203.0.113.1", 1))
    before = lone.node.own_address.samples
    lone.ask(NEIGHBOURS[0], Internal.PING, internal=True, id=peer_id(NEIGHBOURS[0]), socket=5, to=("203.0.113.2", 2))
    assert lone.node.own_address.samples == before


def test_only_as_many_strangers_as_bootstrap_nodes_are_believed() -> None:
    lone = started()
    for n in range(5):
        lone.request(address(20 + n))
    for to, message in lone.sent_requests():
        lone.answer(message, to, id=False, to=("203.0.113.1", 9))
    assert lone.node.own_address.samples == 1


def test_a_sleep_makes_it_ephemeral_and_look_around_again() -> None:
    lone = started(quick_firewall=False)
    serve(lone, open_road, STABLE_TICKS * TICK + 30)
    assert lone.node.id is not None
    lone.events()
    lone.sent()
    lone.now += 3600
    lone.node.handle_timer(lone.now)
    assert lone.node.ephemeral
    assert lone.events() == [Ephemeral(), WakeUp()]
    asked = [message.command for _, message in lone.sent_requests()]
    assert Internal.FIND_NODE in asked
    serve(lone, open_road, 3 * TICK)
    assert lone.node.online


def test_a_new_address_needs_a_new_id() -> None:
    lone = started(ephemeral=False)
    serve(lone, open_road)
    assert lone.node.id == peer_id(US)
    lone.events()
    moved = ("203.0.113.50", SERVER_PORT)
    for n in range(100, 116):
        lone.ask(address(n), Internal.PING, internal=True, id=peer_id(address(n)), to=moved)
    lone.sent()
    lone.advance(0)
    assert Ephemeral() in lone.events()
    for socket, to, message in lone.sent():
        assert socket == SocketId.CLIENT, "whether the new address is open has to be found out first"
        if isinstance(message, RequestMessage):
            lone.answer(message, to, socket=SocketId.SERVER, to=moved)
    assert lone.node.id == peer_id(moved)
    assert lone.node.remote_address() == moved


def test_a_few_odd_voices_do_not_shake_it() -> None:
    lone = started(ephemeral=False, firewalled=False)
    serve(lone, open_road)
    for n in range(100, 103):
        lone.ask(address(n), Internal.PING, internal=True, id=peer_id(address(n)), to=("203.0.113.50", SERVER_PORT))
    lone.advance(1)
    assert lone.node.id == peer_id(US)


def test_a_late_timer_is_not_a_sleep() -> None:
    lone = started()
    serve(lone, open_road, 20)
    lone.events()
    lone.now += 2 * TICK
    lone.node.handle_timer(lone.now)
    assert WakeUp() not in lone.events()


def test_it_notices_that_nobody_answers_any_more_and_that_somebody_does_again() -> None:
    lone = started(ephemeral=True, firewalled=False)
    serve(lone, open_road, 30)
    lone.events()

    def ask_ten(answered: bool) -> None:
        for n in range(10):
            lone.request(address(100 + n), retries=0)
        for to, message in lone.sent_requests():
            if answered:
                lone.answer(message, to, id=False)
        lone.advance(TICK)

    for _ in range(6):
        ask_ten(answered=False)
    assert lone.events() == [NetworkChanged(False, False)]
    ask_ten(answered=True)
    assert lone.events() == [NetworkChanged(True, False)]


def run(health: Health, *ticks: tuple[int, int], totals: list[int]) -> None:
    """Ticks as (answered, timed out); `totals` go on from where they are."""
    for answered, failed in ticks:
        totals[0] += answered
        totals[1] += failed
        health.update(*totals)


def test_health_idle_ticks_say_nothing() -> None:
    health = Health()
    run(health, *[(0, 3)] * 20, totals=[0, 0])
    assert health.online


def test_health_one_bad_tick_says_nothing() -> None:
    health = Health()
    run(health, *[(10, 0)] * 5, (0, 10), (10, 0), totals=[0, 0])
    assert (health.online, health.degraded) == (True, False)


def test_health_degraded_after_four_ticks_of_mostly_timeouts_and_back() -> None:
    health = Health()
    totals = [0, 0]
    run(health, *[(10, 0)] * 4, *[(10, 20)] * 3, totals=totals)
    assert (health.online, health.degraded) == (True, False)
    run(health, (10, 20), totals=totals)
    assert (health.online, health.degraded) == (True, True)
    run(health, *[(10, 0)] * 3, totals=totals)
    assert (health.online, health.degraded) == (True, True)
    run(health, (10, 0), totals=totals)
    assert (health.online, health.degraded) == (True, False)


def test_health_offline_after_two_ticks_without_an_answer() -> None:
    health = Health()
    totals = [0, 0]
    run(health, *[(10, 0)] * 4, (0, 10), totals=totals)
    assert health.online
    run(health, (0, 1), (0, 10), totals=totals)
    assert (health.online, health.degraded) == (False, False)
