"""From tokens' bytes to the text of an answer: whole characters only, and nothing of a stop sequence.

A token can end inside a character, and a stop sequence can begin in one token and end three later.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from qvac_core.errors import RequestRefused

STOP_COUNT_LIMIT = 32
STOP_LENGTH_LIMIT = 512  # characters


def checked_stop(stop: Sequence[str]) -> tuple[str, ...]:
    """The stop sequences of a request, without empty ones. Raises ModelError when they are too many or too long."""
    kept = tuple(dict.fromkeys(sequence for sequence in stop if sequence))
    if len(kept) > STOP_COUNT_LIMIT or any(len(sequence) > STOP_LENGTH_LIMIT for sequence in kept):
        raise RequestRefused(
            f"At most {STOP_COUNT_LIMIT} stop sequences of {STOP_LENGTH_LIMIT} characters can be used."
        )
    return kept


class AnswerText:
    """Takes the bytes of each token and gives the text that may be shown now.

    Text that may yet turn out to be the beginning of a stop sequence is held back until that is decided. With
    `show_stop` nothing is: the stop sequence is shown, with all of the token that completes it, as @qvac/sdk 0.16 does.
    """

    def __init__(self, stop: Sequence[str] = (), *, show_stop: bool = False) -> None:
        self._stop = tuple(dict.fromkeys(sequence for sequence in stop if sequence))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._show_stop = show_stop
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """The text to show after this token. Sets `stopped` when a stop sequence is complete."""
        if self.stopped:
            return ""
        if self._show_stop:
            return self._push_shown(self._decoder.decode(piece))
        text = self._held + self._decoder.decode(piece)
        found = [at for at in (text.find(sequence) for sequence in self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _push_shown(self, text: str) -> str:
        """`_held` is then the end of what was shown already, as much as a stop sequence may begin in."""
        seen = self._held + text
        self.stopped = any(sequence in seen for sequence in self._stop)
        reach = max(map(len, self._stop), default=1) - 1
        self._held = seen[-reach:] if reach and not self.stopped else ""
        return text

    def finish(self) -> str:
        """What was held back, at an end that is no stop sequence. A character cut in half is left out."""
        text, self._held = self._held, ""
        return "" if self._show_stop else text

    def _undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop sequence."""
        longest = 0
        for sequence in self._stop:
            for length in range(min(len(sequence) - 1, len(text)), longest, -1):
                if text.endswith(sequence[:length]):
                    longest = length
                    break
        return longest
