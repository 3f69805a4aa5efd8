"""Languages by their codes (ISO 639-1), for speech and for translation: those of many speakers that models know."""

from __future__ import annotations

from collections.abc import Iterable

from app.i18n import later, tr
from qvac_core.engines.language_names import language_name

NAMES = {
    "ar": later("Arabic"),
    "bn": later("Bengali"),
    "bg": later("Bulgarian"),
    "ca": later("Catalan"),
    "zh": later("Chinese"),
    "hr": later("Croatian"),
    "cs": later("Czech"),
    "da": later("Danish"),
    "nl": later("Dutch"),
    "en": later("English"),
    "et": later("Estonian"),
    "fi": later("Finnish"),
    "fr": later("French"),
    "de": later("German"),
    "el": later("Greek"),
    "he": later("Hebrew"),
    "hi": later("Hindi"),
    "hu": later("Hungarian"),
    "id": later("Indonesian"),
    "it": later("Italian"),
    "ja": later("Japanese"),
    "ko": later("Korean"),
    "lv": later("Latvian"),
    "lt": later("Lithuanian"),
    "ms": later("Malay"),
    "no": later("Norwegian"),
    "fa": later("Persian"),
    "pl": later("Polish"),
    "pt": later("Portuguese"),
    "ro": later("Romanian"),
    "ru": later("Russian"),
    "sr": later("Serbian"),
    "sk": later("Slovak"),
    "sl": later("Slovenian"),
    "es": later("Spanish"),
    "sw": later("Swahili"),
    "sv": later("Swedish"),
    "ta": later("Tamil"),
    "th": later("Thai"),
    "tr": later("Turkish"),
    "uk": later("Ukrainian"),
    "ur": later("Urdu"),
    "vi": later("Vietnamese"),
}
ANY = later("Any language")


_BETWEEN = ">"


def pair(source: str, target: str) -> str:
    """A code for what is translated from one language alone, by a translation model."""
    return f"{source}{_BETWEEN}{target}"


def parts(code: str) -> tuple[str, str]:
    """(source, target) of a `pair`; ("", code) of a language."""
    source, between, target = code.partition(_BETWEEN)
    return (source, target) if between else ("", code)


def name(code: str) -> str:
    """In the user's language; as the core calls it where it is none of these. Of a `pair`, both."""
    source, target = parts(code)
    if source:
        return tr("{source} to {target}, by a translation model", source=name(source), target=name(target))
    return tr(NAMES[code]) if code in NAMES else language_name(code) if code else ""


def choices(codes: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """(code, name) by name, "Any language" first; only what a model knows, where that is told."""
    known = set(codes)
    offered = ((code, name(code)) for code in NAMES if not known or code in known)
    return (("", tr(ANY)), *sorted(offered, key=lambda choice: choice[1].casefold()))
