"""The lock is whole: one package a time with its hashes, in order, and none that pyproject.toml asks for is missing."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PACKAGE = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==(\S+)( ; .+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def locked(file: str) -> list[str]:
    names: list[str] = []
    open_entry = False
    for line in (ROOT / file).read_text().splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        found = (_HASH if open_entry else _PACKAGE).fullmatch(line)
        assert found, f"this line is no part of a lock: {line}"
        if not open_entry:
            names.append(found[1])
        open_entry = line.endswith("\\")
    return names


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_every_line_names_a_package_or_a_hash_and_packages_stand_in_order(file: str) -> None:
    names = locked(file)
    assert names == sorted(names)


def test_what_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {_name(requirement) for requirement in project["dependencies"]}
    assert names <= set(locked("requirements.lock"))
    tools = {_name(requirement) for requirement in project["optional-dependencies"]["dev"]}
    assert tools <= {*locked("requirements.lock"), *locked("requirements-dev.lock")}
    assert not set(locked("requirements.lock")) & set(locked("requirements-dev.lock")), "each is in one of them"


# Imported where it is there, and done without where it is not.
NOT_ASKED_FOR = {
    "llama_cpp": "the engine with our scheduler, an extra",
    "shiboken6": "half of PySide6, which asks for that of its own version",
}


def test_what_the_program_imports_is_asked_for() -> None:
    """Whoever installs with pip or uv gets what pyproject.toml names, and not what the tests bring along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {_name(requirement) for requirement in project["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    missing = {
        f"{file.relative_to(ROOT)}: {module}"
        for room in ("app", "qvac_core", "resources")
        for file in (ROOT / room).rglob("*.py")
        for module in _imports(file)
        if module not in NOT_ASKED_FOR and not {_name(name) for name in distributions.get(module, [module])} & asked
    }
    assert not missing


def _imports(file: Path) -> set[str]:
    """Modules from outside that this file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"app", "qvac_core", "resources"}


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()
