"""Languages by their codes (ISO 639-1), for speech and for translation: those of many speakers that models know."""

from __future__ import annotations

from collections.abc import Iterable

from qvac_core.engines.language_names import LANGUAGES, language_name

_OFFERED = (
    *("ar", "bn", "bg", "ca", "zh", "hr", "cs", "da", "nl", "en", "et", "fi", "fr", "de", "el"),
    *("he", "hi", "hu", "id", "it", "ja", "ko", "lv", "lt", "ms", "no", "fa", "pl", "pt", "ro"),
    *("ru", "sr", "sk", "sl", "es", "sw", "sv", "ta", "th", "tr", "uk", "ur", "vi"),
)
NAMES = {code: LANGUAGES[code] for code in _OFFERED}
FOUND = ("", "Any language")


def name(code: str) -> str:
    return language_name(code) if code else ""


def choices(codes: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """(code, name) by name, "Any language" first; only what a model knows, where that is told."""
    known = set(codes)
    return (FOUND, *((code, title) for code, title in NAMES.items() if not known or code in known))
