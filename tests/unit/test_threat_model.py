"""docs/threat-model.md against the tests: each claim has one that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/threat-model.md").read_text("utf-8")
CITED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def claims() -> dict[str, list[tuple[str, str]]]:
    """Claim → file and name of each of its tests."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    return {claim: CITED.findall(tests) for claim, tests in rows if claim != "claim"}


@cache
def functions_of(file: str) -> frozenset[str]:
    path = TESTS / file
    if not path.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, functions))


def test_every_claim_has_a_test() -> None:
    assert len(claims()) >= 30
    assert [claim for claim, tests in claims().items() if not tests] == []


def test_every_test_of_a_claim_is_there() -> None:
    cited = {test for tests in claims().values() for test in tests}
    assert sorted(f"{file}::{name}" for file, name in cited if name not in functions_of(file)) == []


def test_the_hostile_suite_is_cited_by_its_claims() -> None:
    """A file of hostile tests that no claim names shows something that nobody is told."""
    cited = {file for tests in claims().values() for file, _ in tests}
    of_the_door = {str(path.relative_to(TESTS)) for path in TESTS.glob("e2e/test_hostile_*.py")}
    assert of_the_door - cited == set()
