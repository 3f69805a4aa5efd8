"""Long texts: how much of one is laid out, and what is said about the rest. Knows no Qt.

Qt lays out a line in more than proportional time: 16,000 letters in 0.02 s, a million in half a minute, in an editor
again at each key. What is shown is therefore bounded by letters and lines; what is sent, kept and copied is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.i18n import trn
from app.words import size
from qvac_core.late_dataclass import dataclass

LONGEST_LINE = 8_000
VIEWER_LINE = 200


@dataclass(frozen=True, slots=True)
class Most:
    """What is laid out of one text at most."""

    letters: int
    lines: int
    line: int = LONGEST_LINE
    rows: int = 100  # of a table: one of a thousand takes Qt a second


IN_COMPOSER = Most(8_000, 200)
FOLDED = Most(1_500, 12)  # a question; what is longer than UNFOLDED opens in a window of its own
UNFOLDED = Most(16_000, 400)
ANSWER = Most(60_000, 600)


def cut(text: str, most: Most) -> str:
    """The beginning of `text` within `most`; longer lines end in "…", longer tables just end. `text` itself when all of
    it fits."""
    head = text[: most.letters]
    lines = head.split("\n", most.lines)[: most.lines]
    lines = _short_tables(lines, most.rows)
    if any(len(line) > most.line for line in lines):
        lines = [line if len(line) <= most.line else f"{line[: most.line]}…" for line in lines]
    shown = "\n".join(lines)
    return text if shown == text else shown


def _short_tables(lines: list[str], most: int) -> list[str]:
    result: list[str] = []
    rows = 0
    for line in lines:
        rows = rows + 1 if line.lstrip().startswith("|") else 0
        if rows <= most:
            result.append(line)
    return result


def fits(text: str, most: Most) -> bool:
    return cut(text, most) is text


def amount(text: str) -> str:
    """How much a text is: "2 kB, 31 lines"."""
    lines = text.count("\n") + 1
    octets = len(text.encode("utf-8", "replace"))
    counted = trn("%n line", "%n lines", lines)
    return f"{size(octets)}, {counted}" if octets >= 1000 else counted


def short_lines(text: str, most: int = VIEWER_LINE) -> Iterator[str]:
    """The lines of `text`, broken where one is longer than `most`."""
    for line in text.split("\n"):
        for start in range(0, max(1, len(line)), most):
            yield line[start : start + most]
