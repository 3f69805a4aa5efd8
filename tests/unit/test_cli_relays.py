"""Relays on the command line reach the core's configuration."""

from __future__ import annotations

import pytest

from app.cli.config import core_config
from app.cli.options import build_parser
from qvac_core.hyperdht import KeyPair

FIRST, SECOND = (KeyPair.from_seed(bytes([n]) * 32).public_key for n in (1, 2))


@pytest.mark.parametrize(
    "verb",
    [
        ["provider"],
        ["serve"],
        ["chat", FIRST.hex()],
        ["models", FIRST.hex()],
        ["translate", "a", FIRST.hex(), "--to", "de"],
        ["embed", "a", FIRST.hex()],
    ],
)
def test_relays_are_taken_over_in_order(verb: list[str]) -> None:
    relays = ["--relay-through", FIRST.hex(), "--relay-through", SECOND.hex()]
    assert core_config(build_parser().parse_args([*verb, *relays])).relays == (FIRST, SECOND)
    assert core_config(build_parser().parse_args(verb)).relays == ()


def test_the_relay_verb_knows_its_limits() -> None:
    options = build_parser().parse_args(["relay", "--allow", FIRST.hex(), "--rate", "0.5", "--quota", "100"])
    assert (options.allow, options.rate, options.quota) == ([FIRST], 0.5, 100.0)


def test_a_relay_that_is_no_key_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["chat", FIRST.hex(), "--relay-through", "somewhere"])
    assert ended.value.code == 2
