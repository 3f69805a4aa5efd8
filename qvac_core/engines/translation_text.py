"""What a chat model puts around a translation, taken off while it streams, where it cannot be meant. Pure.

Held back is only what may turn out to be such a thing: a first line that announces the translation, quotation marks
around all of it, white space at its ends.
"""

from __future__ import annotations

import re

_INTRODUCTIONS = (
    "sure",
    "certainly",
    "of course",
    "okay",
    "here is",
    "here's",
    "here’s",
    "below is",
    "the translation",
    "the translated",
    "translation",
    "translated",
)
_INTRODUCTION = re.compile(r"[^\n]*translat[^\n]*[:：]\s*", re.IGNORECASE)
_LONGEST_INTRODUCTION = 120  # characters
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "»": "«", "「": "」", "『": "』"}
_QUOTE_MARKS = frozenset(_QUOTES) | frozenset(_QUOTES.values())
# An answer in quotation marks is held back until they end. One that is longer than this is not wrapped, it begins so.
_LONGEST_HELD = 4000


class PlainTranslation:
    """`write` what the model says, `end` when it is through: what of it is the translation of `source`."""

    def __init__(self, source: str) -> None:
        source = source.strip()
        first_line = source.partition("\n")[0].rstrip()
        self._may_introduce = not first_line.endswith((":", "：")) and "translat" not in first_line.lower()
        self._may_quote = source[:1] not in _QUOTE_MARKS
        self._held = ""
        self._begun = False

    def write(self, text: str) -> str:
        self._held += text
        if not self._begun:
            self._held = self._held.lstrip()
            if not self._held or self._is_undecided():
                return ""
            self._begun = True
        return self._take(len(self._held.rstrip()))

    def end(self) -> str:
        if not self._begun:
            self._held = self._without_introduction().strip()
            closing = self._closing()
            if closing and len(self._held) > 2 and self._held.find(closing, 1) == len(self._held) - 1:
                return self._take(len(self._held))[1:-1].strip()
        return self._take(len(self._held.rstrip()))

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def _is_undecided(self) -> bool:
        """Whether more has to be seen before it is known what the beginning is. Takes off an introduction."""
        if self._may_introduce:
            line, _, rest = self._held.partition("\n")
            low = line.lower()
            begins = any(low.startswith(words) or words.startswith(low) for words in _INTRODUCTIONS)
            if begins and not rest.strip() and len(line) <= _LONGEST_INTRODUCTION:
                return True
            self._held = self._without_introduction().lstrip()
            self._may_introduce = False
            if not self._held:
                return True
        closing = self._closing()
        if not closing or len(self._held) > _LONGEST_HELD:
            return False
        end = self._held.find(closing, 1)
        return end < 0 or not self._held[end + 1 :].strip()

    def _without_introduction(self) -> str:
        line, newline, rest = self._held.partition("\n")
        introduced = (
            self._may_introduce
            and newline
            and len(line) <= _LONGEST_INTRODUCTION
            and line.lower().startswith(_INTRODUCTIONS)
            and _INTRODUCTION.fullmatch(line) is not None
        )
        return rest if introduced and rest.strip() else self._held

    def _closing(self) -> str:
        """The mark that would end what the beginning opens; "" where nothing is opened that may be taken off."""
        return _QUOTES.get(self._held[:1], "") if self._may_quote else ""
