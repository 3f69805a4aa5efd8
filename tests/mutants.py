"""Mutants of the rooms that strangers reach: small faults that the tests of a module must notice. Not part of CI.

    python -m tests.mutants                       # every module of the table
    python -m tests.mutants rendezvous/path_set   # those whose path has it

A comparison's edge or direction moved, `and` and `or` swapped, a `not` dropped, a number moved by one. Each mutant runs
the tests that the table names, in a process of its own; what they let through is printed with its line.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis  # noqa: F401  loaded once, before the forks
import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 60.0
"""Seconds for the tests of one mutant; one that takes longer hangs, and is noticed."""

TABLE: dict[str, Sequence[str]] = {
    "rendezvous/path_set": ("unit/test_rendezvous_path_set.py", "property/test_path_set_properties.py"),
    "rendezvous/path_validation": ("unit/test_rendezvous_path_validation.py",),
    "rendezvous/holepunch_rounds": ("unit/test_rendezvous_holepunch_rounds.py",),
    "rendezvous/holepuncher": ("unit/test_rendezvous_holepuncher.py", "property/test_holepunch_machine.py"),
    "rendezvous/places": ("unit/test_rendezvous_places.py",),
    "secret_stream/secret_stream": (
        "unit/test_secret_stream_frames.py",
        "unit/test_secret_stream_vectors.py",
        "property/test_secret_stream_fuzz.py",
    ),
    "delegation/rpc": ("unit/test_delegation_rpc.py",),
    "delegation/admission": ("unit/test_delegation_admission.py",),
}
"""Module below qvac_core, and the tests that have to hold it."""

EDGES: dict[type[ast.cmpop], Sequence[type[ast.cmpop]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the node's place."""
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in EDGES[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[index] = other()
                yield changed
    elif isinstance(node, ast.BoolOp):
        changed_bool = copy.deepcopy(node)
        changed_bool.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield changed_bool
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield ast.copy_location(ast.Constant(node.value + 1), node)


class _Replace(ast.NodeTransformer):
    """Puts `new` where the node number `at` of a walk is."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, what was changed, the module's text with it)."""
    number = 0
    while True:
        tree = ast.parse(source)
        found = [(node, new) for node in ast.walk(tree) for new in changes(node)]
        if number == len(found):
            return
        old, new = found[number]
        line, was = getattr(old, "lineno", 0), ast.unparse(old)
        told = f"{was}  ->  {ast.unparse(new)}"
        yield line, told, ast.unparse(ast.fix_missing_locations(_Replace(old, new).visit(tree)))
        number += 1


class _Mutated(MetaPathFinder, InspectLoader):
    """Finds one module, with another text than its file has."""

    def __init__(self, name: str, file: Path, text: str) -> None:
        self._name, self._file, self._text = name, file, text

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._file, loader=self)

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, str(self._file), "exec")


def survives(name: str, file: Path, text: str, tests: Sequence[str]) -> bool:
    child = os.fork()
    if child == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        sys.meta_path.insert(0, _Mutated(name, file, text))
        # Without the project's configuration: no plugin for windows, no warning that fails.
        arguments = ["-q", "-x", "-c", os.devnull, "--rootdir", str(ROOT), "-m", "not long"]
        arguments += ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:pytest-qt", "-p", "no:asyncio"]
        code = pytest.main([*arguments, *(str(ROOT / "tests" / test) for test in tests)])
        os._exit(0 if code == 0 else 1)
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def main(wanted: Sequence[str]) -> None:
    for module, tests in TABLE.items():
        if wanted and not any(word in module for word in wanted):
            continue
        name, file = "qvac_core." + module.replace("/", "."), ROOT / "qvac_core" / f"{module}.py"
        source = file.read_text("utf-8")
        if not survives(name, file, source, tests):
            raise SystemExit(f"The tests of {module} fail without any mutant.")
        left, total = 0, 0
        for line, told, text in mutants(source):
            total += 1
            if survives(name, file, text, tests):
                left += 1
                print(f"  {module}:{line}  {told}", flush=True)
        print(f"{module}: {left} of {total} mutants survived", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
