"""Fields of a JSON body, each checked when it is read. What nobody reads is ignored, as clients expect it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qvac_core.endpoint.faults import bad

DEEPEST = 100  # levels of a body: schemas of tools are the deepest there are


def parsed(data: bytes) -> dict[str, Any]:
    """Raises Fault."""
    try:
        body = json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise bad("The body is nested too deep.") from None
    except ValueError:
        raise bad("The body is no JSON. Send Content-Type: application/json with a JSON object.") from None
    if not isinstance(body, dict):
        raise bad("The body is a JSON object.")
    _check_depth(body)
    return body


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _check_depth(body: object) -> None:
    pending = [(body, 0)]
    while pending:
        part, depth = pending.pop()
        if depth > DEEPEST:
            raise bad("The body is nested too deep.")
        if isinstance(part, dict):
            pending += [(each, depth + 1) for each in part.values()]
        elif isinstance(part, list):
            pending += [(each, depth + 1) for each in part]


class Fields:
    """`where` begins the names in sentences: "messages[2]."."""

    def __init__(self, given: Mapping[str, Any], where: str = "") -> None:
        self.given, self.where = given, where

    def path(self, name: str) -> str:
        return f"{self.where}{name}"

    def text(self, name: str, otherwise: str | None = None) -> str:
        value = self.given.get(name)
        if value is None and otherwise is not None:
            return otherwise
        if not isinstance(value, str):
            raise bad(f"{self.path(name)} is a text.", self.path(name))
        return clean(value)

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad(f"{self.path(name)} is a number.", self.path(name))
        if not low <= value <= high:  # in whole numbers too: one of 400 digits is no float
            raise bad(f"{self.path(name)} is a number from {low:g} to {high:g}.", self.path(name))
        return float(value)

    def whole(self, name: str, low: int, high: int) -> int | None:
        value = self.number(name, low, high)
        if value is None:
            return None
        if value != int(value):
            raise bad(f"{self.path(name)} is a whole number.", self.path(name))
        return int(value)

    def flag(self, name: str, otherwise: bool = False) -> bool:
        value = self.given.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, bool):
            raise bad(f"{self.path(name)} is true or false.", self.path(name))
        return value

    def items(self, name: str) -> list[Any]:
        value = self.given.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise bad(f"{self.path(name)} is a list.", self.path(name))
        return value

    def inner(self, name: str) -> Fields | None:
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise bad(f"{self.path(name)} is an object.", self.path(name))
        return Fields(value, f"{self.path(name)}.")

    def refuse(self, name: str, *harmless: object) -> None:
        """For what would change the answer and is not done here: better told than left out in silence."""
        value = self.given.get(name)
        if value is not None and value not in harmless:
            raise bad(
                f"{self.path(name)} is not supported here. Leave it out.", self.path(name), "unsupported_parameter"
            )


def clean(text: str) -> str:
    """Halves of letters have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def json_text(value: object) -> str:
    """Of a schema, or of arguments: what a template and an engine's worker are told is UTF-8."""
    return clean(json.dumps(value, ensure_ascii=False))
