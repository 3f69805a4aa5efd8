"""The lock is whole: one package a time with its hashes, in order, and none that pyproject.toml asks for is missing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PACKAGE = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==(\S+)( ; .+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def locked() -> list[str]:
    names: list[str] = []
    open_entry = False
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if not line or line.lstrip().startswith("#"):
            continue
        found = (_HASH if open_entry else _PACKAGE).fullmatch(line)
        assert found, f"this line is no part of a lock: {line}"
        if not open_entry:
            names.append(found[1])
        open_entry = line.endswith("\\")
    return names


def test_every_line_names_a_package_or_a_hash_and_packages_stand_in_order() -> None:
    names = locked()
    assert names == sorted(names)


def test_what_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower() for requirement in asked}
    assert names <= set(locked())
