"""`--quit`: a second start ends the first, as a log-off does, and waits until it has ended. Set-ups ask by it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading
import time
from collections.abc import Callable
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


def test_a_second_start_ends_the_first_and_waits_for_it(
    qloop: QEventLoop, theme: Theme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = FakeCore()
    folder = DataDir(tmp_path / "data", explicit=True)
    callers: list[subprocess.Popen[bytes]] = []
    load = MainWindow.load

    async def load_and_be_called(window: MainWindow) -> None:
        await load(window)
        callers.append(subprocess.Popen([sys.executable, "-c", CALLER, str(folder.root)]))

    async def main() -> int:
        instance = Instance(folder)
        assert instance.claim(Call())
        monkeypatch.setattr(MainWindow, "load", load_and_be_called)
        try:
            return await live(CoreProxy(CoreThread(lambda: core)), theme, instance)
        finally:
            instance.close()

    try:
        assert qloop.run_until_complete(main()) == DONE
        assert core.closed
        assert callers[0].wait(60) == DONE, "it has seen the end"
    finally:
        for caller in callers:
            caller.kill()
            caller.wait()


class LateToTell(concurrent.futures.Future[None]):
    """The core's thread runs, and the window's hears of it a little later."""

    def __init__(self, quit_now: Callable[[], None]) -> None:
        super().__init__()
        self.quit_now = quit_now

    def set_result(self, result: None) -> None:
        self.quit_now()
        time.sleep(0.05)
        super().set_result(result)


@pytest.mark.parametrize(
    "moment",
    ["shown", "furnished", "thread starts", "thread runs", "core is opened", "core is made", "core starts", "loads"],
)
def test_it_may_come_at_any_moment_of_the_beginning(
    moment: str, qloop: QEventLoop, theme: Theme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the window does at its end asks the core for nothing that is not there."""
    instance = Instance(DataDir(tmp_path, explicit=True))
    here = qloop
    made: list[FakeCore] = []

    def quit_now() -> None:
        here.call_soon_threadsafe(instance.called.emit, Call((QUIT,)))

    class SlowlyStarted(FakeCore):
        async def start(self) -> None:
            if moment == "core starts":
                quit_now()
                await asyncio.sleep(0.05)
            await super().start()

    def make() -> FakeCore:
        if moment == "core is made":
            quit_now()
            time.sleep(0.05)  # as importing half of all modules does, in the core's thread
        made.append(SlowlyStarted())
        return made[0]

    def quit_in(owner: type, name: str) -> None:
        run = getattr(owner, name)

        async def and_quit(*arguments: object) -> object:
            quit_now()
            await asyncio.sleep(0)
            return await run(*arguments)

        monkeypatch.setattr(owner, name, and_quit)

    if moment == "shown":
        quit_in(MainWindow, "furnish")
    elif moment == "furnished":
        quit_in(CoreProxy, "start")
    elif moment == "core is opened":
        quit_in(CoreThread, "_open")
    elif moment == "loads":
        quit_in(MainWindow, "load")

    thread = CoreThread(make)
    if moment == "thread runs":
        thread._running = LateToTell(quit_now)
    run = CoreThread._run

    def run_late(self: CoreThread) -> None:
        quit_now()
        time.sleep(0.05)
        run(self)

    if moment == "thread starts":
        thread._thread = threading.Thread(target=run_late, args=(thread,), daemon=True)

    async def main() -> int:
        assert instance.claim(Call())
        try:
            return await live(CoreProxy(thread), theme, instance)
        finally:
            instance.close()

    assert qloop.run_until_complete(main()) == DONE
    assert all(core.closed for core in made)
    assert not thread._thread.is_alive()


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
