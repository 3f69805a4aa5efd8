"""A JSON schema of a client or a stranger, made ready for llguidance: bounded, and in the words that it implements.

What Pydantic, zod and MCP servers emit works as it stands, `$ref` to itself, patterns, formats and limits too. Not
enforced, and left to whoever reads the answer: uniqueItems, not, if/then/else, contains, formats that llguidance does
not know, patterns with look-around, limits of absurd size. Objects that name their properties and say nothing about
others get no others, as in llama.cpp's own converter: small models would go on inventing them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from qvac_core.errors import RequestRefused

SCHEMA_LIMIT = 32 * 1024  # characters
DEPTH_LIMIT = 32  # of the JSON; an object in an object is two
# Patterns, formats and multiples that have to hold for one and the same value: the time to compile their intersection
# has no other bound.
INTERSECTION_LIMIT = 5
_WEIGHTS = {"pattern": 1, "format": 1, "multipleOf": 3, "patternProperties": 1, "minLength": 1, "maxLength": 1}
MULTIPLE_LIMIT = 1000  # multipleOf as a fraction, either part: above it, it is not enforced
NARROWED = 1e-6  # of the distance between two bounds, where an exclusive one is not kept
NUMBER_LIMIT = 2**64  # limits beyond it are none

INDEX_DIGITS = 6  # of a place in a list that a reference names; Python refuses to read thousands of digits
ITEMS_LIMIT = 1000  # items or properties that a schema may count; more are left to whoever reads the answer

Check = Callable[[str], bool]
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "unevaluatedProperties")
_COMBINED = ("allOf", "anyOf", "oneOf", "$ref", "patternProperties", "unevaluatedProperties", "if")
_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))


def parse_schema(text: str, limit: int = SCHEMA_LIMIT) -> dict[str, Any]:
    """limit: characters. Raises ModelError for what is no schema, or beyond the limits."""
    if len(text) > limit:
        raise refused("it is too long")
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise refused("it is not JSON") from None
    if not isinstance(tree, dict):
        raise refused("it is not an object")
    _check_depth(tree, 0)
    return tree


def prepared(schema: Mapping[str, Any], has_pattern: Check) -> dict[str, Any]:
    """The schema in llguidance's words. has_pattern: whether it can use a regular expression. Raises ModelError."""
    result = _Preparation(schema, has_pattern).schema(dict(schema), closed=True)
    assert isinstance(result, dict)
    _check_intersections(result)
    return result


def refused(reason: str) -> RequestRefused:
    return RequestRefused(f"The response schema cannot be used: {reason}.")


class _Preparation:
    def __init__(self, root: Mapping[str, Any], has_pattern: Check) -> None:
        self._root = root
        self._has_pattern = has_pattern

    def schema(self, node: object, *, closed: bool) -> object:
        """closed: whether properties that a schema does not name can be ruled out: not for one of several that all
        have to hold."""
        if not isinstance(node, dict):
            return node
        result = {key: value for key, value in node.items() if key not in ("x-guidance", "$schema", "$id")}
        _tuples(result)
        _limits(result)
        self._patterns(result)
        self._property_names(result)
        names = result.get("properties")
        if closed and isinstance(names, dict) and not any(key in result for key in _COMBINED):
            required = result.get("required", [])
            if isinstance(required, list) and all(name in names for name in required if isinstance(name, str)):
                result.setdefault("additionalProperties", False)
        for key in _BY_NAME:
            if isinstance(children := result.get(key), dict):
                inner = closed or key in ("properties", "patternProperties")
                result[key] = {name: self.schema(child, closed=inner) for name, child in children.items()}
        for key in _LISTS:
            if isinstance(children := result.get(key), list):
                inner = key == "prefixItems" or (closed and key != "allOf" and "properties" not in result)
                result[key] = [self.schema(child, closed=inner) for child in children]
        for key in _SINGLE:
            if key in result:
                result[key] = self.schema(result[key], closed=True)
        return result

    def _patterns(self, node: dict[str, Any]) -> None:
        if isinstance(pattern := node.get("pattern"), str) and not self._has_pattern(pattern):
            del node["pattern"]
        if isinstance(patterns := node.get("patternProperties"), dict):
            usable = {pattern: child for pattern, child in patterns.items() if self._has_pattern(pattern)}
            if len(usable) < len(patterns):
                node["patternProperties"] = usable
                node["additionalProperties"] = True

    def _property_names(self, node: dict[str, Any]) -> None:
        """What Pydantic and zod write for mappings with an enum as key; llguidance has no propertyNames."""
        names = node.pop("propertyNames", None)
        for _ in range(DEPTH_LIMIT):
            if isinstance(names, dict) and isinstance(reference := names.get("$ref"), str):
                names = self._resolved(reference)
        if not isinstance(names, dict) or "properties" in node or "patternProperties" in node:
            return
        value = node.get("additionalProperties", True)
        listed = names.get("enum", [names["const"]] if "const" in names else None)
        if isinstance(listed, list):
            node["properties"] = {name: value for name in listed if isinstance(name, str)}
            node["additionalProperties"] = False
        elif isinstance(pattern := names.get("pattern"), str) and self._has_pattern(pattern):
            node["patternProperties"] = {pattern: value}
            node["additionalProperties"] = False

    def _resolved(self, reference: str) -> object:
        return resolve(self._root, reference)


def resolve(root: Mapping[str, Any], reference: str) -> object:
    """What a reference by place ("#", "#/$defs/x") points at; None for any other."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    node: object = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(name)
        elif isinstance(node, list) and name.isascii() and name.isdigit() and len(name) <= INDEX_DIGITS:
            node = node[int(name)] if int(name) < len(node) else None
        else:
            return None
    return node


def _tuples(node: dict[str, Any]) -> None:
    """Draft 7 writes a tuple as a list of `items`, and what may follow as `additionalItems`."""
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")
        if "additionalItems" in node:
            node["items"] = node.pop("additionalItems")


def _limits(node: dict[str, Any]) -> None:
    for plain, exclusive in _BOUNDS:
        if node.get(exclusive) is True and plain in node:  # draft 4
            node[exclusive] = node.pop(plain)
        elif isinstance(node.get(exclusive), bool):
            del node[exclusive]
        for key in (plain, exclusive):
            value = node.get(key)
            if isinstance(value, (int, float)) and not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
                del node[key]
    _narrow(node, "exclusiveMinimum", "minimum", node.get("maximum", node.get("exclusiveMaximum")))
    _narrow(node, "exclusiveMaximum", "maximum", node.get("minimum", node.get("exclusiveMinimum")))
    for key in _COUNTS:
        count = node.get(key)
        if isinstance(count, (int, float)) and count > ITEMS_LIMIT:
            del node[key]
    multiple = node.get("multipleOf")
    if isinstance(multiple, (int, float)) and not _is_small(multiple):
        del node["multipleOf"]


def _narrow(node: dict[str, Any], exclusive: str, plain: str, other: object) -> None:
    """llguidance 1.9.1 lets a whole exclusive bound itself through where the other bound is less than 1 away."""
    bound = node.get(exclusive)
    if isinstance(bound, (int, float)) and isinstance(other, (int, float)) and 0 < abs(other - bound) < 1:
        node[plain] = float(bound + (other - bound) * NARROWED)
        del node[exclusive]


def _is_small(multiple: float) -> bool:
    try:
        fraction = Fraction(str(multiple))
    except ValueError:
        return False
    return 0 < fraction.numerator <= MULTIPLE_LIMIT and fraction.denominator <= MULTIPLE_LIMIT


def _check_depth(node: object, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise refused("it is nested too deeply")
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        _check_depth(child, depth + 1)


def _check_intersections(root: dict[str, Any]) -> None:
    """Raises ModelError when too much has to hold for one value, over all references and combinations."""
    known: dict[int, int] = {}

    def weight(node: object) -> int:
        if not isinstance(node, dict):
            return 0
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = 0  # a reference to itself adds nothing
        total = sum(_WEIGHTS[key] for key in _WEIGHTS if key in node)
        if isinstance(patterns := node.get("patternProperties"), dict):
            total += len(patterns)
        if isinstance(reference := node.get("$ref"), str):
            total += weight(resolve(root, reference))
        if isinstance(branches := node.get("allOf"), list):
            total += sum(map(weight, branches))
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := node.get(key), list):
                total += max(map(weight, branches), default=0)
        known[id(node)] = total
        if total > INTERSECTION_LIMIT:
            raise refused("too many patterns have to hold at once")
        return total

    pending: list[object] = [root]
    while pending:
        node = pending.pop()
        weight(node)
        pending.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
