"""Which address a stream's peer is believed to be at: every message and every silence, by the clock."""

from __future__ import annotations

import heapq
from random import Random

import pytest

from qvac_core.rendezvous.path_validation import (
    AMPLIFICATION,
    MAX_CANDIDATES,
    MESSAGE_COST,
    MOVES_PER_MINUTE,
    REST,
    Kind,
    Path,
    PathConfirmed,
    PathEvent,
    PathMoved,
    PathValidation,
)

HERE: Path = (1, ("20.0.0.1", 1000))
THERE: Path = (1, ("20.0.0.2", 2000))
ELSEWHERE: Path = (1, ("20.0.0.3", 3000))


class Room:
    """A validation and what it said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.one = PathValidation(HERE, Random(1))
        self.sent: list[tuple[Path, bytes]] = []
        self.events: list[PathEvent] = []

    def take(self) -> None:
        self.sent += self.one.transmissions()
        while (event := self.one.next_event()) is not None:
            self.events.append(event)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (when := self.one.get_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.one.handle_timer(self.now)
            self.take()
        self.now = end

    def heard(self, path: Path, size: int = 1000) -> None:
        self.one.heard(path, size, self.now)
        self.take()

    def challenges(self, path: Path) -> list[bytes]:
        return [message[1:] for to, message in self.sent if to == path and message[0] == Kind.CHALLENGE]

    def say(self, kind: Kind, nonce: bytes, path: Path) -> None:
        self.one.receive(bytes((kind,)) + nonce, path, self.now)
        self.take()

    def answer(self, path: Path, *, of: Path | None = None) -> None:
        self.say(Kind.RESPONSE, self.challenges(of or path)[-1], path)


def test_the_peer_is_followed_when_it_answers_there_and_not_here() -> None:
    room = Room()
    room.heard(THERE)
    assert len(room.challenges(THERE)) == len(room.challenges(HERE)) == 1
    room.run(0.05)
    room.answer(THERE)
    assert room.one.path == HERE  # the old path has its time
    room.run(0.2)
    assert room.events == [PathMoved(THERE)]
    assert room.one.path == THERE


def test_the_peer_is_not_followed_while_it_answers_where_it_was() -> None:
    for here_first in (True, False):
        room = Room()
        room.heard(THERE)
        room.run(0.05)
        for path in (HERE, THERE) if here_first else (THERE, HERE):
            room.answer(path)
        room.run(5)
        assert room.events == []
        assert room.one.path == HERE
        before = len(room.sent)
        room.heard(THERE)
        assert len(room.sent) == before  # it rests
        room.run(REST + 1)
        room.heard(THERE)
        assert len(room.challenges(THERE)) == 2


def test_a_late_answer_from_the_old_path_brings_the_stream_back() -> None:
    room = Room()
    room.heard(THERE)
    room.answer(THERE)
    room.run(0.3)
    assert room.one.path == THERE
    room.answer(HERE)
    assert room.events == [PathMoved(THERE), PathMoved(HERE)]
    room.heard(THERE)
    room.run(10)
    assert room.one.path == HERE


@pytest.mark.parametrize("of", [HERE, THERE])
def test_an_answer_counts_only_from_where_its_challenge_went(of: Path) -> None:
    room = Room()
    room.heard(THERE)
    room.heard(ELSEWHERE)
    room.answer(ELSEWHERE, of=of)
    room.say(Kind.RESPONSE, bytes(8), THERE)
    room.run(1)
    assert room.events == []
    assert room.one.path == HERE


def test_old_nonces_are_of_no_use() -> None:
    room = Room()
    room.heard(THERE)
    old = room.challenges(THERE)[0]
    room.answer(THERE)
    room.answer(HERE)
    room.run(REST + 1)
    room.heard(THERE)
    assert room.challenges(THERE)[-1] != old
    room.say(Kind.RESPONSE, old, THERE)
    room.run(2)
    assert room.events == []


@pytest.mark.parametrize("size", [0, 1, 17, 18, 20, 53, 1000])
def test_no_more_is_sent_to_an_unproven_address_than_three_times_what_came(size: int) -> None:
    room = Room()
    received = 0
    for _ in range(40):
        room.heard(THERE, size)
        received += size
        room.run(1)
        assert len(room.challenges(THERE)) * MESSAGE_COST <= AMPLIFICATION * received
    assert bool(room.challenges(THERE)) == (size > 0)


def test_many_addresses_are_forgotten_and_a_sealed_word_finds_room_among_them() -> None:
    room = Room()
    crowd = [(1, (f"30.0.0.{n}", n)) for n in range(1, 200)]
    for path in crowd:
        room.heard(path)
    assert len(room.one._candidates) == MAX_CANDIDATES
    assert sum(bool(room.challenges(path)) for path in crowd) == MAX_CANDIDATES
    room.heard(THERE)
    assert not room.challenges(THERE)
    room.say(Kind.HELLO, b"", THERE)
    assert len(room.one._candidates) == MAX_CANDIDATES
    room.answer(THERE)
    room.run(1)
    assert room.one.path == THERE


def test_challenges_are_answered_only_where_the_stream_goes() -> None:
    room = Room()
    nonce = bytes(range(8))
    room.say(Kind.CHALLENGE, nonce, HERE)
    assert room.sent == [(HERE, bytes((Kind.RESPONSE,)) + nonce)]
    room.heard(THERE)
    room.say(Kind.CHALLENGE, nonce, THERE)
    assert all(message[0] != Kind.RESPONSE for path, message in room.sent if path == THERE)


def test_the_same_address_on_another_socket_of_ours_is_no_move() -> None:
    room = Room()
    room.heard((7, HERE[1]))
    assert room.sent == []
    room.say(Kind.CHALLENGE, bytes(8), (7, HERE[1]))
    assert room.sent == [((7, HERE[1]), bytes((Kind.RESPONSE,)) + bytes(8))]


def test_our_own_move_is_asked_about_until_it_is_confirmed() -> None:
    room = Room()
    room.one.confirm(room.now)
    room.take()
    room.run(5)
    assert len(room.challenges(HERE)) > 5
    before = len(room.challenges(HERE))
    room.say(Kind.CHALLENGE, bytes(8), HERE)  # it has found us: so it can be asked again at once
    assert len(room.challenges(HERE)) == before + 1
    room.answer(HERE)
    assert room.events == [PathConfirmed()]
    room.run(60)
    assert len(room.challenges(HERE)) == before + 1


def test_a_path_that_was_found_through_the_network_is_proven_before_it_is_taken() -> None:
    room = Room()
    room.one.expect(THERE, room.now)
    room.take()
    room.say(Kind.CHALLENGE, bytes(8), THERE)
    assert (THERE, bytes((Kind.RESPONSE,)) + bytes(8)) in room.sent
    assert room.one.path == HERE
    room.answer(THERE)
    assert room.events == [PathMoved(THERE)]


def test_a_path_that_was_found_and_does_not_answer_is_left() -> None:
    room = Room()
    room.one.expect(THERE, room.now)
    room.take()
    room.run(60)
    assert len(room.challenges(THERE)) < 10
    assert room.one.path == HERE


def test_a_peer_that_hops_about_is_not_followed_for_ever() -> None:
    room = Room()
    for n in range(1, 40):
        path = (1, ("40.0.0.1", n))
        room.heard(path)
        if room.challenges(path):
            room.answer(path)
        room.run(1)
    assert len(room.events) == MOVES_PER_MINUTE


@pytest.mark.parametrize("junk", [b"", b"\x03", b"\x01", b"\x01" + bytes(7), b"\x02" + bytes(9), b"\x00\x00"])
def test_what_is_no_message_is_nothing(junk: bytes) -> None:
    room = Room()
    room.one.receive(junk, HERE, room.now)
    room.one.receive(junk, THERE, room.now)
    room.take()
    assert (room.sent, room.events, room.one.peer_follows) == ([], [], False)


def test_two_sides_that_both_doubt_do_not_challenge_each_other_without_end() -> None:
    """Each answers the other's challenge with one of its own; on a slow path many of them are under way at once."""
    one, other = PathValidation(HERE, Random(1)), PathValidation(HERE, Random(2))
    sides = {one: other, other: one}
    travelling: list[tuple[float, int, PathValidation, bytes]] = []
    challenges, confirmed, now = 0, set(), 100.0
    for side in sides:
        side.confirm(now)
    for _ in range(3000):
        for side, peer in sides.items():
            while (event := side.next_event()) is not None:
                assert isinstance(event, PathConfirmed)
                confirmed.add(side)
            for _path, message in side.transmissions():
                challenges += message[0] == Kind.CHALLENGE
                heapq.heappush(travelling, (now + 1.2, len(travelling) + challenges, peer, message))
        times = [when for side in sides if (when := side.get_timer()) is not None]
        times += [at for at, *_ in travelling[:1]]
        if not times:
            break
        now = max(now, min(times))
        while travelling and travelling[0][0] <= now:
            _, _, side, message = heapq.heappop(travelling)
            side.receive(message, HERE, now)
        for side in sides:
            side.handle_timer(now)
    assert confirmed == set(sides)
    assert not travelling
    assert challenges < 40


# The numbers themselves: a mutant that moves one of them must not pass


def test_a_challenge_costs_what_its_datagram_has_and_thrice_as_much_may_go_to_a_stranger() -> None:
    assert (MESSAGE_COST, AMPLIFICATION) == (20 + 8 + 16 + 1 + 8, 3)
    room = Room()
    room.heard(THERE, 17)  # 51 bytes are allowed, a challenge has 53
    room.run(10.0)
    assert room.challenges(THERE) == []
    room.run(REST)
    room.heard(THERE, 1)  # 54
    assert len(room.challenges(THERE)) == 1
    room.run(10.0)
    assert len(room.challenges(THERE)) == 1


def test_an_exact_allowance_is_enough() -> None:
    room = Room()
    room.heard(THERE, 53)  # for three
    room.run(10.0)
    assert len(room.challenges(THERE)) == 3


def test_who_is_silent_is_asked_four_times_and_then_left_alone_for_half_a_minute() -> None:
    room = Room()
    room.heard(THERE)
    began = room.now
    room.run(0.19)
    assert len(room.challenges(THERE)) == 1
    room.run(0.02)
    assert len(room.challenges(THERE)) == 2
    room.run(5.0)
    assert len(room.challenges(THERE)) == 4
    room.run(began + 32.2 - 0.1 - room.now)  # 0.2 + 0.4 + 0.8 + 0.8, then the rest
    room.heard(THERE)
    assert len(room.challenges(THERE)) == 4
    room.run(0.2)
    room.heard(THERE)
    assert len(room.challenges(THERE)) == 5


def test_four_strangers_are_asked_at_a_time() -> None:
    room = Room()
    for port in range(6):
        room.heard((1, ("20.0.9.9", 1 + port)))
    assert len({to for to, _ in room.sent if to != HERE}) == 4


def test_an_expected_path_is_asked_eight_times() -> None:
    room = Room()
    room.one.expect(THERE, room.now)
    room.take()
    room.run(60.0)
    assert len(room.challenges(THERE)) == 8


def test_a_path_of_another_socket_may_be_expected_and_the_same_one_may_not() -> None:
    room = Room()
    room.one.expect(HERE, room.now)
    room.take()
    assert room.sent == []
    room.one.expect((2, HERE[1]), room.now)
    room.take()
    assert room.challenges((2, HERE[1]))


def test_six_moves_a_minute() -> None:
    room, moves = Room(), 0
    for number in range(8):
        there: Path = (1, (f"20.0.1.{number}", 2000))
        room.heard(there)
        room.say(Kind.RESPONSE, room.challenges(there)[-1], there)
        room.run(2.0)
        moves = sum(isinstance(event, PathMoved) for event in room.events)
    assert moves == 6 == MOVES_PER_MINUTE
