"""The order in which side-by-side test processes take files, and that all tests run, each once, wherever one dies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.limits import WHOLE
from tests.two_ends import LONGEST, file_of, in_order

ROOT = Path(__file__).parents[2]
FOLDERS = ("interop", "e2e", "gui", "property", "unit")


def nodeids(file: str, count: int) -> list[str]:
    return [f"{file}::test_{number}" for number in range(count)]


def test_long_real_files_first_and_long_computing_ones_last() -> None:
    units = nodeids("tests/unit/test_few.py", 1) + nodeids("tests/unit/test_many.py", 9)
    real = nodeids("tests/e2e/test_many.py", 9) + nodeids("tests/e2e/test_few.py", 1) + nodeids(LONGEST[1], 1)
    window = nodeids("tests/gui/test_window.py", 5)
    order = list(dict.fromkeys(map(file_of, in_order(units + window + real))))
    assert order == [
        LONGEST[1],
        "tests/e2e/test_many.py",
        "tests/e2e/test_few.py",
        "tests/gui/test_window.py",
        "tests/unit/test_few.py",
        "tests/unit/test_many.py",
    ]


def test_tests_of_a_file_stay_together_and_in_their_order() -> None:
    a, b = nodeids("tests/unit/test_a.py", 3), nodeids("tests/unit/test_b.py", 3)
    assert in_order([*b[:1], *a, *b[1:]]) == a + b


def test_the_long_files_are_there() -> None:
    assert [file for file in LONGEST if not (ROOT / file).exists()] == []


SUITE = """
import importlib.util
spec = importlib.util.spec_from_file_location("two_ends", {path!r})
two_ends = importlib.util.module_from_spec(spec)
spec.loader.exec_module(two_ends)

def pytest_xdist_make_scheduler(config, log):
    return two_ends.TwoEnds(config, log)

def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        two_ends.put_in_order(items)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Fifteen files in five folders, shared out by our scheduler."""
    (tmp_path / "conftest.py").write_text(SUITE.format(path=str(ROOT / "tests/two_ends.py")))
    for folder in FOLDERS:
        for number in range(3):
            path = tmp_path / "tests" / folder / f"test_{folder}_{number}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"def test_{name}(): pass\n" for name in "abc"))
    return tmp_path


def run(suite: Path) -> tuple[int, list[tuple[str, str]], str]:
    """Its exit code, the worker and the test of each one that passed, in their order, and all that was said."""
    options = ["-p", "xdist", "-p", "no:cacheprovider", "-v", "-n", "2", "--dist", "loadfile"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=suite,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=WHOLE,
        check=False,
    )
    passed = re.findall(r"^\[(gw\d)\] .*PASSED (\S+)", done.stdout, re.MULTILINE)
    return done.returncode, passed, done.stdout + done.stderr


def test_every_test_runs_once_and_the_ends_are_begun_by_different_workers(suite: Path) -> None:
    code, passed, said = run(suite)
    assert code == 0, said
    assert len({test for _, test in passed}) == len(passed) == 3 * 3 * len(FOLDERS)
    assert "waiting for node" not in said, "the scheduler talks to itself"
    files: dict[str, set[str]] = {}
    for worker, test in passed:
        files.setdefault(file_of(test), set()).add(worker)
    assert all(len(workers) == 1 for workers in files.values()), "a file was torn apart"
    firsts = {worker: file_of(next(test for its, test in passed if its == worker)) for worker in ("gw0", "gw1")}
    assert firsts == {"gw0": "tests/interop/test_interop_0.py", "gw1": "tests/unit/test_unit_2.py"}


def test_a_process_that_dies_fails_its_test_and_the_others_run(suite: Path) -> None:
    dying = suite / "tests/e2e/test_e2e_1.py"
    dying.write_text(dying.read_text() + "import os\ndef test_d(): os._exit(3)\ndef test_e(): pass\n")
    code, passed, said = run(suite)
    assert code == 1, said
    assert len({test for _, test in passed}) == 3 * 3 * len(FOLDERS) + 1
    assert "crashed while running 'tests/e2e/test_e2e_1.py::test_d'" in said
    assert "1 failed" in said
