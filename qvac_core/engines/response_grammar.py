"""A JSON schema as a grammar that the sampler enforces.

The conversion is llama-cpp-python's; what is ours are the bounds, because a schema may come from a stranger
(ARCHITECTURE.md, "Safe by default").
"""

from __future__ import annotations

import json

from qvac_core.errors import ModelError

SCHEMA_LIMIT = 16 * 1024  # characters
DEPTH_LIMIT = 16
REPEAT_LIMIT = 256  # minItems, maxLength, …: a grammar unrolls them
GRAMMAR_LIMIT = 64 * 1024  # characters
_REPEATS = ("minItems", "maxItems", "minLength", "maxLength")


def grammar_for(schema: str) -> str:
    """GBNF for a JSON schema. Raises ModelError when it is malformed, unbounded or beyond what is supported."""
    if len(schema) > SCHEMA_LIMIT:
        raise _refused("it is too long")
    try:
        tree = json.loads(schema)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON") from None
    if not isinstance(tree, dict):
        raise _refused("it is not an object")
    _check(tree, 0)
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        grammar = str(json_schema_to_gbnf(schema))
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError, RecursionError):
        raise _refused("it uses something that is not supported") from None
    if len(grammar) > GRAMMAR_LIMIT:
        raise _refused("it is too complex")
    return grammar


def _check(node: object, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise _refused("it is nested too deeply")
    if isinstance(node, list):
        for item in node:
            _check(item, depth + 1)
    if not isinstance(node, dict):
        return
    reference = node.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise _refused("it refers to another document")
    if isinstance(node.get("pattern"), str):
        raise _refused("patterns are not supported")
    for key in _REPEATS:
        value = node.get(key)
        if isinstance(value, (int, float)) and value > REPEAT_LIMIT:
            raise _refused(f"{key} is above {REPEAT_LIMIT}")
    for value in node.values():
        _check(value, depth + 1)


def _refused(reason: str) -> ModelError:
    return ModelError(f"The response schema cannot be used: {reason}.", name="COMPLETION_FAILED", code=52406)
