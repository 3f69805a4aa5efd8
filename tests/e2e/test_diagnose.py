"""`qvac-desktop diagnose` as a person and a program run it, on loopback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qvac_core.core.config import CoreConfig
from qvac_core.core.diagnosis import Diagnosis, nat_of
from qvac_core.core.state import Nat
from qvac_core.hyperdht import KeyPair, create_testnet
from qvac_core.store.folders import DataDir
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
            assert "by itself" not in peer["message"]  # the program has ended


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
    ("ports", "arrived", "nat"),
    [
        ([7, 7, 7, 7], 0, Nat.CONSISTENT),
        ([7, 7, 7], 0, Nat.UNKNOWN),
        ([7, 8, 9, 10], 0, Nat.RANDOM),
        ([7, 8], 0, Nat.UNKNOWN),
        ([7, 7], 2, Nat.OPEN),
        ([7], 1, Nat.UNKNOWN),
        ([7, 7, 7, 7], 1, Nat.UNKNOWN),
        ([7, 7, 7, 7], 2, Nat.UNKNOWN),
        ([7, 7, 7, 7], 3, Nat.OPEN),
        ([], 0, Nat.UNKNOWN),
    ],
)
def test_what_the_samples_say(ports: list[int], arrived: int, nat: Nat) -> None:
    came = [index < arrived for index in range(len(ports))]
    assert nat_of([("1.2.3.4", port) for port in ports], came)[0] is nat
    if len(ports) > 1:
        assert nat_of([("5.6.7.8", 7), *(("1.2.3.4", port) for port in ports)], [True, *came])[1] is None


@pytest.mark.parametrize(("size", "verdict"), [(1, Nat.UNKNOWN), (3, Nat.OPEN), (8, Nat.OPEN)])
async def test_one_network_gets_one_verdict(tmp_path: Path, size: int, verdict: Nat) -> None:

    async with await create_testnet(size) as net:
        for n in range(6):
            config = CoreConfig(tmp_path / str(n), bootstrap=tuple(net.bootstrap))
            async with Diagnosis(config, KeyPair.from_seed(bytes([n]) * 32)) as diagnosis:
                report = await diagnosis.network()
            assert (report.nat, report.firewalled) == (verdict, verdict is not Nat.OPEN)


def test_it_goes_through_the_relays_that_the_app_goes_through(tmp_path: Path) -> None:
    relays = [KeyPair.from_seed(bytes([n]) * 32).public_key for n in (1, 2)]
    folder = DataDir.locate(tmp_path).create()
    folder.settings_file.write_text(f'[network]\nrelays = ["{relays[0].hex()}", "no key"]\n')
    for given, used in ((), relays[:1]), (relays[1:], relays[1:]):
        config = CoreConfig(tmp_path, bootstrap=(("127.0.0.1", 9),), relays=tuple(given))
        diagnosis = Diagnosis(config, KeyPair.from_seed(bytes(32)))
        assert diagnosis._node.relays == tuple(used)
