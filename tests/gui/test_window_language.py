"""Which language the window speaks, and that what it speaks comes out of the compiled files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, Qt, QTranslator
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app import i18n
from app.theme import Theme
from app.window_language import QtTongue, install, locale_of, resolve, setting
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import opened


@pytest.mark.parametrize(
    ("choice", "wanted", "language"),
    [
        ("system", ("de-AT", "en"), "de"),
        ("", ("fr-CH", "ar-Arab-EG", "en"), "ar"),
        ("system", ("fr", "nl"), "en"),
        ("system", (), "en"),
        ("en", ("de",), "en"),
        ("klingon", ("de",), "de"),
    ],
)
def test_the_first_language_that_is_known_is_taken(choice: str, wanted: tuple[str, ...], language: str) -> None:
    assert resolve(choice, wanted) == language


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('language = "de"', "de"),
        ('language = "xx"', "system"),
        ("language = 3", "system"),
        ("[[[", "system"),
        ("theme = 'dark'", "system"),
    ],
)
def test_the_choice_is_read_before_the_core_is_there(content: str, found: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    assert setting(file) == "system"
    file.write_text(content)
    assert setting(file) == found


def test_numbers_and_times_are_written_as_the_system_does() -> None:
    at = datetime(2026, 5, 20, 14, 58)
    german = QtTongue("de", locale_of("de", QLocale("en_US")))
    assert german.number(1234.5, 1) == "1.234,5"
    assert (german.time(at), german.weekday(at), german.date(at, year=True)) == ("14:58", "Mittwoch", "20 Mai 2026")
    swiss = locale_of("de", QLocale("de_CH"))
    assert QtTongue("de", swiss).number(1234.5, 1).endswith("234.5")
    assert QtTongue("en", locale_of("en", QLocale("en_US"))).time(at).split() == ["2:58", "PM"]


def test_arabic_digits_are_those_of_the_system_that_speaks_it() -> None:
    assert QtTongue("ar", locale_of("ar", QLocale("ar_EG"))).number(1234, 0) == "١٬٢٣٤"
    assert QtTongue("ar", locale_of("ar", QLocale("de_DE"))).number(1234, 0) == "1,234"


@pytest.fixture
def spoken(qapp: QApplication) -> Iterator[QApplication]:
    """What installing changes is put back."""
    before = i18n.tongue(), qapp.layoutDirection(), QLocale()
    yield qapp
    i18n.speak(before[0])
    qapp.setLayoutDirection(before[1])
    QLocale.setDefault(before[2])
    for own in qapp.findChildren(QTranslator):
        qapp.removeTranslator(own)


def test_arabic_turns_the_window_around(spoken: QApplication) -> None:
    install(spoken, "ar", QLocale("de_DE"))
    assert spoken.layoutDirection() == Qt.LayoutDirection.RightToLeft
    assert i18n.tongue().right_to_left
    install(spoken, "de", QLocale("de_DE"))
    assert spoken.layoutDirection() == Qt.LayoutDirection.LeftToRight


def test_a_system_without_a_language_leaves_the_texts_as_they_are_written(spoken: QApplication) -> None:
    before = i18n.tongue()
    install(spoken, "system", QLocale.c())
    assert i18n.tongue() is before


def test_the_window_speaks_german(
    spoken: QApplication, qloop: QEventLoop, theme: Theme, proxy: DirectProxy, fake_core: FakeCore
) -> None:
    install(spoken, "de", QLocale("de_DE"))

    async def look() -> None:
        async with opened(proxy, theme, fake_core.clock) as window:
            assert window.tabs.tabText(0) == "GPU freigeben"
            assert window.share_page.status.state.text() == "Freigabe ist aus"

    qloop.run_until_complete(look())
