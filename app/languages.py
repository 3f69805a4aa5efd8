"""Languages by their codes (ISO 639-1), for speech and for translation: the most spoken that the models know."""

from __future__ import annotations

from collections.abc import Iterable

NAMES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "bg": "Bulgarian",
    "ca": "Catalan",
    "zh": "Chinese",
    "hr": "Croatian",
    "cs": "Czech",
    "da": "Danish",
    "nl": "Dutch",
    "en": "English",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "de": "German",
    "el": "Greek",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lv": "Latvian",
    "lt": "Lithuanian",
    "ms": "Malay",
    "no": "Norwegian",
    "fa": "Persian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sr": "Serbian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "es": "Spanish",
    "sw": "Swahili",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
}
FOUND = ("", "Any language")


def name(code: str) -> str:
    return NAMES.get(code, code)


def choices(codes: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """(code, name) by name, "Any language" first; only what a model knows, where that is told."""
    known = set(codes)
    return (FOUND, *((code, title) for code, title in NAMES.items() if not known or code in known))
