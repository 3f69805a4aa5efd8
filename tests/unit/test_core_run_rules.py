"""Rules of one run, from the command line: who is let in is theirs, what the owner said about a key holds."""

from __future__ import annotations

from qvac_core.core.config import RuleOverride
from qvac_core.core.sharing import _overridden
from qvac_core.core.state import AccessKey, AccessMode

ALICE, BOB, EVE = "a1" * 32, "b2" * 32, "e5" * 32
KEPT = (
    AccessKey(ALICE, "Alice", False, 1.0, tokens_per_day=400),
    AccessKey(BOB, "Bob", False, 1.0, mine=True),
    AccessKey(EVE, "Eve", True, 1.0, expires_at=2.0),
)


def test_limits_of_a_key_that_is_let_in_hold() -> None:
    rules = _overridden(RuleOverride(allow=(ALICE,)), KEPT)
    assert rules.mode is AccessMode.ALLOW
    assert [(key.public_key, key.tokens_per_day) for key in rules.keys] == [(ALICE, 400)], "and nobody else is let in"
    (bob,) = _overridden(RuleOverride(allow=(BOB,)), KEPT).keys
    assert bob.mine


def test_the_command_line_decides_who_is_let_in() -> None:
    rules = _overridden(RuleOverride(allow=(EVE, ALICE), deny=(ALICE,)), KEPT)
    assert [(key.public_key, key.blocked, key.expires_at) for key in rules.keys] == [
        (EVE, False, None),
        (ALICE, True, None),
    ]


def test_where_everybody_is_let_in_limits_hold_as_well() -> None:
    rules = _overridden(RuleOverride(allow_all=True), KEPT)
    assert rules.mode is AccessMode.DENY and not any(key.blocked for key in rules.keys)
    assert {key.public_key: key.tokens_per_day for key in rules.keys} == {ALICE: 400, BOB: None, EVE: None}
    assert {key.public_key for key in rules.keys if key.mine} == {BOB}


def test_who_came_with_an_invite_is_let_in_beside_the_named_ones() -> None:
    came = AccessKey("c3" * 32, "Carol", False, 1.0, tokens_per_day=9, invited=True)
    blocked = AccessKey("d4" * 32, "Dan", True, 1.0, invited=True)
    rules = _overridden(RuleOverride(allow=(ALICE,)), (*KEPT, came, blocked))
    assert rules.keys == (came, KEPT[0])
    denied = _overridden(RuleOverride(allow=(ALICE,), deny=(came.public_key,)), (*KEPT, came))
    assert [key.blocked for key in denied.keys if key.public_key == came.public_key] == [True]
