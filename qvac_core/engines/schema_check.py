"""Whether a JSON value keeps to a JSON schema, for what a grammar cannot promise: the arguments of a tool call.

JSON Schema 2020-12 with the older spellings that clients send (lists of `items`, boolean exclusive bounds,
`definitions`). Schema and value are a stranger's: work is counted and timed, references stay inside the schema, and
patterns run in llguidance's engine, which knows no backtracking. Not checked: formats, and patterns it does not know.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeGuard

from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.response_grammar import grammar_for
from qvac_core.engines.response_schema import resolve
from qvac_core.errors import ModelError

WORK_LIMIT = 20_000  # of some 5 µs: a look at a part of the value with a part of the schema; real calls need hundreds
SECONDS_LIMIT = 1.0  # that one check may compute, however the work was counted
PATTERNS_LIMIT = 64  # that one check compiles
PATTERN_TEXT_LIMIT = 4096  # characters of a text that a pattern is tried on; longer ones are let through
TOO_COMPLEX = "The arguments cannot be checked: the schema is too complex."
_SHOWN = 60  # characters of a value in a message
_NESTING = 200  # of references and combinations; beyond, Python's own stack would end
_WORK_BETWEEN_CLOCKS = 100
# What costs more or less than a look, measured.
_COMPILING = 100  # a pattern, and again by its length
_MATCHING = 8  # a text with a pattern, and again by its length
_PATTERN_CHARACTERS = 2  # that cost as much to compile as a look
_MATCHED_CHARACTERS = 16
_WRITTEN_CHARACTERS = 64  # of values that are compared
_NAMES = 16  # that are looked up

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


class _TooMuch(Exception):
    """The schema asks for more work than any real one."""


class Budget:
    """What one check may cost. spent: units of work so far, of some 5 µs."""

    def __init__(
        self,
        work: int = WORK_LIMIT,
        *,
        seconds: float = SECONDS_LIMIT,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """clock: seconds; the default runs only while this thread computes, so a busy machine refuses nobody."""
        self.spent = 0
        self._work = work
        self._clock = clock
        self._until = clock() + seconds
        self._next_clock = _WORK_BETWEEN_CLOCKS

    def spend(self, work: int) -> None:
        self.spent += work
        if self.spent > self._work:
            raise _TooMuch
        if self.spent >= self._next_clock:
            self._next_clock = self.spent + _WORK_BETWEEN_CLOCKS
            if self._clock() > self._until:
                raise _TooMuch


def problem(value: object, schema: object, budget: Budget | None = None) -> str:
    """What is wrong with the value, as a sentence for whoever made it; "" when nothing is.

    TOO_COMPLEX when the budget does not suffice to find out.
    """
    try:
        return _Check(schema, budget or Budget()).problem(value, schema, "")
    except (_TooMuch, RecursionError):
        return TOO_COMPLEX


class _Check:
    """What is known of the schema and the value is kept by identity: both outlive the check, and do not change."""

    def __init__(self, root: object, budget: Budget) -> None:
        self._root: Mapping[str, Any] = root if isinstance(root, dict) else {}
        self._spend = budget.spend
        self._depth = 0
        self._trying = 0  # depth of choices, whose sentences nobody reads
        self._written: dict[int, str] = {}
        self._listed: dict[int, frozenset[str]] = {}
        self._resolved: dict[str, object] = {}
        self._guides: dict[str, TextGuide | None] = {}
        self._matched: dict[tuple[str, str], bool] = {}

    def problem(self, value: object, schema: object, path: str) -> str:
        self._spend(1)
        if self._depth > _NESTING:
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
        self._trying += 1
        try:
            return not self.problem(value, schema, "")
        finally:
            self._trying -= 1

    def _show(self, value: object) -> str:
        if self._trying:
            return ""
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

    def _canonical(self, value: object) -> str:
        """As JSON text that is the same for equal values: 1 is 1.0, and true is no number."""
        known = self._written.get(id(value))
        if known is None:
            known = self._written[id(value)] = json.dumps(_numbers_alike(value), sort_keys=True)
            self._spend(1 + len(known) // _WRITTEN_CHARACTERS)
        return known

    def _among(self, value: object, listed: list[Any]) -> bool:
        known = self._listed.get(id(listed))
        if known is None:
            known = self._listed[id(listed)] = frozenset(map(self._canonical, listed))
        return self._canonical(value) in known

    def _resolve(self, reference: str) -> object:
        if reference not in self._resolved:
            self._spend(len(reference) // _NAMES)
            self._resolved[reference] = resolve(self._root, reference)
        return self._resolved[reference]

    def _matches(self, pattern: str, text: str) -> bool:
        """Whether a text has the pattern in it; True where that cannot be told."""
        self._spend(1)
        known = self._matched.get((pattern, text))
        if known is None:
            known = self._matched[pattern, text] = self._match(pattern, text)
        return known

    def _match(self, pattern: str, text: str) -> bool:
        if len(text) > PATTERN_TEXT_LIMIT:
            return True
        if pattern not in self._guides:
            if len(self._guides) >= PATTERNS_LIMIT:
                raise _TooMuch
            self._spend(_COMPILING + len(pattern) // _PATTERN_CHARACTERS)
            self._guides[pattern] = _guide(pattern)
        guide = self._guides[pattern]
        if guide is None:
            return True
        self._spend(_MATCHING + len(text) // _MATCHED_CHARACTERS)
        return guide.is_whole(json.dumps(text, ensure_ascii=False))

    def _same(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if "const" in schema and self._canonical(value) != self._canonical(schema["const"]):
            return f"{_place(path)} is {self._show(value)}, not {self._show(schema['const'])}."
        listed = schema.get("enum")
        if isinstance(listed, list) and not self._among(value, listed):
            return f"{_place(path)} is {self._show(value)}, none of {self._show(listed)}."
        return ""

    def _typed(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        wanted = schema.get("type")
        names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        self._spend(len(names) // _NAMES)
        names = [name for name in names if isinstance(name, str)]
        if schema.get("nullable") is True and value is None:
            return ""
        if names and not any(_is(value, name) for name in names):
            return f"{_place(path)} is {self._show(value)}, not of type {' or '.join(names)}."
        return ""

    def _combined(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        reference = schema.get("$ref")
        if isinstance(reference, str) and (wrong := self.problem(value, self._resolve(reference), path)):
            return wrong
        for part in _list(schema, "allOf"):
            if wrong := self.problem(value, part, path):
                return wrong
        if (choices := _list(schema, "anyOf")) and not any(self._fits(value, part) for part in choices):
            return f"{_place(path)} is {self._show(value)}, which fits none of the schema's choices."
        if (choices := _list(schema, "oneOf")) and sum(self._fits(value, part) for part in choices) != 1:
            return f"{_place(path)} is {self._show(value)}, which does not fit exactly one of the schema's choices."
        if "not" in schema and self._fits(value, schema["not"]):
            return f"{_place(path)} is {self._show(value)}, which the schema rules out."
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
                    return f"{_place(path)} is {self._show(value)}, which is too small."
        for high, strict in (("maximum", False), ("exclusiveMaximum", True)):
            if _is_number(bound := schema.get(high)):
                strict = strict or schema.get("exclusiveMaximum") is True
                if value > bound or (strict and value == bound):
                    return f"{_place(path)} is {self._show(value)}, which is too large."
        multiple = schema.get("multipleOf")
        if (
            _is_number(multiple)
            and 0 < multiple < math.inf
            and -math.inf < value < math.inf
            and _exact(value) % _exact(multiple)
        ):
            return f"{_place(path)} is {self._show(value)}, which is no multiple of {multiple}."
        return ""

    def _texts(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if not isinstance(value, str):
            return ""
        if wrong := _counted(len(value), schema, "minLength", "maxLength"):
            return f"{_place(path)} is too {'short' if wrong < 0 else 'long'}."
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not self._matches(pattern, value):
            return f"{_place(path)} is {self._show(value)}, which does not match the pattern {self._show(pattern)}."
        return ""

    def _lists(self, value: object, schema: Mapping[str, Any], path: str) -> str:
        if not isinstance(value, list):
            return ""
        if wrong := _counted(len(value), schema, "minItems", "maxItems"):
            return f"{_place(path)} has too {'few' if wrong < 0 else 'many'} items."
        self._spend(len(value) // _NAMES)
        if schema.get("uniqueItems") is True and len(set(map(self._canonical, value))) < len(value):
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
        required = _list(schema, "required")
        self._spend(len(required) // _NAMES)
        for name in required:
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
            parts += [part for pattern, part in patterns.items() if self._matches(pattern, name)]
            for part in parts or [others]:
                if part is False:
                    return f"{_place(place)} is not known to the tool."
                if wrong_item := self.problem(item, part, place):
                    return wrong_item
            if "propertyNames" in schema and not self._fits(name, schema["propertyNames"]):
                return f"{_place(place)} has a name that the schema rules out."
        for name, wanted in _mapping(schema, "dependentRequired").items():
            if name not in value or not isinstance(wanted, list):
                continue
            self._spend(1 + len(wanted) // _NAMES)
            if left := [one for one in wanted if isinstance(one, str) and one not in value]:
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


def _exact(number: float) -> Fraction:
    """As it is written: 0.1 is a tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


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


@lru_cache(maxsize=256)
def _pattern_grammar(pattern: str) -> str:
    """ "" for a pattern that is beyond the engine, or its limits."""
    try:
        return grammar_for(json.dumps({"type": "string", "pattern": pattern}))
    except ModelError:
        return ""


def _guide(pattern: str) -> TextGuide | None:
    """None for a pattern that is beyond the engine, or its limits."""
    grammar = _pattern_grammar(pattern)
    try:
        return TextGuide(grammar) if grammar else None
    except ModelError:
        return None
