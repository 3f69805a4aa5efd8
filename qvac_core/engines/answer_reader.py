"""From the text that a model writes to what its answer consists of: thinking, words, and calls of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qvac_core.engines.interface import Token, ToolCall, ToolError
from qvac_core.engines.thinking import Piece, ThinkingReader
from qvac_core.engines.tool_reader import ToolReader

Said = Token | ToolCall | ToolError


class AnswerReader:
    """Feed text in any cut. controls: of `Vocabulary.marks`, the text of each control token that has one here."""

    def __init__(
        self, thinking: ThinkingReader, tools: ToolReader | None = None, controls: Mapping[str, str] | None = None
    ) -> None:
        self._thinking = thinking
        self._tools = tools
        # An answer that has no tools is not to show what calls are written with.
        self._shown = str.maketrans({mark: text if tools else "" for mark, text in (controls or {}).items()})
        self._hidden = str.maketrans(dict.fromkeys(controls or {}, ""))

    def feed(self, text: str) -> list[Said]:
        return self._read(self._thinking.feed(text))

    def end(self) -> list[Said]:
        said = self._read(self._thinking.end())
        return [*said, *self._told(self._tools.end())] if self._tools is not None else said

    def _read(self, pieces: Sequence[Piece]) -> list[Said]:
        said: list[Said] = []
        for piece in pieces:
            if piece.thinking or self._tools is None:
                table = self._hidden if piece.thinking else self._shown
                said += self._told([piece.text.translate(table)], thinking=piece.thinking)
            else:
                said += self._told(self._tools.feed(piece.text.translate(self._shown)))
        return said

    def _told(self, parts: Sequence[str | ToolCall | ToolError], *, thinking: bool = False) -> list[Said]:
        return [Token(part, thinking) if isinstance(part, str) else part for part in parts if part]
