"""An answer's Markdown as a list of top-level blocks, ready to be shown one widget per block. Knows no Qt.

CommonMark with tables, strike-through, task lists, bare addresses (markdown-it-py, linkify-it-py) and LaTeX. Raw HTML
stays text, pictures become links, nothing is loaded. A formula stands in the HTML as `<maths>` (`display` or not) with
its source: raw HTML never gets there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from app.widgets.chat import maths
from qvac_core.late_dataclass import dataclass

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_NEWLINE = re.compile(r"\r\n?")
_DEFINITION = re.compile(r"\]:")
# A last line that may still become a fence, a list, a heading or a rule: shown too early, the answer jumps.
_UNDECIDED = re.compile(r"^\s*(?:`+|~+|[-=+*_]+|#{1,6}|\d{1,9}[.)]?|>+)\s*$")
_OPENING_FENCE = re.compile(r"^ {0,3}(?:`{3,}[^`]*|~{3,}.*)$")
_UNFINISHED_LINK = re.compile(r"!?\[[^\[\]]*\]\([^()]*$")
_TABLE_ROW = re.compile(r"^ {0,3}\|")
# Qt enlarges h1 to h6 by itself, on top of what a style sheet says.
_HEADING = re.compile(r"<(/?)h([1-6])>")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_INLINE_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")


class BlockKind(StrEnum):
    PROSE = "prose"
    QUOTE = "quote"
    CODE = "code"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block. `html` of prose and quotes, `code` and `language` of code. `level`: of a heading, else 0."""

    kind: BlockKind
    html: str = ""
    code: str = ""
    language: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class _Placed:
    block: Block
    start: int  # first line


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    """Its library is slow to import: not before there is an answer to show."""
    from app.widgets.chat.markdown_parser import parser

    return parser()


def clean(text: str) -> str:
    """Text that Qt can take: one kind of line end, no half surrogates (two halves that meet become one letter)."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _NEWLINE.sub("\n", text).replace("\0", "\N{REPLACEMENT CHARACTER}")


def parse(text: str) -> tuple[Block, ...]:
    """All blocks of a finished text."""
    return tuple(placed.block for placed in _parse(clean(text)))


def settled(text: str) -> str:
    """The part of a text that still grows which can be shown without jumping back later."""
    start = text.rfind("\n") + 1
    last = text[start:]
    if _UNDECIDED.match(last) or _OPENING_FENCE.match(last):
        return text[:start]
    unfinished = _UNFINISHED_LINK.search(last)
    if unfinished is not None:
        # Its address would be shown as text first, and taken away again with the closing bracket.
        return text[: start + unfinished.start()]
    return text[: min(_undecided_table(text), _open_formula(text))]


def open_fence(text: str) -> str:
    """The fence line that a text leaves open, or "": a continuation of the text starts inside that code."""
    marker = ""
    opening = ""
    for line in clean(text).split("\n"):
        found = _FENCE.match(line)
        if found is None:
            continue
        fence, rest = found.groups()
        if not marker:
            if fence[0] == "~" or "`" not in rest:
                marker, opening = fence, line
        elif fence[0] == marker[0] and len(fence) >= len(marker) and not rest.strip():
            marker = opening = ""
    return opening


def question_blocks(text: str) -> tuple[Block, ...]:
    """A person's own message: their text as it is, with `code` in the fixed font and fences as code."""
    return tuple(_question_blocks(clean(text)))


class GrowingText:
    """The blocks of a text that grows at its end: only the part that a new line can still change is parsed again.

    Lines of CommonMark never change a closed block, so all blocks that were begun before the last line, but for the
    last of them, stay. A link definition may change any block: a text with one is parsed whole.
    """

    def __init__(self) -> None:
        self._text = ""
        self._stable: list[Block] = []
        self._stable_end = 0  # letters of the text that the stable blocks cover

    def update(self, text: str) -> tuple[Block, ...]:
        text = clean(text)
        if not text.startswith(self._text) or _DEFINITION.search(text):
            self._stable, self._stable_end = [], 0
        self._text = text
        if _DEFINITION.search(text):
            return tuple(placed.block for placed in _parse(text))
        tail = text[self._stable_end :]
        placed = _parse(tail)
        blocks = (*self._stable, *(part.block for part in placed))
        self._settle(tail, placed)
        return blocks

    def _settle(self, tail: str, placed: list[_Placed]) -> None:
        lines = tail.split("\n")
        begun = [part for part in placed if part.start < len(lines) - 1]
        if len(begun) < 2:
            return
        kept = begun[:-1]
        self._stable.extend(part.block for part in kept)
        self._stable_end += sum(len(line) + 1 for line in lines[: begun[-1].start])


def _parse(text: str) -> list[_Placed]:
    env: dict[str, Any] = {}
    tokens = _markdown().parse(text, env)
    placed: list[_Placed] = []
    first = 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting == 1:
            first = index
        if token.level == 0 and token.nesting != 1:
            part = tokens[first : index + 1] if token.nesting == -1 else [token]
            placed.append(_Placed(_block(part, env), (part[0].map or [0])[0]))
    return placed


def _block(tokens: list[Token], env: dict[str, Any]) -> Block:
    head = tokens[0]
    if head.type in ("fence", "code_block"):
        words = head.info.split()
        return Block(BlockKind.CODE, code=head.content.removesuffix("\n"), language=words[0] if words else "")
    if head.type == "hr":
        return Block(BlockKind.RULE)
    if head.type == "blockquote_open":
        return Block(BlockKind.QUOTE, html=_html(tokens[1:-1], env))
    return Block(BlockKind.PROSE, html=_html(tokens, env), level=int(head.tag[1]) if head.type == "heading_open" else 0)


def _html(tokens: list[Token], env: dict[str, Any]) -> str:
    rendered: str = _markdown().renderer.render(tokens, _markdown().options, env)
    # Qt draws a table from its attributes; the colours of its lines come with the document's style sheet.
    rendered = _HEADING.sub(lambda tag: "</p>" if tag[1] else f'<p class="h{tag[2]}">', rendered)
    # Qt has no list item without a mark; a list of tasks alone has none.
    rendered = rendered.replace('<ul class="tasks">', '<ul style="list-style-type: none">')
    return rendered.strip().replace("<table>", '<table cellspacing="0" cellpadding="6" border="1">')


def _open_formula(text: str) -> int:
    """Where a formula of the last paragraph begins that is not closed yet; else the end of the text."""
    start = max(text.rfind("\n\n") + 2 if "\n\n" in text else 0, len(text) - maths.LONGEST)
    opened = maths.open_at(_INLINE_CODE.sub(lambda code: " " * len(code[0]), text[start:]))
    return start + opened if opened is not None and not open_fence(text) else len(text)


def _undecided_table(text: str) -> int:
    """Where a table begins whose second row, which makes it one, is not complete; else the end of the text."""
    lines = text.split("\n")
    complete = not lines[-1]
    rows = lines[:-1] if complete else lines
    run = 0
    while run < len(rows) and run < 3 and _TABLE_ROW.match(rows[-1 - run]):
        run += 1
    if run == 0 or run > 2 or (run == 2 and complete):
        return len(text)
    return len(text) - sum(len(row) + 1 for row in rows[len(rows) - run :]) + (0 if complete else 1)


def _question_blocks(text: str) -> Iterator[Block]:
    plain: list[str] = []
    code: list[str] = []
    fence = info = ""

    def closed() -> Iterator[Block]:
        said = "\n".join(plain).strip("\n")
        if said.strip():
            yield Block(BlockKind.PROSE, html=f'<p style="white-space: pre-wrap">{"".join(_question_parts(said))}</p>')
        plain.clear()

    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if found is not None and found[1].startswith(fence) and not found[2].strip():
                yield Block(BlockKind.CODE, code="\n".join(code), language=info)
                code.clear()
                fence = ""
            else:
                code.append(line)
        elif found is not None and (found[1][0] == "~" or "`" not in found[2]):
            yield from closed()
            fence, info = found[1], next(iter(found[2].split()), "")
        else:
            plain.append(line)
    if fence:
        yield Block(BlockKind.CODE, code="\n".join(code), language=info)
    yield from closed()


def _question_parts(text: str) -> Iterator[str]:
    end = 0
    for found in _INLINE_CODE.finditer(text):
        yield escape(text[end : found.start()])
        yield f"<code>{escape(found.group(2))}</code>"
        end = found.end()
    yield escape(text[end:])
