"""The set of a stream's paths, whatever happens: where it goes, what a stranger may cause, and that it ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.rendezvous.path_set import WAIT_LIMIT, Kind, Phase
from qvac_core.rendezvous.path_validation import Path
from tests.fuzz.targets.paths import HERE, PLACES, RELAY, Life, path_set

places = st.sampled_from(PLACES)
heard = st.tuples(places, st.integers(0, 2000), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_life_keeps_to_the_rules(script: bytes) -> None:
    path_set(script)


@settings(max_examples=100, deadline=None)
@given(st.lists(heard, max_size=40), st.floats(0, 30))
def test_strangers_alone_move_no_direct_stream(
    packets: list[tuple[tuple[int, tuple[str, int]], int, bool]], wait: float
) -> None:
    life = Life(relayed=False, resumable=False)
    for place, size, acknowledged in packets:
        life.heard(place, size, acknowledged=acknowledged)
        life.wait(wait)
    assert life.set.path == HERE
    assert not life.gave_up


@settings(max_examples=100, deadline=None)
@given(st.booleans(), st.lists(places, max_size=6), st.integers(1, 60))
def test_a_stream_whose_relay_went_finds_another_way_or_ends(resumable: bool, found: list[Path], pause: int) -> None:
    life = Life(relayed=True, resumable=resumable)
    life.set.lost(RELAY, life.now)
    life.take()
    for place in found:
        life.shown.add(place)
        life.set.found(place, Kind.DIRECT, life.now)
        life.take()
        life.wait(pause / 10)
    life.wait(60.0 + WAIT_LIMIT, unacked=1)
    # One that cannot be resumed stays where it was shown to, and has UDX's own patience.
    assert life.gave_up or (life.set.phase is Phase.MOVING and not resumable)
