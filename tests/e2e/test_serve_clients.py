"""Other people's clients against `qvac-desktop serve`, over models of a provider: what each of them gets.

One provider and one endpoint for all of them; each client's own process tells what it got.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.install import install_js_clients, install_python_clients
from tests.e2e.program import LIMIT, Program, qvac_desktop, run
from tests.speech_files import english_model, kennedy_wav

CLIENTS = Path(__file__).parents[1] / "clients"
MACHINE = "Studio desktop"


@dataclass(frozen=True)
class Served:
    """An endpoint with a provider behind it; what clients are told of both."""

    environment: dict[str, str]
    endpoint: Program
    provider: Program


def _provider(folder: Path, bootstrap: str, *models: Path) -> Program:
    named = [part for model in models for part in ("--model", str(model))]
    return qvac_desktop("provider", "--allow-all", *named, "--bootstrap", bootstrap, "--json", data_dir=folder)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    bootstrap: str,
    small_model_path: Path,
    embedding_model_path: Path,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    speech_model_path, speech_path = english_model(), kennedy_wav()
    with _provider(folder / "owner", bootstrap, small_model_path, embedding_model_path, speech_model_path) as provider:
        key = provider.until("ready")["publicKey"]
        (folder / "guest").mkdir()
        token = run("serve", "--token", "--data-dir", str(folder / "guest")).stdout.strip()
        options = ["--provider", f"{MACHINE}={key}", "--http-port", _free_port(), "--bootstrap", bootstrap, "--json"]
        with qvac_desktop("serve", *options, data_dir=folder / "guest") as endpoint:
            ready = endpoint.until("ready")
            chat, embed, speech = (_model(ready["models"], word) for word in ("SmolLM2", "MiniLM", "tiny"))
            yield Served(
                {
                    **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
                    "BASE": ready["address"],
                    "KEY": token,
                    "SOUND": str(speech_path),
                    "CHAT": chat,
                    "EMBED": embed,
                    "SPEECH": speech,
                },
                endpoint,
                provider,
            )


def _free_port() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _model(models: list[str], word: str) -> str:
    (name,) = (model for model in models if word in model)
    assert name.startswith(f"{MACHINE}/")
    return name


def _told(command: list[str], environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT * 5, check=False)
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    for line in lines:
        assert "raised" not in line, line["raised"]
    return {line["client"]: line for line in lines}


@pytest.fixture(scope="module")
def python_clients(served: Served) -> dict[str, dict[str, Any]]:
    python = install_python_clients()
    names = ["openai", "langchain", "agents", "pydantic_ai", "litellm", "llm"]
    return _told([str(python), str(CLIENTS / "every_client.py"), *names], served.environment)


@pytest.fixture(scope="module")
def js_clients(served: Served) -> dict[str, dict[str, Any]]:
    home = install_js_clients()
    script = str(CLIENTS / "every_client.mjs")
    return _told(["node", script, "openai", "langchain", "ai"], {**served.environment, "CLIENTS_HOME": str(home)})


def _check(said: dict[str, Any]) -> None:
    """What every client has to get, of the things that it asked for."""
    assert said["whole"].strip()
    # The first word: which come later may depend on what of the prompt was read before, by a rounding.
    assert said["streamed"].split()[0] == said["whole"].split()[0]
    if "formed" in said:
        assert isinstance(said["formed"]["city"], str)
        assert isinstance(said["formed"]["number"], int)
    if "called" in said:
        assert said["called"][0] == "add"
    if "embedded" in said:
        assert set(said["embedded"]) == {384}
    if "heard" in said:
        assert "ask what you can do for your country" in said["heard"]
    for error in said.get("errors", ())[:1]:
        assert "There is no model" in error, error


@pytest.mark.timeout(600)
def test_the_official_python_client(python_clients: dict[str, dict[str, Any]]) -> None:
    said = python_clients["openai"]
    _check(said)
    assert said["model"] == said["models"][0]
    assert said["tokens"] > said["usage"] == 8
    assert said["finish"] == "length"
    assert json.loads(said["called"][1]).keys() == {"a", "b"}
    assert said["called_finish"] == "tool_calls"
    assert said["after"]
    assert said["response"].split()[0] == said["response_streamed"].split()[0] == said["whole"].split()[0]
    assert said["response_status"] == "incomplete"  # it was cut, and says so
    assert said["response_followed"]
    assert said["completion"]
    tokens, logprobs, long, stranger = said["errors"][1:]
    assert tokens.startswith("BadRequestError") and "check_embedding_ctx_length=False" in tokens
    assert logprobs.startswith("BadRequestError") and "logprobs" in logprobs
    assert long.startswith("BadRequestError") and "longer than" in long
    assert stranger.startswith("AuthenticationError")


@pytest.mark.parametrize("client", ["langchain", "agents", "pydantic_ai", "litellm", "llm"])
def test_python_clients(python_clients: dict[str, dict[str, Any]], client: str) -> None:
    said = python_clients[client]
    _check(said)
    for part in ("response", "by_responses"):
        if part in said:
            assert said[part]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", ["openai", "langchain", "ai"])
def test_javascript_clients(js_clients: dict[str, dict[str, Any]], client: str) -> None:
    said = js_clients[client]
    _check(said)
    for kind in said.get("by", {}).values():
        _check(kind)
        assert kind["faults"] == []
        assert kind["finish"] == "length"
        assert kind["steps"] == 2


def test_a_provider_that_goes_away_is_an_error_and_never_a_whole_answer(
    served: Served, python_clients: dict[str, dict[str, Any]]
) -> None:
    """The last test: nobody answers behind this endpoint any more."""
    command = [str(install_python_clients()), str(CLIENTS / "every_client.py"), "cut"]
    with subprocess.Popen(command, env=served.environment, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert "begun" in json.loads(client.stdout.readline())
        served.provider.kill()
        said = json.loads(client.stdout.readline())
    assert said.get("raised_by_it") == "APIError", said
    assert said["text"]
    assert said["message"]
    call = served.endpoint.until("call", kind="chat", outcome="failed", reason=said["message"])
    assert call["generatedTokens"] > 0
