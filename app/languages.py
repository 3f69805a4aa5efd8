"""Languages by their codes (ISO 639-1), for speech and for translation: those of many speakers that models know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.i18n import later, tr
from qvac_core.engines.language_names import language_name
from qvac_core.late_dataclass import dataclass

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
# So long a menu is read at a glance; the others are found by their names.
OF_MANY = frozenset(("ar", "de", "en", "es", "fr", "hi", "ja", "pt", "ru", "zh"))
ANY = later("Any language")


_BETWEEN, _AT = ">", "@"
# So many pairs of languages of one machine stand in the menu itself; more have a menu of their own.
FEW = 6


@dataclass(frozen=True, slots=True)
class Translators:
    """Translation models of a machine: from which language into which. key: the provider's, "" = this machine."""

    pairs: tuple[tuple[str, str], ...]
    key: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a text can be translated into. menus: the titles of those it stands in, the outer one first."""

    code: str
    name: str
    menus: tuple[str, ...] = ()


def pair(source: str, target: str, key: str = "") -> str:
    """A code for what is translated from one language alone, by a translation model: of that provider, "" = here."""
    return f"{source}{_BETWEEN}{target}" + (f"{_AT}{key}" if key else "")


def parts(code: str) -> tuple[str, str, str]:
    """(source, target, key) of a `pair`; ("", code, "") of a language."""
    source, between, rest = code.partition(_BETWEEN)
    if not between:
        return ("", code, "")
    target, _, key = rest.partition(_AT)
    return (source, target, key)


def name(code: str, who: str = "") -> str:
    """In the user's language; as the core calls it where it is none of these. Of a `pair`, both, and whose it is."""
    source, target, key = parts(code)
    if source and key:
        return tr(
            "{source} to {target}, by a translation model of {name}", source=name(source), target=name(target), name=who
        )
    if source:
        return tr("{source} to {target}, by a translation model", source=name(source), target=name(target))
    return tr(NAMES[code]) if code in NAMES else language_name(code) if code else ""


def by_models(translators: Translators) -> Iterator[Choice]:
    """All pairs of a machine: by name, in menus where there are many."""
    codes = [pair(source, target, translators.key) for source, target in translators.pairs]
    if len(codes) <= FEW:
        named = ((code, name(code, translators.name)) for code in codes)
        yield from (Choice(code, text) for code, text in sorted(named, key=lambda choice: choice[1].casefold()))
        return
    if translators.key:
        whose = tr("By a translation model of {name}", name=translators.name)
    else:
        whose = tr("By a translation model of this machine")
    told = ((name(source), name(target), code) for (source, target), code in zip(translators.pairs, codes, strict=True))
    for source, target, code in sorted(told, key=lambda each: (each[0].casefold(), each[1].casefold())):
        yield Choice(code, target, (whose, tr("From {language}", language=source)))


def choices(codes: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """(code, name) by name, "Any language" first; only what a model knows, where that is told."""
    known = set(codes)
    offered = ((code, name(code)) for code in NAMES if not known or code in known)
    return (("", tr(ANY)), *sorted(offered, key=lambda choice: choice[1].casefold()))
