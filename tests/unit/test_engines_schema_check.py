"""The check of a call's arguments: what it finds is tested with the tools; here, that it is bounded by its work."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from qvac_core.engines import schema_check
from qvac_core.engines.guided_sampling import TextGuide
from qvac_core.engines.interface import ToolCall, ToolError
from qvac_core.engines.schema_check import PATTERNS_LIMIT, TOO_COMPLEX, WORK_LIMIT, Budget, problem
from qvac_core.engines.tool_reader import CHECKING_LIMIT, ToolReader
from qvac_core.engines.tools import CheckedTool


def spent(value: object, schema: object) -> int:
    budget = Budget()
    assert problem(value, schema, budget) == ""
    return budget.spent


def many_looks(leaf: dict[str, Any], looks: int) -> dict[str, Any]:
    return {"properties": {"a": {"allOf": [{"$ref": "#/$defs/leaf"}] * looks}}, "$defs": {"leaf": leaf}}


@pytest.mark.parametrize(
    ("leaf", "value", "size"),
    [
        ({"enum": list(range(301))}, 7, 301),
        ({"enum": [[number] for number in range(301)]}, [7], 301),
        ({"const": "a" * 12_800}, "a" * 12_800, 200),
        ({"uniqueItems": True}, list(range(301)), 301),
        ({"type": [f"t{place}" for place in range(320)]}, 7, 20),
        ({"required": ["b"] * 320}, {"b": 1}, 20),
        ({"pattern": "^a+$"}, "a" * 3200, 200),
        ({"patternProperties": {"^b+$": {}}}, {"b": 1}, 100),
    ],
)
def test_what_a_look_compares_is_counted_and_compared_once(leaf: dict[str, Any], value: object, size: int) -> None:
    """Enums, constants, unique items and patterns are as large as their schema and the value make them."""
    once, often = (spent({"a": value}, many_looks(leaf, looks)) for looks in (1, 21))
    assert once >= size
    counted_again = "uniqueItems" in leaf or "type" in leaf or "required" in leaf
    assert (often - once) / 20 < (size + 400 if counted_again else 20)


def test_an_enum_behind_many_references_is_within_bounds() -> None:
    """Three levels of twenty references each, to an enum of 301 numbers."""
    levels = {f"l{place}": {"allOf": [{"$ref": f"#/$defs/l{place + 1}"}] * 20} for place in range(3)}
    schema = {
        "patternProperties": {"^a$": {"$ref": "#/$defs/l0"}},
        "$defs": levels | {"l3": {"enum": [number / 4 for number in range(301)]}},
    }
    budget = Budget()
    assert problem({"a": 7}, schema, budget) in ("", TOO_COMPLEX)
    assert 8000 < budget.spent < WORK_LIMIT + 400


def test_work_beyond_the_budget_is_too_complex() -> None:
    assert problem({"a": 7}, many_looks({"enum": list(range(301))}, 10), Budget(200)) == TOO_COMPLEX
    assert problem({"a": "a" * 4000}, {"properties": {"a": {"pattern": "^a*$"}}}, Budget(200)) == TOO_COMPLEX
    assert problem({"a": "a"}, {"properties": {"a": {"pattern": f"^a{'b?' * 9000}$"}}}, Budget(9000)) == TOO_COMPLEX
    assert problem([list(range(90))], {"items": {"uniqueItems": True}}, Budget(100)) == TOO_COMPLEX


def test_the_calls_of_one_answer_share_a_budget() -> None:
    """An answer may have thousands, and each may cost nearly what one may."""
    schema = {"type": "object", "properties": {"a": {"enum": list(range(WORK_LIMIT // 2))}}}
    reader = ToolReader([CheckedTool("f", "", schema)], [("<c>", "</c>")], new_id=lambda: "1")
    call = '<c>{"name": "f", "arguments": {"a": 7}}</c>'
    fit = CHECKING_LIMIT // (WORK_LIMIT // 2) - 1
    said = reader.feed(call * (fit + 3))
    assert [type(one) for one in said[:fit]] == [ToolCall] * fit
    assert isinstance(said[-1], ToolError) and TOO_COMPLEX in said[-1].message


def test_time_beyond_the_budget_is_too_complex() -> None:
    """Whatever the work was counted as."""
    ticks = itertools.count()
    schema = many_looks({"type": "integer"}, 300)
    assert problem({"a": 7}, schema) == ""
    assert problem({"a": 7}, schema, Budget(seconds=3, clock=lambda: next(ticks))) == TOO_COMPLEX


@pytest.mark.parametrize("where", ["patternProperties", "allOf"])
def test_patterns_are_compiled_once_and_are_bounded_in_number(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = schema_check._guide

    def counted(pattern: str) -> TextGuide | None:
        compiled.append(pattern)
        return real(pattern)

    monkeypatch.setattr(schema_check, "_guide", counted)

    def schema(patterns: int) -> dict[str, Any]:
        if where == "allOf":
            return {"items": {"allOf": [{"pattern": f"^a|{place}$"} for place in range(patterns)]}}
        return {"items": {"patternProperties": {f"^a|{place}$": {} for place in range(patterns)}}}

    items = ["a", "ab", "ac"] if where == "allOf" else [{"a": 1}, {"b": 2}, {"a": 3}]
    assert problem(items, schema(PATTERNS_LIMIT)) == ""
    assert len(compiled) == PATTERNS_LIMIT
    assert problem(items, schema(PATTERNS_LIMIT + 1)) == TOO_COMPLEX


def test_sentences_of_choices_that_are_not_taken_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would show the value, which may be long, once for each choice."""
    shown: list[object] = []
    real = json.dumps

    def counted(value: object, **options: Any) -> str:
        shown.append(value)
        return real(value, **options)

    monkeypatch.setattr(json, "dumps", counted)
    value = {"text": "a" * 1000}
    assert "fits none" in problem(value, {"anyOf": [{"type": "integer"}] * 500})
    assert shown == [value]


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**308, 1e308, float("inf"), float("nan")])
@pytest.mark.parametrize("multiple", [7, 0.1, 1e-300, 10**400, 1e308, float("inf"), True, "x"])
def test_numbers_of_any_size_are_checked(number: float, multiple: object) -> None:
    """A provider is a stranger, and so is who wrote the tool."""
    wrong = problem({"a": number}, {"properties": {"a": {"multipleOf": multiple}}})
    assert wrong == "" or "multiple" in wrong


def test_a_large_integer_is_divided_exactly() -> None:
    schema = {"multipleOf": 7}
    assert problem(7 * 10**400, schema) == ""
    assert "no multiple of 7" in problem(7 * 10**400 + 1, schema)
    assert problem(0.3, {"multipleOf": 0.1}) == ""


def test_an_anchor_is_not_taken_for_the_whole_schema() -> None:
    """What it names is not looked for, and so left unchecked."""
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#n"}},
        "$defs": {"n": {"$anchor": "n", "type": "integer"}},
    }
    assert problem({"a": 5}, schema) == ""


@pytest.mark.parametrize("word", ["required", "enum", "type", "allOf", "properties", "dependentRequired", "items"])
@pytest.mark.parametrize("value", [5, None, "x", [5], {"a": 5}, True, [[]], {"a": [[]]}])
def test_a_schema_of_any_shape_is_checked(word: str, value: object) -> None:
    assert isinstance(problem({"a": 5}, {word: value}), str)
    assert isinstance(problem([5], {word: value}), str)
