"""Which path a stream sends on: from a relay to a direct path and back, to another relay, and after a peer."""

from __future__ import annotations

from random import Random

import pytest

from qvac_core.rendezvous.path_set import (
    Ask,
    Command,
    Doubt,
    GiveUp,
    Heard,
    Kind,
    LeaveRelay,
    MoveTo,
    PathSet,
    Phase,
    Relayed,
    Send,
    Settled,
    Show,
    WantDirect,
    Why,
    kind_of,
)
from qvac_core.rendezvous.path_validation import Path

HERE: Path = (1, ("20.0.0.1", 1000))
THERE: Path = (1, ("20.0.0.2", 2000))
RELAY: Path = (1, ("20.0.0.9", 9000))
OTHER: Path = (1, ("20.0.0.8", 8000))
HELLO, CHALLENGE, RESPONSE = 0, 1, 2
ON_RELAY, ON_OTHER, DIRECT_ID = 100, 200, 7


class Room:
    """A set and what it wanted, without its first move."""

    def __init__(self, relayed: Relayed | None = None) -> None:
        self.now = 100.0
        path, kind = (HERE, Kind.DIRECT) if relayed is None else (RELAY, Kind.RELAY)
        self.set = PathSet(path, kind, ON_RELAY, Random(1), self.now, relayed)
        self.unacked = self.received = 0
        assert self.take() == [MoveTo(path, kind, ON_RELAY)]

    def phase(self) -> Phase:
        return self.set.phase

    def settled(self) -> bool:
        return self.set.settled

    def through_relay(self) -> bool:
        return self.set.through_relay

    def watching(self) -> bool:
        return self.set.watching

    def take(self) -> list[Command]:
        return self.set.commands()

    def run(self, seconds: float) -> list[Command]:
        end, found = self.now + seconds, self.take()
        while (when := self.set.get_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.set.handle_timer(self.now, received=self.received, unacked=self.unacked)
            found += self.take()
        self.now = end
        return found

    def heard(self, path: Path, *, acknowledged: bool = False, size: int = 1000) -> list[Command]:
        self.set.heard(path, size, self.now, acknowledged=acknowledged)
        return self.take()


def relayed(*, resumable: bool = True) -> Room:
    return Room(Relayed(DIRECT_ID, resumable))


def without_messages(commands: list[Command]) -> list[Command]:
    return [command for command in commands if not isinstance(command, Send)]


# Off the relay


def test_a_packet_that_came_directly_shows_the_way_and_its_acknowledgement_settles_it() -> None:
    room = relayed()
    assert room.heard(THERE) == [MoveTo(THERE, Kind.DIRECT, DIRECT_ID), Ask()]
    assert (room.phase(), room.through_relay()) == (Phase.MOVING, True)
    assert room.heard(THERE) == []
    commands = room.heard(THERE, acknowledged=True)
    assert commands == [Send(THERE, bytes((HELLO,))), Show(), LeaveRelay(), Settled()]
    assert (room.set.path, room.settled(), room.through_relay()) == (THERE, True, False)


def test_what_is_acknowledged_elsewhere_settles_nothing() -> None:
    room = relayed()
    room.heard(THERE)
    assert room.heard(HERE, acknowledged=True) == []
    assert room.heard(RELAY, acknowledged=True) == []
    assert room.phase() is Phase.MOVING


def test_a_path_that_leads_one_way_is_left_after_four_seconds_and_shown_every_half() -> None:
    room = relayed()
    room.set.found(THERE, Kind.DIRECT, room.now)
    room.take()
    shown = room.run(3.9)
    assert shown == [Show()] * 7
    assert room.run(0.2) == [MoveTo(RELAY, Kind.RELAY, ON_RELAY), Ask()]
    assert room.phase() is Phase.RELAYED


def test_four_paths_are_tried_until_somebody_says_try_again() -> None:
    room = relayed()
    for _ in range(4):
        assert MoveTo(THERE, Kind.DIRECT, DIRECT_ID) in room.heard(THERE)
        room.run(5.0)
    assert room.heard(THERE) == []
    room.set.try_again()
    assert MoveTo(THERE, Kind.DIRECT, DIRECT_ID) in room.heard(THERE)


def test_what_comes_from_any_of_the_relays_shows_no_way() -> None:
    room = relayed()
    room.set.expect_relay(OTHER)
    assert room.heard(RELAY) == []
    assert room.heard(OTHER) == []
    assert room.set.path == RELAY


def test_nobody_is_challenged_while_a_relay_carries_the_stream() -> None:
    room = relayed()
    room.set.receive(bytes((CHALLENGE,)) + bytes(8), RELAY, room.now)
    room.set.hello()
    room.set.expect(THERE, room.now)
    assert room.take() == []


# Relays that go


def test_a_relay_that_went_is_missed_after_a_grace_and_another_one_is_taken() -> None:
    room = relayed()
    room.set.lost(RELAY, room.now)
    assert room.take() == [LeaveRelay()]
    room.run(0.29)
    assert room.phase() is Phase.RELAYED
    room.run(0.02)
    assert room.phase() is Phase.LOST
    room.set.found(OTHER, Kind.RELAY, room.now, ON_OTHER)
    assert room.take() == [MoveTo(OTHER, Kind.RELAY, ON_OTHER), Ask()]
    assert room.phase() is Phase.RELAYED
    room.set.lost(RELAY, room.now)  # told late: it is another one now
    # Nothing comes, and signs of life are asked for.
    assert set(room.run(5.0)) == {Ask()}
    assert room.phase() is Phase.RELAYED


def test_without_another_way_it_is_given_up_after_twelve_seconds() -> None:
    room = relayed()
    room.set.lost(RELAY, room.now)
    room.run(0.3)
    assert room.run(11.9) == []
    assert room.run(0.2) == [GiveUp(Why.RELAY_LOST)]


def test_a_peer_that_cannot_be_met_again_has_a_longer_grace_and_no_wait() -> None:
    room = relayed(resumable=False)
    room.set.lost(RELAY, room.now)
    assert room.run(1.45) == []
    assert room.run(0.1)[-1] == GiveUp(Why.RELAY_LOST)


@pytest.mark.parametrize(("resumable", "seconds"), [(True, 4.0), (False, 8.0)])
def test_a_relay_is_doubted_when_something_is_owed_and_nothing_comes(resumable: bool, seconds: float) -> None:
    room = relayed(resumable=resumable)
    room.unacked = 1
    room.run(seconds - 0.1)
    assert room.phase() is Phase.RELAYED
    given_up = room.run(0.2)
    assert given_up == ([] if resumable else [GiveUp(Why.RELAY_LOST)])
    assert room.phase() is (Phase.LOST if resumable else Phase.RELAYED)


def test_another_relay_during_a_move_waits_for_its_end() -> None:
    room = relayed()
    room.heard(THERE)
    room.set.found(OTHER, Kind.RELAY, room.now, ON_OTHER)
    assert room.take() == []
    assert room.run(4.1)[-2:] == [MoveTo(OTHER, Kind.RELAY, ON_OTHER), Ask()]


# Our network, and a peer that moves


def test_our_network_changed_and_the_original_does_not_answer() -> None:
    room = Room()
    room.set.network_changed(room.now)
    assert without_messages(room.take()) == [Ask(), Heard()]
    assert GiveUp(Why.LEFT_BEHIND) not in room.run(2.9)
    assert GiveUp(Why.LEFT_BEHIND) in room.run(0.2)


def test_our_network_changed_and_one_of_ours_is_looked_for_after_a_while() -> None:
    room = Room()
    room.set.receive(bytes((HELLO,)), HERE, room.now)
    room.set.network_changed(room.now)
    room.take()
    assert WantDirect() not in room.run(0.7)
    assert without_messages(room.run(0.2)) == [WantDirect()]


def test_an_acknowledgement_ends_the_doubt() -> None:
    room = Room()
    room.set.network_changed(room.now)
    room.take()
    assert room.watching()
    assert room.heard(HERE) == []
    assert room.heard(HERE, acknowledged=True) == [Heard()]
    assert not room.watching()
    assert without_messages(room.run(10.0)) == []


def test_a_relay_does_not_follow_us() -> None:
    room = relayed()
    room.set.network_changed(room.now)
    room.run(3.1)
    assert room.phase() is Phase.LOST


def test_silence_is_doubted_once_and_only_where_the_peer_speaks_this_language() -> None:
    room = Room()
    room.set.silent(room.now)
    assert room.take() == []
    room.set.receive(bytes((HELLO,)), HERE, room.now)
    room.set.silent(room.now)
    assert without_messages(room.take()) == [Doubt(), WantDirect()]
    room.set.silent(room.now)
    assert room.take() == []


def test_a_peer_is_followed_when_it_answers_there_and_not_where_it_was() -> None:
    room = Room()
    asked = [command for command in room.heard(THERE) if isinstance(command, Send) and command.path == THERE]
    assert [command.message[0] for command in asked] == [CHALLENGE]
    room.set.receive(bytes((RESPONSE,)) + asked[0].message[1:], THERE, room.now)
    moved = [command for command in room.run(1.5) if isinstance(command, MoveTo)]
    assert moved == [MoveTo(THERE, Kind.DIRECT, None)]


def test_a_path_is_named_for_what_it_is() -> None:
    near: Path = (1, ("192.168.1.4", 1))
    assert kind_of((3, ("2a00::1", 1))) is Kind.IPV6
    assert kind_of(near) is Kind.DIRECT
    assert kind_of(near, Kind.LAN) is Kind.LAN
    assert kind_of(THERE, Kind.LAN) is Kind.DIRECT  # it left the house


def test_nothing_happens_any_more_when_it_is_over() -> None:
    room = relayed()
    room.set.lost(RELAY, room.now)
    room.take()
    room.set.over()
    room.set.found(THERE, Kind.DIRECT, room.now)
    room.set.give_up()
    assert room.run(60.0) == []
    assert room.settled()
