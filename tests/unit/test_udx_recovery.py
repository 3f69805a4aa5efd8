"""Round trip times, RACK, timeouts and tail-loss probes, packet by packet."""

from __future__ import annotations

import pytest

from qvac_core.udx.flight import MARK_PROBE, SentPacket
from qvac_core.udx.recovery import MAX_TIMEOUTS, RTO_MAX, CaState, Recovery, Rtt

STAMP = (0.0, 0.0, 0, False)
SIZE = 1172


def sent(recovery: Recovery, count: int, now: float, *, probe: bool = False) -> list[SentPacket]:
    packets = []
    idle = not recovery.outstanding
    for _ in range(count):
        packet = SentPacket(recovery.next_seq, 1, bytes(SIZE), SIZE, now, recovery.next_order, STAMP)
        packet.marks = MARK_PROBE if probe else 0
        recovery.in_flight[packet.seq] = packet
        recovery.next_seq += 1
        recovery.next_order += 1
        packets.append(packet)
    recovery.on_sent(SIZE * count, now, was_idle=idle)
    return packets


def state(recovery: Recovery) -> CaState:
    """Behind a call, so that the type checker does not take it for unchanged."""
    return recovery.state


def test_round_trip_estimates_follow_the_spec() -> None:
    rtt = Rtt()
    rtt.update(0.4, 0.0)
    assert (rtt.smoothed, rtt.variance) == (0.4, 0.2)
    assert rtt.rto == pytest.approx(1.2)
    rtt.update(0.8, 1.0)
    assert rtt.variance == pytest.approx((3 * 0.2 + 0.4) / 4)
    assert rtt.smoothed == pytest.approx((7 * 0.4 + 0.8) / 8)
    assert rtt.min == 0.4


def test_the_timeout_stays_between_its_bounds() -> None:
    rtt = Rtt()
    assert rtt.rto == 1.0
    rtt.update(0.001, 0.0)
    assert rtt.rto == 1.0
    rtt = Rtt()
    rtt.update(29.0, 0.0)
    assert rtt.rto == RTO_MAX


def test_a_sample_over_a_suspension_is_clamped() -> None:
    rtt = Rtt()
    rtt.update(0.1, 0.0)
    assert rtt.clamp(3600.0) == pytest.approx(0.1 + 5 * 0.05)
    assert rtt.clamp(4.0) == 4.0


def test_the_smallest_round_trip_is_forgotten_after_its_window() -> None:
    rtt = Rtt()
    rtt.update(0.010, 0.0)
    for second in range(1, 400):
        rtt.update(0.050, float(second))
    assert rtt.min == 0.050


def test_a_sack_beyond_a_gap_finds_the_loss_and_enters_recovery() -> None:
    recovery = Recovery()
    sent(recovery, 10, 1.0)
    acked = recovery.on_ack(3, [(4, 10)], 1.05)
    assert acked.packets == 9 and acked.lost == 1 and acked.entered_recovery
    assert list(recovery.lost) == [3]
    assert state(recovery) is CaState.RECOVERY
    assert recovery.bytes_in_flight == 0
    recovery.on_retransmit(recovery.lost[3], 1.05)
    assert recovery.bytes_in_flight == SIZE
    recovery.on_ack(10, [], 1.1)
    assert state(recovery) is CaState.OPEN and not recovery.outstanding
    assert recovery.bytes_in_flight == 0


def test_a_few_sacks_wait_for_the_reordering_window() -> None:
    recovery = Recovery()
    sent(recovery, 1, 0.0)
    recovery.on_ack(1, [], 0.1)
    sent(recovery, 4, 1.0)
    acked = recovery.on_ack(1, [(2, 3)], 1.1)
    assert not acked.lost
    assert recovery.reorder_at == pytest.approx(1.1 + 0.1 / 4)
    assert recovery.detect_loss(1.13).entered_recovery
    assert list(recovery.lost) == [1]


def test_reordering_once_seen_is_tolerated_afterwards() -> None:
    recovery = Recovery()
    sent(recovery, 4, 1.0)
    recovery.on_ack(0, [(1, 2)], 1.1)
    recovery.on_ack(4, [], 1.11)  # the gap was late, not lost
    sent(recovery, 10, 2.0)
    acked = recovery.on_ack(4, [(5, 14)], 2.1)
    assert not acked.lost and recovery.reorder_at is not None


def test_a_lost_probe_is_no_congestion() -> None:
    recovery = Recovery()
    sent(recovery, 1, 1.0, probe=True)
    sent(recovery, 9, 1.0)
    acked = recovery.on_ack(0, [(1, 10)], 1.1)
    assert acked.lost == 0 and not acked.entered_recovery
    assert recovery.state is CaState.OPEN
    assert recovery.probes_lost == 1 and list(recovery.lost) == [0]


def test_a_lost_retransmission_is_found_again() -> None:
    recovery = Recovery()
    sent(recovery, 10, 1.0)
    recovery.on_ack(0, [(1, 10)], 1.1)
    recovery.on_retransmit(recovery.lost[0], 1.1)
    sent(recovery, 5, 1.15)
    recovery.on_ack(0, [(1, 15)], 1.25)
    assert list(recovery.lost) == [0]


def test_the_seventh_timeout_of_a_packet_ends_it_after_13_seconds() -> None:
    recovery = Recovery()
    sent(recovery, 3, 100.0)
    times = []
    for _ in range(MAX_TIMEOUTS):
        assert recovery.rto_at is not None
        now = recovery.rto_at
        times.append(now - 100.0)
        assert recovery.on_timeout(now)
        assert recovery.state is CaState.LOSS
        for packet in list(recovery.lost.values()):
            recovery.on_retransmit(packet, now)
    assert times == pytest.approx([1, 3, 5, 7, 9, 11])
    assert recovery.rto_at == pytest.approx(113.0)
    assert not recovery.on_timeout(113.0)


def test_a_peer_that_answers_but_has_no_room_is_not_given_up() -> None:
    recovery = Recovery()
    sent(recovery, 1, 100.0)
    for _ in range(20):
        assert recovery.rto_at is not None
        now = recovery.rto_at
        assert recovery.on_timeout(now, alive=True)
        recovery.on_retransmit(recovery.lost[0], now)


def test_an_answer_starts_the_timeouts_anew() -> None:
    recovery = Recovery()
    sent(recovery, 2, 100.0)
    recovery.on_ack(1, [], 100.5)
    assert recovery.rto_at == pytest.approx(100.5 + recovery.rtt.rto)
    recovery.on_ack(2, [], 100.6)
    assert recovery.next_timer() is None


def test_a_tail_loss_probe_comes_once_per_measurement() -> None:
    recovery = Recovery()
    sent(recovery, 1, 0.0)
    recovery.on_ack(1, [], 0.1)
    sent(recovery, 2, 1.0)
    assert recovery.tlp_at == pytest.approx(1.2)
    assert recovery.tlp_due()
    candidate = recovery.tlp_candidate()
    assert candidate is not None and candidate.seq == 2
    recovery.on_retransmit(candidate, 1.2)
    recovery.on_tlp_sent(2, 1.2, retransmission=True)
    assert recovery.tlp_at is None and recovery.rto_at == pytest.approx(1.2 + recovery.rtt.rto)
    assert not recovery.tlp_due()
    acked = recovery.on_ack(1, [(2, 3)], 1.3)
    assert acked.lost == 1 and list(recovery.lost) == [1]


@pytest.mark.parametrize("blocks", [[(0, 2)], [(5, 4)], [(4, 4)], [(3, 50)], [(-7, 3)], [(2**40, 2**40 + 1)]])
def test_blocks_that_cannot_be_are_ignored(blocks: list[tuple[int, int]]) -> None:
    recovery = Recovery()
    sent(recovery, 10, 1.0)
    recovery.on_ack(2, [], 1.1)
    acked = recovery.on_ack(2, blocks, 1.2)
    assert acked.packets == 0
    assert len(recovery.in_flight) + len(recovery.lost) == 8


def test_growing_blocks_count_each_packet_once() -> None:
    recovery = Recovery()
    sent(recovery, 50, 1.0)
    total = sum(recovery.on_ack(0, [(1, end)], 1.1).packets for end in range(2, 50))
    assert total == 48
    assert recovery.on_ack(50, [], 1.2).packets == 2
    assert not recovery.outstanding
