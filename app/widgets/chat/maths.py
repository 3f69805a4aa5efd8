r"""LaTeX in Markdown, for markdown-it-py: `\( \)`, `$ $` in a line; `\[ \]`, `$$ $$` in a line or on their own.

A dollar opens a formula only where no price can be meant: `$5 and $10` stay as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

LONGEST = 2_000  # letters between two marks
CLOSING = {"\\(": "\\)", "\\[": "\\]", "$$": "$$", "$": "$"}
DISPLAY = ("\\[", "$$")
# "$5 or US$", "$20 to some$": an amount, then words.
_AMOUNT = re.compile(r"\d[\d.,]*\s[^\\^_=]*[A-Za-z]{2}")
_MARK = re.compile(r"\\\\|\\[()\[\]]|\$\$")
_FIRST_LINE = re.compile(r"(\\\[|\$\$)[ \t]*(.*)$")


def add_to(parser: MarkdownIt) -> None:
    # Before "escape", which takes the backslash of `\(` away.
    parser.inline.ruler.before("escape", "maths", _inline)
    parser.block.ruler.before(
        "fence", "maths_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list", "table"]}
    )


def split(written: str) -> tuple[str, bool]:
    """The LaTeX of a formula with its marks, and whether it is a displayed one."""
    opening = next(mark for mark in CLOSING if written.startswith(mark))
    return written.removeprefix(opening).removesuffix(CLOSING[opening]).strip(), opening in DISPLAY


def open_at(text: str) -> int | None:
    """Where the last formula begins that is not closed, single dollars apart: nobody knows of those."""
    opened: tuple[int, str] | None = None
    for found in _MARK.finditer(text):
        mark = found[0]
        if opened is not None:
            opened = None if mark == CLOSING[opened[1]] else opened
        elif mark in CLOSING:
            opened = (found.start(), mark)
    if opened is None and text.endswith("\\"):
        return len(text) - 1
    return opened[0] if opened is not None else None


def _inline(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    opening = source[start : start + 2]
    if opening not in CLOSING:
        opening = opening[:1]
    if opening not in CLOSING:
        return False
    end = _dollar(source, start) if opening == "$" else source.find(CLOSING[opening], start + 2, start + LONGEST)
    content = source[start + len(opening) : end]
    if end < 0 or not content.strip():
        return False
    if not silent:
        token = state.push("maths", "", 0)
        token.content = source[start : end + len(CLOSING[opening])]
        token.info = "display" if opening in DISPLAY else ""
    state.pos = end + len(CLOSING[opening])
    return True


def _dollar(source: str, start: int) -> int:
    """Where the formula of a single dollar ends, or -1."""
    if source[start + 1 : start + 2].strip() in ("", "$") or source[start - 1 : start].isalnum():
        return -1
    end = source.find("$", start + 1, start + LONGEST)
    while end > 0 and source[end - 1] == "\\":
        end = source.find("$", end + 1, start + LONGEST)
    if end < 0 or source[end - 1].isspace() or source[end + 1 : end + 2].isalnum():
        return -1
    return -1 if _AMOUNT.match(source, start + 1, end) else end


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A formula on lines of its own. One that is open to the end of its paragraph is text, and no list or heading."""
    if state.is_code_block(start_line):
        return False
    found = _FIRST_LINE.match(_line(state, start_line))
    if found is None:
        return False
    closing, first = CLOSING[found[1]], found[2].rstrip()
    if first and not first.endswith(closing):
        return False
    line, closed = start_line, bool(first)
    while not closed and line + 1 < end_line and not state.isEmpty(line + 1):
        line += 1
        closed = _line(state, line).rstrip().endswith(closing)
    if silent:
        return True
    state.line = line + 1
    written = "\n".join(_line(state, number) for number in range(start_line, line + 1)).rstrip()
    if closed and written.count(closing) == (2 if closing == "$$" else 1) and len(written) <= LONGEST:
        token = state.push("maths", "", 0)
        token.block, token.info, token.content = True, "display", written
        token.map = [start_line, line + 1]
        return True
    token = state.push("paragraph_open", "p", 1)
    token.map = [start_line, line + 1]
    token = state.push("inline", "", 0)
    token.content, token.map, token.children = written, [start_line, line + 1], []
    state.push("paragraph_close", "p", -1)
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
