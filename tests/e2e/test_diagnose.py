"""`qvac-desktop diagnose` as a person and a program run it, on loopback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qvac_core.core.diagnosis import nat_of
from qvac_core.core.state import Nat
from qvac_core.hyperdht import KeyPair
from tests.e2e.program import qvac_desktop

OWNER_SEED = "6e" * 32
OWNER_KEY = KeyPair.from_seed(bytes.fromhex(OWNER_SEED)).public_key.hex()


@pytest.mark.parametrize(("rules", "outcome"), [(["--allow-all"], "connected"), ([], "refused")])
def test_a_provider_that_is_there(bootstrap: str, tmp_path: Path, rules: list[str], outcome: str) -> None:
    network = ("--bootstrap", bootstrap, "--json")
    with qvac_desktop("provider", *rules, "--seed", OWNER_SEED, *network, data_dir=tmp_path / "owner") as owner:
        owner.until("ready")
        with qvac_desktop("diagnose", OWNER_KEY, *network, data_dir=tmp_path / "guest") as program:
            seen = program.until("network")
            assert (seen["reachable"], seen["host"]) == (True, "127.0.0.1")
            assert seen["answered"] > 0
            peer = program.until("peer")
            assert program.finish() == (0 if outcome == "connected" else 1)
        assert peer["outcome"] == outcome
        assert peer["nodes"] > 0
        assert peer["seconds"] < 2
        assert (peer["rttMs"] is not None) == (outcome == "connected")
        if outcome == "refused":
            assert "Send its owner your key" in peer["message"]


def test_silence_is_told_apart_within_two_seconds(bootstrap: str, tmp_path: Path) -> None:
    network = ("--bootstrap", bootstrap, "--json")
    guest_seed = "6f" * 32
    guest_key = KeyPair.from_seed(bytes.fromhex(guest_seed)).public_key.hex()
    rules = ("--allow-all", "--deny", guest_key)
    with qvac_desktop("provider", *rules, "--seed", OWNER_SEED, *network, data_dir=tmp_path / "owner") as owner:
        owner.until("ready")
        with qvac_desktop(
            "diagnose", OWNER_KEY, "--seed", guest_seed, *network, data_dir=tmp_path / "guest"
        ) as program:
            program.until("network")
            started = time.monotonic()
            assert program.until("suspicion")["what"] == "silent"
            assert time.monotonic() - started < 2.5
            peer = program.until("peer")
            assert program.finish() == 1
        assert peer["outcome"] == "silent"
        assert peer["seconds"] < 8


def test_a_key_that_nobody_knows_and_a_network_that_nobody_answers_in(bootstrap: str, tmp_path: Path) -> None:
    nobody = KeyPair.from_seed(b"nobody" + bytes(26)).public_key.hex()
    with qvac_desktop("diagnose", nobody, "--bootstrap", bootstrap, data_dir=tmp_path) as program:
        assert program.finish() == 1
        text = " ".join(event["text"] for event in program.events)
    assert "not found; 0 nodes know the key" in text
    assert "No machine answers for this key." in text
    with qvac_desktop("diagnose", "--bootstrap", "127.0.0.1:9", "--json", data_dir=tmp_path) as program:
        assert not program.until("network")["reachable"]
        assert program.finish() == 1


@pytest.mark.parametrize(
    ("ports", "firewalled", "nat"),
    [
        ([7, 7, 7, 7], True, Nat.CONSISTENT),
        ([7, 7, 7], True, Nat.UNKNOWN),
        ([7, 8], True, Nat.RANDOM),
        ([7, 7], False, Nat.OPEN),
        ([], True, Nat.UNKNOWN),
    ],
)
def test_what_the_samples_say(ports: list[int], firewalled: bool, nat: Nat) -> None:
    assert nat_of([("1.2.3.4", port) for port in ports], firewalled=firewalled)[0] is nat
    if len(ports) > 1:
        assert nat_of([("5.6.7.8", 7), *(("1.2.3.4", port) for port in ports)], firewalled=firewalled)[1] is None
