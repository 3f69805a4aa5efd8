"""Texts by language: fields, plural forms, and that the program's calls are such as lupdate can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from app import i18n
from app.i18n import English, number, tr, trn

APP = Path(i18n.__file__).parent
NAMES = ("tr", "trn", "later")


class Polish(English):
    """As many forms as a test needs, and words from the right."""

    right_to_left = True

    def translate(self, text: str, comment: str, n: int) -> str:
        forms = {
            ("%n person, {when}", "%n people, {when}"): {1: "%n osoba, {when}", 2: "%n osoby, {when}"},
            ("Open", "verb"): {-1: "Otwórz"},
            ("{a} before {b}", ""): {-1: "{b} po {a}, {c}"},
        }
        return forms.get((text, comment), {}).get(n, "")

    def number(self, value: float, digits: int) -> str:
        return f"{value:.{digits}f}".replace(".", ",")


@pytest.fixture
def polish() -> Iterator[None]:
    before = i18n.tongue()
    i18n.speak(Polish())
    yield
    i18n.speak(before)


def test_english_is_its_own_translation() -> None:
    assert tr("Share this GPU") == "Share this GPU"
    assert tr("Open", "verb") == "Open"
    assert tr("{name} waits, {place}.", name="Ann", place=2000) == "Ann waits, 2,000."
    assert [trn("%n person, {when}", "%n people, {when}", n, when="now") for n in (0, 1, 1200)] == [
        "0 people, now",
        "1 person, now",
        "1,200 people, now",
    ]
    assert number(1234.5, 1) == "1,234.5"
    assert English().date(datetime(2026, 5, 20), year=True) == "20 May 2026"


def test_a_value_is_no_template() -> None:
    assert tr("{a} and {b}", a="{b}", b="%n {a}") == "{b} and %n {a}"


@pytest.mark.usefixtures("polish")
def test_fields_are_filled_in_the_order_of_the_language() -> None:
    assert tr("Open", "verb") == "Otwórz"
    assert tr("Open", "adjective") == "Open"
    assert tr("{a} before {b}", a="Ann", b=2) == "2 po \u2068Ann\u2069, {c}"
    assert trn("%n person, {when}", "%n people, {when}", 2, when="") == "2 osoby, \u2068\u2069"


@pytest.mark.usefixtures("polish")
def test_a_sentence_of_fields_alone_is_read_from_the_languages_side() -> None:
    assert tr("{a}, {b}.", a="Ann", b="Bob") == "\u200f\u2068Ann\u2069, \u2068Bob\u2069."
    assert tr("\u2066{a}%\u2069", a=2) == "\u2066 2%\u2069".replace(" ", "")


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(APP.rglob("*.py")):
        if file.name == "i18n.py":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield f"{file.relative_to(APP)}:{node.lineno}", node


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_texts_are_such_as_lupdate_can_read() -> None:
    wrong = []
    for place, call in _calls():
        assert isinstance(call.func, ast.Name)
        texts = [_literal(argument) for argument in call.args]
        fields = {keyword.arg for keyword in call.keywords}
        match call.func.id:
            case "later":
                good = len(call.args) == 1 and texts[0] is not None and not fields
            case "tr" if texts and texts[0] is None:
                # A constant that was marked with `later`; a text made on the spot is never in the files.
                good = isinstance(call.args[0], ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.BoolOp)
            case "tr":
                good = texts[0] is not None and set(i18n.FIELD.findall(texts[0])) == fields and "%n" not in texts[0]
                # lupdate takes three arguments for a counted text.
                good = good and (len(texts) == 1 or (len(texts) == 2 and texts[1] is not None and not fields))
            case _:
                good = len(texts) == 3 and all(
                    text is not None and set(i18n.FIELD.findall(text)) == fields for text in texts[:2]
                )
        if not good:
            wrong.append(f"{place}: {ast.unparse(call)}")
    assert not wrong, "\n".join(wrong)


def test_texts_stand_where_lupdate_finds_them() -> None:
    wrong = []
    for file in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            inner = (
                [call for call in ast.walk(node) if isinstance(call, ast.Call)]
                if isinstance(node, ast.JoinedStr)
                else []
            )
            named = [call for call in inner if isinstance(call.func, ast.Name) and call.func.id in NAMES]
            hidden = [call for call in named if call.args and _literal(call.args[0]) is not None]
            dotted = isinstance(node, ast.Attribute) and node.attr in NAMES
            if hidden or dotted:
                wrong.append(f"{file.relative_to(APP)}:{getattr(node, 'lineno', 0)}")
    assert not wrong, wrong
