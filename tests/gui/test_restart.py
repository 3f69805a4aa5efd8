"""Restart now: asked where somebody is served, everything ends first, and the same command line begins again."""

from __future__ import annotations

import os
from collections.abc import Sequence

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
