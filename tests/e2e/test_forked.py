"""A call that is forked from an imported command line (tests/e2e/forked.py) is to a test what a start of its own is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.forked import Forked, can_fork
from tests.e2e.program import LIMIT, PROGRAM, qvac_desktop, run

pytestmark = pytest.mark.skipif(not can_fork(os.environ), reason="nothing is forked here")

SEED = "51" * 32


@pytest.mark.parametrize(
    ("arguments", "given"),
    [(("public-key",), ""), (("public-key", "--seed", "12"), ""), (("chat", "abc"), ""), (("--help",), "")],
)
def test_it_says_what_a_start_says(arguments: tuple[str, ...], given: str, tmp_path: Path) -> None:
    environment = {**os.environ, "QVAC_HYPERSWARM_SEED": SEED, "QVAC_DESKTOP_HOME": str(tmp_path), "COLUMNS": "100"}
    started = subprocess.run(
        [PROGRAM, *arguments], input=given, capture_output=True, text=True, env=environment, timeout=LIMIT, check=False
    )
    forked = run(*arguments, env=environment, stdin=given)
    assert vars(forked) == vars(started)


def test_it_is_interrupted_and_killed_like_any_process(tmp_path: Path) -> None:
    network = ("--bootstrap", "127.0.0.1:1", "--no-local-network")
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with qvac_desktop("provider", "--json", *network, data_dir=tmp_path) as program:
            program.until("sharing", phase="starting")
            assert isinstance(program.process, Forked)
            assert program.process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                program.process.wait(0.01)
            program.process.send_signal(number)
            assert program.finish() == code


def test_another_language_or_python_is_no_fork() -> None:
    assert not can_fork({**os.environ, "LC_ALL": "tlh_KX"})
    assert not can_fork({**os.environ, "PYTHONUTF8": "0"})
    assert can_fork({**os.environ, "QVAC_HYPERSWARM_SEED": SEED})
