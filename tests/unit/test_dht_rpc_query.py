"""Queries: where they walk, how they write, and that they always end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qvac_core.codec import Address
from qvac_core.dht_rpc import Internal, Query, QueryResult, Reply, ReplyError, RequestMessage, RequestSpec, peer_id
from qvac_core.dht_rpc.messages import peer_key
from tests.unit.lone_node import LoneNode, address

TARGET = bytes(32)
GET, PUT = 71, 70
TOKEN = b"t" * 32

Answer = Callable[[Address, RequestMessage], dict[str, Any] | None]


class Walk:
    """A query on a lone node, with the answers of its world given by a function (None: silence)."""

    def __init__(self, lone: LoneNode, **options: Any) -> None:
        self.lone = lone
        self.results: list[QueryResult] = []
        self.replies: list[Reply] = []
        self.asked: list[tuple[Address, RequestMessage]] = []
        options.setdefault("on_reply", self.replies.append)
        self.query: Query = lone.node.query(TARGET, GET, now=lone.now, on_finished=self.results.append, **options)

    def run(self, answer: Answer, seconds: float = 30.0) -> QueryResult:
        end = self.lone.now + seconds
        while not self.results and self.lone.now < end:
            sent = self.lone.sent_requests()
            for to, message in sent:
                self.asked.append((to, message))
                fields = answer(to, message)
                if fields is not None:
                    self.lone.answer(message, to, **fields)
            if not sent:
                self.lone.advance(0.05)
        return self.result

    @property
    def result(self) -> QueryResult:
        [result] = self.results
        return result

    def assert_nothing_left(self) -> None:
        self.lone.advance(10)
        assert len(self.results) == 1
        assert self.lone.node.held["requests"] == 0
        assert self.lone.window_total == 0


def lone_with(count: int, **options: Any) -> LoneNode:
    lone = LoneNode(**options)
    for n in range(1, count + 1):
        lone.node.add_node(address(n))
    return lone


def everybody(_: Address, message: RequestMessage) -> dict[str, Any]:
    return {"token": TOKEN}


def nobody(_: Address, __: RequestMessage) -> None:
    return None


def test_without_anybody_to_ask_it_ends_but_not_inside_the_call() -> None:
    walk = Walk(LoneNode())
    assert walk.results == []
    walk.lone.advance(0)
    assert walk.result == QueryResult((), 0, 0)


def test_closest_replies_are_sorted_and_twenty() -> None:
    lone = lone_with(20)
    known = {address(n) for n in range(1, 61)}
    walk = Walk(lone)
    result = walk.run(lambda to, message: {"closer_nodes": sorted(known, key=lambda a: peer_key(a))[:20]})
    distances = [peer_key(reply.from_) for reply in result.closest_replies]
    assert len(distances) == 20
    assert distances == sorted(peer_key(at) for at in known)[:20]
    walk.assert_nothing_left()


def test_answers_without_id_are_data_but_not_closest() -> None:
    walk = Walk(lone_with(5))
    result = walk.run(lambda to, message: {"id": False, "value": b"v"})
    assert (result.closest_replies, result.successes, result.errors) == ((), 5, 0)
    assert [reply.value for reply in walk.replies] == [b"v"] * 5


def test_errors_are_neither_data_nor_closest_but_their_nodes_are_asked() -> None:
    walk = Walk(lone_with(1))
    result = walk.run(
        lambda to, message: {"error": 1, "closer_nodes": [address(2)]} if to == address(1) else {"value": b"v"}
    )
    assert [reply.from_ for reply in result.closest_replies] == [address(2)]
    assert (result.successes, result.errors) == (1, 1)
    assert len(walk.replies) == 1


def test_ten_at_a_time() -> None:
    walk = Walk(lone_with(20))
    assert len(walk.lone.sent()) == 10


def test_given_nodes_are_asked_first_and_gently_after_the_first_ten() -> None:
    lone = LoneNode()
    given = [address(n) for n in range(100, 125)]
    lone.node.add_node(address(1))
    walk = Walk(lone, nodes=given)
    first = lone.sent_requests()
    assert [to for to, _ in first] == sorted(given, key=peer_key)[:10]
    for to, message in first[:8]:
        lone.answer(message, to, error=1)
    assert len(lone.sent_requests()) == 1, "two are under way, three is the limit"
    result = walk.run(everybody)
    assert address(1) not in [to for to, _ in walk.asked], "the table was not needed"
    assert result.error is None


def test_given_nodes_that_fail_send_it_back_to_the_table() -> None:
    lone = LoneNode()
    given = [address(n) for n in range(100, 125)]
    for n in range(1, 6):
        lone.node.add_node(address(n))
    walk = Walk(lone, nodes=given)
    result = walk.run(lambda to, message: {} if to not in given else {"error": 1, "id": False})
    assert {reply.from_ for reply in result.closest_replies} == {address(n) for n in range(1, 6)}


def test_only_nodes_means_only_these() -> None:
    lone = lone_with(20, bootstrap=[address(200)])
    walk = Walk(lone, nodes=[address(100), address(101)], only_nodes=True)
    walk.run(lambda to, message: {"closer_nodes": [address(150)]})
    assert {to for to, _ in walk.asked} == {address(100), address(101)}


def test_bootstrap_nodes_help_out_while_the_table_is_small() -> None:
    walk = Walk(lone_with(2, bootstrap=[address(200)]))
    walk.run(everybody)
    assert {to for to, _ in walk.asked} == {address(1), address(2), address(200)}


def test_ourselves_filtered_and_impossible_addresses_are_not_asked() -> None:
    lone = LoneNode(filter_node=lambda at: at != address(66))
    lone.node.add_node(address(1))
    us = ("198.51.100.7", 49737)
    lone.node.neighbourhood.adopt_id(peer_id(us))
    strange = [us, address(66), ("10.0.0.3", 0), ("0.0.0.0", 1), ("239.1.1.1", 1), ("255.255.255.255", 1), address(2)]
    walk = Walk(lone)
    walk.run(lambda to, message: {"closer_nodes": strange})
    assert {to for to, _ in walk.asked} == {address(1), address(2)}


def test_a_node_that_timed_out_leaves_the_table_and_its_tellers_hear_of_it() -> None:
    lone = lone_with(3)
    dead = address(500)
    walk = Walk(lone)
    walk.run(lambda to, message: None if to == dead else {"closer_nodes": [dead]}, seconds=60)
    hinted = set()
    for to, message in [*walk.asked, *lone.sent_requests()]:
        if message.internal and message.command == Internal.DOWN_HINT:
            hinted.add(to)
    assert hinted == {address(1), address(2), address(3)}
    sends = [to for to, _ in walk.asked if to == dead]
    assert len(sends) == 6, "a query asks six times"
    assert dead not in lone.table_addresses


def test_slow_nodes_are_not_waited_for_when_twenty_are_there() -> None:
    lone = lone_with(20)
    started = lone.now
    slow = address(500)
    walk = Walk(lone)
    walk.run(lambda to, message: None if to == slow else {"closer_nodes": [slow]})
    assert len(walk.result.closest_replies) == 20
    assert lone.now - started < 2.0
    walk.assert_nothing_left()


def test_a_query_asks_again_as_soon_as_others_would_have_answered() -> None:
    lone = lone_with(20)
    for n in range(200, 240):
        lone.request(address(n))
    for to, message in lone.sent_requests():
        lone.now += 0.001
        lone.answer(message, to)
    walk = Walk(lone)
    first = lone.sent_requests()
    lone.advance(0.2)
    assert lone.sent_requests() == []
    lone.advance(0.05)
    again = lone.sent_requests()
    assert {to for to, _ in first} < {to for to, _ in again}
    assert len(again) == 20, "ten a second time, and ten more in their places"
    walk.run(everybody)
    walk.assert_nothing_left()


def test_without_experience_a_query_waits_a_second() -> None:
    lone = lone_with(20)
    Walk(lone)
    lone.sent()
    lone.advance(0.9)
    assert lone.sent_requests() == []
    lone.advance(0.1)
    assert len(lone.sent_requests()) == 20


def test_invented_nodes_do_not_keep_it_busy_for_ever() -> None:
    lone = lone_with(1)
    n = 1000

    def invent(to: Address, message: RequestMessage) -> dict[str, Any]:
        nonlocal n
        n += 20
        return {"id": False, "closer_nodes": [address(n + i) for i in range(20)]}

    walk = Walk(lone)
    walk.run(invent)
    assert len(walk.asked) <= 512
    walk.assert_nothing_left()


def test_commit_writes_with_the_token_of_each_node() -> None:
    walk = Walk(lone_with(5), commit=lambda reply: RequestSpec(PUT, TARGET, b"v", reply.token))
    result = walk.run(lambda to, message: {} if message.command == PUT else {"token": to[0].encode().ljust(32)})
    writes = {to: message for to, message in walk.asked if message.command == PUT}
    assert len(writes) == 5
    assert all(message.token == to[0].encode().ljust(32) for to, message in writes.items())
    assert (result.error, result.committed) == (None, 5)
    walk.assert_nothing_left()


def test_commit_true_repeats_the_query() -> None:
    walk = Walk(lone_with(2), value=b"v", commit=True)
    walk.run(everybody)
    assert [(m.command, m.value, m.token) for _, m in walk.asked] == [(GET, b"v", None)] * 2 + [(GET, b"v", TOKEN)] * 2


def put(reply: Reply) -> RequestSpec:
    return RequestSpec(PUT, TARGET, b"v", reply.token)


def test_a_commit_that_nobody_accepted_fails() -> None:
    walk = Walk(lone_with(3), commit=put)
    result = walk.run(lambda to, message: {"error": 17} if message.command == PUT else {"token": TOKEN})
    assert result.error is not None
    assert result.error.name == "COMMIT_FAILED"
    assert [reply.error for reply in result.commits] == [17] * 3


def test_a_commit_that_nobody_answered_fails() -> None:
    walk = Walk(lone_with(3), commit=put)
    result = walk.run(lambda to, message: None if message.command == PUT else {"token": TOKEN})
    assert result.error is not None
    assert (result.error.name, result.commits) == ("COMMIT_FAILED", ())
    walk.assert_nothing_left()


def test_one_acceptance_is_enough() -> None:
    walk = Walk(lone_with(3), commit=put)
    result = walk.run(
        lambda to, message: {"token": TOKEN} if message.command == GET else {} if to == address(2) else None
    )
    assert (result.error, result.committed) == (None, 1)


def test_a_commit_without_nodes_fails() -> None:
    walk = Walk(lone_with(0), commit=put)
    result = walk.run(nobody)
    assert result.error is not None
    assert result.error.name == "TOO_FEW_NODES"


def test_a_commit_without_tokens_fails() -> None:
    walk = Walk(lone_with(2), commit=True)
    result = walk.run(lambda to, message: {})
    assert result.error is not None
    assert result.error.name == "COMMIT_FAILED"


def test_a_token_that_went_stale_is_renewed_once() -> None:
    fresh = b"f" * 32

    def answer(to: Address, message: RequestMessage) -> dict[str, Any]:
        if message.command == GET:
            return {"token": TOKEN}
        return {} if message.token == fresh else {"error": ReplyError.INVALID_TOKEN, "token": fresh}

    walk = Walk(lone_with(2), commit=put)
    result = walk.run(answer)
    assert (result.error, result.committed) == (None, 2)
    stubborn = Walk(lone_with(2), commit=put)
    result = stubborn.run(
        lambda to, message: {"token": TOKEN, "error": ReplyError.INVALID_TOKEN if message.command == PUT else 0}
    )
    assert len([m for _, m in stubborn.asked if m.command == PUT]) == 4
    assert result.error is not None


@pytest.mark.parametrize("commit", [None, put])
def test_cancel_ends_it_once_and_leaks_nothing(commit: Any) -> None:
    lone = lone_with(20)
    walk = Walk(lone, commit=commit)
    lone.sent()
    walk.query.cancel()
    walk.query.cancel()
    assert walk.result.error is not None
    assert walk.result.error.name == "QUERY_CANCELLED"
    walk.assert_nothing_left()
    assert lone.sent() == []


def test_cancel_during_the_commit() -> None:
    lone = lone_with(5)
    walk = Walk(lone, commit=put)
    for to, message in lone.sent_requests():
        lone.answer(message, to, token=TOKEN)
    assert [message.command for _, message in lone.sent_requests()] == [PUT] * 5
    walk.query.cancel()
    walk.assert_nothing_left()


def test_cancel_from_inside_its_own_callback() -> None:
    lone = lone_with(20)
    walk: Walk = Walk(lone, on_reply=lambda reply: walk.query.cancel())
    to, message = lone.sent_requests()[0]
    lone.answer(message, to)
    assert walk.result.error is not None
    walk.assert_nothing_left()


def test_suspending_the_node_ends_queries_however_many_they_wanted_to_ask() -> None:
    lone = LoneNode()
    walk = Walk(lone, nodes=[address(n) for n in range(400)])
    lone.node.suspend(lone.now)
    lone.advance(1)
    assert walk.result.errors == 400
    walk.assert_nothing_left()


def test_closing_the_node_during_its_bootstrap_is_not_readiness() -> None:
    lone = LoneNode(bootstrap=[address(1)])
    lone.node.bootstrap(lone.now)
    lone.node.close()
    assert lone.events() == []


def test_closing_the_node_ends_queries() -> None:
    lone = lone_with(20)
    walk = Walk(lone)
    lone.node.close()
    assert walk.result.error is not None
    after = Walk(lone)
    assert after.result.error is not None
