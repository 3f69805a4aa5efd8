"""Languages as people and models call them, from BCP-47 codes: "pt-BR" is Brazilian Portuguese.

Codes of ISO 639-1 where there is one. What is no code is a name already: it is taken as it was written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

LANGUAGES: Mapping[str, str] = {
    "af": "Afrikaans",
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fil": "Filipino",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "ha": "Hausa",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "ig": "Igbo",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "ky": "Kyrgyz",
    "la": "Latin",
    "lb": "Luxembourgish",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "my": "Burmese",
    "nb": "Norwegian Bokmål",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Norwegian Nynorsk",
    "no": "Norwegian",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "so": "Somali",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "tg": "Tajik",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "uz": "Uzbek",
    "vi": "Vietnamese",
    "xh": "Xhosa",
    "yi": "Yiddish",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
    "zu": "Zulu",
}
# Languages that are called by more than their language and place.
_NAMED: Mapping[str, str] = {
    "en-gb": "British English",
    "en-us": "American English",
    "es-419": "Latin American Spanish",
    "es-mx": "Mexican Spanish",
    "fr-ca": "Canadian French",
    "pt-br": "Brazilian Portuguese",
    "pt-pt": "European Portuguese",
    "zh-cn": "Simplified Chinese",
    "zh-hans": "Simplified Chinese",
    "zh-hant": "Traditional Chinese",
    "zh-hk": "Traditional Chinese (Hong Kong)",
    "zh-sg": "Simplified Chinese",
    "zh-tw": "Traditional Chinese (Taiwan)",
}
_SCRIPTS: Mapping[str, str] = {"arab": "Arabic", "cyrl": "Cyrillic", "deva": "Devanagari", "latn": "Latin"}
# Languages that models of Mozilla's take together, and scripts that they keep apart, by the models' own codes.
_TOGETHER: Mapping[str, frozenset[str]] = {
    "hbs": frozenset(("sr", "hr", "bs")),
    "no": frozenset(("nb", "nn")),
    "zh_hant": frozenset(("zh-hant", "zh-tw", "zh-hk")),
}
_MODEL_NAMES: Mapping[str, str] = {
    "hbs": "Serbo-Croatian",
    "zh_hant": "Traditional Chinese",
    "zh_hans": "Simplified Chinese",
}
# Languages without a translation model, written nearly as one of the others: no mistake in writing.
_MORE = frozenset(
    (
        *("javanese", "kurdish", "sundanese", "tatar", "latgalian", "frisian", "malagasy", "haitian creole"),
        *("twi", "ewe", "fon", "luo", "ga", "tiv"),  # as short as a code
    )
)
_NEAR = 0.75  # of `difflib`: "Germn" is German; "Swiss German" is not
_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def language_name(written: str) -> str:
    """The English name of a language that was given by its code; anything else as it was written."""
    written = written.strip()
    if written in _MODEL_NAMES:
        return _MODEL_NAMES[written]
    if _CODE.fullmatch(written) is None:
        return written
    code = written.replace("_", "-").lower()
    if code in _NAMED:
        return _NAMED[code]
    language, *rest = code.split("-")
    name = LANGUAGES.get(language)
    if name is None:
        return written
    if f"{language}-{rest[0]}" in _NAMED if rest else False:  # zh-Hant-TW
        return _NAMED[f"{language}-{rest[0]}"]
    told = [f"{_SCRIPTS[part]} script" if part in _SCRIPTS else part.upper() for part in rest]
    return f"{name} ({', '.join(told)})" if told else name


def is_known(written: str) -> bool:
    """Whether it is a code (with a place or a script behind it) or an English name that is in these lists."""
    name = written.strip().casefold()
    code = name.replace("_", "-").partition("-")[0]
    return name in _CODES or name in _MORE or code in LANGUAGES or name in _MODEL_NAMES


def near_languages(written: str) -> tuple[str, ...]:
    """English names that are written nearly so, the nearest first; three at most."""
    names = {name.casefold(): name for name in (*LANGUAGES.values(), *_NAMED.values())}
    close = difflib.get_close_matches(written.strip().casefold(), names, n=3, cutoff=_NEAR)
    return tuple(names[name] for name in close)


def translation_title(languages: Sequence[str]) -> str:
    """What people call a model that translates from the first into the second: "German to English"."""
    return " to ".join(language_name(language) for language in languages)


def is_language(code: str, wanted: str) -> bool:
    """Whether a model's language, by its code, is what somebody wants by a code (de, de-AT) or by its English name."""
    wanted = wanted.strip()
    if _CODE.fullmatch(wanted) is None or wanted.lower() in _CODES:
        wanted = _CODES.get(wanted.lower(), wanted)
    asked = wanted.replace("_", "-").lower()
    code = code.replace("_", "-").lower()
    base = asked.partition("-")[0]
    together = _TOGETHER.get(code.replace("-", "_"), frozenset())
    if any(asked == each or asked.startswith(f"{each}-") or base == each for each in together) or asked == code:
        return True
    if base == "zh":  # two scripts, of which a model writes one
        return code in ("zh", "zh-hans") and not any(asked.startswith(each) for each in _TOGETHER["zh_hant"])
    return base == code


_CODES: Mapping[str, str] = {name.lower(): code for code, name in LANGUAGES.items()} | {
    name.lower(): code for code, name in _NAMED.items()
}
