"""Whether a JSON value keeps to a JSON schema, for what a grammar cannot promise: the arguments of a tool call.

JSON Schema 2020-12 with the older spellings that clients send (lists of `items`, boolean exclusive bounds,
`definitions`). Schema and value are a stranger's: the work is counted, references stay inside the schema, and patterns
run in llguidance's engine, which knows no backtracking. Not checked: formats, and patterns that engine does not know.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeGuard

from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.response_schema import resolve
from qvac_core.errors import ModelError

WORK_LIMIT = 20_000  # looks at a part of the value with a part of the schema; a large real call needs hundreds
PATTERN_TEXT_LIMIT = 4096  # characters of a text that a pattern is tried on; longer ones are let through
TOO_COMPLEX = "The arguments cannot be checked: the schema is too complex."
_SHOWN = 60  # characters of a value in a message
_NESTING = 200  # of references and combinations; beyond, Python's own stack would end

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


class _TooMuch(Exception):
    """The schema asks for more work than any real one."""


def problem(value: object, schema: object) -> str:
    """What is wrong with the value, as a sentence for whoever made it; "" when nothing is."""
    try:
        return _Check(schema).problem(value, schema, "")
    except (_TooMuch, RecursionError):
        return TOO_COMPLEX


class _Check:
    def __init__(self, root: object) -> None:
        self._root: Mapping[str, Any] = root if isinstance(root, dict) else {}
        self._work = 0
        self._depth = 0

    def problem(self, value: object, schema: object, path: str) -> str:
        self._work += 1
        if self._work > WORK_LIMIT or self._depth > _NESTING:
            raise _TooMuch
        if schema is False:
            return f"{_place(path)} may not be there."
        if not isinstance(schema, dict):
            return ""
        self._depth += 1
        try:
            for check in (self._same, self._typed, self._combined, self._numbers, self._texts, self._lists):
                if wrong := check(value, schema, path):
                    return wrong
            return self._objects(value, schema, path) if isinstance(value, dict) else ""
        finally:
            self._depth -= 1

    def _fits(self, value: object, schema: object) -> bool:
        return not self.problem(value, schema, "")

    def _same(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if "const" in schema and not _equal(value, schema["const"]):
            return f"{_place(path)} is {_show(value)}, not {_show(schema['const'])}."
        listed = schema.get("enum")
        if isinstance(listed, list) and not any(_equal(value, one) for one in listed):
            return f"{_place(path)} is {_show(value)}, none of {_show(listed)}."
        return ""

    def _typed(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        wanted = schema.get("type")
        names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        names = [name for name in names if isinstance(name, str)]
        if schema.get("nullable") is True and value is None:
            return ""
        if names and not any(_is(value, name) for name in names):
            return f"{_place(path)} is {_show(value)}, not of type {' or '.join(names)}."
        return ""

    def _combined(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        reference = schema.get("$ref")
        if isinstance(reference, str) and (wrong := self.problem(value, resolve(self._root, reference), path)):
            return wrong
        for part in _list(schema, "allOf"):
            if wrong := self.problem(value, part, path):
                return wrong
        if (choices := _list(schema, "anyOf")) and not any(self._fits(value, part) for part in choices):
            return f"{_place(path)} is {_show(value)}, which fits none of the schema's choices."
        if (choices := _list(schema, "oneOf")) and sum(self._fits(value, part) for part in choices) != 1:
            return f"{_place(path)} is {_show(value)}, which does not fit exactly one of the schema's choices."
        if "not" in schema and self._fits(value, schema["not"]):
            return f"{_place(path)} is {_show(value)}, which the schema rules out."
        if "if" in schema:
            branch = "then" if self._fits(value, schema["if"]) else "else"
            return self.problem(value, schema.get(branch, True), path)
        return ""

    def _numbers(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        for low, strict in (("minimum", False), ("exclusiveMinimum", True)):
            if _is_number(bound := schema.get(low)):
                strict = strict or schema.get("exclusiveMinimum") is True
                if value < bound or (strict and value == bound):
                    return f"{_place(path)} is {_show(value)}, which is too small."
        for high, strict in (("maximum", False), ("exclusiveMaximum", True)):
            if _is_number(bound := schema.get(high)):
                strict = strict or schema.get("exclusiveMaximum") is True
                if value > bound or (strict and value == bound):
                    return f"{_place(path)} is {_show(value)}, which is too large."
        multiple = schema.get("multipleOf")
        divisible = _is_number(multiple) and 0 < multiple < math.inf and math.isfinite(value)
        if divisible and Fraction(str(value)) % Fraction(str(multiple)):
            return f"{_place(path)} is {_show(value)}, which is no multiple of {multiple}."
        return ""

    def _texts(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if not isinstance(value, str):
            return ""
        if wrong := _counted(len(value), schema, "minLength", "maxLength"):
            return f"{_place(path)} is too {'short' if wrong < 0 else 'long'}."
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _matches(pattern, value):
            return f"{_place(path)} is {_show(value)}, which does not match the pattern {_show(pattern)}."
        return ""

    def _lists(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if not isinstance(value, list):
            return ""
        if wrong := _counted(len(value), schema, "minItems", "maxItems"):
            return f"{_place(path)} has too {'few' if wrong < 0 else 'many'} items."
        if schema.get("uniqueItems") is True and len({_canonical(item) for item in value}) < len(value):
            return f"{_place(path)} has the same item twice."
        items = schema.get("items")
        first = _list(schema, "prefixItems") or (items if isinstance(items, list) else [])
        rest = schema.get("additionalItems", True) if isinstance(items, list) else schema.get("items", True)
        for place, item in enumerate(value):
            if wrong_item := self.problem(item, first[place] if place < len(first) else rest, f"{path}[{place}]"):
                return wrong_item
        if "contains" in schema and not any(self._fits(item, schema["contains"]) for item in value):
            return f"{_place(path)} lacks an item that the schema asks for."
        return ""

    def _objects(self, value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> str:
        for name in _list(schema, "required"):
            if isinstance(name, str) and name not in value:
                return f"{_place(_inside(path, name))} is missing."
        if wrong := _counted(len(value), schema, "minProperties", "maxProperties"):
            return f"{_place(path)} has too {'few' if wrong < 0 else 'many'} properties."
        named = _mapping(schema, "properties")
        patterns = _mapping(schema, "patternProperties")
        others = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        for name, item in value.items():
            place = _inside(path, name)
            parts = [named[name]] if name in named else []
            parts += [part for pattern, part in patterns.items() if _matches(pattern, name)]
            for part in parts or [others]:
                if part is False:
                    return f"{_place(place)} is not known to the tool."
                if wrong_item := self.problem(item, part, place):
                    return wrong_item
            if "propertyNames" in schema and not self._fits(name, schema["propertyNames"]):
                return f"{_place(place)} has a name that the schema rules out."
        for name, wanted in _mapping(schema, "dependentRequired").items():
            if name in value and isinstance(wanted, list) and (left := [one for one in wanted if one not in value]):
                return f"{_place(_inside(path, str(left[0])))} is missing."
        return ""


def _list(schema: Mapping[str, Any], key: str) -> list[Any]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _mapping(schema: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = schema.get(key)
    return found if isinstance(found, dict) else {}


def _is(value: object, name: str) -> bool:
    if name == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    known = _TYPES.get(name)
    return known is None or isinstance(value, known)


def _is_number(bound: object) -> TypeGuard[float]:
    return isinstance(bound, int | float) and not isinstance(bound, bool)


def _counted(count: int, schema: Mapping[str, Any], least: str, most: str) -> int:
    """-1: too few, 1: too many."""
    low, high = schema.get(least), schema.get(most)
    if _is_number(low) and count < low:
        return -1
    return 1 if _is_number(high) and count > high else 0


def _equal(one: object, other: object) -> bool:
    """As JSON: 1 is 1.0, and true is no number."""
    return _canonical(one) == _canonical(other)


def _canonical(value: object) -> str:
    return json.dumps(_numbers_alike(value), sort_keys=True)


def _numbers_alike(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _numbers_alike(item) for name, item in value.items()}
    return [_numbers_alike(item) for item in value] if isinstance(value, list) else value


def _place(path: str) -> str:
    return path or "The value"


def _inside(path: str, name: str) -> str:
    return f"{path}.{name[:_SHOWN]}" if path else name[:_SHOWN]


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@lru_cache(maxsize=256)
def _pattern_grammar(pattern: str) -> str:
    """ "" for a pattern that is beyond the engine, or its limits."""
    try:
        return grammar_for(json.dumps({"type": "string", "pattern": pattern}))
    except ModelError:
        return ""


def _matches(pattern: str, text: str) -> bool:
    grammar = _pattern_grammar(pattern) if len(text) <= PATTERN_TEXT_LIMIT else ""
    if not grammar:
        return True
    try:
        return TextGuide(grammar).is_whole(json.dumps(text, ensure_ascii=False))
    except ModelError:
        return True
