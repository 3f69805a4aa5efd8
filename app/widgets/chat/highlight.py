"""Which letters of a line of code get which colour: pygments' lexers, the design's five roles. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pygments.lexer import Lexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

# What is longer stays plain.
MAX_LETTERS = 60_000

_ROLES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "comment"),
    (String, "string"),
    (Number, "number"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Name.Function, "function"),
    (Name.Builtin, "function"),
    (Name.Class, "function"),
    (Name.Decorator, "function"),
    (Name.Tag, "keyword"),
    (Name.Attribute, "function"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """`length` letters from `start` of one line. `role`: a field of the theme's code colours."""

    start: int
    length: int
    role: str


def spans(code: str, language: str) -> list[tuple[Span, ...]]:
    """For each line of `code` its coloured spans; offsets count UTF-16 units, as Qt does."""
    return list(line_spans(code, language))


def line_spans(code: str, language: str) -> Iterator[tuple[Span, ...]]:
    """As `spans`, line by line: a page of code takes about a millisecond, and a long one can be lexed in pieces."""
    left = code.count("\n") + 1
    lexer = _lexer(language)
    if lexer is None or len(code) > MAX_LETTERS:
        yield from [()] * left
        return
    line: list[Span] = []
    column = 0
    # Some lexers see a comment only when its line ends.
    for role, text in _tokens(lexer, code + "\n"):
        for index, part in enumerate(text.split("\n")):
            if index:
                if left == 0:
                    return
                yield tuple(line)
                left -= 1
                line = []
                column = 0
            length = _units(part)
            if role and length:
                line.append(Span(column, length, role))
            column += length
    while left > 0:
        yield tuple(line)
        line = []
        left -= 1


def _tokens(lexer: Lexer, code: str) -> Iterator[tuple[str, str]]:
    for _offset, kind, text in lexer.get_tokens_unprocessed(code):
        yield _role(kind), text


@lru_cache(maxsize=256)
def _role(kind: _TokenType) -> str:
    return next((role for family, role in _ROLES if kind in family), "")


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    try:
        return get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text) + sum(letter > "\uffff" for letter in text)
