"""Whatever guests do at a queue of turns: nobody who always asks gets much more than its share, and nobody nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qvac_core.delegation.turns import Turns
from tests.simulation.fair_guests import FairGuest, busy_hours, even_shares
from tests.unit.memory_stream import run

SECONDS = 600.0
GUESTS = st.builds(
    FairGuest,
    key=st.binary(min_size=32, max_size=32),
    at_once=st.sampled_from([1, 2, 4, 4, 6, 8]),
    length=st.floats(1, 8),
)


@settings(max_examples=25, deadline=None)
@given(
    guests=st.lists(GUESTS, min_size=2, max_size=9, unique_by=lambda guest: guest.key),
    slots=st.integers(1, 4),
    parallel=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_nobody_gets_much_more_than_its_share_and_nobody_nothing(
    guests: list[FairGuest], slots: int, parallel: int, seed: int
) -> None:
    async def main() -> None:
        turns = Turns(slots, 64, 16)
        everybody = [FairGuest(guest.key, guest.at_once, guest.length) for guest in guests]
        await busy_hours(turns, everybody, parallel=parallel, seconds=SECONDS, seed=seed)
        assert turns.running == turns.waiting == 0
        longest = 1.5 * max(guest.length for guest in everybody)
        for guest, share in zip(everybody, even_shares(everybody, slots, parallel), strict=True):
            assert guest.answers and not guest.refused
            if all(one.at_once > parallel for one in everybody):  # each always waits for one turn more
                assert guest.had <= 1.2 * share * SECONDS + 2 * longest
                assert guest.had >= 0.8 * share * SECONDS - 2 * longest
            else:  # who asks again only behind its answer is not there when that one's turn is given away
                assert guest.had >= 0.4 * share * SECONDS * guest.length / max(one.length for one in everybody)

    run(main())
