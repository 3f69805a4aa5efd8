"""What somebody wrote for a language: known by its code or its English name, or near to one."""

from __future__ import annotations

import pytest

from qvac_core.engines.language_names import LANGUAGES, is_known, near_languages


@pytest.mark.parametrize(
    "written", ["de", "DE", "de-AT", "pt_BR", "zh-Hant-TW", "German", " german ", "Brazilian Portuguese", "hbs", "Twi"]
)
def test_codes_and_names_are_known(written: str) -> None:
    assert is_known(written)


@pytest.mark.parametrize("written", ["", "xx", "Germn", "Klingon", "Swiss German", "q"])
def test_what_is_none_is_not(written: str) -> None:
    assert not is_known(written)


@pytest.mark.parametrize(
    ("written", "near"),
    [("Germn", "German"), ("portugese", "Portuguese"), ("Ukranian", "Ukrainian"), ("Norvegian", "Norwegian")],
)
def test_a_slip_is_near_to_what_was_meant(written: str, near: str) -> None:
    assert near_languages(written)[0] == near


@pytest.mark.parametrize("written", ["Klingon", "Swiss German", "Bavarian", "xx", "\U0001f600" * 1000])
def test_what_is_near_to_none_is_no_slip(written: str) -> None:
    assert near_languages(written) == ()


def test_all_that_is_listed_is_known() -> None:
    assert all(is_known(name) and is_known(code) for code, name in LANGUAGES.items())
