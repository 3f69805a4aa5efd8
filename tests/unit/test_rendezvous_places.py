"""Who gives way when places run short."""

from __future__ import annotations

from random import Random

from qvac_core.rendezvous.places import Bounds, Full, Place, who_gives_way

BOUNDS = Bounds(in_all=8, per_key=3, per_host=5)
EVIL, HOME, OFFICE, LOOPBACK = "66.6.6.6", "20.0.0.1", "20.0.0.2", "127.0.0.1"


def place(holder: int, key: int, host: str, **options: bool) -> Place[int]:
    return Place(holder, bytes([key]) * 32, host, **options)


def test_there_is_room_until_there_is_none() -> None:
    present = [place(n, n, f"20.0.{n}.1") for n in range(7)]
    assert who_gives_way(place(99, 99, HOME), present, BOUNDS) is None


def test_a_keys_newest_replaces_its_oldest_that_is_not_busy() -> None:
    present = [place(1, 1, HOME, busy=True), place(2, 1, OFFICE), place(3, 1, HOME)]
    assert who_gives_way(place(99, 1, EVIL), present, BOUNDS) == 2
    busy = [place(n, 1, HOME, busy=True) for n in range(3)]
    assert who_gives_way(place(99, 1, HOME), busy, BOUNDS) == Full()


def test_a_public_host_has_its_limit_and_a_test_network_only_the_one_in_all() -> None:
    crowd = [place(n, n, EVIL) for n in range(5)]
    assert who_gives_way(place(99, 99, EVIL), crowd, BOUNDS) == 0
    nearby = [place(n, n, LOOPBACK) for n in range(7)]
    assert who_gives_way(place(99, 99, LOOPBACK), nearby, BOUNDS) is None


def test_the_host_with_most_places_makes_room_for_another() -> None:
    present = [
        place(0, 50, HOME),
        place(1, 51, OFFICE),
        *(place(n, n, EVIL) for n in range(2, 7)),
        place(7, 52, OFFICE),
    ]
    assert who_gives_way(place(99, 60, "20.9.9.9"), present, BOUNDS) == 2
    assert who_gives_way(place(98, 61, HOME), present, BOUNDS) == 2
    busy = [place(n, n, f"20.0.{n}.1", busy=True) for n in range(8)]
    assert who_gives_way(place(99, 60, HOME), busy, BOUNDS) == Full()


def test_strangers_go_first_and_never_have_more_than_half_when_it_is_full() -> None:
    strangers = [place(n, n, f"66.0.{n}.1", loose=True) for n in range(4)]
    friends = [place(n, n, f"20.0.{n}.1") for n in range(4, 8)]
    assert who_gives_way(place(99, 99, HOME), [*friends, *strangers], BOUNDS) == 0
    more = [place(8, 8, "66.0.8.1", loose=True), *strangers, *friends[:3]]
    assert who_gives_way(place(99, 99, EVIL, loose=True), more, BOUNDS) == 8


def test_whatever_a_crowd_does_a_friend_that_came_stays() -> None:
    """One host with any number of keys against one friend elsewhere."""
    for seed in range(50):
        chance = Random(seed)
        present = [place(-1, 200, HOME)]
        for n in range(300):
            newcomer = place(n, chance.randrange(100), EVIL, loose=chance.random() < 0.3)
            leaving: int | Full | None = who_gives_way(newcomer, present, BOUNDS)
            if isinstance(leaving, Full):
                continue
            present = [other for other in present if other.holder != leaving]
            present.append(newcomer)
            assert len(present) <= BOUNDS.in_all
            assert present[0].holder == -1
        late: int | Full | None = who_gives_way(place(-2, 201, OFFICE), present, BOUNDS)
        assert not isinstance(late, Full)
