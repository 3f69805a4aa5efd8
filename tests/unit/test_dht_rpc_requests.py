"""Our own requests: every one ends exactly once and leaves nothing behind."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from qvac_core.dht_rpc import Reply
from qvac_core.dht_rpc.congestion import MAX_WINDOW, SLOT, RequestWindow
from qvac_core.dht_rpc.requests import RoundTrips
from qvac_core.dht_rpc.timers import Timers
from qvac_core.errors import NetworkError
from tests.unit.lone_node import LoneNode, address

PEER = address(1)


class Tids(Random):
    """Hands out the transaction ids that the test wants."""

    def __init__(self, *tids: int) -> None:
        super().__init__(1)
        self._tids = list(tids)

    def randrange(self, *_: Any, **__: Any) -> int:
        return self._tids.pop(0)


def names(outcomes: list[Any]) -> list[str]:
    return [outcome.name if isinstance(outcome, NetworkError) else "reply" for outcome in outcomes]


def test_transaction_id_zero_is_answered_like_any_other() -> None:
    lone = LoneNode(random=Tids(0))
    lone.request(PEER)
    [(to, message)] = lone.sent_requests()
    assert (to, message.tid) == (PEER, 0)
    lone.answer(message, PEER, value=b"x")
    [reply] = lone.outcomes
    assert isinstance(reply, Reply)
    assert (reply.tid, reply.value, reply.from_) == (0, b"x", PEER)


def test_a_transaction_id_in_use_is_not_given_twice() -> None:
    lone = LoneNode(random=Tids(5, 5, 5, 6))
    lone.request(PEER)
    lone.request(PEER)
    assert [message.tid for _, message in lone.sent_requests()] == [5, 6]


def test_four_equal_sends_then_a_timeout() -> None:
    lone = LoneNode()
    lone.request(PEER, value=b"same")
    sends = lone.node.transmissions()
    for _ in range(3):
        lone.advance(0.9)
        assert lone.node.transmissions() == []
        lone.advance(0.1)
        sends += lone.node.transmissions()
    assert len(sends) == 4
    assert len(set(sends)) == 1
    assert lone.outcomes == []
    lone.advance(1.0)
    assert names(lone.outcomes) == ["REQUEST_TIMEOUT"]
    lone.advance(10)
    assert len(lone.outcomes) == 1
    assert lone.window_total == 0


def test_an_answer_to_a_retransmission_counts() -> None:
    lone = LoneNode()
    lone.request(PEER)
    lone.advance(2.5)
    message = lone.sent_requests()[-1][1]
    lone.answer(message, PEER)
    [reply] = lone.outcomes
    assert isinstance(reply, Reply)
    assert reply.rtt == pytest.approx(2.5)
    lone.answer(message, PEER)
    assert len(lone.outcomes) == 1, "the second answer finds nothing"


def test_an_answer_from_elsewhere_is_not_believed() -> None:
    lone = LoneNode()
    lone.request(PEER)
    [(_, message)] = lone.sent_requests()
    lone.answer(message, address(2))
    lone.answer(message, (PEER[0], PEER[1] + 1))
    assert lone.outcomes == []
    assert lone.table_addresses == set(), "nor does it bring its sender into the table"
    lone.answer(message, PEER)
    assert names(lone.outcomes) == ["reply"]


def test_a_late_timer_makes_one_retry_not_four() -> None:
    lone = LoneNode()
    lone.request(PEER)
    lone.sent()
    lone.now += 60
    lone.node.handle_timer(lone.now)
    assert len(lone.sent_requests()) == 1
    assert lone.outcomes == []


def test_a_burst_waits_for_room_and_answers_make_room_at_once() -> None:
    lone = LoneNode()
    for n in range(300):
        lone.request(address(n))
    rounds = 0
    while len(lone.outcomes) < 300:
        sent = lone.sent_requests()
        assert 0 < len(sent) <= MAX_WINDOW
        for to, message in sent:
            lone.answer(message, to)
        rounds += 1
    assert names(lone.outcomes) == ["reply"] * 300
    assert lone.now == 1000.0, "no waiting for the next slot"
    assert lone.window_total == 0


def test_requests_that_nobody_answers_all_end_although_the_window_is_full() -> None:
    lone = LoneNode()
    for n in range(500):
        lone.request(address(n), retries=0)
    lone.advance(60)
    assert names(lone.outcomes) == ["REQUEST_TIMEOUT"] * 500
    assert (lone.window_total, lone.node.held["requests"]) == (0, 0)


def test_a_request_cancelled_in_the_queue_settles_and_never_leaves() -> None:
    lone = LoneNode()
    requests = [lone.request(address(n)) for n in range(MAX_WINDOW + 1)]
    assert len(lone.sent()) == MAX_WINDOW
    requests[-1].cancel()
    assert names(lone.outcomes) == ["REQUEST_DESTROYED"]
    for request in requests:
        request.cancel()
    assert len(lone.outcomes) == MAX_WINDOW + 1
    lone.advance(5)
    assert lone.sent() == []
    assert lone.window_total == 0


def test_an_answer_to_a_request_still_in_the_queue_is_a_forgery() -> None:
    lone = LoneNode(random=Tids(*range(MAX_WINDOW + 1)))
    for n in range(MAX_WINDOW + 1):
        lone.request(address(n))
    message = lone.sent_requests()[0][1]
    lone.answer(type(message)(MAX_WINDOW, message.to, 0), address(MAX_WINDOW))
    assert lone.outcomes == []


def test_close_settles_everything_and_later_requests_at_once() -> None:
    lone = LoneNode()
    for n in range(100):
        lone.request(address(n))
    lone.sent()
    lone.node.close()
    assert names(lone.outcomes) == ["REQUEST_DESTROYED"] * 100
    lone.request(PEER)
    assert len(lone.outcomes) == 101
    assert lone.sent() == []
    assert lone.node.get_timer() is None


def test_suspend_fails_what_is_open_and_resume_works_again() -> None:
    lone = LoneNode()
    lone.request(PEER)
    lone.node.suspend(lone.now)
    lone.request(PEER)
    lone.advance(0)
    assert names(lone.outcomes) == ["IO_SUSPENDED", "IO_SUSPENDED"]
    lone.sent()
    lone.node.resume(lone.now)
    lone.request(PEER)
    assert len(lone.sent_requests()) == 1


def test_timers_set_for_this_moment_wait_for_the_next_call() -> None:
    timers = Timers()
    ran = []

    def again(now: float) -> None:
        ran.append(now)
        timers.at(now, again)

    timers.at(1.0, again)
    timers.run(1.0)
    assert ran == [1.0]
    assert timers.next() == 1.0


def test_too_many_requests_fail_by_name() -> None:
    lone = LoneNode()
    for _ in range((1 << 15) + 1):
        lone.request(PEER)
    assert lone.outcomes == []
    lone.advance(0)
    assert names(lone.outcomes) == ["TOO_MANY_REQUESTS"]


def test_callbacks_may_ask_again() -> None:
    lone = LoneNode()
    answers = []

    def again(outcome: object) -> None:
        answers.append(outcome)
        if len(answers) < 5:
            lone.node.request(1, PEER, now=lone.now, on_done=again)

    lone.node.request(1, PEER, now=lone.now, on_done=again)
    for _ in range(5):
        [(to, message)] = lone.sent_requests()
        lone.answer(message, to)
    assert len(answers) == 5
    assert lone.window_total == 0


def test_patience_follows_the_round_trips_within_bounds() -> None:
    trips = RoundTrips()
    assert trips.patience(1) == 1.0, "nothing known yet"
    for _ in range(50):
        trips.add(0.1)
    assert trips.patience(1) == pytest.approx(0.25)
    assert trips.patience(2) == pytest.approx(0.5)
    assert trips.patience(9) == 1.0
    for n in range(50):
        trips.add(0.1 + 0.2 * (n % 2))
    assert 0.3 < trips.patience(1) < 1.0


def test_the_window_of_the_original() -> None:
    window = RequestWindow(0.0)
    for _ in range(MAX_WINDOW):
        assert not window.is_full(0.0)
        window.send(0.0)
    assert window.is_full(SLOT / 2)
    assert not window.is_full(SLOT)
    for _ in range(MAX_WINDOW):
        window.send(SLOT)
    assert window.is_full(2 * SLOT), "160 in all"
    assert window.is_full(4 * SLOT - 0.01)
    assert not window.is_full(4 * SLOT), "the first 80 are forgotten after three seconds"


def test_the_window_gives_nothing_back_twice() -> None:
    window = RequestWindow(0.0)
    slots = [window.send(0.1 * n) for n in range(50)]
    for slot in slots + slots:
        window.release(slot, 5.0)
    assert window.total == 0
    old = window.send(5.0)
    window.is_full(100.0)
    window.send(100.0)
    window.release(old, 100.0)
    assert window.total == 1, "a slot that came around again belongs to others"


def test_the_next_slot_has_begun_when_its_time_has_come() -> None:
    window = RequestWindow(1234.567)
    for _ in range(10_000):
        when = window.next_slot()
        window.is_full(when)
        assert window.next_slot() > when
