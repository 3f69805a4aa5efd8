"""Sentences of the core that the window knows: all are in its source, and those of every error are known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import qvac_core
from app import core_words, i18n
from app.core_words import told
from app.i18n import FIELD, English
from qvac_core.core import error_text

CORE = Path(qvac_core.__file__).parent


class Shouted(English):
    """Every text that is known, in capitals but for its fields."""

    def translate(self, text: str, comment: str, n: int) -> str:
        return "".join(piece if FIELD.fullmatch(piece) else piece.upper() for piece in re.split(r"(\{\w+\})", text))


@pytest.fixture(autouse=True)
def shouted() -> Iterator[None]:
    i18n.speak(Shouted())
    yield
    i18n.speak(English())


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("The machine went offline.", "THE MACHINE WENT OFFLINE."),
        (
            "The machine went offline. Ann's PC is asked to go on.",
            "THE MACHINE WENT OFFLINE. Ann's PC IS ASKED TO GO ON.",
        ),
        (
            "Mr. X went offline. This machine continues with Qwen3 8B.",
            "Mr. X WENT OFFLINE. THIS MACHINE CONTINUES WITH Qwen3 8B.",
        ),
        ("12 of 64 characters.", "12 OF 64 CHARACTERS."),
        (
            "The database is closed. It is tried again by itself.",
            "THE DATABASE IS CLOSED. IT IS TRIED AGAIN BY ITSELF.",
        ),
        ("Whatever a stranger's machine says.", "Whatever a stranger's machine says."),
        ("", ""),
        (
            "Cannot write the settings: this user may not write there (/x).",
            "CANNOT WRITE THE SETTINGS: THIS USER MAY NOT WRITE THERE (/x).",
        ),
        ("Cannot write x: the disk is full. Free some space and try again.",) * 2,
    ],
)
def test_what_is_known_is_translated(sentence: str, said: str) -> None:
    assert told(sentence) == said


def test_every_error_is_known() -> None:
    for title, message in error_text._BY_NAME.values():
        assert told(title) == title.upper()
        assert told(message) == message.upper()


def _written() -> set[str]:
    """Every text of the core's source, with {} where it has a field."""
    found = set()
    for file in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
    return found


def test_every_sentence_is_one_of_the_core() -> None:
    written = _written()
    # Sentences that a name is put into, and those that are made of two pieces.
    named = {text.replace("The machine", "{}", 1).replace("The owner", "The owner of {}", 1) for text in written}
    pieced = {f"{{}} {piece}" for piece in ("continues.", "answers anew.")} | {"This machine answers anew."}
    pieced |= {f"Cannot {{}}: this user may not write there{where}." for where in ("", " ({})")}
    ended = {re.sub(r"\. \{\}$", ".", text).replace("{}{}", "{}") for text in written}
    known = {re.sub(FIELD, "{}", text) for text in core_words._WHOLE + core_words._WITH_FIELDS}
    assert sorted(known - written - named - pieced - ended) == []
