"""The files of the translators hold every text of the sources, finished; what is shipped was compiled of them.

After a change of texts: `python -m tests.translations`, then the missing ones (its docstring says how).
"""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from app.i18n import FIELD
from app.window_language import LANGUAGES as CHOICES
from tests.translations import LANGUAGES, Text, compile_, extract, qm, texts, ts

FORMS = {"de": 2, "ar": 6}
# The window says "Sie". "Relay" is the command and the option; the thing is "Relais".
NOT_GERMAN = re.compile(r"(?<!-)\b([Dd]u|[Dd]ich|[Dd]ir|[Dd]ein(e[mnrs]?)?|[Ee]uch|[Ee]uer)\b|\bRelay\b")


def _keys(file: Path) -> set[tuple[str, str]]:
    return {(text.source, text.comment) for text in texts(file)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_sources_is_in_the_file(language: str, tmp_path: Path) -> None:
    fresh = tmp_path / ts(language).name
    shutil.copy(ts(language), fresh)
    extract(language, fresh)
    gone, new = _keys(ts(language)) - _keys(fresh), _keys(fresh) - _keys(ts(language))
    assert (gone, new) == (set(), set()), "python -m tests.translations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_in_all_its_forms(language: str) -> None:
    unfinished = [text.source for text in texts(ts(language)) if not text.finished or not all(text.forms)]
    assert not unfinished
    counted = [text for text in texts(ts(language)) if text.numerus]
    assert counted
    assert {len(text.forms) for text in counted} == {FORMS[language]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_fields_of_its_text(language: str) -> None:
    assert [text.source for text in texts(ts(language)) if not _same_fields(text)] == []


def _same_fields(text: Text) -> bool:
    wanted = set(FIELD.findall(text.source))
    if not text.numerus:
        return set(FIELD.findall(text.forms[0])) == wanted
    # A form for none, one or two may do without the number, and say it in words.
    return all(set(FIELD.findall(form)) == wanted for form in text.forms)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_shipped_was_compiled_of_it(language: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.qm"
    compile_(ts(language), fresh)
    assert fresh.read_bytes() == qm(language).read_bytes(), "python -m tests.translations"
    assert (resources.files("resources.translations") / qm(language).name).is_file()


def test_every_choice_but_english_has_a_file() -> None:
    assert {code for code, _name in CHOICES} - {"en"} == set(LANGUAGES)


def test_german_says_sie_and_relais() -> None:
    assert [form for text in texts(ts("de")) for form in text.forms if NOT_GERMAN.search(form)] == []
