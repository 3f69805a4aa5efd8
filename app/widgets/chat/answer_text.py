"""An answer as what is shown of it: Markdown blocks and, where another machine went on, seams. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass

from app.widgets.chat.markdown import Block, GrowingText, open_fence, settled
from qvac_core.core.answering import ANEW


@dataclass(frozen=True, slots=True)
class SeamMark:
    """`sentence`: who left and who goes on."""

    sentence: str


Part = Block | SeamMark


class AnswerText:
    """`update` gives the parts of the text as it stands; texts before a seam are parsed once."""

    def __init__(self) -> None:
        self._pieces: list[GrowingText] = []

    def update(self, text: str, seams: tuple[tuple[int, str], ...], *, streaming: bool) -> tuple[Part, ...]:
        cuts = [0, *(min(offset, len(text)) for offset, _ in seams), len(text)]
        while len(self._pieces) < len(cuts) - 1:
            self._pieces.append(GrowingText())
        parts: list[Part] = []
        opening = ""
        for index, growing in enumerate(self._pieces[: len(cuts) - 1]):
            if index:
                parts.append(SeamMark(seams[index - 1][1]))
            piece = text[cuts[index] : cuts[index + 1]]
            if opening and not seams[index - 1][1].endswith(ANEW):
                # The other machine goes on inside the same code: it is code on both sides of the seam.
                piece = f"{opening}\n{piece}"
            if streaming and index == len(cuts) - 2:
                piece = settled(piece)
            parts.extend(growing.update(piece))
            opening = open_fence(piece)
        return tuple(parts)
