"""How long somebody in the line will wait, by how long others took: qvac_core/core/waiting_times.py."""

from __future__ import annotations

from qvac_core.core.waiting_times import WaitingTimes

NOW = 1000.0


def test_nothing_is_claimed_before_anything_ended() -> None:
    assert WaitingTimes().turn_at("m", 1, [NOW], 1, NOW) is None


def test_one_after_another() -> None:
    times = WaitingTimes()
    times.ended("m", 10.0)
    times.ended("m", 20.0)  # 15 s as a rule
    assert times.turn_at("other", 1, [], 1, NOW) is None
    assert times.turn_at("m", 1, [NOW - 3], 1, NOW) == NOW + 12
    assert times.turn_at("m", 2, [NOW - 3], 1, NOW) == NOW + 27
    assert times.turn_at("m", 1, [NOW - 99], 1, NOW) == NOW  # longer than usual: any moment now
    assert times.turn_at("m", 2, [NOW - 14, NOW - 5], 2, NOW) == NOW + 10
    assert times.turn_at("m", 3, [NOW - 14, NOW - 5], 2, NOW) == NOW + 16
