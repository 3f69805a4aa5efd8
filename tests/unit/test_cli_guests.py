"""`qvac-desktop guests`: who may use this machine and how much, from a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from qvac_core.store.database import Database
from qvac_core.store.folders import DataDir
from qvac_core.store.knocks import Knocks

ALICE, BOB = "a1" * 32, "b2" * 32
Guests = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def guests(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Guests:
    """Runs the verb; the events that it printed."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        assert main(["guests", *arguments, "--json", "--data-dir", str(tmp_path)]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was printed, and what was said."""
    capsys.readouterr()
    try:
        code = main(["guests", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_every_limit_is_set_told_and_lifted(guests: Guests, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (alice,) = guests(
        *("allow", ALICE, "--name", "Alice", "--tokens-per-day", "0", "--parallel", "2", "--context-tokens", "4096"),
        *("--answer-tokens", "512", "--only-model", "A", "--only-model", "B", "--hours", "22:00-06:30"),
        *("--until", "2099-12-01T18:00", "--extra-tokens", "50"),
    )
    assert alice["event"] == "guest" and alice["name"] == "Alice" and alice["expiresAt"] > 4e9
    assert (alice["tokensPerDay"], alice["parallel"], alice["extraTokens"]) == (0, 2, 50)
    assert (alice["contextTokens"], alice["answerTokens"]) == (4096, 512)
    assert (alice["models"], alice["hours"]) == (["A", "B"], "22:00-06:30")
    (changed,) = guests("limit", ALICE, "--parallel", "none", "--for-good")
    assert changed == {**alice, "parallel": None, "expiresAt": None}
    (lifted,) = guests(
        *("limit", ALICE, "--tokens-per-day", "none", "--only-model", "none", "--hours", "none", "--mine"),
    )
    assert (lifted["tokensPerDay"], lifted["models"], lifted["hours"], lifted["mine"]) == (None, None, None, True)
    (not_mine,) = guests("limit", ALICE, "--not-mine", "--name", "Al")
    assert not_mine["mine"] is False and not_mine["name"] == "Al"
    guests("block", BOB)
    assert [(each["publicKey"], each["blocked"]) for each in guests("list")] == [
        (ALICE, False),
        (BOB, True),
    ]
    guests("remove", BOB)
    assert len(guests("list")) == 1
    _, words, _ = told(capsys, "list", "--data-dir", str(tmp_path))
    assert "Al" in words and "context 4096" in words


def test_what_is_wrong_is_one_line(guests: Guests, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments, code in (
        (("limit", ALICE, "--parallel", "1"), 1),
        (("allow",), 1),
        (("limit", ALICE, "--hours", "8-20"), 2),
        (("limit", ALICE, "--tokens-per-day", "-1"), 2),
        (("limit", ALICE, "--until", "tomorrow"), 2),
        (("allow", ALICE, "--parallel", "0"), 1),
    ):
        got, _, err = told(capsys, *arguments, "--data-dir", str(tmp_path))
        assert got == code, arguments
        assert err.startswith("Error: ") and len(err.splitlines()) == 1
    assert guests("list") == []


def test_who_knocks_is_listed_the_newest_first(
    guests: Guests, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert guests("knocks") == []
    database = Database.open(DataDir.locate(tmp_path).create().database_file, now=0.0)
    for at, key in enumerate((ALICE, BOB)):
        Knocks(database).put(key, float(at))
    database.close()
    assert [(knock["event"], knock["publicKey"]) for knock in guests("knocks")] == [("knock", BOB), ("knock", ALICE)]
    guests("allow", BOB)
    assert [knock["publicKey"] for knock in guests("knocks")] == [ALICE]
    _, out, said = told(capsys, "knocks", "--data-dir", str(tmp_path))
    assert ALICE in out
    assert "guests allow KEY" in said
