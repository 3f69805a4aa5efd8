"""The texts of the window in the user's language: `tr`, `trn` and `later`. Knows no Qt: the command line stays English.

How to write a text (the names are what `pyside6-lupdate` reads; tests/unit/test_i18n.py says when it could not):

    from app.i18n import later, tr, trn

    tr("Share this GPU")                                a whole sentence or label, one literal, never an f-string
    tr("{name} is on until {time}.", name=…, time=…)    fields by name, filled after translation; never glue sentences
    trn("%n person is on", "%n people are on", count)   by count; also with fields: trn(one, many, count, name=…)
    tr("Open", "verb")                                  where one English word means two things; no fields beside it
    TITLE = later("Sharing is on")                      a constant of a module or class: later only marks it, because
    …setText(tr(TITLE))                                 the language is not known yet when a module is read

A comment line that begins with `#:` above a text is shown to translators. Not inside of an f-string, and not as
`i18n.tr`: lupdate would miss both. What is shown as it is (names of people and models, keys, addresses, commands, names
of formats) is no text. Numbers: an int as a field is written in the user's way by itself; others by `number`; sizes,
times and dates by app/words.py.

English needs no file: a text is its own translation. Every other language is resources/translations/qvac_CODE.ts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
FIELD = re.compile(r"\{(\w+)\}")
FIRST_STRONG_ISOLATE, POP_ISOLATE, RIGHT_TO_LEFT_MARK = "\u2068", "\u2069", "\u200f"


class Tongue(Protocol):
    """A language with its ways to write numbers and times."""

    right_to_left: bool

    def translate(self, text: str, comment: str, n: int) -> str:
        """`n` is -1 where nothing is counted; "" where this text is not translated."""

    def number(self, value: float, digits: int) -> str: ...

    def time(self, at: datetime) -> str: ...

    def clock(self, at: datetime) -> str:
        """With seconds, always of 24 hours."""

    def weekday(self, at: datetime, *, short: bool = False) -> str: ...

    def month(self, at: datetime) -> str: ...

    def date(self, at: datetime, *, year: bool) -> str: ...


class English:
    """What the texts are written in, and what the command line speaks."""

    right_to_left = False

    def translate(self, text: str, comment: str, n: int) -> str:
        return ""

    def number(self, value: float, digits: int) -> str:
        return f"{value:,.{digits}f}"

    def time(self, at: datetime) -> str:
        return f"{at:%H:%M}"

    def clock(self, at: datetime) -> str:
        return f"{at:%H:%M:%S}"

    # Not by strftime: Qt sets the process's locale to the system's.
    def weekday(self, at: datetime, *, short: bool = False) -> str:
        return WEEKDAYS[at.weekday()][: 3 if short else None]

    def month(self, at: datetime) -> str:
        return MONTHS[at.month - 1]

    def date(self, at: datetime, *, year: bool) -> str:
        date = f"{at.day} {MONTHS[at.month - 1][:3]}"
        return f"{date} {at.year}" if year else date


_tongue: Tongue = English()


def tongue() -> Tongue:
    return _tongue


def speak(language: Tongue) -> None:
    """From now on; what is on the screen stays as it is. Called once, before there is a window."""
    global _tongue
    _tongue = language


def tr(text: str, comment: str = "", /, **values: object) -> str:
    """`text` in the user's language, then its `{fields}`. Nothing stays nothing."""
    return fill((text and _tongue.translate(text, comment, -1)) or text, values)


def trn(one: str, many: str, n: int, /, **values: object) -> str:
    """The form for `n`, which stands as %n in it. English chooses between the two; a language may know six."""
    said = _tongue.translate(one, many, n) or (one if n == 1 else many)
    return fill(said.replace("%n", number(n)), values)


def later(text: str) -> str:
    """Marks a text that `tr` gets when it is shown."""
    return text


def number(value: float, digits: int = 0) -> str:
    """With the user's marks for thousands and decimals."""
    return _tongue.number(value, digits)


def listed(parts: Iterable[str], separator: str = "") -> str:
    """The parts that say something, with the language's comma (or `separator`) between them."""
    said = [_written(part) for part in parts if part]
    # What begins with a Latin name is still read from the right.
    mark = RIGHT_TO_LEFT_MARK if said and _tongue.right_to_left else ""
    return mark + (separator or comma()).join(said)


def comma() -> str:
    #: between the parts of an enumeration
    return tr(", ")


def fill(text: str, values: Mapping[str, object]) -> str:
    """A field that a translation names wrongly stays as it is; a value that looks like a field is no field."""
    if not values:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return _written(values[name]) if name in values else match[0]

    said = FIELD.sub(value, text)
    # Isolates do not say how what is around them reads: a sentence of fields alone would be read from the left.
    return RIGHT_TO_LEFT_MARK + said if _tongue.right_to_left and _is_fields_alone(text) else said


def _is_fields_alone(text: str) -> bool:
    between = FIELD.sub("", text)
    return not any(letter.isalpha() or unicodedata.category(letter) == "Cf" for letter in between)


def _written(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return number(value)
    # A Latin name inside of an Arabic sentence must not take the full stop behind it to its own side.
    return f"{FIRST_STRONG_ISOLATE}{value}{POP_ISOLATE}" if _tongue.right_to_left else str(value)
