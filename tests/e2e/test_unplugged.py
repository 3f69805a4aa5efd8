"""Two machines on one cable with the internet unplugged: the programs as their users run them, found by key alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.hyperdht import KeyPair
from qvac_core.hyperdht.stream.connection import LOCAL_PATH
from tests.e2e.cable import HOSTS, Cable, inside, why_not
from tests.e2e.program import Program, is_to_the_point

OWNER_SEED, GUEST_SEED = "5a" * 32, "5b" * 32
OWNER_KEY = KeyPair.from_seed(bytes.fromhex(OWNER_SEED)).public_key.hex()
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST_SEED)).public_key.hex()
STRANGERS_KEY = KeyPair.from_seed(bytes([9]) * 32).public_key.hex()
PROMPT = "What is the capital of France? Answer in one sentence."


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: network namespaces are not permitted here ({reason})")
    with Cable() as cable:
        yield cable


def program(cable: Cable, machine: int, verb: str, *arguments: str, data_dir: Path) -> Program:
    desktop = str(Path(sys.executable).parent / "qvac-desktop")
    return Program([*inside(cable.machines[machine]), desktop, verb, "--data-dir", str(data_dir), *arguments, "--json"])


@pytest.fixture(scope="module")
def owner(cable: Cable, small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    options = ("--seed", OWNER_SEED, "--allow", GUEST_KEY, "--model", str(small_model_path))
    with program(cable, 0, "provider", *options, data_dir=tmp_path_factory.mktemp("owner")) as owner:
        state = owner.until("sharing", phase="local")
        assert "own network" in state["detail"]
        owner.until("ready")
        yield owner


def test_an_answer_streams_to_a_guest_who_knows_only_the_key(cable: Cable, owner: Program, tmp_path: Path) -> None:
    options = (OWNER_KEY, "--seed", GUEST_SEED, "--prompt", PROMPT, "--predict", "24", "--temp", "0")
    with program(cable, 1, "chat", *options, data_dir=tmp_path) as guest:
        loaded = guest.until("loaded")
        assert (loaded["where"], loaded["path"]) == ("delegated", LOCAL_PATH)
        assert guest.finish() == 0, guest.stderr
    assert is_to_the_point("".join(token["text"] for token in guest.of("token")))
    assert len(guest.of("token")) > 3
    assert owner.until("done", method="completionStream")["outcome"] in ("eos", "length")


def test_diagnose_says_that_it_is_on_the_local_network(cable: Cable, owner: Program, tmp_path: Path) -> None:
    with program(cable, 1, "diagnose", OWNER_KEY, "--seed", GUEST_SEED, data_dir=tmp_path) as guest:
        assert guest.until("network")["reachable"] is False
        report = guest.until("peer")
        assert guest.finish() == 0
    assert (report["outcome"], report["path"], report["host"]) == ("connected", LOCAL_PATH, HOSTS[0])


def test_who_is_not_allowed_is_refused_in_words(cable: Cable, owner: Program, tmp_path: Path) -> None:
    with program(cable, 1, "chat", OWNER_KEY, "--seed", "5c" * 32, "--prompt", "Hi", data_dir=tmp_path) as stranger:
        error = stranger.until("error")
        assert stranger.finish() == 1
    assert "not allowed your key" in error["message"]


def test_another_key_is_not_found(cable: Cable, owner: Program, tmp_path: Path) -> None:
    before = cable.questions(cable.machines[1])
    with program(cable, 1, "chat", STRANGERS_KEY, "--prompt", "Hi", data_dir=tmp_path) as guest:
        guest.until("error")
        assert guest.finish() == 1
    assert cable.questions(cable.machines[1]) > before


def test_switched_off_nothing_is_sent_to_the_port(cable: Cable, owner: Program, tmp_path: Path) -> None:
    before = cable.questions(cable.machines[1])
    options = (OWNER_KEY, "--seed", GUEST_SEED, "--prompt", "Hi", "--no-local-network")
    with program(cable, 1, "chat", *options, data_dir=tmp_path) as guest:
        guest.until("error")
        assert guest.finish() == 1
    assert cable.questions(cable.machines[1]) == before


def test_the_owner_has_said_nothing_to_the_port(cable: Cable, owner: Program) -> None:
    """Not at the start, and not now: its answers went to who asked."""
    assert cable.questions(cable.machines[0]) == 0
