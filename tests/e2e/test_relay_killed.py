"""`qvac-desktop relay` is killed while an answer runs through it, between two homes whose routers nothing else joins.

The routers are real NATs of the kernel with random ports, the programs those that are installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qvac_core.hyperdht import KeyPair
from tests.e2e.program import Program, qvac_desktop
from tests.interop.namespaces import PUBLIC_HOST, Internet, Nat, inside, why_not

PROVIDER_SEED = "51" * 32
PROVIDER_KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
RELAY_SEEDS = ["52" * 32, "53" * 32]
PROMPT = "Tell me a very long story about a lighthouse, with many chapters."
TOKENS_BEFORE = 5


class Homes:
    """A network, relays, and a provider at home. Its guests are in another home."""

    def __init__(self, stack: ExitStack, folder: Path, model: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._model = model
        self.internet = stack.enter_context(Internet())
        self.public = inside(self.internet.public)
        net = stack.enter_context(Program([*self.public, sys.executable, "-m", "tests.e2e.testnet", PUBLIC_HOST]))
        self.bootstrap = str(net.until("ready")["bootstrap"][0])
        self.relays: dict[str, Program] = {}

    def start(self, name: str, *arguments: str, within: tuple[str, ...]) -> Program:
        options = ("--json", "--bootstrap", self.bootstrap)
        program = qvac_desktop(*arguments, *options, data_dir=self._folder / name, within=within)
        return self._stack.enter_context(program)

    def start_relays(self, count: int) -> None:
        for number, seed in enumerate(RELAY_SEEDS[:count]):
            relay = self.start(f"relay{number}", "relay", "--seed", seed, within=self.public)
            self.relays[relay.until("ready")["publicKey"]] = relay

    def start_provider(self) -> Program:
        home = inside(self.internet.home(Nat.RANDOM))
        options = ("--seed", PROVIDER_SEED, "--allow-all", "--model", str(self._model))
        provider = self.start("provider", "provider", *options, within=home)
        provider.until("ready")
        return provider

    def ask(self, *options: str) -> Program:
        through = [word for key in self.relays for word in ("--relay-through", key)]
        home = inside(self.internet.home(Nat.RANDOM))
        answer = ("--prompt", PROMPT, "--predict", "250", "--temp", "0")
        return self.start("guest", "chat", PROVIDER_KEY, *answer, *through, *options, within=home)

    def kill_relay_in_use(self, guest: Program) -> str:
        loaded = guest.until("loaded")
        assert (loaded["where"], loaded["path"]) == ("delegated", "relay")
        for _ in range(TOKENS_BEFORE):
            guest.until("token")
        self.relays[loaded["relay"]].kill()
        return str(loaded["relay"])


@pytest.fixture
def homes(small_model_path: Path, tmp_path: Path) -> Iterator[Homes]:
    reason = why_not()
    if reason is not None:
        pytest.skip(f"NOT RUN: network namespaces are not permitted here ({reason})")
    with ExitStack() as stack:
        yield Homes(stack, tmp_path, small_model_path)


def test_an_answer_goes_on_through_the_second_relay(homes: Homes) -> None:
    homes.start_relays(2)
    provider = homes.start_provider()
    guest = homes.ask()
    killed = homes.kill_relay_in_use(guest)
    moved = guest.until("path")
    assert moved["path"] == "relay"
    assert moved["relay"] in set(homes.relays) - {killed}
    assert guest.finish() == 0, guest.stderr
    (stats,) = guest.of("stats")
    assert stats["where"] == "delegated"
    assert not guest.of("seam")
    done = provider.until("done", method="completionStream")
    assert done["outcome"] in ("eos", "length")
    assert done["generatedTokens"] == stats["generatedTokens"] > TOKENS_BEFORE
    provider.until("connection", state="closed")  # it may be done before it hears that the relay is gone
    states = [event["state"] for event in provider.of("connection")]
    assert states[:2] == ["open", "moved"]


@pytest.mark.long
def test_without_another_relay_this_machine_finishes_the_answer(homes: Homes, small_model_path: Path) -> None:
    homes.start_relays(1)
    homes.start_provider()
    guest = homes.ask("--fallback", "--local-model", str(small_model_path))
    homes.kill_relay_in_use(guest)
    seam = guest.until("seam")
    assert (seam["from"], seam["to"]) == ("delegated", "local")
    assert guest.finish() == 0, guest.stderr
    assert [stats["where"] for stats in guest.of("stats")] == ["local"]
