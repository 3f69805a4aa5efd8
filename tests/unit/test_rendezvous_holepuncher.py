"""The puncher's decisions: method by NAT, probes by time and socket, who wins, how it ends."""

from __future__ import annotations

from random import Random

import pytest

from qvac_core.codec import Address
from qvac_core.rendezvous.constants import Firewall
from qvac_core.rendezvous.holepuncher import (
    BIRTHDAY_SOCKETS,
    RANDOM_INTERVAL,
    RANDOM_TRIES,
    Holepuncher,
    Method,
    Probe,
    RandomPunches,
    State,
    choose_method,
)

OWN, PEER, OTHER = ("1.1.1.1", 10), ("2.2.2.2", 20), ("3.3.3.3", 30)
U, O, C, R = Firewall.UNKNOWN, Firewall.OPEN, Firewall.CONSISTENT, Firewall.RANDOM  # noqa: E741
SOCKET = 7


def make(local: Firewall, remote: Firewall, *, initiator: bool = True, verified: bool = True) -> Holepuncher:
    puncher = Holepuncher(
        initiator=initiator, firewalled=local is not O, remote_firewall=U, socket=SOCKET, random=Random(1)
    )
    if local in (C, R):
        for n in range(4):
            puncher.nat.add((OWN[0], OWN[1] + (n if local is R else 0)), ("9.9.9.9", n))
    assert puncher.nat.firewall is local
    address = (PEER[0], 0) if remote is R else PEER
    puncher.update_remote(
        punching=True, firewall=remote, addresses=[address], verified_host=PEER[0] if verified else None
    )
    return puncher


def run(puncher: Holepuncher, until: float) -> list[tuple[float, Probe]]:
    sent = [(0.0, probe) for probe in puncher.transmissions()]
    while (when := puncher.get_timer()) is not None and when <= until:
        puncher.handle_timer(when)
        sent += [(when, probe) for probe in puncher.transmissions()]
    return sent


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("remote", Firewall)
@pytest.mark.parametrize("local", Firewall)
def test_the_table_of_methods(local: Firewall, remote: Firewall, verified: bool) -> None:
    method = choose_method(local, remote, verified=verified)
    if local in (O, C) and remote in (O, C):
        assert method is Method.CONSISTENT
    elif verified and {local, remote} in ({O, R}, {C, R}):
        assert method is (Method.BIRTHDAY if local is R else Method.RANDOM_PROBES)
    else:
        assert method is None


@pytest.mark.parametrize(("initiator", "first"), [(True, 0.0), (False, 1.0)])
def test_consistent_probes_come_ten_times_a_second_apart(initiator: bool, first: float) -> None:
    puncher = make(C, C, initiator=initiator)
    assert puncher.punch(0.0)
    sent = run(puncher, 60)
    assert sent == [(first + n, Probe(SOCKET, PEER)) for n in range(10)]
    assert puncher.state is State.ENDED


def test_unverified_addresses_are_probed_every_fourth_time() -> None:
    puncher = make(C, C, verified=False)
    assert puncher.punch(0.0)
    assert [when for when, _ in run(puncher, 60)] == [3.0, 7.0]


def test_random_probes_go_to_the_verified_host_and_never_twice_to_a_port() -> None:
    puncher = make(C, R)
    assert puncher.punch(0.0)
    sent = run(puncher, 60)
    ports = {probe.to[1] for _, probe in sent}
    assert len(sent) == len(ports) == RANDOM_TRIES
    assert {probe.to[0] for _, probe in sent} == {PEER[0]}
    assert all(1000 <= port <= 65535 for port in ports)
    assert sent[-1][0] == pytest.approx((RANDOM_TRIES - 1) * RANDOM_INTERVAL)
    assert puncher.state is State.ENDED


def test_the_birthday_punch_opens_many_sockets_and_keeps_probing_from_each() -> None:
    puncher = make(R, C)
    assert puncher.punch(0.0)
    for socket in range(puncher.sockets_wanted):
        puncher.add_socket(100 + socket)
    assert puncher.sockets_wanted == 0
    opening = puncher.transmissions()
    assert len(opening) == len({probe.socket for probe in opening}) == BIRTHDAY_SOCKETS - 1
    assert all(probe.low_ttl and probe.to == PEER for probe in opening)
    sent = [probe for _, probe in run(puncher, 60)]
    assert len(sent) == RANDOM_TRIES
    assert all(probe.low_ttl for probe in sent[:BIRTHDAY_SOCKETS])
    assert not any(probe.low_ttl for probe in sent[BIRTHDAY_SOCKETS:])
    assert {probe.socket for probe in sent[:BIRTHDAY_SOCKETS]} == set(puncher.sockets)


def test_late_timers_catch_up_but_not_without_bound() -> None:
    puncher = make(C, R)
    puncher.punch(0.0)
    puncher.transmissions()
    for now, at_least, at_most in ((0.1, 5, 5), (1000.0, 1, 10)):
        count = 0
        while (when := puncher.get_timer()) is not None and when <= now + 1e-9:
            puncher.handle_timer(now + 1e-9)
            count += len(puncher.transmissions())
        assert at_least <= count <= at_most


def test_there_is_no_way_without_addresses_or_for_two_random_ones() -> None:
    assert not make(R, R).punch(0.0)
    assert not make(R, C, verified=False).punch(0.0)
    puncher = make(C, C)
    puncher.update_remote(punching=True, firewall=C, addresses=None, verified_host=None)
    assert not puncher.punch(0.0)
    assert puncher.state is State.IDLE


def test_the_connecting_side_takes_the_first_probe() -> None:
    puncher = make(R, C)
    puncher.punch(0.0)
    puncher.add_socket(8)
    puncher.transmissions()
    puncher.receive_probe(99, OTHER)
    assert puncher.state is not State.CONNECTED
    puncher.receive_probe(8, PEER)
    puncher.receive_probe(SOCKET, OTHER)
    assert puncher.path == (8, PEER)
    assert puncher.get_timer() is None
    assert not puncher.transmissions()


def test_the_reached_side_answers_every_probe_and_stays() -> None:
    puncher = make(C, C, initiator=False)
    for source in (PEER, OTHER, PEER):
        puncher.receive_probe(SOCKET, source)
    assert puncher.transmissions() == [Probe(SOCKET, PEER), Probe(SOCKET, OTHER), Probe(SOCKET, PEER)]
    puncher.receive_probe(SOCKET, ("224.0.0.1", 5))
    puncher.end()
    puncher.receive_probe(SOCKET, PEER)
    assert not puncher.transmissions()


def test_a_verified_host_stays_verified_while_it_is_named() -> None:
    puncher = make(C, C)
    puncher.update_remote(punching=True, firewall=C, addresses=[OTHER, PEER], verified_host=None)
    assert [remote.verified for remote in puncher.remote_addresses] == [False, True]
    puncher.update_remote(punching=True, firewall=C, addresses=[OTHER], verified_host=None)
    puncher.update_remote(punching=True, firewall=C, addresses=[PEER], verified_host=None)
    assert puncher.verified_address is None


def test_a_stranger_cannot_make_us_probe_the_world() -> None:
    puncher = make(C, C)
    many: list[Address] = [("5.5.5.5", port) for port in range(1, 200)]
    puncher.update_remote(punching=True, firewall=C, addresses=[("255.255.255.255", 9), *many], verified_host="5.5.5.5")
    puncher.punch(0.0)
    assert len(puncher.transmissions()) <= 8


def test_reopening_forgets_the_old_socket_and_its_samples() -> None:
    puncher = make(R, R)
    assert puncher.unstable
    assert puncher.reopen(9) == SOCKET
    assert (puncher.socket, puncher.sockets, puncher.nat.sampled, puncher.unstable) == (9, [9], 0, True)


def test_random_punches_come_one_by_one_with_a_rest_between() -> None:
    punches = RandomPunches()
    assert punches.allowed(0.0)
    punches.begin()
    assert not punches.allowed(0.0)
    punches.end(5.0)
    assert not punches.allowed(24.9)
    assert punches.allowed(25.0)
    punches.begin()
    punches.end(26.0, punched=False)
    assert punches.allowed(26.0)


def test_a_birthday_needs_a_port_to_aim_at() -> None:
    """A peer that says it keeps its ports and names port 0: no 256 sockets, no probe that the kernel refuses."""
    puncher = make(R, C)
    puncher.update_remote(punching=True, firewall=C, addresses=[(PEER[0], 0)], verified_host=PEER[0])
    assert puncher.next_method() is None and not puncher.punch(0.0)
    assert puncher.sockets_wanted == 0
    puncher = make(R, C)
    assert puncher.punch(0.0)
    puncher.update_remote(punching=True, firewall=C, addresses=[(PEER[0], 0)], verified_host=PEER[0])
    puncher.add_socket(8)
    assert puncher.transmissions() == []
