"""At a terminal and through pipes: the interactive chat, the words of help, the demo, and the contract of `--json`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qvac_core.hyperdht import KeyPair
from qvac_core.models import DEFAULT_SMALL_MODEL
from tests.e2e.program import LIMIT, Program, is_to_the_point, qvac_desktop, run
from tests.e2e.raw_guest import RawGuest, key_pair

PROVIDER_SEED, GUEST_SEED = "81" * 32, "82" * 32
KEY = KeyPair.from_seed(bytes.fromhex(PROVIDER_SEED)).public_key.hex()
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST_SEED)).public_key.hex()
PROGRAM = str(Path(sys.executable).parent / "qvac-desktop")


@pytest.fixture(scope="module")
def provider(bootstrap: str, small_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with qvac_desktop(
        *("provider", "--json", "--seed", PROVIDER_SEED, "--allow", GUEST_KEY, "--bootstrap", bootstrap),
        *("--model", str(small_model_path)),
        data_dir=tmp_path_factory.mktemp("provider"),
    ) as program:
        program.until("ready")
        yield program
        assert program.stderr == ""


def chat_options(bootstrap: str, folder: Path) -> tuple[str, ...]:
    return (KEY, "--seed", GUEST_SEED, "--bootstrap", bootstrap, "--data-dir", str(folder), "--temp", "0")


# --- Interactive -------------------------------------------------------------------------------------------------


def test_two_questions_through_a_pipe_with_context(provider: Program, bootstrap: str, tmp_path: Path) -> None:
    questions = "My name is Ada.\n  And what is my name?  \n\nThis comes after the empty line.\n"
    options = chat_options(bootstrap, tmp_path)
    result = run("chat", *options, "--json", "--predict", "8", stdin=questions)
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    first, second = (event for event in events if event["event"] == "stats")
    assert second["promptTokens"] > first["promptTokens"] + first["generatedTokens"], "it was asked with its context"


def test_an_answer_that_is_cut_says_so(provider: Program, bootstrap: str, tmp_path: Path) -> None:
    options = (*chat_options(bootstrap, tmp_path), "--prompt", "Write a long story about the sea.")
    cut = run("chat", *options, "--predict", "8")
    assert "The answer stops here: it is as long as it may be (--predict N)" in cut.stderr
    whole = run("chat", *options[:-1], "What is the capital of France? Answer in one word.", "--predict", "200")
    assert "stops here" not in whole.stderr


def test_the_end_of_the_input_ends_the_chat(provider: Program, bootstrap: str, tmp_path: Path) -> None:
    result = run("chat", *chat_options(bootstrap, tmp_path), "--predict", "4", stdin="No line end")
    assert result.returncode == 0
    assert result.stdout.strip()
    nothing = run("chat", *chat_options(bootstrap, tmp_path), stdin="")
    assert (nothing.returncode, nothing.stdout) == (0, "")


def test_thinking_is_no_part_of_the_answer(bootstrap: str, thinking_model_path: Path, tmp_path: Path) -> None:
    """Over the wire, and here: what the model thinks is told apart, and a pipe gets the answer alone."""
    seed = "83" * 32
    key = KeyPair.from_seed(bytes.fromhex(seed)).public_key.hex()
    with qvac_desktop(
        *("provider", "--json", "--seed", seed, "--allow", GUEST_KEY, "--bootstrap", bootstrap),
        *("--model", str(thinking_model_path)),
        data_dir=tmp_path / "provider",
    ) as program:
        program.until("ready")
        asked = (
            "--seed",
            GUEST_SEED,
            "--bootstrap",
            bootstrap,
            "--data-dir",
            str(tmp_path / "guest"),
            "--predict",
            "6",
        )
        result = run("chat", key, *asked, "--json", stdin="How many legs has a cat?")
        assert result.returncode == 0, result.stderr
        kinds = [json.loads(line)["event"] for line in result.stdout.splitlines()]
        assert "thinking" in kinds
        assert "token" not in kinds
        result = run("chat", key, *asked, stdin="How many legs has a cat?")
        assert (result.returncode, result.stdout.strip()) == (0, "")
        assert "Thinking …" in result.stderr


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._end, other = os.openpty()
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=other, stdout=other, stderr=other, start_new_session=True
        )
        os.close(other)
        self.screen = ""
        self._seen = 0

    def until(self, text: str) -> str:
        """Read until `text` is on the screen; what came since the last time, up to it."""
        deadline = time.monotonic() + LIMIT
        while text not in self.screen[self._seen :]:
            ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {text!r} on the screen: {self.screen}"
            self.screen += os.read(self._end, 4096).decode("utf-8", "replace")
        begin, self._seen = self._seen, self.screen.index(text, self._seen) + len(text)
        return self.screen[begin : self._seen]

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        os.close(self._end)


@pytest.mark.parametrize(("ending", "code"), [("\n", 0), ("\x04", 0), (signal.SIGINT, 130)])
def test_a_chat_at_a_terminal(
    ending: str | signal.Signals, code: int, provider: Program, bootstrap: str, tmp_path: Path
) -> None:
    with Terminal("chat", *chat_options(bootstrap, tmp_path), "--predict", "6") as terminal:
        assert "empty line" in terminal.until("> ")
        terminal.type("What is the capital of France?\n")
        answer = terminal.until("tok/s")
        assert is_to_the_point(answer)
        terminal.until("> ")
        if isinstance(ending, str):
            terminal.type(ending)
        else:
            terminal.process.send_signal(ending)  # at the prompt, while it waits for a line
        assert terminal.process.wait(LIMIT) == code
    assert "Traceback" not in terminal.screen


def test_a_knock_at_a_terminal_is_let_in_by_its_person(bootstrap: str, tmp_path: Path) -> None:
    """Also where the run was begun for other keys alone; and one more is kept out by another terminal."""
    seeds = "91" * 32, "92" * 32
    seed, keys = "93" * 32, [key_pair(each).public_key.hex() for each in seeds]
    address = key_pair(seed).public_key.hex()

    async def ask(stranger: str) -> dict[str, Any]:
        async with RawGuest(bootstrap, stranger, address) as guest:
            (reply,) = await guest.ask({"type": "heartbeat"})
            return reply

    arguments = ("--seed", seed, "--bootstrap", bootstrap, "--data-dir", str(tmp_path), "--knock", "--allow", GUEST_KEY)
    with Terminal("provider", *arguments) as terminal:
        terminal.until("Ctrl-C ends it")
        assert asyncio.run(ask(seeds[0]))["typedFields"]["reason"] == "not_admitted"
        assert keys[0] in terminal.until("Let it in?")
        terminal.type("y\n")
        terminal.until("may use this machine from now on")
        assert asyncio.run(ask(seeds[0]))["type"] == "heartbeat"
        assert asyncio.run(ask(seeds[1]))["typedFields"]["reason"] == "not_admitted"
        terminal.until("Let it in?")
        blocked = run("guests", "block", keys[1], "--data-dir", str(tmp_path))
        assert blocked.returncode == 0, blocked.stderr
        terminal.until("waits no longer")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(LIMIT) == 130
    assert "Traceback" not in terminal.screen


# --- Keys, help, demo --------------------------------------------------------------------------------------------


def test_the_public_key_is_what_the_provider_sees(provider: Program, bootstrap: str, tmp_path: Path) -> None:
    assert run("public-key", "--seed", GUEST_SEED).stdout.strip() == GUEST_KEY
    assert run("public-key", env={"QVAC_HYPERSWARM_SEED": GUEST_SEED}).stdout.strip() == GUEST_KEY
    assert run("public-key", "--seed", GUEST_SEED, env={"QVAC_HYPERSWARM_SEED": "00" * 32}).stdout.strip() == GUEST_KEY
    kept = run("public-key", "--data-dir", str(tmp_path)).stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", kept)
    arguments = ("--bootstrap", bootstrap, "--data-dir", str(tmp_path), "--prompt", "Hello")
    refused = run("chat", KEY, *arguments)
    assert refused.returncode == 1
    assert kept in refused.stderr
    seen = provider.until("connection", state="refused")
    assert seen["remotePublicKey"] == kept


CONTRACT = {
    "provider": ["--seed", "--allow", "--deny", "--allow-all", "--knock", "--model", "--bootstrap", "--json"],
    "chat": [
        *("PROVIDER_KEY", "--model", "--local-model", "--prompt", "--seed", "--timeout", "--fallback"),
        *("--force-new-connection", "--bootstrap", "--json"),
    ],
    "public-key": ["--seed"],
    "demo": ["--json"],
}


@pytest.mark.parametrize("verb", CONTRACT)
def test_the_help_of_a_verb_explains_every_option(verb: str) -> None:
    result = run(verb, "--help", env={"COLUMNS": "200"})
    assert result.returncode == 0
    assert result.stderr == ""
    # An option stands two blanks in, its explanation behind it or further in on the next line.
    options = re.findall(r"\n  (-\S*[^\n]*?)(?:  +|\n {6,})(\S[^\n]*)", result.stdout)
    assert len(options) == len(re.findall(r"\n  -", result.stdout)), "an option without a word about it"
    for option in [*CONTRACT[verb], "--data-dir"]:
        assert option in result.stdout
    assert verb in run("--help").stdout


def test_the_demo_from_end_to_end(small_model_path: Path, tmp_path: Path) -> None:
    models, temporary = tmp_path / "data" / "models", tmp_path / "tmp"
    models.mkdir(parents=True)
    temporary.mkdir()
    (models / DEFAULT_SMALL_MODEL.file).symlink_to(small_model_path)
    env = {"TMPDIR": str(temporary)}
    with qvac_desktop("demo", "--json", data_dir=tmp_path / "data", env=env) as demo:
        assert demo.finish() == 0, demo.stderr
    (loaded,) = demo.of("loaded")
    assert loaded["where"] == "delegated"
    assert is_to_the_point("".join(token["text"] for token in demo.of("token")))
    (stats,) = demo.of("stats")
    assert stats["generatedTokens"] > 0
    assert "The provider's log" in demo.stderr
    assert "Traceback" not in demo.stderr
    assert list(temporary.iterdir()) == []


def test_the_last_word_of_an_answer_stands_alone_on_a_terminal(small_model_path: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / DEFAULT_SMALL_MODEL.file).symlink_to(small_model_path)
    with Terminal("demo", "--data-dir", str(tmp_path)) as terminal:
        screen = terminal.until("opens the window for both.")
        assert terminal.process.wait(LIMIT) == 0
    lines = [line.strip() for line in screen.splitlines()]
    (log,) = (line for line in lines if "The provider's log" in line)
    assert log.startswith("The provider's log")
    (stats,) = (line for line in lines if "tok/s" in line)
    assert stats.startswith("delegated")


# --- --json ------------------------------------------------------------------------------------------------------

FIELDS: dict[str, set[str]] = {
    "ready": {"publicKey", "models"},
    "connection": {"remotePublicKey", "state"},
    "request": {"id", "remotePublicKey", "method", "model"},
    "done": {"id", "outcome", "promptTokens", "generatedTokens", "ms"},
    "loaded": {"modelId", "where"},
    "token": {"text"},
    "stats": {"timeToFirstToken", "tokensPerSecond", "promptTokens", "generatedTokens", "backendDevice"},
    "error": {"name", "code", "message"},
    "seam": {"from", "to"},
    "progress": {"downloaded", "total"},
    "sharing": {"phase"},
}


def test_every_line_is_a_json_object_with_the_fields_of_the_contract(
    provider: Program, bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    options = chat_options(bootstrap, tmp_path)
    good = run("chat", *options, "--json", "--prompt", 'Say “hi” – in 日本語\n"now"', "--predict", "5")
    bad = run("chat", *options, "--json", "--prompt", "Hello", "--model", "NO_SUCH_MODEL")
    nobody = KeyPair.from_seed(bytes.fromhex("83" * 32)).public_key.hex()
    away = ("--fallback", "--local-model", str(small_model_path), "--prompt", "Hello", "--predict", "3", "--json")
    local = run("chat", nobody, *options[1:], *away)
    assert (good.returncode, bad.returncode, local.returncode) == (0, 1, 0)
    provider.until("done")
    events: list[dict[str, Any]] = list(provider.events)
    for result in (good, bad, local):
        events += [json.loads(line) for line in result.stdout.splitlines()]
    for event in events:
        assert event.keys() - {"event"} >= FIELDS[event["event"]], event
    names = {event["event"] for event in events}
    assert {"ready", "connection", "request", "done", "loaded", "token", "stats", "error"} <= names
    assert isinstance(json.loads(bad.stdout.splitlines()[-1])["code"], int)
    assert len(bad.stderr.splitlines()) == 1
    assert json.loads(local.stdout.splitlines()[-1])["where"] == "local"
