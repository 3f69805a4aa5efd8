"""`qvac-desktop invite` in a terminal: made, told, taken back; and what somebody else's link is for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from qvac_core.store.database import Database
from qvac_core.store.folders import DataDir
from qvac_core.store.invites import Claim, Invites

SEED = "07" * 32


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and what was said."""
    capsys.readouterr()
    try:
        code = main(["invite", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def events(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> list[dict[str, Any]]:
    code, out, err = told(capsys, *arguments, "--json", "--data-dir", str(folder))
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_an_invite_is_made_listed_taken_back_and_forgotten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "invite.svg"
    (made,) = events(
        *(capsys, tmp_path, "make", "--name", "Reading group", "--places", "3", "--tokens-per-day", "50000"),
        *("--parallel", "1", "--context-tokens", "4096", "--answer-tokens", "512", "--only-model", "Qwen3 8B"),
        *("--hours", "08:00-20:00", "--until", "2099-12-01T18:00", "--access-days", "30", "--seed", SEED),
        *("--picture", str(picture)),
    )
    assert made["link"].startswith("qvac://") and picture.read_text().startswith("<?xml")
    (offer,) = events(capsys, tmp_path, "show", made["link"])
    assert (offer["tokensPerDay"], offer["parallel"], offer["contextTokens"]) == (50_000, 1, 4096)
    assert (offer["answerTokens"], offer["models"], offer["hours"]) == (512, ["Qwen3 8B"], "08:00-20:00")
    assert offer["accessSeconds"] == 30 * 86_400 and not offer["runOut"] and offer["opensUntil"] > 4e9
    (listed,) = events(capsys, tmp_path, "list")
    assert listed == {key: value for key, value in made.items() if key != "link"}
    database = Database.open(DataDir.locate(tmp_path).database_file, now=time.time())
    assert Invites(database).claim(made["id"], "a1" * 32, time.time())[0] is Claim.TAKEN
    database.close()
    events(capsys, tmp_path, "take-back", made["id"][:8])
    _, words, _ = told(capsys, "list", "--data-dir", str(tmp_path))
    assert "Reading group" in words and "taken back, 1 of 3 came" in words
    events(capsys, tmp_path, "remove", made["id"])
    assert events(capsys, tmp_path, "list") == []


def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (made,) = events(capsys, tmp_path, "make", "--seed", SEED)
    for arguments, code in (
        (("take-back",), 1),
        (("take-back", "ffff"), 1),
        (("show",), 1),
        (("show", made["link"][:-20]), 1),
        (("accept", "qvac://" + "ab" * 32), 1),
        (("make", "--until", "2001-01-01"), 1),
        (("make", "--places", "0"), 2),
        (("make", "--picture", str(tmp_path / "x.gif"), "--seed", SEED), 1),
    ):
        got, _, err = told(capsys, *arguments, "--data-dir", str(tmp_path))
        assert got == code, (arguments, err)
        assert err.startswith("Error: ") and len(err.splitlines()) == 1
    assert len(events(capsys, tmp_path, "list")) == 1
