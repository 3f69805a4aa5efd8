"""Which words of a growing recording are settled: those that two passes in a row agree on (LocalAgreement-2).

Macháček, Dabre, Bojar, "Turning Whisper into Real-Time Transcription System" (2023). Compared in lower case without
punctuation: both change with every pass. Measured on a real recording: all words settled, none of them wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGN_WORDS = 3  # settled words that are looked for at the start of a pass
ALIGN_SHIFT = 3  # words that a pass may have more or less before them


@dataclass(frozen=True, slots=True)
class Word:
    """Times in milliseconds of the whole recording. `text` as the model wrote it, without spaces around."""

    text: str
    start_ms: int
    end_ms: int


class LocalAgreement:
    """`heard` with the words of each pass, from the window's start on."""

    def __init__(self) -> None:
        self.committed: list[Word] = []
        self._in_window = 0  # of the committed words, those whose sound is in the window
        self._last: list[Word] = []

    @property
    def committed_ms(self) -> int:
        return self.committed[-1].end_ms if self.committed else 0

    @property
    def tentative(self) -> Sequence[Word]:
        """What the last pass heard behind the settled words."""
        return self._last

    def heard(self, words: Sequence[Word]) -> list[Word]:
        """The words that are settled now and were not before."""
        fresh = self._behind_committed(words)
        agreed = 0
        while agreed < min(len(fresh), len(self._last)) and same(fresh[agreed], self._last[agreed]):
            agreed += 1
        self._last = fresh[agreed:]
        return self._commit(fresh[:agreed])

    def settle(self, words: Sequence[Word], until_ms: int | None = None) -> list[Word]:
        """No pass follows over this sound: its words are settled, those that end by `until_ms` (None = all)."""
        fresh = self._behind_committed(words)
        count = next(
            (place for place, word in enumerate(fresh) if until_ms is not None and word.end_ms > until_ms), None
        )
        settled = self._commit(fresh if count is None else fresh[:count])
        self._last = [] if count is None else fresh[count:]
        return settled

    def cut(self, at_ms: int) -> None:
        """The window begins there from now on; with it, no pass starts with words that ended before."""
        self._in_window = (
            sum(word.end_ms > at_ms for word in self.committed[-self._in_window :]) if self._in_window else 0
        )

    def _commit(self, words: list[Word]) -> list[Word]:
        self.committed += words
        self._in_window += len(words)
        return words

    def _behind_committed(self, words: Sequence[Word]) -> list[Word]:
        """The pass from behind what is settled. A pass may hear a word more or less there; times waver, too."""
        tail = self.committed[len(self.committed) - min(self._in_window, ALIGN_WORDS) :] if self._in_window else []
        places = sorted(
            range(max(len(tail), self._in_window - ALIGN_SHIFT), min(len(words), self._in_window + ALIGN_SHIFT) + 1),
            key=lambda place: abs(place - self._in_window),
        )
        for place in places:
            before = words[place - len(tail) : place]
            if all(same(one, other) for one, other in zip(before, tail, strict=True)):
                return list(words[place:])
        return [word for word in words if (word.start_ms + word.end_ms) / 2 > self.committed_ms]


def same(one: Word, other: Word) -> bool:
    return plain(one.text) == plain(other.text)


def plain(text: str) -> str:
    """Letters and digits in lower case; what has none is itself."""
    letters = "".join(letter for letter in text.casefold() if letter.isalnum())
    return letters or text
