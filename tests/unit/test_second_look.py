"""A few tests that fail in the whole run are run again, alone, and the unsteady ones are named (bootstrap.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap

ROOT = Path(__file__).resolve().parents[2]

# Tests of a suite of its own. What was begun before leaves a file: the second time it passes.
UNSTEADY = """
from pathlib import Path
def test_{name}():
    mark = Path(__file__).with_suffix(".seen")
    first, _ = not mark.exists(), mark.touch()
    assert not first
"""
BROKEN = "def test_broken(): assert False"
GOOD = "def test_good(): pass"


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Suite:
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    return Suite(tmp_path, capfd)


class Suite:
    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capfd = capfd
        self.said = ""
        (folder / "pytest.ini").touch()

    def run(self, *options: str, **files: str) -> int:
        """The whole run and what follows it. Returns with what `bootstrap.py test` would end."""
        for name, text in files.items():
            (self._folder / f"test_{name}.py").write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p no:cacheprovider -p xdist.plugin"}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # Qt's alone takes longer than all else
        failures = self._folder / "failures.json"
        command = [sys.executable, "-m", "pytest", "-p", "tests.second_look", "--failures", str(failures), *options]
        first = subprocess.run(command, cwd=self._folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        code = bootstrap.look_again(first.returncode, failures, self._folder, environment)
        self.said = self._capfd.readouterr().err
        return code


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["plain", "shared"])
def test_what_passes_alone_is_named_and_does_not_count(suite: Suite, options: tuple[str, ...]) -> None:
    assert suite.run(*options, good=GOOD, one=UNSTEADY.format(name="one"), two=UNSTEADY.format(name="two")) == 0
    assert suite.said.rstrip().endswith(
        "  UNSTEADY: failed in the run, passed alone: test_one.py::test_one\n"
        "  UNSTEADY: failed in the run, passed alone: test_two.py::test_two"
    )


def test_what_fails_twice_is_red(suite: Suite) -> None:
    assert suite.run(broken=BROKEN, one=UNSTEADY.format(name="one")) == 1
    assert "  FAILED both times: test_broken.py::test_broken\n" in suite.said
    assert "  UNSTEADY: failed in the run, passed alone: test_one.py::test_one" in suite.said


def test_four_are_red_at_once(suite: Suite) -> None:
    assert suite.run(many="\n".join(UNSTEADY.format(name=f"n{n}").replace(".seen", f".{n}") for n in range(4))) == 1
    assert suite.said == ""


def test_what_could_not_be_collected_is_red_at_once(suite: Suite) -> None:
    assert suite.run("-n", "1", "--continue-on-collection-errors", one=UNSTEADY.format(name="one"), no="1 / 0") == 1
    assert suite.said == ""


def test_a_worker_that_died_is_red_at_once(suite: Suite) -> None:
    assert suite.run("-n", "1", dead="import os\ndef test_dead(): os._exit(1)") == 1
    assert suite.said == ""


def test_a_run_without_failures_or_without_an_end_is_left_as_it_is(suite: Suite, tmp_path: Path) -> None:
    assert suite.run(good=GOOD) == 0
    assert bootstrap.look_again(2, tmp_path / "missing", tmp_path, dict(os.environ)) == 2
    assert suite.said == ""
