"""The window's step of the self-test, with stand-ins for the program: what is said of one that does not do its part.

app/self_test/steps.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.self_test import steps

# The first start makes the file that says where it is heard; a second one finds it, and ends.
PROGRAM = """
import pathlib, signal, sys, time
there = pathlib.Path(sys.argv[1])
if there.exists():
    time.sleep({second})
    sys.exit(0)
signal.signal(signal.SIGTERM, {ending})
there.touch()
time.sleep(600)
"""
ENDS = "lambda *_: sys.exit(0)"


def program(there: Path, ending: str = ENDS, second: float = 0) -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(ending=ending, second=second), str(there)]


@pytest.mark.skipif(sys.platform == "win32", reason="there every process is ended at once")
def test_a_window_that_does_not_end_is_said_to_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "instance"
    monkeypatch.setattr(steps, "END_PATIENCE", 3.0)
    with pytest.raises(steps._Wrong, match="did not end within 3 s"):
        steps._window_answers(program(there, "signal.SIG_IGN"), {}, there, tmp_path / "log")


def test_a_second_start_that_nobody_answers_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is slow the first one may be deaf for a while: the self-test must not end with an exception."""
    there = tmp_path / "instance"
    monkeypatch.setattr(steps, "END_PATIENCE", 0.5)
    monkeypatch.setattr(steps, "WINDOW_PATIENCE", 3.0)
    with pytest.raises(steps._Wrong, match="no window after 3 s"):
        steps._window_answers(program(there, second=600), {}, there, tmp_path / "log")


def test_one_that_ends_at_once_is_said_to_with_its_last_word(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no screen')"]
    with pytest.raises(steps._Wrong, match=r'ended at once \(1\): "no screen"'):
        steps._window_answers(command, {}, tmp_path / "instance", tmp_path / "log")
