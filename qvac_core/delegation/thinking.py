"""Telling a model's reasoning from its answer while both stream: text between <think> and </think>.

What `captureThinking` asks for (wire/QVAC.md section 5); the tags are those of the Qwen3 family.
"""

from __future__ import annotations

from dataclasses import dataclass

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    thinking: bool


class ThinkingSplitter:
    """Feed text in any cut, get pieces. A tag cut in two is held back until it is one or is not."""

    def __init__(self) -> None:
        self._thinking = False
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        pieces: list[Piece] = []
        while True:
            tag = CLOSE_TAG if self._thinking else OPEN_TAG
            at = self._held.find(tag)
            if at < 0:
                break
            self._add(pieces, self._held[:at])
            self._held = self._held[at + len(tag) :]
            self._thinking = not self._thinking
        keep = self._partial_tag(CLOSE_TAG if self._thinking else OPEN_TAG)
        ready = self._held[: len(self._held) - keep]
        self._held = self._held[len(self._held) - keep :]
        self._add(pieces, ready)
        return pieces

    def end(self) -> list[Piece]:
        pieces: list[Piece] = []
        self._add(pieces, self._held)
        self._held = ""
        return pieces

    def _add(self, pieces: list[Piece], text: str) -> None:
        if text:
            pieces.append(Piece(text, self._thinking))

    def _partial_tag(self, tag: str) -> int:
        for length in range(min(len(tag) - 1, len(self._held)), 0, -1):
            if self._held.endswith(tag[:length]):
                return length
        return 0
