"""`qvac-desktop translate` and `embed`: text from everywhere, on this machine and by a provider, and what is wrong."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from qvac_core.hyperdht import KeyPair
from tests.e2e.program import one_line, qvac_desktop, run

GUEST = "97" * 32
GUEST_KEY = KeyPair.from_seed(bytes.fromhex(GUEST)).public_key.hex()
TEXT = "The cat sat."
TEXTS = ["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply."]


def events(result: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, Any]]]:
    assert result.returncode == 0, result.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for line in result.stdout.splitlines():
        event = json.loads(line)
        found.setdefault(event["event"], []).append(event)
    return found


@pytest.fixture
def folder(small_model_path: Path, embedding_model_path: Path, tmp_path: Path) -> Path:
    """A data folder with both models in it, put there by hand."""
    models = tmp_path / "here" / "models"
    models.mkdir(parents=True)
    for path in (small_model_path, embedding_model_path):
        (models / path.name).symlink_to(path.absolute())
    return models.parent


@pytest.fixture
def provider(bootstrap: str, small_model_path: Path, embedding_model_path: Path, tmp_path: Path) -> Iterator[str]:
    models = ["--model", str(small_model_path), "--model", str(embedding_model_path)]
    options = [*models, "--allow", GUEST_KEY, "--bootstrap", bootstrap, "--json"]
    with qvac_desktop("provider", *options, data_dir=tmp_path / "provider") as running:
        yield str(running.until("ready")["publicKey"])


def test_a_translation_is_the_same_here_and_there_from_everywhere(
    folder: Path, provider: str, bootstrap: str, tmp_path: Path
) -> None:
    said = run("translate", TEXT, "--to", "fr", "--from", "en", "--json", "--data-dir", str(folder))
    here = events(said)
    (whole,) = here["translation"]
    assert whole["text"] == "".join(token["text"] for token in here["token"]) and len(here["token"]) > 3
    assert (whole["to"], whole["from"], whole["cut"]) == ("fr", "en", False) or whole["cut"]
    assert here["stats"][0]["where"] == "local" and here["stats"][0]["totalTokens"] > 3
    assert here["loaded"][0]["where"] == "local"

    options = ["--to", "fr", "--from", "en", "--seed", GUEST, "--bootstrap", bootstrap, "--timeout", "60"]
    guest = [*options, "--data-dir", str(tmp_path / "guest")]
    file = tmp_path / "note.txt"
    file.write_text(f"{TEXT}\n", encoding="utf-8-sig")
    there = events(run("translate", TEXT, provider, *guest, "--json"))
    assert there["translation"][0]["text"] == whole["text"] and there["stats"][0]["where"] == "delegated"
    piped = run("translate", "-", provider, *guest, stdin=f"{TEXT}\n")
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == f"{whole['text']}\n"
    from_file = run("translate", "--file", str(file), provider, *guest)
    assert from_file.stdout == piped.stdout


def test_the_model_and_the_context_are_those_that_were_named(
    small_model_path: Path, folder: Path, tmp_path: Path
) -> None:
    told = events(
        run(
            *("translate", TEXT, "--to", "German", "--context", "A poem.", "--model", str(small_model_path)),
            *("--json", "--data-dir", str(tmp_path)),
        )
    )
    assert told["loaded"][0]["model"] == str(small_model_path)
    plain = events(run("translate", TEXT, "--to", "German", "--json", "--data-dir", str(folder)))
    assert told["translation"][0]["text"] != plain["translation"][0]["text"], "the context says something to the model"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "de"], "Give a TEXT"),
        (["-", "--to", "de"], "There is no text to translate"),
        ([TEXT, GUEST_KEY, "--file", "a", "--to", "de"], "not both"),
        ([TEXT, "--file", "a", "--to", "de"], "Beside --file"),
        (["--file", "/nowhere/at/all", "--to", "de"], "cannot be read"),
        ([TEXT, "--to", "x" * 65], "A language is"),
        ([TEXT, "--to", "de", "--context", "x" * 2001], "context of a translation"),
        ([TEXT, "--to", "de", "--timeout", "3"], "--timeout is for a provider's KEY"),
        ([TEXT, "--to", "de", "--seed", GUEST], "--seed is for a provider's KEY"),
        ([TEXT, "--to", "de"], "no chat model on this machine yet"),
    ],
)
def test_what_is_wrong_with_a_translation_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = run("translate", *arguments, "--data-dir", str(tmp_path))
    assert result.returncode == 1 and words in one_line(result)


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    picture = tmp_path / "a.bin"
    picture.write_bytes(b"\xff\xd8\xff\xe0")
    assert "no text in UTF-8" in one_line(run("translate", "--file", str(picture), "--to", "de"))
    picture.write_bytes(b"a" * (4 * 1024 * 1024 + 1))
    assert "longer than 4 MiB" in one_line(run("translate", "--file", str(picture), "--to", "de"))


def test_vectors_are_the_same_here_and_there(folder: Path, provider: str, bootstrap: str, tmp_path: Path) -> None:
    here = events(run("embed", *TEXTS, "--json", "--data-dir", str(folder)))
    assert [event["text"] for event in here["embedding"]] == TEXTS
    near = numpy.array([event["embedding"] for event in here["embedding"]])
    assert near.shape == (3, 384) and near[0] @ near[1] > 0.5 > near[0] @ near[2]
    options = ["--seed", GUEST, "--bootstrap", bootstrap, "--timeout", "60", "--data-dir", str(tmp_path / "guest")]
    # Beside a program that has the folder: nothing of it is needed but the model.
    beside = run("embed", *TEXTS, "--data-dir", str(tmp_path / "provider"))
    assert beside.returncode == 0, beside.stderr
    there = run("embed", *TEXTS, provider, *options)
    assert there.returncode == 0, there.stderr
    far = numpy.array([json.loads(line) for line in there.stdout.splitlines()])
    assert numpy.allclose(near, far, atol=1e-6)
    many = "\n\n".join(f"{text}" for text in TEXTS * 30)
    piped = events(run("embed", "-", "--json", "--data-dir", str(folder), stdin=many))
    assert [event["text"] for event in piped["embedding"]] == TEXTS * 30, "in several batches, without empty lines"
    assert numpy.allclose([json.loads(line) for line in beside.stdout.splitlines()], far, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--timeout", "3"], "--timeout is for a provider's KEY"),
        (["a"], "no embedding model on this machine yet"),
    ],
)
def test_what_is_wrong_with_texts_is_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = run("embed", *arguments, "--data-dir", str(tmp_path))
    assert result.returncode == 1 and words in one_line(result)


def test_a_model_of_another_kind_is_told(small_model_path: Path, embedding_model_path: Path, tmp_path: Path) -> None:
    options = ["--data-dir", str(tmp_path), "--model"]
    assert "makes no embeddings" in one_line(run("embed", "a", *options, str(small_model_path)))
    assert "chat" in one_line(run("translate", "a", "--to", "de", *options, str(embedding_model_path)))
