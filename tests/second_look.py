"""Which tests of a whole run are worth a second look: written down by this plugin, for `bootstrap.py test`.

The file that `--failures` names holds their ids as a JSON list once the run has ended, or `null` where running them
again would prove nothing: a worker died, or a file could not be collected. Without it the run itself did not end.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures", type=Path, help="write the ids of the tests that failed into this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    path: Path | None = config.getoption("failures")
    if path is not None and not hasattr(config, "workerinput"):  # a worker tells the one that started it
        config.pluginmanager.register(_Failures(path))


class _Failures:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed: dict[str, None] = {}
        self._hopeless = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._hopeless |= report.failed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object | None) -> None:
        self._hopeless |= error is not None

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        over = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self._path.write_text(json.dumps(list(self._failed) if over and not self._hopeless else None))
