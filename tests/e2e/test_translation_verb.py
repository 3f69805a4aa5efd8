"""`qvac-desktop translate` by translation models: chosen by --from, through a third language, here and there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.program import one_line, qvac_desktop, run
from tests.e2e.test_text_verbs import GUEST, GUEST_KEY, events
from tests.marian_files import FRENCH, GERMAN, write_model

TEXT = "das Haus ist klein."


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    back = {german: word for word, german in GERMAN.items()}
    folder = tmp_path / "made"
    return write_model(folder, "de", "en", back)[0], write_model(folder, "en", "fr", FRENCH)[0]


def test_languages_choose_the_models_here_and_there(models: tuple[Path, Path], bootstrap: str, tmp_path: Path) -> None:
    here = ["--data-dir", str(tmp_path / "here")]
    shutil.copytree(models[0].parent, tmp_path / "here" / "models")
    direct = run("translate", TEXT, "--from", "German", "--to", "en", *here)
    assert (direct.stdout, direct.returncode) == ("the house is small.\n", 0)
    told = events(run("translate", TEXT, "--from", "de", "--to", "fr", "--json", *here))
    assert told["translation"][0]["text"] == "la maison est petite." and told["stats"][0]["where"] == "local"

    shared = ["--model", str(models[0]), "--model", str(models[1]), "--allow", GUEST_KEY, "--bootstrap", bootstrap]
    with qvac_desktop("provider", *shared, "--json", data_dir=tmp_path / "provider") as running:
        provider = str(running.until("ready")["publicKey"])
        guest = ["--seed", GUEST, "--bootstrap", bootstrap, "--timeout", "60", "--data-dir", str(tmp_path / "guest")]
        beside = run("translate", TEXT, "--from", "de", "--to", "fr", "--data-dir", str(tmp_path / "provider"))
        assert (beside.stdout, beside.returncode) == ("la maison est petite.\n", 0), "its folder is the provider's now"
        there = events(run("translate", TEXT, provider, "--from", "de", "--to", "fr", "--json", *guest))
        assert there["translation"][0]["text"] == "la maison est petite."
        assert there["stats"][0]["where"] == "delegated"
        wrong = run("translate", TEXT, provider, "--from", "de", "--to", "es", *guest)
        assert wrong.returncode == 1 and "shares no chat model" in one_line(wrong)


def test_without_any_model_the_one_for_these_languages_is_named(tmp_path: Path) -> None:
    said = run("translate", TEXT, "--from", "de", "--to", "en", "--data-dir", str(tmp_path))
    assert said.returncode == 1 and "BERGAMOT_DE_EN, which is fetched" in one_line(said)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--to", "Germn"), "--to: no language is called 'Germn'. Did you mean German"),
        (("--to", "xx"), "--to: 'xx' is no language's code. Give its English name"),
        (("--from", "Portugese", "--to", "de"), "--from: no language is called 'Portugese'. Did you mean Portuguese"),
    ],
)
def test_what_is_no_language_goes_to_no_chat_model(given: tuple[str, ...], told: str, tmp_path: Path) -> None:
    said = run("translate", TEXT, *given, "--data-dir", str(tmp_path))
    assert said.returncode == 1 and told in one_line(said)


def test_a_dialect_that_no_list_has_is_told_and_asked_for(tmp_path: Path) -> None:
    said = run("translate", TEXT, "--to", "Swiss German", "--data-dir", str(tmp_path))
    assert "'Swiss German' is in no list of languages" in said.stderr
    assert "There is no chat model on this machine yet" in said.stderr
