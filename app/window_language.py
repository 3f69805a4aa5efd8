"""Which language the window speaks: chosen in the settings or the system's; Qt's translators, locale and direction.

It is settled before the first widget is made and acts until the next start. The setting is read from the folder itself,
because the window is on the screen before the core has opened its store.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from pathlib import Path

from PySide6.QtCore import QDate, QLibraryInfo, QLocale, Qt, QTime, QTranslator
from PySide6.QtWidgets import QApplication

from app import i18n

SETTING = "language"
SYSTEM = "system"
ENGLISH = "en"
# Each by its own name, which nobody translates.
LANGUAGES = (("en", "English"), ("de", "Deutsch"), ("ar", "العربية"))


class QtTongue:
    """Texts from a compiled file of resources/translations; numbers and times by Qt's locale."""

    def __init__(self, language: str, locale: QLocale) -> None:
        self.language = language
        self.locale = locale
        self.right_to_left = locale.textDirection() == Qt.LayoutDirection.RightToLeft
        self._translator = QTranslator()
        self._content = b"" if language == ENGLISH else _compiled(language)
        if self._content:
            self._translator.load(self._content)  # Qt copies nothing: the content lives as long as this

    def translate(self, text: str, comment: str, n: int) -> str:
        return self._translator.translate("", text, comment, n) or ""

    def number(self, value: float, digits: int) -> str:
        return self.locale.toString(float(value), "f", digits)

    def time(self, at: datetime) -> str:
        return self.locale.toString(QTime(at.hour, at.minute), QLocale.FormatType.ShortFormat)

    def clock(self, at: datetime) -> str:
        return self.locale.toString(QTime(at.hour, at.minute, at.second), "HH:mm:ss")

    def weekday(self, at: datetime, *, short: bool = False) -> str:
        width = QLocale.FormatType.ShortFormat if short else QLocale.FormatType.LongFormat
        return self.locale.standaloneDayName(at.isoweekday(), width)

    def month(self, at: datetime) -> str:
        return self.locale.standaloneMonthName(at.month)

    def date(self, at: datetime, *, year: bool) -> str:
        return self.locale.toString(QDate(at.year, at.month, at.day), "d MMM yyyy" if year else "d MMM")


def setting(settings_file: Path) -> str:
    """What was chosen; "system" where nothing was, and where the file cannot be read: the core tells about that."""
    try:
        value = tomllib.loads(settings_file.read_text("utf-8")).get(SETTING)
    except (OSError, ValueError, RecursionError):
        return SYSTEM
    return value if isinstance(value, str) and value in dict(LANGUAGES) else SYSTEM


def resolve(choice: str, wanted: Iterable[str]) -> str:
    """The code of a language of ours. `wanted`: the system's languages, the dearest first ("de-AT", "en")."""
    codes = [code for code, _name in LANGUAGES]
    if choice in codes:
        return choice
    return next((code for code in (tag.partition("-")[0] for tag in wanted) if code in codes), ENGLISH)


def locale_of(language: str, system: QLocale) -> QLocale:
    """The system's own ways to write numbers and times where it speaks this language, else those of the language."""
    wanted = QLocale.codeToLanguage(language)
    if system.language() == wanted:
        return system
    if language == "ar":
        return QLocale("ar_001")  # with the digits of the rest of the screen
    return QLocale(wanted, system.territory())


def install(app: QApplication, choice: str, system: QLocale | None = None) -> None:
    """Before the first widget. `choice`: a code, or "system"."""
    system = system or QLocale.system()
    language = resolve(choice, system.uiLanguages())
    if system.language() == QLocale.Language.C and language == ENGLISH:
        return  # a system without a language: as the texts are written
    tongue = QtTongue(language, locale_of(language, system))
    i18n.speak(tongue)
    QLocale.setDefault(tongue.locale)
    # Qt's own words: the buttons and menus of its fields and dialogs.
    own = QTranslator(app)
    if own.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        app.installTranslator(own)
    direction = Qt.LayoutDirection.RightToLeft if tongue.right_to_left else Qt.LayoutDirection.LeftToRight
    app.setLayoutDirection(direction)


def _compiled(language: str) -> bytes:
    file = resources.files("resources.translations") / f"qvac_{language}.qm"
    return file.read_bytes() if file.is_file() else b""
