"""A text cut where it may be cut, into pieces that are no longer than a model can take. Pure.

Together the parts are the text again, to the character. What is not for the model (white space between pieces, blocks
of code, what has no letter) is a part of its own that goes on as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Where to cut, the best place first: between paragraphs, lines, sentences, words.
_PLACES = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"""(?<=[.!?…;:])\s+|(?<=[.!?…]["'»”’)])\s+|(?<=[。！？；])"""),
    re.compile(r"\s+"),
)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Tokenizers differ by a factor of three: these are such that most texts have fewer tokens than is thought.
_ASCII_PER_TOKEN = 3
_BYTES_PER_TOKEN = 2


@dataclass(frozen=True, slots=True)
class Part:
    """as_it_is: not for the model."""

    text: str
    as_it_is: bool = False


def estimated_tokens(text: str) -> int:
    """Of a text in whatever language, without its model's tokenizer; seldom too low."""
    size = len(text.encode("utf-8", "replace"))
    ascii_count = len(text.encode("ascii", "ignore"))
    return -(-ascii_count // _ASCII_PER_TOKEN) + -(-(size - ascii_count) // _BYTES_PER_TOKEN)


def parts_of(text: str, most: int) -> Iterator[Part]:
    """most: estimated tokens of one piece."""
    parts = [part for stretch in _without_code(text) for part in _parts(stretch, most)]
    if all(part.as_it_is for part in parts) and _has_letters(text):
        parts = list(_pieces_of(text, most))  # nothing but code: then that is what is meant
    yield from parts


def _without_code(text: str) -> Iterator[Part]:
    """Blocks between fences, as Markdown has them, stand apart; one that does not end is text. Linear in the text."""
    lines = text.splitlines(keepends=True)
    start, opened, fence = 0, -1, ""
    for number, line in enumerate(lines):
        found = _FENCE.match(line)
        if opened < 0:
            opened, fence = (number, found.group(1)) if found else (-1, "")
        elif found and found.group(1).startswith(fence) and not line[found.end() :].strip():
            yield Part("".join(lines[start:opened]))
            yield Part("".join(lines[opened : number + 1]), as_it_is=True)
            start, opened = number + 1, -1
    yield Part("".join(lines[start:]))


def _parts(stretch: Part, most: int) -> Iterator[Part]:
    return iter((stretch,)) if stretch.as_it_is else _pieces_of(stretch.text, most)


def _pieces_of(text: str, most: int) -> Iterator[Part]:
    """Each piece with the white space around it apart."""
    for piece in _cut(text, most, 0):
        yield from apart(piece)


def apart(piece: str) -> Iterator[Part]:
    """The white space around it is as it is, and so is what has no letter."""
    middle = piece.strip()
    before = piece[: len(piece) - len(piece.lstrip())]
    after = piece[len(before) + len(middle) :]
    for part in Part(before, True), Part(middle, not _has_letters(middle)), Part(after, True):
        if part.text:
            yield part


def _cut(text: str, most: int, place: int) -> Iterator[str]:
    if estimated_tokens(text) <= most:
        yield text
        return
    if place == len(_PLACES):
        yield from _cut_anywhere(text, most)
        return
    gathered, tokens = "", 0
    for unit in units_of(text, _PLACES[place]):
        its = estimated_tokens(unit)
        if gathered and tokens + its > most:
            yield from _cut(gathered, most, place + 1)
            gathered, tokens = "", 0
        gathered += unit
        tokens += its
    if gathered:
        yield from _cut(gathered, most, place + 1)


def units_of(text: str, place: re.Pattern[str]) -> Iterator[str]:
    """What stands between two places, each with what it ends in."""
    start = 0
    for found in place.finditer(text):
        if found.end() > start:
            yield text[start : found.end()]
            start = found.end()
    if start < len(text):
        yield text[start:]


def _cut_anywhere(text: str, most: int) -> Iterator[str]:
    """A word without end, or a language that is written without spaces."""
    step = max(1, most // 2)  # at most two estimated tokens for one character
    for start in range(0, len(text), step):
        yield text[start : start + step]


def _has_letters(text: str) -> bool:
    return any(character.isalpha() for character in text)
