"""`qvac-desktop models`: what is here and what can be had, and what a provider offers, to whom."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from app.cli.models import models
from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.core.model_overview import Fit, fits
from qvac_core.delegation.consumer import Consumer, Delegate
from qvac_core.engines.memory import SPARE
from qvac_core.errors import QvacError
from qvac_core.hyperdht import KeyPair
from qvac_core.models import DEFAULT_SMALL_MODEL
from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.program import Program, one_line, qvac_desktop, run

GUEST, STRANGER = "95" * 32, "96" * 32
GUEST_KEY, STRANGER_KEY = (KeyPair.from_seed(bytes.fromhex(seed)).public_key.hex() for seed in (GUEST, STRANGER))

NAME = DEFAULT_SMALL_MODEL.name  # whatever the file is called


def listed(*options: str, folder: Path) -> list[dict[str, Any]]:
    result = run("models", *options, "--json", "--data-dir", str(folder))
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def folder(small_model_path: Path, tmp_path: Path) -> Path:
    """A data folder with the small model in it, put there by hand."""
    models = tmp_path / "here" / "models"
    models.mkdir(parents=True)
    (models / "mine.gguf").symlink_to(small_model_path.absolute())
    return models.parent


def test_this_machine_and_what_it_could_get(folder: Path) -> None:
    first, *others = listed(folder=folder)
    assert (first["event"], first["name"], first["kind"], first["here"]) == ("model", NAME, "chat", True)
    assert (first["sizeBytes"], first["quantization"]) == (DEFAULT_SMALL_MODEL.size_bytes, "q4_1")
    assert first["fits"] == "now" and first["path"] == str(folder / "models" / "mine.gguf")
    assert not any(model["here"] for model in others)
    assert NAME not in {model["name"] for model in others}, "it is here"
    kinds = {"chat", "embed", "transcribe", "translate", "vision part", "voice detector"}
    assert {model["kind"] for model in others} == kinds
    assert all(model["source"].startswith("registry://") and model["sizeBytes"] > 0 for model in others)


def test_words_narrow_the_list(folder: Path) -> None:
    found = listed("--search", "CHAT q4_0 llama", folder=folder)
    assert "LLAMA_3_2_1B_INST_Q4_0" in {model["name"] for model in found}
    assert all(model["kind"] == "chat" and "q4_0" in model["quantization"].lower() for model in found)
    said = run("models", "--search", "llama 1b q4_0", "--data-dir", str(folder))
    title, columns, *rows = said.stdout.splitlines()
    assert title.startswith("To be had") and columns.split() == ["name", "kind", "size", "quantization", "fits"]
    assert [row.split()[:4] for row in rows] == [["LLAMA_3_2_1B_INST_Q4_0", "chat", "773", "MB"]]
    nothing = run("models", "--search", "xyzzy", "--data-dir", str(folder))
    assert nothing.returncode == 0 and "No model matches xyzzy." in nothing.stderr and not nothing.stdout


def test_beside_a_program_that_runs_nothing_is_written(folder: Path) -> None:
    before = set((folder / "models").iterdir())
    with InstanceLock(DataDir(folder).create().lock_file):
        assert not any(model["here"] for model in listed(folder=folder)), "that program takes new files in"
        assert set((folder / "models").iterdir()) == before
    assert listed(folder=folder)[0]["here"]


def test_whether_it_fits_is_a_matter_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=8_000_000_000, available=3_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    at = [3_000_000_000 - SPARE, 3_000_000_001 - SPARE, 8_000_000_000 - SPARE, 8_000_000_001 - SPARE]
    assert [fits(size) for size in at] == [Fit.NOW, Fit.CROWDED, Fit.CROWDED, Fit.NEVER]


@pytest.mark.parametrize("option", [["--timeout", "3"], ["--bootstrap", "127.0.0.1:9"], ["--seed", GUEST]])
def test_what_is_for_a_provider_needs_its_key(option: list[str], tmp_path: Path) -> None:
    result = run("models", *option, "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert f"{option[0]} is for models of a KEY" in one_line(result)


@pytest.fixture
def provider(bootstrap: str, small_model_path: Path, tmp_path: Path) -> Iterator[tuple[Program, str]]:
    options = ["--model", str(small_model_path), "--allow", GUEST_KEY, "--bootstrap", bootstrap, "--json"]
    with qvac_desktop("provider", *options, data_dir=tmp_path / "provider") as running:
        yield running, str(running.until("ready")["publicKey"])


def ask(key: str, bootstrap: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run("models", key, "--bootstrap", bootstrap, "--timeout", "20", "--data-dir", str(folder), *options)


def test_what_a_provider_offers_and_to_whom(
    provider: tuple[Program, str], bootstrap: str, small_model_path: Path, tmp_path: Path
) -> None:
    _, key = provider
    told = ask(key, bootstrap, tmp_path / "guest", "--seed", GUEST, "--json")
    assert told.returncode == 0, told.stderr
    (model,) = map(json.loads, told.stdout.splitlines())
    assert (model["event"], model["name"]) == ("model", NAME)
    assert {"chat", "tools"} <= set(model["abilities"]) and model["sizeBytes"] == DEFAULT_SMALL_MODEL.size_bytes
    assert str(small_model_path.parent) not in told.stdout, "no path of the owner's"

    text = ask(key, bootstrap, tmp_path / "guest", "--seed", GUEST)
    columns, row = text.stdout.splitlines()
    assert columns.split() == ["name", "can", "size", "context", "now", "may", "be", "copied"] and "98 MB" in row
    none = ask(key, bootstrap, tmp_path / "guest", "--seed", GUEST, "--search", "xyzzy")
    assert none.returncode == 0 and "No model of it matches xyzzy." in none.stderr

    refused = ask(key, bootstrap, tmp_path / "stranger", "--seed", STRANGER)
    assert refused.returncode == 1
    assert one_line(refused).endswith(f"Your key: {STRANGER_KEY}") or "refused" in one_line(refused)


def test_a_provider_that_is_not_there_is_waited_for_as_long_as_said(
    bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float | None] = []

    async def list_models(self: Consumer, delegate: Delegate) -> None:
        asked.append(delegate.timeout)
        await self.heartbeat(delegate)

    monkeypatch.setattr(Consumer, "list_models", list_models)
    options = parse_options(
        ["models", STRANGER_KEY, "--timeout", "1", "--bootstrap", bootstrap, "--data-dir", str(tmp_path)]
    )
    with pytest.raises(QvacError):
        asyncio.run(models(options, Output(as_json=True)))
    assert asked == [1.0]


def test_my_own_key_is_this_machine(folder: Path, bootstrap: str) -> None:
    told = ask(GUEST_KEY, bootstrap, folder, "--seed", GUEST, "--search", "smollm2 chat")
    assert told.returncode == 0 and "your own key" in told.stderr
    assert told.stdout.splitlines()[0] == "On this machine:"
