"""Two processes of the installed program on a loopback network: the main job as two users do it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.hyperdht import KeyPair
from tests.e2e.program import Program, is_to_the_point, qvac_desktop

PROVIDER_SEED = "11" * 32
GUEST_SEED = "22" * 32
STRANGER_SEED = "33" * 32
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST_SEED)).public_key.hex()
LONG_ANSWER = ("--prompt", "Write a very long story about a lighthouse.", "--predict", "4000", "--temp", "0")
PROMPT = "What is the capital of France? Answer in one sentence."


def providing(bootstrap: str, model: Path, data_dir: Path, seed: str = PROVIDER_SEED) -> Program:
    options = ("--json", "--seed", seed, "--allow", GUEST_KEY, "--bootstrap", bootstrap, "--model", str(model))
    return qvac_desktop("provider", *options, data_dir=data_dir)


@pytest.fixture(scope="module")
def provider(bootstrap: str, small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with providing(bootstrap, small_model_path, tmp_path_factory.mktemp("provider")) as program:
        ready = program.until("ready")
        assert ready["publicKey"] == KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
        assert len(ready["models"]) == 1
        yield program


def chat(key: str, bootstrap: str, data_dir: Path, *options: str, seed: str = GUEST_SEED) -> Program:
    return qvac_desktop("chat", key, "--json", "--seed", seed, "--bootstrap", bootstrap, *options, data_dir=data_dir)


@pytest.fixture
def key() -> str:
    return KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()


def test_an_allowed_guest_gets_a_streamed_answer(provider: Program, key: str, bootstrap: str, tmp_path: Path) -> None:
    with chat(key, bootstrap, tmp_path, "--prompt", PROMPT, "--predict", "24", "--temp", "0") as guest:
        assert guest.until("loaded")["where"] == "delegated"
        assert guest.finish() == 0, guest.stderr
    text = "".join(token["text"] for token in guest.of("token"))
    assert is_to_the_point(text)
    (stats,) = guest.of("stats")
    assert stats["generatedTokens"] > 0
    assert stats["promptTokens"] > 0
    assert stats["tokensPerSecond"] > 0
    done = provider.until("done", method="completionStream")
    assert done["outcome"] in ("eos", "length")
    assert done["generatedTokens"] == stats["generatedTokens"]


def test_who_is_not_allowed_is_refused_with_a_sentence(
    provider: Program, key: str, bootstrap: str, tmp_path: Path
) -> None:
    with chat(key, bootstrap, tmp_path, "--prompt", PROMPT, seed=STRANGER_SEED) as stranger:
        assert stranger.finish() == 1
    (error,) = stranger.of("error")
    assert "allow" in error["message"]
    assert not stranger.of("token")
    assert len(stranger.stderr.strip().splitlines()) == 1, stranger.stderr


def test_fallback_answers_locally_and_says_so(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    nobody = KeyPair.from_seed(bytes.fromhex("44" * 32)).public_key.hex()
    options = ("--prompt", PROMPT, "--fallback", "--local-model", str(small_model_path), "--predict", "8")
    with chat(nobody, bootstrap, tmp_path, *options) as guest:
        assert guest.until("loaded")["where"] == "local"
        assert guest.finish() == 0, guest.stderr
    assert guest.of("token")
    assert guest.of("stats")


def test_without_fallback_an_absent_provider_is_an_error(bootstrap: str, tmp_path: Path) -> None:
    nobody = KeyPair.from_seed(bytes.fromhex("44" * 32)).public_key.hex()
    with chat(nobody, bootstrap, tmp_path, "--prompt", PROMPT) as guest:
        assert guest.finish() == 1
    (error,) = guest.of("error")
    assert error["name"] == "PEER_NOT_FOUND"


def test_a_killed_guest_frees_the_slot(provider: Program, key: str, bootstrap: str, tmp_path: Path) -> None:
    with chat(key, bootstrap, tmp_path, *LONG_ANSWER) as guest:
        guest.until("token")
        guest.kill()
    done = provider.until("done", method="completionStream")
    assert done["outcome"] == "disconnected"
    with chat(key, bootstrap, tmp_path / "next", "--prompt", PROMPT, "--predict", "4") as guest:
        assert guest.finish() == 0, guest.stderr
    assert provider.until("done", method="completionStream")["outcome"] == "length"


def test_ctrl_c_in_the_middle_cancels_on_the_provider(
    provider: Program, key: str, bootstrap: str, tmp_path: Path
) -> None:
    with chat(key, bootstrap, tmp_path, *LONG_ANSWER) as guest:
        guest.until("token")
        guest.interrupt()
        assert guest.finish() == 130, guest.stderr
    assert provider.until("done", method="completionStream")["outcome"] == "cancelled"


def test_ctrl_c_towards_a_provider_that_does_not_answer_cancels_there_all_the_same(
    provider: Program, key: str, bootstrap: str, tmp_path: Path
) -> None:
    """As on a machine that is far too busy: the guest's goodbye is read long after the guest has gone."""
    with chat(key, bootstrap, tmp_path, *LONG_ANSWER) as guest:
        guest.until("token")
        provider.process.send_signal(signal.SIGSTOP)
        try:
            guest.interrupt()
            assert guest.finish() == 130, guest.stderr
        finally:
            provider.process.send_signal(signal.SIGCONT)
    assert provider.until("done", method="completionStream")["outcome"] == "cancelled"


def test_a_provider_killed_in_mid_answer_is_followed_by_the_local_model(
    bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    """Nobody loses what was said: the rest comes from here, behind a seam."""
    seed = "55" * 32
    with providing(bootstrap, small_model_path, tmp_path / "provider", seed) as provider:
        provider.until("ready")
        public_key = KeyPair.from_seed(bytes.fromhex(seed)).public_key.hex()
        options = ("--prompt", "Write a very long story about a lighthouse.", "--predict", "150", "--temp", "0")
        local = ("--fallback", "--local-model", str(small_model_path))
        with chat(public_key, bootstrap, tmp_path / "guest", *options, *local) as guest:
            assert guest.until("loaded")["where"] == "delegated"
            guest.until("token")
            provider.kill()
            assert guest.until("loaded")["where"] == "local"
            seam = guest.until("seam")
            assert guest.finish() == 0, guest.stderr
    assert (seam["from"], seam["to"]) == ("delegated", "local")
    names = [event["event"] for event in guest.events]
    at = names.index("seam")
    assert "token" in names[:at], "nothing came from the provider"
    assert "token" in names[at:], "nothing came from here"
    assert not guest.of("error")
    (stats,) = guest.of("stats")
    assert stats["where"] == "local"
    assert stats["generatedTokens"] > 0


def test_an_unknown_model_is_an_error_that_names_what_is_shared(
    provider: Program, key: str, bootstrap: str, tmp_path: Path
) -> None:
    with chat(key, bootstrap, tmp_path, "--model", "no-such-model", "--prompt", PROMPT) as guest:
        assert guest.finish() == 1
    (error,) = guest.of("error")
    assert "no-such-model" in error["message"] or "share" in error["message"]
    assert json.dumps(error)
