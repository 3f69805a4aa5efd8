"""How much may be in flight and how fast it may leave: BBR, version 1.

docs/wire/hyperdht.md 5.7; libudx `src/udx_bbr.c`, draft-cardwell-iccrg-bbr-congestion-control-00.

Two things are estimated, the bottleneck's bandwidth (largest delivery rate of the last ten round trips) and the path's
delay (smallest round trip of ten seconds); two are set, the window and the pacing rate. Bandwidth is counted in
packets per second and windows in packets: a UDX window has no smaller unit.
"""

from __future__ import annotations

from enum import Enum
from random import Random

from .delivery_rate import RateSample
from .recovery import CaState
from .windowed import WindowedMax

INITIAL_CWND = 10  # packets
MIN_CWND = 4
MAX_CWND = 16384  # ours: 24 MB, so that a peer cannot talk us into unbounded memory

HIGH_GAIN = 2.88539  # 2/ln 2: doubles the rate each round
DRAIN_GAIN = 1 / HIGH_GAIN
PROBE_BW_CWND_GAIN = 2.0
PROBE_BW_PACING_GAINS = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
FIXED_START_PHASE = 3  # libudx's; with a random source the phase is drawn, so that flows do not probe in step
PACING_MARGIN = 0.99

BANDWIDTH_WINDOW = len(PROBE_BW_PACING_GAINS) + 2  # round trips
MIN_RTT_WINDOW = 10.0  # seconds
PROBE_RTT_TIME = 0.2  # seconds
MIN_RTT_FLOOR = 0.001  # seconds; below it our own scheduling is the delay
FULL_BANDWIDTH_GROWTH = 1.25
FULL_BANDWIDTH_ROUNDS = 3
EXTRA_ACKED_ROUNDS = 5
EXTRA_ACKED_TIME = 0.1  # seconds of bandwidth, at most
# Ours: on loopback the clumps are made by two processes that take turns, and a window that follows them
# overflows the socket's buffer (900 packets in 1 MiB).
EXTRA_ACKED_TIME_LOCAL = 0.004


class Phase(Enum):
    STARTUP = "doubling the rate each round"
    DRAIN = "emptying the queue that STARTUP built"
    PROBE_BW = "cruising, with a cycle of more and less"
    PROBE_RTT = "nearly silent, to see the path's real delay"


class Bbr:
    """Congestion control of one stream. `cwnd` in packets, `pacing_rate` in packets a second, `min_rtt` in seconds.

    random spreads the phases of probing; without it all streams of a machine would probe at once.
    """

    def __init__(self, now: float, random: Random | None = None) -> None:
        self._random = random
        self.cwnd = INITIAL_CWND
        self.phase = Phase.STARTUP
        self.pacing_gain = self._cwnd_gain = HIGH_GAIN
        self.pacing_rate = HIGH_GAIN * INITIAL_CWND / MIN_RTT_FLOOR  # packets per second
        self._has_seen_rtt = False
        self.min_rtt: float | None = None
        self._min_rtt_at = now
        self._probe_rtt_until: float | None = None
        self._probe_rtt_round_done = False
        self._bandwidth = WindowedMax(BANDWIDTH_WINDOW)
        # rounds: one ends when a packet is acknowledged that was sent after it began
        self._rounds = 0
        self._round_start = False
        self._next_round_delivered = 0
        self._full_bandwidth = 0.0
        self._full_bandwidth_rounds = 0
        self._full_bandwidth_reached = False
        self._cycle = 0
        self._cycle_at = now
        self._idle_restart = False
        # recovery
        self._previous_state = CaState.OPEN
        self._prior_cwnd = 0
        self._conserving = False
        # acknowledgements that come in clumps
        self._epoch_start = now
        self._epoch_acked = 0
        self._extra_acked = [0, 0]
        self._extra_acked_index = 0
        self._extra_acked_rounds = 0

    @property
    def bandwidth(self) -> float:
        """Packets per second; 0 while unknown."""
        return max(self._bandwidth.value, 0.0)

    def on_ack(
        self, sample: RateSample, *, delivered: int, in_flight: int, state: CaState, srtt: float, now: float
    ) -> None:
        """Once per train of acknowledgements. `in_flight` is what is left after it."""
        self._update_bandwidth(sample, delivered)
        self._update_extra_acked(sample, now)
        if self.phase is Phase.PROBE_BW and self._cycle_is_over(sample, in_flight, now):
            self._next_cycle(now)
        self._check_full_bandwidth(sample)
        self._check_drain(in_flight, now)
        self._update_min_rtt(sample, delivered, in_flight, now)
        self._update_gains()
        self._set_pacing_rate(self.pacing_gain, srtt)
        self._set_cwnd(sample, delivered, in_flight, state)

    def on_transmit_start(self, now: float) -> None:
        """Sending again after the application had nothing to send."""
        self._idle_restart = True
        self._epoch_start = now
        self._epoch_acked = 0
        if self.phase is Phase.PROBE_BW:
            self._set_pacing_rate(1.0, 0.0)
        elif self.phase is Phase.PROBE_RTT:
            self._check_probe_rtt_done(now)

    def on_timeout(self) -> None:
        self._save_cwnd()
        self._previous_state = CaState.LOSS
        self._full_bandwidth = 0.0
        self._round_start = True

    def on_enter_recovery(self) -> None:
        self._save_cwnd()

    @property
    def in_probe_rtt(self) -> bool:
        return self.phase is Phase.PROBE_RTT

    def _save_cwnd(self) -> None:
        if self._previous_state is CaState.OPEN and self.phase is not Phase.PROBE_RTT:
            self._prior_cwnd = self.cwnd
        else:
            self._prior_cwnd = max(self._prior_cwnd, self.cwnd)

    def _in_flight_target(self, gain: float) -> int:
        """The bandwidth-delay product times `gain`, in packets."""
        if self.min_rtt is None:
            return INITIAL_CWND
        return int(self.bandwidth * max(self.min_rtt, MIN_RTT_FLOOR) * gain)

    def _update_bandwidth(self, sample: RateSample, delivered: int) -> None:
        self._round_start = False
        if not sample.interval:
            return
        if sample.prior_delivered >= self._next_round_delivered:
            self._next_round_delivered = delivered
            self._rounds += 1
            self._round_start = True
            self._conserving = False
        bandwidth = sample.delivered / sample.interval
        if not sample.app_limited or bandwidth >= self.bandwidth:
            self._bandwidth.update(self._rounds, bandwidth)

    def _update_extra_acked(self, sample: RateSample, now: float) -> None:
        """How many more packets than the bandwidth explains were acknowledged at once."""
        if not sample.acked or not sample.interval:
            return
        if self._round_start:
            self._extra_acked_rounds += 1
            if self._extra_acked_rounds >= EXTRA_ACKED_ROUNDS:
                self._extra_acked_rounds = 0
                self._extra_acked_index ^= 1
                self._extra_acked[self._extra_acked_index] = 0
        expected = int(self.bandwidth * max(now - self._epoch_start, 0.0))
        if self._epoch_acked <= expected:
            self._epoch_acked = 0
            self._epoch_start = now
            expected = 0
        self._epoch_acked += sample.acked
        extra = min(self._epoch_acked - expected, self.cwnd)
        index = self._extra_acked_index
        self._extra_acked[index] = max(self._extra_acked[index], extra)

    def _cycle_is_over(self, sample: RateSample, in_flight: int, now: float) -> bool:
        lasted = now - self._cycle_at > (self.min_rtt or MIN_RTT_FLOOR)
        before = in_flight + sample.acked
        if self.pacing_gain > 1.0:
            return lasted and (sample.lost > 0 or before >= self._in_flight_target(self.pacing_gain))
        if self.pacing_gain < 1.0:
            return lasted or before <= self._in_flight_target(1.0)
        return lasted

    def _next_cycle(self, now: float) -> None:
        self._cycle = (self._cycle + 1) % len(PROBE_BW_PACING_GAINS)
        self._cycle_at = now

    def _check_full_bandwidth(self, sample: RateSample) -> None:
        if self._full_bandwidth_reached or not self._round_start or sample.app_limited:
            return
        if self.bandwidth >= self._full_bandwidth * FULL_BANDWIDTH_GROWTH:
            self._full_bandwidth = self.bandwidth
            self._full_bandwidth_rounds = 0
            return
        self._full_bandwidth_rounds += 1
        self._full_bandwidth_reached = self._full_bandwidth_rounds >= FULL_BANDWIDTH_ROUNDS

    def _check_drain(self, in_flight: int, now: float) -> None:
        if self.phase is Phase.STARTUP and self._full_bandwidth_reached:
            self.phase = Phase.DRAIN
        if self.phase is Phase.DRAIN and in_flight <= self._in_flight_target(1.0):
            self._enter_probe_bw(now)

    def _enter_probe_bw(self, now: float) -> None:
        self.phase = Phase.PROBE_BW
        # any phase but the one that sends less, as in Linux: there is no queue to drain yet
        self._cycle = FIXED_START_PHASE if self._random is None else 7 - self._random.randrange(7)
        self._next_cycle(now)

    def _update_min_rtt(self, sample: RateSample, delivered: int, in_flight: int, now: float) -> None:
        expired = now > self._min_rtt_at + MIN_RTT_WINDOW
        if sample.rtt is not None and (self.min_rtt is None or sample.rtt < self.min_rtt or expired):
            self.min_rtt = sample.rtt
            self._min_rtt_at = now
        if expired and not self._idle_restart and self.phase is not Phase.PROBE_RTT:
            self._save_cwnd()
            self.phase = Phase.PROBE_RTT
            self._probe_rtt_until = None
        if self.phase is Phase.PROBE_RTT:
            if self._probe_rtt_until is None:
                if in_flight <= MIN_CWND:
                    self._probe_rtt_until = now + PROBE_RTT_TIME
                    self._probe_rtt_round_done = False
                    self._next_round_delivered = delivered
            else:
                self._probe_rtt_round_done = self._probe_rtt_round_done or self._round_start
                if self._probe_rtt_round_done:
                    self._check_probe_rtt_done(now)
        if sample.delivered > 0:
            self._idle_restart = False

    def _check_probe_rtt_done(self, now: float) -> None:
        if self._probe_rtt_until is None or now <= self._probe_rtt_until:
            return
        self._min_rtt_at = now
        self.cwnd = max(self.cwnd, self._prior_cwnd)
        if self._full_bandwidth_reached:
            self._enter_probe_bw(now)
        else:
            self.phase = Phase.STARTUP

    def _update_gains(self) -> None:
        if self.phase is Phase.STARTUP:
            self.pacing_gain = self._cwnd_gain = HIGH_GAIN
        elif self.phase is Phase.DRAIN:
            self.pacing_gain, self._cwnd_gain = DRAIN_GAIN, HIGH_GAIN
        elif self.phase is Phase.PROBE_BW:
            self.pacing_gain, self._cwnd_gain = PROBE_BW_PACING_GAINS[self._cycle], PROBE_BW_CWND_GAIN
        else:
            self.pacing_gain = self._cwnd_gain = 1.0

    def _set_pacing_rate(self, gain: float, srtt: float) -> None:
        if not self._has_seen_rtt and srtt:
            self._has_seen_rtt = True
            self.pacing_rate = HIGH_GAIN * PACING_MARGIN * self.cwnd / max(srtt, MIN_RTT_FLOOR)
        rate = self.bandwidth * gain * PACING_MARGIN
        if rate and (self._full_bandwidth_reached or rate > self.pacing_rate):
            self.pacing_rate = rate

    def _set_cwnd(self, sample: RateSample, delivered: int, in_flight: int, state: CaState) -> None:
        if sample.acked:
            cwnd = self._recover_or_restore(sample, delivered, in_flight, state)
            if not self._conserving:
                target = self._in_flight_target(self._cwnd_gain) + self._aggregation_bonus()
                if self._full_bandwidth_reached:
                    cwnd = min(cwnd + sample.acked, target)
                elif cwnd < target or delivered < INITIAL_CWND:
                    cwnd += sample.acked
                cwnd = max(cwnd, MIN_CWND)
            self.cwnd = min(cwnd, MAX_CWND)
        if self.phase is Phase.PROBE_RTT:
            self.cwnd = min(self.cwnd, MIN_CWND)

    def _recover_or_restore(self, sample: RateSample, delivered: int, in_flight: int, state: CaState) -> int:
        """An acknowledgement of n packets releases at most 2n; the first round of recovery releases n."""
        cwnd = max(self.cwnd - sample.lost, 1)
        previous, self._previous_state = self._previous_state, state
        if state is CaState.RECOVERY and previous is not CaState.RECOVERY:
            self._conserving = True
            self._next_round_delivered = delivered
            cwnd = in_flight + sample.acked
        elif state is CaState.OPEN and previous is not CaState.OPEN:
            cwnd = max(cwnd, self._prior_cwnd)
            self._conserving = False
        return max(cwnd, in_flight + sample.acked) if self._conserving else cwnd

    def _aggregation_bonus(self) -> int:
        if not self._full_bandwidth_reached:
            return 0
        local = self.min_rtt is not None and self.min_rtt < MIN_RTT_FLOOR
        longest = EXTRA_ACKED_TIME_LOCAL if local else EXTRA_ACKED_TIME
        return min(max(self._extra_acked), int(self.bandwidth * longest))
