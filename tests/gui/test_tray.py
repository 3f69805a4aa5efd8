"""The tray: its state by what the core says, its words, and a menu whose lines act and stay in place."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QIcon

from app import tray_words
from app.app_icon import SIZES, TRAY_SIZES, app_icon, bar_is_dark, tray_icon
from app.tray import Tray
from app.tray_words import Sharing, TrayState
from app.window import MainWindow
from qvac_core.core.state import (
    AccessKey,
    AccessRules,
    ActiveRequest,
    Knock,
    Pause,
    PauseReason,
    SharedModel,
    SharingPhase,
    SharingState,
)
from tests.gui.fake_core import NOW, FakeCore
from tests.gui.share_window import Run, settle

LAPTOP, WORKSHOP, STRANGER = "1a" * 32, "2b" * 32, "8a" * 32
QWEN = SharedModel("QWEN3_8B", "Qwen3 8B", "Q4_K_M", 5_000_000_000, 6_100_000_000, 8192, 4, True, "loaded")
RUNS = ActiveRequest("r1", LAPTOP, "completionStream", "QWEN3_8B", NOW, 200, 66.4)
REACHABLE = SharingState(SharingPhase.REACHABLE, NOW, path="direct", peers=2)


def sharing(state: SharingState = REACHABLE, *pauses: Pause, **changes: object) -> Sharing:
    rules = AccessRules(
        keys=(
            AccessKey(WORKSHOP, "Workshop & PC", False, NOW, connected=True),
            AccessKey(LAPTOP, "Studio laptop", False, NOW, connected=True),
            AccessKey(STRANGER, "Away", False, NOW),
        )
    )
    whole = Sharing(state, pauses, rules, {"r1": RUNS}, (QWEN,), (), 2, NOW)
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("looked_at", "state", "line"),
    [
        (sharing(SharingState()), TrayState.OFF, "Sharing is off"),
        (sharing(SharingState(SharingPhase.STARTING), running={}), TrayState.READY, "Sharing starts"),
        (sharing(), TrayState.BUSY, "Sharing, reachable directly"),
        (sharing(running={}), TrayState.READY, "Sharing, reachable directly"),
        (sharing(replace(REACHABLE, path="relay")), TrayState.BUSY, "Sharing, reachable through a relay"),
        (
            sharing(SharingState(SharingPhase.UNREACHABLE), running={}),
            TrayState.PROBLEM,
            "Sharing, but nobody can reach this machine",
        ),
        (
            sharing(running={}, models=(replace(QWEN, state="failed: no memory"),)),
            TrayState.PROBLEM,
            "Sharing, reachable directly",
        ),
        (sharing(REACHABLE, Pause(PauseReason.OWNER), running={}), TrayState.OFF, "Paused until you resume it"),
        (sharing(REACHABLE, Pause(PauseReason.BATTERY)), TrayState.BUSY, "Paused while on battery"),
    ],
)
def test_four_states_and_a_line_that_says_which(looked_at: Sharing, state: TrayState, line: str) -> None:
    assert tray_words.state(looked_at) is state
    assert tray_words.line(looked_at) == line


def test_a_pause_says_until_when() -> None:
    noon = datetime(2026, 11, 24, 12, 0).timestamp()
    assert tray_words.paused((Pause(PauseReason.OWNER, noon + 3600),), noon) == "Paused until 13:00"
    morning = tray_words.tomorrow_morning(noon)
    assert datetime.fromtimestamp(morning) == datetime(2026, 11, 25, 8, 0)
    assert tray_words.paused((Pause(PauseReason.OWNER, morning),), noon) == "Paused until tomorrow, 08:00"
    assert tray_words.paused((), noon) == ""
    hour, battery = Pause(PauseReason.OWNER, noon + 3600), Pause(PauseReason.BATTERY)
    assert tray_words.paused((hour, battery), noon) == "Paused while on battery"
    hours = Pause(PauseReason.HOURS, noon + 7200)
    assert tray_words.paused((hour, hours), noon) == "Paused until 14:00, outside of the serving hours"


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones to choose")
def test_tomorrow_is_by_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        evening = datetime(2026, 10, 24, 22, 0).timestamp()  # clocks go back that night
        assert datetime.fromtimestamp(tray_words.tomorrow_morning(evening)) == datetime(2026, 10, 25, 8, 0)
        assert tray_words.tomorrow_morning(evening) - evening == 11 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_who_is_on_comes_first_who_computes() -> None:
    assert [guest.text for guest in tray_words.guests(sharing())] == [
        "Studio laptop, Qwen3 8B, 66 tok/s",
        "Workshop & PC, idle",
    ]
    assert tray_words.on_now(sharing()) == "On now: 2 people, 1 request"
    assert tray_words.on_now(sharing(running={}, people_on=1, rules=AccessRules())) == "On now: 1 person"
    unknown = sharing(rules=AccessRules(), people_on=0)
    assert [guest.text for guest in tray_words.guests(unknown)] == ["1a1a 1a1a … 1a1a, Qwen3 8B, 66 tok/s"]


def test_the_tooltip_is_words_and_names_of_strangers_are_not_in_it() -> None:
    assert tray_words.tooltip(sharing(knocks=(Knock(STRANGER, NOW),))).split("\n") == [
        "QVAC Desktop",
        "Sharing, reachable directly",
        "On now: 2 people, 1 request",
        "1 key asks to use your GPU",
    ]


def test_names_of_any_length_stay_one_line() -> None:
    rules = AccessRules(keys=(AccessKey(LAPTOP, "x" * 100_000, False, NOW, connected=True),))
    (guest,) = tray_words.guests(sharing(rules=rules, running={}))
    assert len(guest.text) < 60


# --- Icons


def sharp(icon: QIcon, size: int) -> bytes:
    image = icon.pixmap(size, size, QIcon.Mode.Normal).toImage()
    assert (image.width(), image.height()) == (size, size)
    # What is covered, without colours: the shape alone has to do on a Mac and in high contrast.
    return bytes(image.pixelColor(x, y).alpha() // 64 for y in range(size) for x in range(size))


@pytest.mark.usefixtures("qapp")
def test_four_states_are_four_shapes_at_every_size() -> None:
    for size in TRAY_SIZES:
        shapes = {sharp(tray_icon(state, False), size) for state in TrayState}
        assert len(shapes) == 4
        assert shapes == {sharp(tray_icon(state, True), size) for state in TrayState}
    for size in SIZES:
        assert any(sharp(app_icon(), size))


@pytest.mark.usefixtures("qapp")
def test_at_16_no_pixel_is_half_covered() -> None:
    for state in TrayState:
        image = tray_icon(state, False).pixmap(16, 16).toImage()
        assert {image.pixelColor(x, y).alpha() for x in range(16) for y in range(16)} == {0, 255}


def test_gnomes_bar_is_dark_in_its_light_theme() -> None:
    light, dark = Qt.ColorScheme.Light, Qt.ColorScheme.Dark
    assert bar_is_dark(light, {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME"})
    assert bar_is_dark(light, {"XDG_CURRENT_DESKTOP": "XFCE"})
    assert not bar_is_dark(light, {"XDG_CURRENT_DESKTOP": "KDE"})
    assert bar_is_dark(dark, {})
    assert not bar_is_dark(Qt.ColorScheme.Unknown, {})


# --- The menu


def texts(tray: Tray) -> list[str]:
    """The lines that are shown; "-" between groups."""
    lines = [action for action in tray.menu.actions() if action.isVisible()]
    return ["-" if action.isSeparator() else action.text() for action in lines]


def act(tray: Tray, *path: str) -> QAction:
    """The line that these words lead to."""
    actions = tray.menu.actions()
    for word in path[:-1]:
        menu = next(action.menu() for action in actions if action.text().startswith(word) and action.isVisible())
        actions = menu.actions()  # type: ignore[attr-defined]
    return next(action for action in actions if action.text().startswith(path[-1]) and action.isVisible())


def populate(core: FakeCore) -> None:
    looked_at = sharing()
    core.sharing_state, core.rules, core.models = looked_at.state, looked_at.rules, (QWEN,)
    core.requests = (RUNS,)
    core.open_knocks = (Knock(STRANGER, NOW),)


def test_the_whole_menu(run: Run, fake_core: FakeCore) -> None:
    populate(fake_core)

    async def test(window: MainWindow) -> None:
        tray = Tray(window.share)
        assert texts(tray) == [
            "Sharing, reachable directly",
            "-",
            "Share my GPU",
            "Pause",
            "Free the GPU now, 6.1 GB",
            "-",
            texts(tray)[6],
            "-",
            "On now: 2 people, 1 request",
            "Studio laptop, Qwen3 8B, 66 tok/s",
            "Workshop && PC, idle",
            "-",
            "Open QVAC Desktop",
            "Settings…",
            "Quit…",
        ]
        assert texts(tray)[6].startswith("A key asks: 8a8a")
        assert not act(tray, "Sharing, reachable").isEnabled()
        assert act(tray, "Share my GPU").isChecked()
        tray.close()

    run(test)


def test_lines_act(run: Run, fake_core: FakeCore) -> None:
    populate(fake_core)

    async def test(window: MainWindow) -> None:
        tray = Tray(window.share)
        opened: list[str] = []
        tray.opened.connect(opened.append)
        act(tray, "Studio laptop", "Stop the request").trigger()
        act(tray, "A key asks", "Allow for an hour").trigger()
        act(tray, "Free the GPU now").trigger()
        act(tray, "Studio laptop", "Open").trigger()
        act(tray, "Open QVAC").trigger()
        act(tray, "Settings").trigger()
        await settle(window)
        assert fake_core.called("stop_request") == [("r1",)]
        assert fake_core.called("allow_key") == [(STRANGER, "", 1.0)]
        assert fake_core.called("free_models") == [()]
        assert opened == ["share", "", "settings"]
        tray.refresh()
        assert "A key asks" not in "".join(texts(tray))
        assert not act(tray, "Free the GPU now").isEnabled()
        act(tray, "Share my GPU").trigger()
        await settle(window)
        tray.refresh()
        assert fake_core.called("stop_sharing") == [()]
        assert texts(tray)[0] == "Sharing is off"
        assert "Pause" not in texts(tray)
        tray.close()

    run(test)


def test_pause_and_resume(run: Run, fake_core: FakeCore) -> None:
    populate(fake_core)

    async def test(window: MainWindow) -> None:
        tray = Tray(window.share)
        cut: list[bool] = []
        tray.cut_chosen.connect(cut.append)
        act(tray, "Pause", "For an hour").trigger()
        await settle(window)
        tray.refresh()
        assert fake_core.called("pause") == [(NOW + 3600, False)]
        assert texts(tray)[0].startswith("Paused until ")
        assert "Pause" not in texts(tray)
        act(tray, "Resume sharing").trigger()
        await settle(window)
        tray.refresh()
        assert texts(tray)[0] == "Sharing, reachable directly"
        act(tray, "Pause", "Finish what runs").trigger()
        act(tray, "Pause", "Until I turn it on").trigger()
        await settle(window)
        assert cut == [True]
        assert fake_core.called("pause")[-1] == (None, True)
        tray.close()

    run(test)


def test_lines_of_those_who_stay_are_the_same_lines(run: Run, fake_core: FakeCore) -> None:
    """A menu that is open at another process' hands may not be made anew under the pointer."""
    populate(fake_core)

    async def test(window: MainWindow) -> None:
        tray = Tray(window.share)
        laptop, workshop = act(tray, "Studio laptop"), act(tray, "Workshop")
        for rate in (70.0, 80.0):
            window.share.running = {"r1": replace(RUNS, tokens_per_second=rate)}
            tray.refresh()
        assert act(tray, "Studio laptop") is laptop
        assert laptop.text() == "Studio laptop, Qwen3 8B, 80 tok/s"
        window.share.running = {}
        window.share.rules = AccessRules(keys=(AccessKey(WORKSHOP, "Workshop", False, NOW, connected=True),))
        tray.refresh()
        assert act(tray, "Workshop") is workshop
        assert not any("Studio" in text for text in texts(tray))
        tray.close()

    run(test)


def test_many_knocks_are_a_few_lines(run: Run, fake_core: FakeCore) -> None:
    populate(fake_core)
    fake_core.open_knocks = tuple(Knock(f"{n:02x}" * 32, NOW) for n in range(20))

    async def test(window: MainWindow) -> None:
        tray = Tray(window.share)
        assert sum(text.startswith("A key asks") for text in texts(tray)) == 3
        assert "17 more…" in texts(tray)
        tray.close()

    run(test)
