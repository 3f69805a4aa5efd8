"""A provider's KEY is the key wherever it stands on the command line; what else is left over is wrong usage."""

from __future__ import annotations

import pytest

from app.cli.options import EXIT_USAGE, parse_options
from qvac_core.codec.key_text import parse_public_key

KEY = "0a" * 32
OTHER = "0b" * 32


@pytest.mark.parametrize("key", [KEY, KEY.upper(), f"qvac://{KEY}"])
def test_a_key_behind_the_options_is_the_key(key: str) -> None:
    transcribe = parse_options(["transcribe", "half.wav", "--format", "srt", key])
    assert (str(transcribe.file), transcribe.key) == ("half.wav", parse_public_key(key))
    translate = parse_options(["translate", "hi", "--to", "de", key, "--json"])
    assert (translate.text, translate.key) == ("hi", parse_public_key(key))
    assert parse_options(["embed", "hi", "you", "--model", "M", key]).text == ["hi", "you", key]
    assert parse_options(["--port", "4000", "models", "--json", key]).key == parse_public_key(key)


@pytest.mark.parametrize(
    "arguments",
    [
        ["translate", "hi", "--to", "de", "again"],
        ["translate", "hi", "--to", "de", f"--{KEY}"],
        ["translate", "hi", KEY, "--to", "de", OTHER],
        ["translate", "hi", "--to", "de", KEY, OTHER],
        ["translate", "hi", "--to", "de", "--bogus", KEY],
        ["embed", "hi", "--model", "M", "you"],
        ["embed", "hi", KEY, "--model", "M", OTHER],
        ["chat", KEY, "--json", OTHER],
        ["public-key", KEY],
    ],
)
def test_all_else_behind_them_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == EXIT_USAGE
    assert "unrecognized arguments" in capsys.readouterr().err


def test_what_a_verb_asks_for_is_still_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["embed", "--model", "M"])
    assert "TEXT" in capsys.readouterr().err
