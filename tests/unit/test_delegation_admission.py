"""The table of docs/architecture.md "Safe by default", row by row, and the limits at the door."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from qvac_core.delegation.admission import (
    AccessMode,
    AccessPolicy,
    AccessRules,
    Allowance,
    Decision,
    KnockLimit,
    Rate,
    RateLimit,
)

ANN, BOB, EVE = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
ADMIT, REFUSE, BLOCK, KNOCK = Decision.ADMIT, Decision.REFUSE, Decision.BLOCK, Decision.KNOCK


def rules(
    mode: AccessMode, allow: tuple[bytes, ...] = (), deny: tuple[bytes, ...] = (), *, knock: bool = False
) -> AccessRules:
    return AccessRules(mode, MappingProxyType({key: Allowance() for key in allow}), frozenset(deny), knock)


@pytest.mark.parametrize(
    ("given", "ann", "bob", "eve"),
    [
        (AccessRules(), REFUSE, REFUSE, REFUSE),
        (rules(AccessMode.ALLOW), REFUSE, REFUSE, REFUSE),
        (rules(AccessMode.ALLOW, (ANN,)), ADMIT, REFUSE, REFUSE),
        (rules(AccessMode.DENY, deny=(EVE,)), ADMIT, ADMIT, BLOCK),
        (rules(AccessMode.DENY), ADMIT, ADMIT, ADMIT),
        (rules(AccessMode.ALLOW, (ANN, EVE), (EVE,)), ADMIT, REFUSE, BLOCK),
        (rules(AccessMode.NONE, knock=True), KNOCK, KNOCK, KNOCK),
        (rules(AccessMode.ALLOW, (ANN,), (EVE,), knock=True), ADMIT, KNOCK, BLOCK),
        (rules(AccessMode.DENY, deny=(EVE,), knock=True), ADMIT, ADMIT, BLOCK),
    ],
)
def test_the_table(given: AccessRules, ann: Decision, bob: Decision, eve: Decision) -> None:
    policy = AccessPolicy(given)
    assert [policy.decide(key, 0.0) for key in (ANN, BOB, EVE)] == [ann, bob, eve]


def test_an_allowance_ends_by_itself() -> None:
    allowed = {ANN: Allowance(expires_at=100.0, parallel=2)}
    policy = AccessPolicy(AccessRules(AccessMode.ALLOW, allowed, knock=True))
    assert policy.decide(ANN, 99.9) is ADMIT and policy.allowance(ANN, 99.9).parallel == 2
    assert policy.decide(ANN, 100.0) is KNOCK and policy.allowance(ANN, 100.0) == Allowance()
    assert policy.expiry(ANN) == 100.0 and policy.expiry(BOB) is None


def test_a_change_is_told_at_once() -> None:
    policy, told = AccessPolicy(), []
    end = policy.subscribe(lambda: told.append(policy.decide(ANN, 0.0)))
    policy.set_rules(rules(AccessMode.ALLOW, (ANN,)))
    policy.set_rules(AccessRules())
    end()
    policy.set_rules(rules(AccessMode.DENY))
    assert told == [ADMIT, REFUSE]


def test_a_rate_is_a_sliding_window() -> None:
    limit = RateLimit(Rate(2, 10.0))
    assert [limit.take(now) for now in (0.0, 1.0, 2.0, 9.9, 10.0, 10.5, 11.0)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_knocks_are_limited_per_address_and_network_not_by_key() -> None:
    limit = KnockLimit(Rate(5, 60.0), Rate(2, 60.0), Rate(4, 60.0))
    assert [limit.take("10.0.0.1", float(now)) for now in range(4)] == [True, True, False, False]
    assert [limit.take(f"10.0.1.{n}", 5.0) for n in range(4)] == [True, True, False, False]
    assert limit.take("10.1.0.1", 6.0), "and nobody elsewhere pays for it"
    assert [limit.take(f"2001:db8:{n}::1", 6.0) for n in range(6)] == [True] * 4 + [False] * 2
    assert limit.take("2001:db9::1", 6.0)
    assert limit.take("10.0.0.1", 61.0)
    assert [limit.tells(float(now)) for now in range(7)] == [True] * 5 + [False] * 2


def test_addresses_that_knock_are_forgotten_in_the_end() -> None:
    limit = KnockLimit(Rate(100_000, 1.0), Rate(1, 1e9), Rate(1, 1e9))
    for n in range(10_000):
        limit.take(str(n), 0.0)
    assert len(limit._addresses) <= 4096 and len(limit._networks) <= 4096
