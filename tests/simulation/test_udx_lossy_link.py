"""UDX over terrible links: bytes intact, throughput sane, everything replayable by its seed."""

from __future__ import annotations

import random

import pytest

from qvac_core.udx import Closed
from qvac_core.udx.receive_buffer import EARLY_FREE, OVERRUN, RECEIVE_WINDOW
from tests.simulation.udx_link import Simulation, Weather

MB = 1e6
GOOD = Weather(delay=0.025, bandwidth=2 * MB)
PAYLOAD_SHARE = 1452 / 1500


def transfer(
    there: Weather, back: Weather, size: int, *, seed: int = 1, seconds: float = 120.0, train: float = 0.0
) -> Simulation:
    """`a` sends `size` bytes; the link's clock shows how long both took to close."""
    sim = Simulation(there, back, seed=seed, train=train)
    content = random.Random(seed).randbytes(size)
    sim.a.send(content)
    sim.b.end_on_end = True
    start = sim.now
    sim.run(seconds, lambda: sim.a.closed is not None and sim.b.closed is not None)
    assert bytes(sim.b.received) == content
    assert sim.a.closed == sim.b.closed == Closed(None)
    assert sim.a.stream.bytes_in_flight == 0
    sim.elapsed = sim.now - start
    return sim


@pytest.mark.parametrize("seed", range(12))
def test_any_weather_delivers_every_byte_once_and_in_order(seed: int) -> None:
    rng = random.Random(seed)

    def weather() -> Weather:
        return Weather(
            delay=rng.choice([0.0, 0.001, 0.02, 0.1]),
            jitter=rng.choice([0.0, 0.005, 0.05]),
            loss=rng.choice([0.0, 0.01, 0.05, 0.1]),
            duplicate=rng.choice([0.0, 0.02, 0.2]),
            reorder=rng.choice([0.0, 0.02, 0.2]),
            reorder_by=rng.choice([0.001, 0.03]),
            bandwidth=rng.choice([0.0, 0.3 * MB, 5 * MB]),
            queue=rng.choice([10, 100, 1000]),
            mtu=rng.choice([1200, 1300, 1500]),
        )

    transfer(weather(), weather(), 600_000, seed=seed, train=rng.choice([0.0, 0.002]))


@pytest.mark.parametrize(
    ("name", "there", "back", "share"),
    [
        ("clean", GOOD, GOOD, 0.85),
        ("1 % loss", Weather(delay=0.025, bandwidth=2 * MB, loss=0.01), Weather(delay=0.025, loss=0.01), 0.8),
        ("5 % loss", Weather(delay=0.025, bandwidth=2 * MB, loss=0.05), Weather(delay=0.025, loss=0.05), 0.7),
        ("jitter", Weather(delay=0.02, bandwidth=2 * MB, jitter=0.01), Weather(delay=0.02, jitter=0.01), 0.75),
        ("reordering", Weather(delay=0.025, bandwidth=2 * MB, reorder=0.05, reorder_by=0.01), GOOD, 0.75),
        ("a small queue", Weather(delay=0.025, bandwidth=2 * MB, queue=30), GOOD, 0.6),
        ("a long fat pipe", Weather(delay=0.1, bandwidth=2 * MB, loss=0.01), Weather(delay=0.1), 0.6),
    ],
)
def test_a_modest_link_is_filled(name: str, there: Weather, back: Weather, share: float) -> None:
    size = 8_000_000
    sim = transfer(there, back, size)
    assert size / sim.elapsed >= share * there.bandwidth * PAYLOAD_SHARE, name


def test_two_round_trips_of_queue_are_the_most_that_it_builds() -> None:
    """BBR's point: the standing queue stays near one bandwidth-delay product even with room for much more."""
    sim = transfer(Weather(delay=0.025, bandwidth=2 * MB, queue=5000), GOOD, 8_000_000)
    assert sim.a.stream.srtt < 0.2
    assert sim.links[0].dropped == 0


def test_loss_is_repaired_without_timeouts_and_without_sending_much_twice() -> None:
    sim = transfer(Weather(delay=0.025, bandwidth=2 * MB, loss=0.02), GOOD, 4_000_000, seed=3)
    stats = sim.a.stream.stats
    assert stats.timeouts == 0
    assert sim.links[0].dropped <= stats.retransmits <= sim.links[0].dropped * 1.3 + 5


def test_a_lost_tail_is_repaired_by_a_probe_and_not_by_the_timeout() -> None:
    sim = Simulation(Weather(delay=0.02))
    sim.a.send(bytes(200_000), end=False)
    sim.run(1.0)
    first = sim.links[0].carried
    sim.links[0].drop = lambda index, datagram: first + 1 <= index <= first + 2
    sim.a.stream.write(bytes(3 * 1100 + 800), sim.now)
    took = sim.run(2.0, lambda: len(sim.b.received) == 204_100)
    assert took < 0.5
    assert sim.a.stream.stats.timeouts == 0


def test_a_blackout_shorter_than_the_deadline_is_survived() -> None:
    sim = Simulation(Weather(delay=0.02, bandwidth=1 * MB))
    content = random.Random(4).randbytes(3_000_000)
    sim.a.send(content)
    sim.b.end_on_end = True
    sim.run(1.0)
    for link in sim.links:
        link.drop = lambda index, datagram: True
    sim.run(9.0)
    for link in sim.links:
        link.drop = None
    sim.run(20.0, lambda: sim.a.closed is not None and sim.b.closed is not None)
    assert bytes(sim.b.received) == content


def test_a_talk_of_small_messages_does_not_slow_the_bulk_after_it() -> None:
    """Rates seen while the application had little to say must not be taken for the path's."""
    sim = Simulation(Weather(delay=0.025, bandwidth=10 * MB), timer_late=0.001)
    for turn in range(300):
        sim.a.stream.write(b"token", sim.now)
        sim.run(0.04)  # a bit more than it takes to get there
        assert len(sim.b.received) == 5 * (turn + 1)
    sim.a.send(bytes(5_000_000))
    assert sim.run(10.0, lambda: sim.b.ended) < 1.2


def test_loss_on_a_fast_and_far_path_costs_no_window() -> None:
    """One packet in a hundred is missing at any time, and a whole round trip waits for it."""
    sim = Simulation(Weather(delay=0.025, loss=0.01), Weather(delay=0.025), seed=2)
    sim.a.send(bytes(30_000_000))
    assert sim.run(10.0, lambda: sim.b.ended) < 1.14


def test_both_directions_at_once_through_loss() -> None:
    sim = Simulation(Weather(delay=0.02, bandwidth=2 * MB, loss=0.02), seed=9)
    there, back = random.Random(1).randbytes(2_000_000), random.Random(2).randbytes(2_000_000)
    sim.a.send(there)
    sim.b.send(back)
    took = sim.run(60.0, lambda: sim.a.closed is not None and sim.b.closed is not None)
    assert (bytes(sim.b.received), bytes(sim.a.received)) == (there, back)
    assert took < 4.0


def test_a_peer_that_never_reads_bounds_our_memory_and_its_own() -> None:
    sim = Simulation(Weather(delay=0.005, loss=0.02), seed=2)
    sim.b.reading = False
    sim.a.send(bytes(20_000_000))
    sim.run(60.0)
    assert sim.a.closed is None
    assert len(sim.b.received) <= RECEIVE_WINDOW + EARLY_FREE + OVERRUN
    assert sim.a.stream.bytes_unacked < 4 * 1024 * 1024 + 2 * 262_144


def test_the_same_seed_gives_the_same_run() -> None:
    bad = Weather(delay=0.02, jitter=0.01, loss=0.03, duplicate=0.02, bandwidth=1 * MB)
    runs = [transfer(bad, bad, 400_000, seed=11) for _ in range(2)]
    assert runs[0].elapsed == runs[1].elapsed
    assert runs[0].a.stream.stats == runs[1].a.stream.stats


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_a_hundred_weathers(seed: int) -> None:
    test_any_weather_delivers_every_byte_once_and_in_order(seed + 1000)


@pytest.mark.long
def test_a_hundred_megabytes_through_loss() -> None:
    transfer(Weather(delay=0.025, bandwidth=10 * MB, loss=0.01), Weather(delay=0.025), 100_000_000, seconds=60.0)
