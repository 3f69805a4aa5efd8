"""A JSON schema as a grammar that sampling enforces.

The conversion is llguidance's, which llama.cpp and others use for the same; its bounds on time and memory are set here,
because a schema may come from a stranger (docs/architecture.md, "Safe by default").
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qvac_core.engines.response_schema import SCHEMA_LIMIT, parse_schema, prepared, refused
from qvac_core.errors import RequestRefused
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import llguidance
    from llguidance._lib import JsonCompileOptions
else:
    llguidance = Lazy("llguidance")

MEND_LIMIT = 64  # parts of a schema that are looked at for the one that cannot be used
_UNFULFILLABLE = "nsatisfiable"
# lenient: what is not implemented is not enforced (response_schema.py lists it), in place of refusing the whole.
# One blank, or one line with its indent: a small model would fill its context with white space otherwise.
_OPTIONS: JsonCompileOptions = {
    "lenient": True,
    "coerce_one_of": True,
    "whitespace_flexible": True,
    "whitespace_pattern": r"( |\n {0,16})",
}


def limits() -> llguidance.LLParserLimits:
    """Of one grammar; the defaults allow seconds a token, and the states 500 MB."""
    return llguidance.LLParserLimits(
        initial_lexer_fuel=1_000_000,
        step_lexer_fuel=200_000,
        step_max_items=20_000,
        max_lexer_states=20_000,
        max_grammar_size=100_000,
        precompute_large_lexemes=False,
        verbose_errors=False,
    )


def grammar_for(schema: str, limit: int = SCHEMA_LIMIT) -> str:
    """llguidance's grammar for a JSON schema of so many characters at most.

    Raises ModelError when it is malformed, or beyond what is supported.
    """
    tree = prepared(parse_schema(schema, limit), _is_pattern)
    grammar, error = _compiled(tree)
    if error and _UNFULFILLABLE not in error:
        tree = _Mending(tree).mended(tree)
        grammar, error = _compiled(tree)
    if _UNFULFILLABLE in error:
        raise refused("nothing can fulfil it")
    if error:
        raise refused("it is too complex, or uses something that is not supported")
    return grammar


def _compiled(tree: object) -> tuple[str, str]:
    """The grammar, and what llguidance says against it ("" = nothing)."""
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(tree), overrides=_OPTIONS)
        failed, messages = llguidance.LLMatcher.validate_grammar_with_warnings(grammar, None, limits=limits())
    except (ValueError, TypeError, RecursionError) as error:
        return "", str(error) or "error"
    return grammar, (messages[0] if messages else "error") if failed else ""


@lru_cache(maxsize=512)
def _is_pattern(pattern: str) -> bool:
    return not _compiled({"type": "string", "pattern": pattern})[1]


class _Mending:
    """Finds the part of a schema that cannot be used, and lets anything of its type stand there."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._definitions = {key: root[key] for key in ("$defs", "definitions") if key in root}
        self._looks = 0

    def mended(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        self._looks += 1
        if self._looks > MEND_LIMIT:
            raise refused("it is too complex")
        error = _compiled({**self._definitions, **node})[1]
        if not error:
            return node
        if _UNFULFILLABLE in error:
            raise refused("nothing can fulfil it")
        if isinstance(names := node.get("properties"), dict):
            return {**node, "properties": {name: self.mended(child) for name, child in names.items()}}
        if isinstance(node.get("items"), dict):
            return {**node, "items": self.mended(node["items"])}
        kind = node.get("type")
        return {"type": kind} if isinstance(kind, str) else {}


def checked(matcher: llguidance.LLMatcher) -> llguidance.LLMatcher:
    """Raises ModelError when it is in its error state, which it never leaves."""
    if matcher.is_error():
        raise too_complex()
    return matcher


def too_complex() -> RequestRefused:
    return RequestRefused("The response schema is too complex for this model (that of a tool, if one must be called).")
