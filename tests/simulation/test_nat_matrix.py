"""Every kind of NAT against every other, with a relay and without: who meets directly, who at the relay, who never.

All bytes have to arrive, and who cannot meet is told why, soon. With loss, duplicates, reordering and several seeds it
runs under `long`; once over a quiet network always. `python -m tests.simulation.nat_meeting` prints it as a table.
"""

from __future__ import annotations

import pytest

from qvac_core.hyperdht import ConnectStage

from .datagram_network import Link
from .nat_boxes import RANDOM, Kind
from .nat_meeting import NO_UDP, QUIET, REACHABLE, ROUGH, Outcome, Path, meet_by_kinds, physics

PAIRS = [(server, client) for server in REACHABLE for client in REACHABLE]
WITHOUT_UDP = [pair for kind in NO_UDP for pair in ((kind, Kind.OPEN), (Kind.OPEN, kind), (kind, kind))]
EVERYBODY = [(server, client) for server in Kind for client in Kind]
SECONDS = {"quiet": 3.0, "rough": 12.0}
"""For a connect without guessing of ports. Through 5 % loss a request is lost now and then, which costs a second."""
RANDOM_SECONDS = 45.0


def is_random(server: Kind, client: Kind) -> bool:
    return (server in RANDOM or client in RANDOM) and Kind.OPEN not in (server, client)


def check(server: Kind, client: Kind, *, relay: bool, seed: int, link: Link) -> None:
    outcome = meet_by_kinds(server, client, relay=relay, seed=seed, link=link)
    path = physics(server, client, relay=relay)
    assert outcome.path is path
    if path is Path.NONE:
        check_words(server, client, outcome)
        return
    assert outcome.error is None
    assert outcome.stages == (ConnectStage.FINDING, ConnectStage.CONNECTING, ConnectStage.HANDSHAKE)
    usual = SECONDS["quiet" if link is QUIET else "rough"]
    # At the relay nobody waits for the punch.
    assert outcome.seconds < (RANDOM_SECONDS if is_random(server, client) and not relay else usual)


def check_words(server: Kind, client: Kind, outcome: Outcome) -> None:
    assert outcome.error is not None
    if server in NO_UDP:
        assert outcome.error.name == "ANNOUNCE_FAILED"
        assert "No node of the network" in str(outcome.error)
        assert not outcome.stages
    elif client in NO_UDP:
        assert outcome.error.name == "PEER_NOT_FOUND"
        assert "Nobody in the network answered" in str(outcome.error)
        assert outcome.stages == (ConnectStage.FINDING, ConnectStage.ALONE)
    else:
        assert outcome.error.name == "HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"
        assert "random ports" in str(outcome.error)
        assert "relay" in str(outcome.error)
        assert outcome.stages[-1] is ConnectStage.HANDSHAKE
    assert outcome.seconds < 12


@pytest.mark.parametrize("relay", [False, True], ids=["no relay", "relay"])
@pytest.mark.parametrize(("server", "client"), PAIRS + WITHOUT_UDP, ids=lambda kind: kind.value)
def test_whoever_can_meet_meets(server: Kind, client: Kind, relay: bool) -> None:
    check(server, client, relay=relay, seed=1, link=QUIET)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 20))
@pytest.mark.parametrize("relay", [False, True], ids=["no relay", "relay"])
@pytest.mark.parametrize(("server", "client"), EVERYBODY, ids=lambda kind: kind.value)
def test_whoever_can_meet_meets_through_a_rough_network(server: Kind, client: Kind, relay: bool, seed: int) -> None:
    check(server, client, relay=relay, seed=seed, link=ROUGH)


def test_the_relay_is_left_for_a_path_that_is_found_by_guessing_ports() -> None:
    outcome = meet_by_kinds(Kind.PORT_RESTRICTED, Kind.SYMMETRIC, relay=True, seed=1, link=QUIET)
    assert outcome.path is Path.DIRECT
    assert outcome.moved is not None
    assert outcome.seconds < SECONDS["quiet"] < outcome.moved < RANDOM_SECONDS
