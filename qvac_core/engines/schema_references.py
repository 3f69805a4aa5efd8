"""Where the references of a JSON schema lead: those that nothing here can follow, or that never end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qvac_core.engines.response_schema import resolve

# Of schemas inside a schema: for the same value, and for parts of it.
_SAME_LISTS = ("allOf", "anyOf", "oneOf")
_SAME = ("not", "if", "then", "else")
_PARTS_LISTS = ("prefixItems", "items")
_PARTS_BY_NAME = ("properties", "patternProperties")
_PARTS = (
    "items",
    "additionalItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
)


def outside(schema: Mapping[str, Any]) -> str:
    """The first reference in use that leads out of the schema; "" for none."""
    for node in _Schemas(schema).in_use():
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return reference
    return ""


def endless(schema: Mapping[str, Any]) -> bool:
    """Whether a schema in use leads back to itself for one and the same value, so that no check of it ends.

    One that contains itself, as in a tree of nodes, does not.
    """
    schemas = _Schemas(schema)
    done: set[int] = set()
    for start in schemas.in_use():
        pending = [(start, schemas.same(start))]
        above = {id(start)}
        while pending:
            node, following = pending[-1]
            child = next((one for one in following if id(one) not in done), None)
            if child is None:
                pending.pop()
                above.discard(id(node))
                done.add(id(node))
            elif id(child) in above:
                return True
            else:
                above.add(id(child))
                pending.append((child, schemas.same(child)))
    return False


class _Schemas:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._resolved: dict[str, object] = {}

    def in_use(self) -> Iterator[Mapping[str, Any]]:
        """Each once; definitions that nothing refers to are none."""
        pending: list[Mapping[str, Any]] = [self._root]
        seen: set[int] = set()
        while pending:
            node = pending.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                pending.extend(self.same(node))
                pending.extend(_parts(node))

    def same(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Those that hold for the same value as this one."""
        found = [node.get(key) for key in _SAME]
        for key in _SAME_LISTS:
            if isinstance(listed := node.get(key), list):
                found += listed
        if isinstance(reference := node.get("$ref"), str):
            if reference not in self._resolved:
                self._resolved[reference] = resolve(self._root, reference)
            found.append(self._resolved[reference])
        return _schemas(found)


def _parts(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = [node.get(key) for key in _PARTS]
    for key in _PARTS_LISTS:
        if isinstance(listed := node.get(key), list):
            found += listed
    for key in _PARTS_BY_NAME:
        if isinstance(named := node.get(key), dict):
            found += named.values()
    return _schemas(found)


def _schemas(found: list[Any]) -> Iterator[Mapping[str, Any]]:
    return (one for one in found if isinstance(one, dict))
