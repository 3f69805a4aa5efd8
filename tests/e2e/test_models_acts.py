"""`qvac-desktop models download, remove, search, found, use, folder`, as a person and as a program use them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.options import parse_options
from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.hub_api import COMMIT, add_repository
from tests.e2e.library_core import model_file
from tests.e2e.program import one_line, run
from tests.unit.test_engines_found_models import put


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    with file_server() as server:
        add_repository(server, "a/Tiny-GGUF", {"Tiny-Q4_K_M.gguf": model_file(), "Tiny-Q8_0.gguf": model_file(1)})
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name, raising=False)
        yield server


ADDRESS = f"registry://hf/a/Tiny-GGUF/resolve/{COMMIT}/Tiny-Q4_K_M.gguf"


def events(*options: str, folder: Path) -> list[dict[str, Any]]:
    result = run("models", *options, "--json", "--data-dir", str(folder))
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_repository_is_searched_fetched_listed_and_removed(hub: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    found = [event for event in events("search", "tiny", folder=folder) if event["name"].startswith("registry://hf/a/")]
    assert {event["quantization"] for event in found} == {"Q4_K_M", "Q8_0"}
    assert found[0]["licence"] == "apache-2.0" and found[0]["fits"] == "fits" and found[0]["source"] == ["Hugging Face"]
    said = run("models", "search", "tiny", "--data-dir", str(folder)).stdout
    assert "On Hugging Face:" in said and ADDRESS in said and "yes, needs" in said

    fetched = events("download", "a/Tiny-GGUF", folder=folder)
    assert fetched[0]["state"] == "queued" and fetched[-2]["state"] == "done"
    path = folder / "models/Tiny-Q4_K_M.gguf"
    assert fetched[-1] == {
        "event": "downloaded",
        "model": ADDRESS,
        "path": str(path),
        "sizeBytes": len(model_file()),
    }
    assert path.read_bytes() == model_file()
    here = [event for event in events(folder=folder) if event["here"]]
    assert [event["path"] for event in here] == [str(path)]
    (told,) = events("folder", folder=folder)
    assert (told["path"], told["modelsBytes"]) == (str(folder / "models"), len(model_file()))

    (removed,) = events("remove", "Tiny-Q4_K_M", folder=folder)
    assert (removed["event"], removed["freedBytes"]) == ("removed", len(model_file())) and not path.exists()


def test_one_that_fails_keeps_no_other_from_coming(hub: FileServer, tmp_path: Path) -> None:
    wrong = f"registry://hf/a/Tiny-GGUF/resolve/{COMMIT}/nothing.gguf"
    result = run("models", "download", wrong, ADDRESS, "--data-dir", str(tmp_path))
    assert result.returncode == 1 and "no such file" in one_line(result)
    assert (tmp_path / "models/Tiny-Q4_K_M.gguf").is_file()
    unknown = run("models", "download", "NO_SUCH_MODEL", "--data-dir", str(tmp_path))
    assert unknown.returncode == 1 and "no model of this name" in one_line(unknown)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal for one process")
def test_ctrl_c_keeps_what_came_and_asking_again_goes_on(hub: FileServer, tmp_path: Path) -> None:
    from tests.e2e.program import qvac_desktop

    hub.gate.clear()
    with qvac_desktop("models", "download", ADDRESS, "--json", data_dir=tmp_path) as program:
        while not program.until("progress")["downloaded"]:
            pass
        program.interrupt()
        assert program.finish() == 130
    kept = next((tmp_path / "models").glob("*.part")).stat().st_size
    hub.gate.set()
    hub.requests.clear()
    events("download", ADDRESS, folder=tmp_path)
    assert [asked for path, asked in hub.requests if path.startswith("/store")] == [f"bytes={kept}-"]


def test_models_of_other_programs_are_found_and_used(hub: FileServer, tmp_path: Path) -> None:
    path = put(tmp_path / "home/.lmstudio/models/me/Tiny-GGUF/Mine-Q8_0.gguf", model_file(5))
    (found,) = events("found", folder=tmp_path / "data")
    assert (found["program"], found["title"], found["path"], found["used"]) == ("lm-studio", "Mine", str(path), False)
    (used,) = events("use", str(path), folder=tmp_path / "data")
    assert (used["event"], used["name"], used["path"]) == ("used", "Mine-Q8_0", str(path))
    assert [event["used"] for event in events("found", folder=tmp_path / "data")] == [True]
    removed = run("models", "remove", "Mine-Q8_0", "--data-dir", str(tmp_path / "data"))
    assert "Its file stays" in removed.stdout and path.is_file()


def test_the_folder_moves(hub: FileServer, tmp_path: Path) -> None:
    events("download", ADDRESS, folder=tmp_path / "data")
    *progress, folder = events("folder", str(tmp_path / "disk"), folder=tmp_path / "data")
    assert progress and progress[-1]["state"] == "done" and folder["path"] == str(tmp_path / "disk")
    assert (tmp_path / "disk/Tiny-Q4_K_M.gguf").is_file()
    assert [event["path"] for event in events(folder=tmp_path / "data") if event["here"]] == [
        str(tmp_path / "disk/Tiny-Q4_K_M.gguf")
    ]
    (tmp_path / "disk2").mkdir()
    (tmp_path / "disk2/Tiny-Q4_K_M.gguf").write_bytes(b"another one")
    refused = run("models", "folder", str(tmp_path / "disk2"), "--data-dir", str(tmp_path / "data"))
    assert refused.returncode == 1 and "already" in one_line(refused)


def test_beside_a_program_that_runs_it_says_so(hub: FileServer, tmp_path: Path) -> None:
    with InstanceLock(DataDir(tmp_path).create().lock_file):
        result = run("models", "download", ADDRESS, "--data-dir", str(tmp_path))
    assert result.returncode == 1 and "already running" in one_line(result)


@pytest.mark.parametrize(
    "wrong",
    [
        ["download"],
        ["remove"],
        ["search"],
        ["use"],
        ["found", "x"],
        ["folder", "a", "b"],
        ["bring", "x"],
        ["--json", "x"],
        ["ab" * 32, "x"],
    ],
)
def test_wrong_usage(wrong: list[str], tmp_path: Path) -> None:
    result = run("models", *wrong, "--data-dir", str(tmp_path))
    assert result.returncode == 2 and one_line(result).startswith("Error: ")


@pytest.mark.parametrize(
    "words", [["--json", "download", "A"], ["download", "--json", "A"], ["download", "A", "--json"]]
)
def test_names_stand_anywhere_among_the_options(words: list[str]) -> None:
    options = parse_options(["models", *words])
    assert (options.key, options.names, options.json) == ("download", ["A"], True)


def test_help_tells_of_the_acts() -> None:
    said = " ".join(run("models", "--help").stdout.split())
    assert "download NAME..." in said and "use PATH..." in said
