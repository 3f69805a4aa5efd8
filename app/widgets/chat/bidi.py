"""Text that keeps its own direction inside a layout of the other one: names, numbers with units, English sentences."""

from __future__ import annotations

FIRST_STRONG_ISOLATE = "\N{FIRST STRONG ISOLATE}"
POP_ISOLATE = "\N{POP DIRECTIONAL ISOLATE}"


def isolated(text: str) -> str:
    """For painting only: the marks have no width, but they would be copied."""
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}" if text else ""
