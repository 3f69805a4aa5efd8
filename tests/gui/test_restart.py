"""Restart now: asked where somebody is served, everything ends first, and the same command line begins again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from qasync import QEventLoop

from app import restart
from app.application import AGAIN, live
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.window import MainWindow
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import Run, dialog_of

ROOT = Path(__file__).parents[2]


def test_it_asks_while_somebody_is_served(run: Run, busy: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.restart()
        dialog = dialog_of(window, Dialog)
        assert "2 people use this GPU now" in dialog.sentence.text()
        dialog.cancel.click()
        assert not window.restarts
        window.restart()
        left: list[bool] = []
        window.leaving.connect(lambda: left.append(True))
        dialog_of(window, Dialog).confirm.click()
        assert left == [True]
        assert window.restarts

    run(test)


def test_all_has_ended_before_it_begins_again(
    qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = MainWindow.load

    async def restart_soon(window: MainWindow) -> None:
        await load(window)
        window.restart()

    monkeypatch.setattr(MainWindow, "load", restart_soon)
    assert qloop.run_until_complete(live(proxy, theme)) == AGAIN
    assert fake_core.closed


@pytest.mark.skipif(os.name == "nt", reason="Windows starts another process")
def test_the_same_command_line_begins_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began: list[tuple[str, Sequence[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: began.append((program, command)))
    restart.begin_again(["--data-dir", "a folder", "--port", "4000"])
    ((program, command),) = began
    assert command[0] == program
    assert list(command[-6:]) == ["-m", "app", "--data-dir", "a folder", "--port", "4000"]

    def gone(_program: str, _command: Sequence[str]) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "execv", gone)
    assert restart.begin_again([]) == 1
    assert "could not start again" in capsys.readouterr().err


PROGRAM = """
import os, sys
from pathlib import Path
from app.application import run
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.store.folders import DataDir

load = MainWindow.load

async def restart_once(window):
    await load(window)
    window.restart()

MainWindow.load = restart_once
folder = Path(sys.argv[1])
config = CoreConfig(folder, bytes(32), bootstrap=(("127.0.0.1", 9),), exclusive=False)
arguments = ["--data-dir", str(folder), "--bootstrap", "127.0.0.1:9"]
sys.exit(run(lambda: Core(config), DataDir(folder, explicit=True), arguments))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process under /proc")
def test_a_whole_window_begins_again_in_its_place(tmp_path: Path) -> None:
    environ = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, env=environ)
    try:
        command = Path(f"/proc/{program.pid}/cmdline")
        until(lambda: b"-m\0app\0" in command.read_bytes(), "the program once more")
        # The lock is taken by the same process, which is another program now.
        until(lambda: (tmp_path / "instance").exists(), "its window takes calls")
        assert (tmp_path / "lock").read_text().strip() == str(program.pid)
    finally:
        program.terminate()  # maybe before it handles that
        program.wait(60)


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
