"""An answer as what is shown of it: Markdown blocks, calls of tools, seams where another one went on. No Qt here."""

from __future__ import annotations

from collections.abc import Sequence

from app.widgets.chat.markdown import Block, GrowingText, open_fence, settled
from qvac_core.core.seams import ANEW
from qvac_core.core.state import ToolUse
from qvac_core.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SeamMark:
    """`sentence`: who left and who goes on."""

    sentence: str


@dataclass(frozen=True, slots=True)
class ToolMark:
    """A call of a tool. who: who answers, and gets the result. local: that is this machine."""

    use: ToolUse
    who: str = ""
    local: bool = False


Part = Block | SeamMark | ToolMark


class AnswerText:
    """`update` gives the parts of the text as it stands; texts before a seam are parsed once."""

    def __init__(self) -> None:
        self._pieces: list[GrowingText] = []

    def update(
        self, text: str, seams: tuple[tuple[int, str], ...], tools: Sequence[ToolMark] = (), *, streaming: bool
    ) -> tuple[Part, ...]:
        marks: list[tuple[int, SeamMark | ToolMark]] = [
            *((offset, SeamMark(sentence)) for offset, sentence in seams),
            *((tool.use.offset, tool) for tool in tools),
        ]
        marks.sort(key=lambda mark: mark[0])
        cuts = [0, *(min(offset, len(text)) for offset, _ in marks), len(text)]
        while len(self._pieces) < len(cuts) - 1:
            self._pieces.append(GrowingText())
        parts: list[Part] = []
        opening = ""
        for index, growing in enumerate(self._pieces[: len(cuts) - 1]):
            if index:
                parts.append(marks[index - 1][1])
            piece = text[cuts[index] : cuts[index + 1]]
            if opening and isinstance(mark := marks[index - 1][1], SeamMark) and not mark.sentence.endswith(ANEW):
                # The other machine goes on inside the same code: it is code on both sides of the seam.
                piece = f"{opening}\n{piece}"
            if streaming and index == len(cuts) - 2:
                piece = settled(piece)
            parts.extend(growing.update(piece))
            opening = open_fence(piece)
        return tuple(parts)
