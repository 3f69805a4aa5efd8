"""Real trays of both kinds, on a screen and a session bus of their own: the window goes there, and is never lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gui.screen_reader.desk import WindowProgram

if sys.platform != "linux":
    pytest.skip("a session bus and X11", allow_module_level=True)

from tests.gui.tray_desk import NoticeServer, Notifier, TrayDesk, until

WINDOW = "tests.gui.tray_window"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TrayDesk]:
    assert shutil.which("trayer"), "apt-get install trayer"
    with TrayDesk(tmp_path) as desk:
        yield desk


def look(program: WindowProgram) -> dict[str, Any]:
    program.say("look")
    return program.until("looks")


def started(desk: TrayDesk, *arguments: str) -> WindowProgram:
    program = desk.open(WINDOW, *arguments)
    program.until("started")
    until(lambda: look(program)["ready"], "a window that has loaded")
    return program


def away(program: WindowProgram) -> None:
    program.say("close")
    until(lambda: not look(program)["visible"], "the window in the tray")


def test_in_a_status_notifier_tray(desk: TrayDesk) -> None:
    with Notifier(desk.bus) as tray, NoticeServer(desk.bus) as notices:
        program = started(desk)
        until(lambda: tray.item, "an icon")
        until(lambda: "On now" in tray.tooltip(), "who is on, in the tooltip")
        assert {16, 22, 32, 64} <= set(tray.icon_sizes())
        until(lambda: any(line.startswith("Studio laptop, Qwen3 8B") for line in tray.menu()), "who computes")
        away(program)
        title, _sentence, actions = until(lambda: next(iter(notices.shown.values()), None), "a notice")
        assert title == "Still sharing"
        assert actions[2:] == ["open", "Open it again", "stop", "Stop sharing"]
        notices.press("open")
        until(lambda: look(program)["visible"], "the window back")
        away(program)
        tray.choose("Studio laptop", "Stop the request")
        program.until("stop_request")
        tray.choose("Pause", "For an hour")
        program.until("pause")
        until(lambda: tray.menu()[0].startswith("Paused until"), "the pause in the menu")
        tray.choose("Resume sharing")
        program.until("resume")
        tray.choose("Free the GPU now")
        program.until("free_models")
        tray.press()
        until(lambda: look(program)["visible"], "the window back by a click")
        away(program)
        tray.choose("Open QVAC Desktop")
        until(lambda: look(program)["visible"], "the window back by the menu")


def test_a_knock_is_answered_from_the_notice(desk: TrayDesk) -> None:
    with Notifier(desk.bus) as tray, NoticeServer(desk.bus) as notices:
        program = started(desk)
        until(lambda: tray.item, "an icon")
        away(program)
        until(lambda: notices.shown, "still sharing")
        notices.shown.clear()
        program.say("knock")
        title, sentence, actions = until(lambda: next(iter(notices.shown.values()), None), "a notice")
        assert title in ("A key asks to use your GPU", "2 keys ask to use your GPU")
        if title.startswith("A key"):
            assert sentence.startswith("5e5e")
        assert "5e" * 32 not in sentence
        assert actions[-2:] == ["open", "Open"]
        notices.press("open")
        until(lambda: look(program)["visible"], "the window with the knock")


def test_a_tray_that_restarts_keeps_the_window_and_one_that_goes_gives_it_back(desk: TrayDesk) -> None:
    program = started(desk)
    with Notifier(desk.bus) as tray:
        until(lambda: tray.item, "an icon, though the tray came after us")
        away(program)
    with Notifier(desk.bus) as tray:
        until(lambda: tray.item, "the icon again")
        assert not look(program)["visible"]
        assert tray.tooltip().startswith("QVAC Desktop") or tray.get("ToolTip")[3]
    until(lambda: look(program)["visible"], "the window, which has no tray any more")


def test_in_the_tray_of_x11(desk: TrayDesk) -> None:
    end = desk.trayer()
    program = started(desk)
    until(lambda: any(look(program)["place"][2:]), "an icon with a place")
    away(program)
    assert look(program)["tray"]
    end()
    until(lambda: look(program)["visible"], "the window, which has no tray any more")


def test_without_a_tray_a_closed_window_asks(desk: TrayDesk) -> None:
    program = started(desk)
    until(lambda: look(program)["visible"], "the window")
    program.say("close")
    until(lambda: look(program)["asks"], "the question")
    seen = look(program)
    assert seen["visible"] and not seen["minimized"]


def test_a_start_into_the_tray_shows_no_window(desk: TrayDesk) -> None:
    with Notifier(desk.bus) as tray:
        program = started(desk, "--in-tray")
        until(lambda: tray.item, "an icon")
        assert not look(program)["visible"]
        tray.choose("Open QVAC Desktop")
        until(lambda: look(program)["visible"], "the window")


def test_and_without_a_tray_it_is_minimised(desk: TrayDesk) -> None:
    program = started(desk, "--in-tray")
    until(lambda: look(program)["minimized"], "the window in the task list")


def test_a_notice_without_buttons_opens_by_a_click(desk: TrayDesk) -> None:
    with Notifier(desk.bus) as tray, NoticeServer(desk.bus, buttons=False) as notices:
        program = started(desk)
        until(lambda: tray.item, "an icon")
        away(program)
        title, _sentence, actions = until(lambda: next(iter(notices.shown.values()), None), "a notice")
        assert (title, actions) == ("Still sharing", [])
        notices.press("default")
        until(lambda: look(program)["visible"], "the window back")
