"""`--quit`: a second start ends the first, as a log-off does, and waits until it has ended. Set-ups ask by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qasync import QEventLoop

from app.application import DONE, FAILED, end_the_running_one, live
from app.bridge import CoreProxy, CoreThread
from app.instance import Call, Instance
from app.own_command import QUIT
from app.theme import Theme
from app.window import MainWindow
from qvac_core.store.folders import DataDir, InstanceLock
from tests.gui.fake_core import FakeCore

CALLER = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.application import end_the_running_one
from app.instance import Call, Instance
from qvac_core.store.folders import DataDir
app = QCoreApplication([])
sys.exit(end_the_running_one(Instance(DataDir(Path(sys.argv[1]))), Call(("--quit",))))
"""


def test_a_second_start_ends_the_first_and_waits_for_it(qloop: QEventLoop, theme: Theme, tmp_path: Path) -> None:
    core = FakeCore()
    folder = DataDir(tmp_path / "data", explicit=True)
    callers: list[subprocess.Popen[bytes]] = []

    async def main() -> int:
        instance = Instance(folder)
        assert instance.claim(Call())
        try:
            life = live(CoreProxy(CoreThread(lambda: core)), theme, instance)
            callers.append(subprocess.Popen([sys.executable, "-c", CALLER, str(folder.root)]))
            return await life
        finally:
            instance.close()

    assert qloop.run_until_complete(main()) == DONE
    assert core.closed
    assert callers[0].wait(60) == DONE, "it has seen the end"


def test_where_nothing_runs_it_has_nothing_to_do(qtbot: QtBot, tmp_path: Path) -> None:
    folder = DataDir(tmp_path, explicit=True)
    assert end_the_running_one(Instance(folder), Call((QUIT,))) == DONE
    with InstanceLock(folder.lock_file):
        pass  # and it has let go of the folder


def test_one_that_takes_no_calls_is_told_of(qtbot: QtBot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = DataDir(tmp_path, explicit=True)
    folder.create()
    with InstanceLock(folder.lock_file):  # as `qvac-desktop provider` does
        assert end_the_running_one(Instance(folder), Call((QUIT,))) == FAILED
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_window_that_has_left_already_is_no_mistake(
    qloop: QEventLoop, theme: Theme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = FakeCore()

    async def main() -> int:
        instance = Instance(DataDir(tmp_path, explicit=True))
        assert instance.claim(Call())
        load = MainWindow.load

        async def quit_twice(window: MainWindow) -> None:
            await load(window)
            instance.called.emit(Call((QUIT,)))
            instance.called.emit(Call((QUIT,)))

        monkeypatch.setattr(MainWindow, "load", quit_twice)
        try:
            return await live(CoreProxy(CoreThread(lambda: core)), theme, instance)
        finally:
            instance.close()

    assert qloop.run_until_complete(main()) == DONE
    assert core.closed
