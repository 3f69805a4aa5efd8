"""NAT classification: the original's decisions, and where ours is more careful."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qvac_core.codec import Address
from qvac_core.rendezvous.constants import Firewall
from qvac_core.rendezvous.nat import MIN_SAMPLES, Nat, tally

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "vectors.json").read_text("utf-8"))[
    "natClass"
]
HOST = "1.1.1.1"


def sample(nat: Nat, *ports: int, host: str = HOST) -> Nat:
    for port in ports:
        nat.add((host, port), (f"9.9.{nat.sampled}.{port % 250}", port))
    return nat


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['label']}, {vector['firewalled']}")
def test_the_originals_classes(vector: dict[str, Any]) -> None:
    nat = Nat(firewalled=vector["firewalled"], decide_from=3)
    assert nat.firewall == vector["before"]
    for number, (host, port) in enumerate(vector["samples"]):
        nat.add((host, port), (f"9.9.9.{number}", 1))
        expected = vector["after"][number]
        assert nat.firewall == expected["firewall"]
        if nat.firewall is not Firewall.OPEN:  # where the original tells no address, ours does
            told = None if nat.addresses is None else [f"{a[0]}:{a[1]}" for a in nat.addresses]
            assert told == expected["addresses"]


def test_three_samples_that_agree_are_not_enough_and_four_are() -> None:
    nat = sample(Nat(firewalled=True), 10, 10, 10)
    assert (nat.firewall, nat.settled, nat.addresses) == (Firewall.UNKNOWN, False, None)
    sample(nat, 10)
    assert (nat.firewall, nat.settled, nat.addresses) == (Firewall.CONSISTENT, True, ((HOST, 10),))


@pytest.mark.parametrize(("ports", "expected"), [((10, 10, 10), Firewall.CONSISTENT), ((10, 10), Firewall.UNKNOWN)])
def test_three_do_when_nobody_is_left_to_ask(ports: tuple[int, ...], expected: Firewall) -> None:
    nat = sample(Nat(firewalled=True), *ports)
    nat.exhausted()
    assert nat.settled
    assert nat.firewall is expected


def test_later_disagreement_demotes_consistent() -> None:
    nat = sample(Nat(firewalled=True), 10, 10, 10, 11)
    assert nat.firewall is Firewall.CONSISTENT
    sample(nat, 12)
    assert (nat.firewall, nat.addresses) == (Firewall.RANDOM, ((HOST, 0),))


def test_what_a_node_said_before_a_remap_does_not_count() -> None:
    nat = Nat(firewalled=True)
    nodes: list[Address] = [("9.9.9.9", port) for port in range(4)]
    for port in (10, 20):
        for node in nodes:
            nat.add((HOST, port), node)
    assert nat.addresses == ((HOST, 20),)
    assert nat.sampled == 4


def test_one_node_counts_once() -> None:
    nat = Nat(firewalled=True)
    for _ in range(10):
        nat.add((HOST, 10), ("9.9.9.9", 1))
    assert (nat.sampled, nat.settled) == (1, False)


def test_frozen_nothing_changes() -> None:
    nat = sample(Nat(firewalled=True), 10, 10, 10, 10)
    nat.freeze()
    sample(nat, 11, 12, 13, 14, 15, 16)
    assert (nat.firewall, nat.addresses) == (Firewall.CONSISTENT, ((HOST, 10),))


def test_an_open_node_is_open_and_says_where() -> None:
    nat = Nat(firewalled=False)
    assert nat.settled
    sample(nat, 10)
    assert (nat.firewall, nat.addresses) == (Firewall.OPEN, ((HOST, 10),))


def test_whom_to_ask() -> None:
    nodes: list[Address] = [("9.9.9.9", port) for port in range(20)]
    nat = Nat(firewalled=True)
    asked = nat.nodes_to_ask(nodes)
    assert asked[0] == nodes[5]
    assert len(asked) >= MIN_SAMPLES
    again = nat.nodes_to_ask(nodes)
    assert again
    assert not set(again) & set(asked)
    assert Nat(firewalled=True).nodes_to_ask(nodes[:3]) == nodes[:3]
    assert not sample(Nat(firewalled=True), 1, 2, 3, 4, 5, 6).nodes_to_ask(nodes)


def test_of_equals_the_first_to_get_there_leads() -> None:
    a, b = (HOST, 1), (HOST, 2)
    assert tally([a, b, b, a]) == [(b, 2), (a, 2)]
