"""The program's whole life with a core in its own thread: it opens, it closes, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.application import DONE, FAILED, INTERRUPTED, live
from app.bridge import CoreProxy, CoreThread
from app.instance import Call, Instance
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from tests.gui.fake_core import FakeCore

ROOT = Path(__file__).parents[2]


def windows() -> list[MainWindow]:
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible()]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


def test_closing_the_window_closes_the_core_and_its_thread(qloop: QEventLoop, theme: Theme) -> None:
    core = FakeCore()

    async def main() -> int:
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(lambda: core)), theme))
        await until(lambda: core.started and bool(windows()))
        window = windows()[0]
        await until(lambda: bool(window.share_page.key.copy.value))
        window.close()
        await until(lambda: not window.isVisible())
        return await life

    assert qloop.run_until_complete(main()) == DONE
    assert core.closed
    assert "geometry" in core.settings
    assert "core" not in {thread.name for thread in threading.enumerate()}


def test_a_signal_keeps_which_windows_were_open(qloop: QEventLoop, theme: Theme) -> None:
    core = FakeCore()
    loaded: list[object] = []

    async def main() -> int:
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(lambda: core)), theme))
        await until(lambda: bool(windows()))
        windows()[0].called.connect(loaded.append)
        await until(lambda: bool(loaded))
        windows()[0].windows.open()
        signal.raise_signal(signal.SIGTERM)
        return await life

    assert qloop.run_until_complete(main()) == INTERRUPTED
    assert "geometry" in core.settings and '"draft": "+2"' in core.settings["windows.open"]


@pytest.mark.qt_log_ignore("This plugin does not support raise", extend=True)
def test_what_the_program_is_asked_for_reaches_the_window_once_it_has_loaded(
    qloop: QEventLoop, theme: Theme, tmp_path: Path
) -> None:
    gate = threading.Event()

    class SlowCore(FakeCore):
        async def start(self) -> None:
            while not gate.is_set():
                await asyncio.sleep(0.005)
            await super().start()

    core = SlowCore()
    link = "qvac://" + "ab" * 32
    asked: list[tuple[str, ...]] = []

    async def main() -> int:
        instance = Instance(DataDir(tmp_path, explicit=True))
        assert instance.claim(Call())
        first = ("--port", "4000", link)
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(lambda: core)), theme, instance, first))
        await until(lambda: bool(windows()))
        window = windows()[0]
        window.called.connect(asked.append)
        instance.called.emit(Call(("picture of a key.png",)))  # a second start, before the first has loaded
        await asyncio.sleep(0.01)
        assert asked == []
        gate.set()
        await until(lambda: len(asked) == 2)
        instance.called.emit(Call((link,)))
        assert asked == [first, ("picture of a key.png",), (link,)]
        window.leave()
        code = await life
        instance.close()
        return code

    assert qloop.run_until_complete(main()) == DONE


def test_a_window_closed_before_the_core_is_there_ends_too(qloop: QEventLoop, theme: Theme) -> None:
    core = FakeCore()
    core.slow["start"] = asyncio.Event()

    async def main() -> int:
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(lambda: core)), theme))
        await until(lambda: bool(windows()) and bool(core.called("start")))
        windows()[0].close()
        return await life

    assert qloop.run_until_complete(main()) == DONE
    assert core.closed


def test_a_core_that_cannot_start_is_said_in_a_sentence(
    qloop: QEventLoop, theme: Theme, capsys: pytest.CaptureFixture[str]
) -> None:
    core = FakeCore(fail={"start": StoreError("Another QVAC Desktop uses this folder.")})

    def dialogs() -> list[Dialog]:
        return [d for d in QApplication.topLevelWidgets() if isinstance(d, Dialog) and d.isVisible()]

    async def main() -> int:
        life = asyncio.ensure_future(live(CoreProxy(CoreThread(lambda: core)), theme))
        await until(lambda: bool(dialogs()))
        assert dialogs()[0].sentence.text() == "Another QVAC Desktop uses this folder."
        assert windows() == []  # a window without a core looks as if it could chat
        dialogs()[0].cancel.click()
        return await life

    assert qloop.run_until_complete(main()) == FAILED
    assert "Another QVAC Desktop" in capsys.readouterr().err


SCRIPT = """
import sys
from app.application import run
from tests.gui.fake_core import FakeCore

class Core(FakeCore):
    async def start(self):
        await super().start()
        print("started", flush=True)
    async def close(self):
        await super().close()
        print("closed", flush=True)

sys.exit(run(Core))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out == "closed\n"
    assert process.returncode == 130
    assert "Traceback" not in err
