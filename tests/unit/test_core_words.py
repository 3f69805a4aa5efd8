"""Sentences of the core that the window knows: all are in its source, and those of every error are known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import qvac_core
from app import core_library_words, core_program_words, core_words, i18n
from app.core_words import told
from app.i18n import FIELD, English
from qvac_core import errors
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
    pieced = {f"{{}} {piece}" for piece in ("continues.", "answers anew.", "is asked now.")}
    pieced |= {"This machine answers anew."}
    # Of an error, what happened is said without what helps where somebody else goes on.
    pieced |= {sentence for text in written for sentence in re.split(r"(?<=\.) (?=[A-Z])", text)}
    pieced |= {f"Cannot {{}}: this user may not write there{where}." for where in ("", " ({})")}
    ended = {re.sub(r"\. \{\}$", ".", text).replace("{}{}", "{}") for text in written}
    known = {re.sub(FIELD, "{}", text) for text in core_words._WHOLE + core_words._WITH_FIELDS}
    known |= {re.sub(FIELD, "{}", text) for text in core_library_words.WHOLE + core_library_words.WITH_FIELDS}
    known |= {re.sub(FIELD, "{}", text) for text in core_program_words.WHOLE + core_program_words.WITH_FIELDS}
    assert sorted(known - written - named - pieced - ended) == []


# --- What the core's errors say, by a walk through them

ROOMS = ("core", "engines", "models", "store")
ERRORS = frozenset(
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.QvacError)
)
# Which no person at a window can cause: they answer a program's call, the command line, or a tool of a model.
FOR_PROGRAMS = {
    "core/chat_archive.py: It is not whole: {}": "a sentence stands in its field, with its end",
    "core/local_config.py": "the model configuration of the API",
    "core/program_reach.py: The tools": "programs alone send tools",
    "core/program_reach.py: The provider sent": "embeddings are asked for by programs",
    "core/program_reach.py: This provider cannot go on": "the next one is asked then",
    "core/spot_check.py": "`spot-check`",
    "core/machine.py: projectionModelSrc": "the model configuration of the API",
    "core/receipts.py: There is no receipt": "`receipts verify`",
    "core/receipts.py: {} is too large": "`receipts verify`",
    "core/receipts.py: {} is no file of receipts": "`receipts verify`",
    "engines/embedding_model.py": "embeddings are asked for by programs",
    "core/contacts.py: Nobody could wake": "error_text.py has the words of its name",
    "core/contacts.py: Provider {} was called": "error_text.py has the words of its name",
    "core/wake_on_lan.py": "the cause of WAKE_NOT_SENT, whose words error_text.py has",
    "engines/embedding_queue.py": "embeddings are asked for by programs",
    "engines/llama_embeddings.py": "embeddings are asked for by programs",
    "engines/server_embeddings.py": "embeddings are asked for by programs",
    "engines/openai_model.py: The embedding": "embeddings are asked for by programs",
    "engines/llama_engine.py: The embedding": "embeddings are asked for by programs",
    "engines/translation.py: the engine": "an invariant",
    "engines/whisper.py: Samples": "the sound of the API",
    "engines/underway.py: A request with this request id": "the API",
    "engines/worker_pipes.py": "the wire to a worker",
    "store/folders.py: {} names no folder": "moved.json written by hand",
    "store/folders.py: {} says where": "moved.json written by hand",
    "store/identity.py: A seed has": "--seed",
    "store/settings_file.py: '{}' is not a name": "the settings of the API",
}


def _said_by(call: ast.Call) -> Iterator[str]:
    """The sentences that an error may be made with, "{}" where they have a field; nothing for a variable."""
    if not call.args or getattr(call.func, "id", "") not in ERRORS:
        return
    waiting = [call.args[0]]
    while waiting:
        match waiting.pop():
            case ast.IfExp(body=one, orelse=other):
                waiting += [one, other]
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def _sentences_of_errors() -> Iterator[tuple[str, str]]:
    """(room/file, sentence)."""
    for file in sorted(file for room in ROOMS for file in (CORE / room).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield from ((file.relative_to(CORE).as_posix(), said) for said in _said_by(node))


def _knows(text: str) -> bool:
    """With values in its fields it comes out otherwise than it went in, or is nothing but fields."""
    filled = text.replace("{}", "7").replace("Cannot 7:", "Cannot write the settings:")
    return told(filled) != filled or not re.search("[a-z]{3}", text.replace("{}", ""))


def test_what_an_error_of_the_core_says_is_known() -> None:
    unknown = [
        f"{file}: {said}"
        for file, said in _sentences_of_errors()
        if not _knows(said) and not any(f"{file}: {said}".startswith(start) for start in FOR_PROGRAMS)
    ]
    assert unknown == []


def test_no_exception_is_for_nothing() -> None:
    said = [f"{file}: {text}" for file, text in _sentences_of_errors() if not _knows(text)]
    assert [start for start in FOR_PROGRAMS if not any(text.startswith(start) for text in said)] == []
