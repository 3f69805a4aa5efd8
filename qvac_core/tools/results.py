"""What a tool gave back, as the text that a model is told and a person is shown.

https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result: a list of texts, pictures, sounds,
links and resources, and beside it the same once more as JSON. Some servers send megabytes of both (measured: 3 MB of
text came twice), and whoever answers the chat has a context of some thousand tokens: the beginning is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

RESULT_MOST = 24_000
"""Characters of a result that a model is told: some 8,000 tokens, which the larger contexts take."""


class CallResult(Protocol):
    """mcp's CallToolResult."""

    @property
    def content(self) -> Iterable[Any]: ...
    @property
    def structured_content(self) -> Any: ...
    @property
    def is_error(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ToolResult:
    """text: at most `RESULT_MOST` characters and a line that says what is missing. size: characters of the whole."""

    text: str
    failed: bool = False
    size: int = 0


def result_of(result: CallResult) -> ToolResult:
    parts = [part for block in result.content if (part := _part(block))]
    if not parts and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False, default=str)]
    return cut("\n".join(parts), failed=result.is_error)


def cut(text: str, *, failed: bool = False, most: int = RESULT_MOST) -> ToolResult:
    text = text.replace("\0", "�")
    if len(text) > most:
        missing = len(text) - most
        text, size = f"{text[:most]}\n[… {missing:,} more characters were left out here.]", len(text)
        return ToolResult(text, failed, size)
    return ToolResult(text or ("The tool failed and gave no reason." if failed else "(nothing)"), failed, len(text))


def _part(block: Any) -> str:
    """Only texts can be told to a model; of all else it hears that it is there."""
    kind = getattr(block, "type", "")
    if kind == "text":
        return str(block.text)
    if kind in ("image", "audio"):
        what = "A picture" if kind == "image" else "A sound"
        return f"[{what}, {block.mime_type}, {len(block.data) * 3 // 4:,} bytes, which only a person could look at.]"
    if kind == "resource_link":
        return f"[A link: {block.name}, {block.uri}]"
    if kind == "resource":
        inner = block.resource
        text = getattr(inner, "text", None)
        if isinstance(text, str):
            return f"[{inner.uri}]\n{text}"
        return f"[A file: {inner.uri}, {getattr(inner, 'mime_type', None) or 'of no known type'}]"
    return ""
