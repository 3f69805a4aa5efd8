"""BBR's phases, pacing, delivery rates, the MTU search and the running maximum."""

from __future__ import annotations

import random

import pytest

from qvac_core.udx.congestion import HIGH_GAIN, INITIAL_CWND, MAX_CWND, MIN_CWND, Bbr, Phase
from qvac_core.udx.delivery_rate import RateSample
from qvac_core.udx.mtu import MtuSearch, MtuState
from qvac_core.udx.pacing import MIN_BURST, Pacer
from qvac_core.udx.recovery import CaState
from qvac_core.udx.windowed import WindowedMax


class Path:
    """A bottleneck that delivers `rate` packets per second after `rtt`, one round at a time."""

    def __init__(self, rate: float, rtt: float) -> None:
        self.rate, self.rtt, self.now = rate, rtt, 10.0
        self.bbr = Bbr(self.now)
        self.delivered = 0

    def round(
        self, *, lost: int = 0, state: CaState = CaState.OPEN, app_limited: bool = False, rtt: float = 0.0
    ) -> None:
        window = max(self.bbr.cwnd, 1)
        lasted = max(self.rtt, window / self.rate)
        self.now += lasted
        before = self.delivered
        self.delivered += window
        sample = RateSample(window, lost, rtt or self.rtt, window, lasted, before, app_limited)
        in_flight = min(self.bbr.cwnd, int(self.rate * self.rtt * self.bbr.pacing_gain))
        self.bbr.on_ack(sample, delivered=self.delivered, in_flight=in_flight, state=state, srtt=self.rtt, now=self.now)

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.round()


def test_startup_finds_the_bandwidth_and_leaves() -> None:
    path = Path(rate=1000, rtt=0.1)
    assert path.bbr.cwnd == INITIAL_CWND
    path.round()
    assert path.bbr.pacing_gain == HIGH_GAIN
    path.rounds(15)
    assert path.bbr.phase is Phase.PROBE_BW
    assert path.bbr.bandwidth == pytest.approx(1000)
    assert 1000 * 0.1 <= path.bbr.cwnd <= 3.5 * 1000 * 0.1


def test_the_probing_cycle_has_one_quick_and_one_slow_phase() -> None:
    path = Path(rate=1000, rtt=0.1)
    path.rounds(20)
    gains = []
    for _ in range(16):
        path.round()
        gains.append(path.bbr.pacing_gain)
    assert gains.count(1.25) == 2 and gains.count(0.75) == 2 and gains.count(1.0) == 12


def test_the_window_shrinks_every_ten_seconds_to_see_the_delay() -> None:
    path = Path(rate=100, rtt=0.1)
    path.rounds(20)
    seen = set()
    until = path.now + 25.0
    while path.now < until:
        path.round(rtt=0.12)
        seen.add((path.bbr.phase, path.bbr.cwnd <= MIN_CWND))
    assert (Phase.PROBE_RTT, True) in seen and (Phase.PROBE_BW, False) in seen


def test_limited_applications_do_not_lower_the_estimate() -> None:
    path = Path(rate=1000, rtt=0.1)
    path.rounds(15)
    bandwidth = path.bbr.bandwidth
    path.rate = 10
    for _ in range(30):
        path.round(app_limited=True)
    assert path.bbr.bandwidth == bandwidth


def test_recovery_conserves_packets_for_a_round_and_restores_the_window() -> None:
    path = Path(rate=1000, rtt=0.1)
    path.rounds(20)
    window = path.bbr.cwnd
    path.bbr.on_enter_recovery()
    path.round(lost=window // 2, state=CaState.RECOVERY)
    path.round(lost=0, state=CaState.OPEN)
    assert path.bbr.cwnd >= 0.9 * window


def test_a_timeout_keeps_the_window() -> None:
    path = Path(rate=1000, rtt=0.1)
    path.rounds(20)
    window = path.bbr.cwnd
    path.bbr.on_timeout()
    assert path.bbr.cwnd == window


def test_the_window_has_a_floor_and_a_ceiling() -> None:
    slow = Path(rate=2, rtt=0.5)
    slow.rounds(20)
    assert slow.bbr.cwnd >= MIN_CWND
    fast = Path(rate=1e9, rtt=0.5)
    fast.rounds(40)
    assert fast.bbr.cwnd == MAX_CWND


def test_streams_start_in_different_phases() -> None:
    gains = set()
    for seed in range(30):
        path = Path(rate=1000, rtt=0.1)
        path.bbr = Bbr(path.now, random.Random(seed))
        while path.bbr.phase is not Phase.PROBE_BW:
            path.round()
        gains.add(path.bbr.pacing_gain)
    assert gains >= {1.0, 1.25} and 0.75 not in gains


def test_pacing_credits_the_time_that_passed_up_to_a_burst() -> None:
    pacer = Pacer(0.0)
    pacer.rate = 10e6
    pacer.spend(25000)
    assert pacer.packets(1000) == 0
    pacer.refill(0.0005)
    assert pacer.packets(1000) == 5
    pacer.spend(5000)
    pacer.refill(0.0035)  # a timer that came late
    assert pacer.packets(1000) == 30
    pacer.refill(60.0)
    assert pacer.packets(1000) == 100


def test_a_slow_pace_still_has_a_small_burst_and_a_next_time() -> None:
    pacer = Pacer(0.0)
    pacer.rate = 1000.0
    pacer.refill(100.0)
    pacer.spend(int(pacer.tokens) + 500)
    assert pacer.next_release(100.0) == pytest.approx(100.5, abs=0.01)
    pacer.refill(1000.0)
    assert pacer.tokens == MIN_BURST


def test_mtu_search_reaches_the_limit() -> None:
    mtu = MtuSearch()
    assert (mtu.mtu, mtu.payload) == (1200, 1152)
    mtu.on_first_ack()
    sizes = []
    while mtu.wanted:
        padding = mtu.padding(mtu.payload)
        assert padding is not None and padding <= 32
        sizes.append(mtu.payload + padding + 48)
        mtu.on_probe_sent()
        mtu.on_probe_acked()
    assert sizes == [*range(1200, 1500, 32), 1500]
    assert (mtu.mtu, mtu.payload, mtu.state) == (1500, 1452, MtuState.COMPLETE)


def test_three_lost_probes_end_the_mtu_search() -> None:
    mtu = MtuSearch(ipv6=True)
    mtu.on_first_ack()
    mtu.on_probe_sent()
    mtu.on_probe_acked()
    for attempt in range(3):
        assert mtu.wanted, attempt
        mtu.on_probe_sent()
        mtu.on_probe_lost()
    assert not mtu.wanted and mtu.state is MtuState.COMPLETE
    assert (mtu.mtu, mtu.payload) == (1200, 1132)


def test_a_small_packet_cannot_be_a_probe() -> None:
    mtu = MtuSearch()
    mtu.on_first_ack()
    assert mtu.padding(1152) == 0
    assert mtu.padding(897) == 255
    assert mtu.padding(896) is None


def test_a_small_link_is_not_searched() -> None:
    mtu = MtuSearch(1200)
    mtu.on_first_ack()
    assert mtu.state is MtuState.COMPLETE and not mtu.wanted


def test_the_running_maximum_agrees_with_a_plain_one_within_its_window() -> None:
    rng = random.Random(3)
    running = WindowedMax(10)
    samples: list[float] = []
    for at in range(500):
        samples.append(rng.random())
        running.update(at, samples[-1])
        assert running.value <= max(samples[-11:])
        assert running.value >= samples[-1]
