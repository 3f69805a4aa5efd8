"""A text in the sentences that a translation engine takes one at a time, and what stands between them. Pure.

The engines of Firefox's models read 128 tokens at once: what is longer they cut in the middle of a word, and put the
translations together without a space. So a long sentence is cut here, after a mark or between words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from qvac_core.engines.text_pieces import Part, apart, parts_of, units_of

MOST_TOKENS = 100  # of 127, as they are counted about (`sentencepiece_file.Vocabulary`)
_MOST_CHARACTERS = 500  # before anything is counted: also a text without a space is cut in time
_BLOCK_TOKENS = 8000  # of the text that is looked at together; anything larger than a paragraph will do
_PLACES = (re.compile(r"(?<=[;:,，、；：–—])\s*"), re.compile(r"\s+"))

Split = Callable[[str], Iterable[str]]
"""A line in its sentences: what Unicode's rules (UAX 29) say, white space at their ends or not."""


def sentences_of(text: str, split: Split, count: Callable[[str], int]) -> Iterator[Part]:
    """Together the parts are the text again. Code between fences and what has no letter go on as they are."""
    for part in parts_of(text, _BLOCK_TOKENS):
        if part.as_it_is:
            yield part
            continue
        for line in part.text.splitlines(keepends=True):
            for sentence in _sentences(line, split):
                yield from _fitting(sentence, count)


def _sentences(line: str, split: Split) -> Iterator[str]:
    """Each with the white space behind it; nothing is lost, whatever `split` leaves out."""
    start = 0
    for sentence in split(line):
        bare = sentence.strip()
        at = line.find(bare, start) if bare else -1
        if at < 0:
            continue
        if at > start:
            yield line[start:at]
        start = at + len(bare)
        yield line[at:start]
    if start < len(line):
        yield line[start:]


def _fitting(sentence: str, count: Callable[[str], int]) -> Iterator[Part]:
    for piece in _cut(sentence, count, 0):
        yield from apart(piece)


def _cut(text: str, count: Callable[[str], int], place: int) -> Iterator[str]:
    if len(text) <= _MOST_CHARACTERS and count(text) <= MOST_TOKENS:
        yield text
        return
    if place == len(_PLACES):
        # A word without end, or a language without spaces. A character has four tokens at most, so this ends.
        half = min(_MOST_CHARACTERS, len(text) // 2)
        if half == 0:
            yield text
            return
        for start in range(0, len(text), half):
            yield from _cut(text[start : start + half], count, place)
        return
    gathered, tokens = "", 0
    for unit in units_of(text, _PLACES[place]):
        its = count(unit)  # summed up: counting all of it anew for each word would be quadratic
        if gathered and (len(gathered) + len(unit) > _MOST_CHARACTERS or tokens + its > MOST_TOKENS):
            yield from _cut(gathered, count, place + 1)
            gathered, tokens = "", 0
        gathered += unit
        tokens += its
    if gathered:
        yield from _cut(gathered, count, place + 1)
