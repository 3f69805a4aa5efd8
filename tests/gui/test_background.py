"""Where a closed window goes: into the tray, into the task list, or away for good; and what brings it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.autostart import IN_TRAY
from app.background import CLOSE_TO_TRAY, KNOCKS, SAID, SHARE_AT_START, STAYS, UNREACHABLE, Background
from app.theme import Theme
from app.tray_host import GONE_AFTER
from app.views.keep_sharing_dialog import KeepSharingDialog
from app.window import SHARE, MainWindow
from qvac_core.core.state import SharingPhase, SharingState
from qvac_core.errors import StoreError
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.share_window import POPUP, dialog_of, opened, settle

pytestmark = POPUP
STRANGER, ANOTHER = "8a" * 32, "9b" * 32
REACHABLE = SharingState(SharingPhase.REACHABLE, 0.0, path="direct")

Scene = Callable[["Away"], Awaitable[None]]


class Away:
    """A window and its background, with a tray that a test takes away and notices that it reads."""

    def __init__(self, window: MainWindow, background: Background, core: FakeCore) -> None:
        self.window, self.background, self.core = window, background, core
        self.tray = True
        self.leavings: list[None] = []
        self.notices: list[tuple[str, str, dict[str, str]]] = []
        self.taken_back: list[str] = []
        background.host.available = lambda: self.tray  # type: ignore[method-assign]
        background.host._ask = lambda: self.tray  # type: ignore[method-assign]
        background.notices.show = self._show  # type: ignore[method-assign]
        background.notices.take_back = self._take_back  # type: ignore[method-assign]
        window.leaving.connect(self._leave)

    def _leave(self) -> None:
        self.leavings.append(None)

    def left(self) -> int:
        return len(self.leavings)

    async def _show(self, name: str, title: str, sentence: str, buttons: Mapping[str, str]) -> None:
        self.notices.append((name, title, dict(buttons)))

    async def _take_back(self, name: str) -> None:
        self.taken_back.append(name)

    async def settle(self) -> None:
        await settle(self.window)
        await self.background._tasks.settle()
        await settle(self.window)

    async def close(self) -> None:
        self.window.close()
        await self.settle()

    def press(self, name: str, action: str) -> None:
        self.background.notices.pressed.emit(name, action)


@pytest.fixture
def play(qloop: QEventLoop, proxy: DirectProxy, fake_core: FakeCore, theme: Theme) -> Callable[..., None]:
    async def body(scene: Scene, arguments: tuple[str, ...], tray: bool) -> None:
        async with opened(proxy, theme, fake_core.clock) as window:
            background = Background(window, proxy, theme)
            away = Away(window, background, fake_core)
            away.tray = tray
            await background.start(arguments)
            try:
                await away.settle()
                await scene(away)
            finally:
                await background.close()

    def run(scene: Scene, *arguments: str, tray: bool = True) -> None:
        qloop.run_until_complete(body(scene, arguments, tray))

    return run


Play = Callable[..., None]


def test_a_window_that_shares_stays_in_the_tray_and_says_so_once(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        await away.close()
        assert not away.window.isVisible() and not away.left()
        ((name, title, buttons),) = away.notices
        assert (name, title) == (STAYS, "Still sharing")
        assert list(buttons.values()) == ["Open it again", "Stop sharing"]
        away.background.tray.opened.emit("")
        assert away.window.isVisible()
        await away.close()
        assert len(away.notices) == 1
        assert fake_core.settings[SAID] == "true"
        away.press(STAYS, "stop")
        await away.settle()
        assert fake_core.called("stop_sharing") == [()]
        away.press(STAYS, "open")
        assert away.window.isVisible()

    play(scene)


def test_a_window_that_shares_nothing_ends(play: Play) -> None:
    async def scene(away: Away) -> None:
        await away.close()
        assert away.left() == 1

    play(scene)


def test_unless_it_is_to_stay_in_the_tray(play: Play, fake_core: FakeCore) -> None:
    async def scene(away: Away) -> None:
        fake_core.settings[CLOSE_TO_TRAY] = "true"  # chosen while the window was open
        await away.close()
        assert not away.left() and not away.window.isVisible()
        assert away.notices == []
        away.tray = False
        away.background.come_back()
        await away.close()
        assert away.left() == 1  # no tray to stay in

    play(scene)


def test_quit_quits_while_sharing(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        QTest.keyClick(away.window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
        await away.settle()
        assert away.left() == 1

    play(scene)


def test_without_a_tray_it_asks_and_enter_minimises(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        await away.close()
        dialog = dialog_of(away.window, KeepSharingDialog)
        await away.close()  # asked once
        assert dialog_of(away.window, KeepSharingDialog) is dialog
        QTest.keyClick(dialog, Qt.Key.Key_Return)
        await away.settle()
        assert away.window.isMinimized() and not away.left()
        away.background.come_back()
        await away.close()
        QTest.keyClick(dialog_of(away.window, KeepSharingDialog), Qt.Key.Key_Escape)
        await away.settle()
        assert away.window.isVisible() and not away.window.isMinimized() and not away.left()
        await away.close()
        dialog_of(away.window, KeepSharingDialog).stop.click()
        await away.settle()
        assert away.left() == 1

    play(scene, tray=False)


def test_a_tray_that_goes_gives_the_window_back(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        await away.close()
        host = away.background.host
        for _ in range(10):
            host.look()
        assert not away.window.isVisible()
        away.tray = False
        for _ in range(GONE_AFTER - 1):
            host.look()
        away.tray = True
        host.look()
        assert not away.window.isVisible()  # its panel had only restarted
        away.tray = False
        for _ in range(GONE_AFTER):
            host.look()
        assert away.window.isVisible()
        assert away.window.notice.isVisible()

    play(scene)


def test_a_core_that_hangs_keeps_no_window_open(
    play: Play, fake_core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.background.ANSWER_LIMIT", 0.01)

    async def scene(away: Away) -> None:
        never = asyncio.Event()

        async def setting(key: str) -> str:
            await never.wait()
            return ""

        monkeypatch.setattr(fake_core, "setting", setting)
        await away.close()
        assert away.left() == 1
        never.set()

    play(scene)


def test_sharing_begins_with_the_program_if_its_owner_wants_that(play: Play, fake_core: FakeCore) -> None:
    fake_core.settings[SHARE_AT_START] = "true"

    async def scene(away: Away) -> None:
        assert fake_core.called("start_sharing") == [()]

    play(scene)


def test_and_not_else(play: Play, fake_core: FakeCore) -> None:
    async def scene(away: Away) -> None:
        assert fake_core.called("start_sharing") == []

    play(scene)


@pytest.mark.parametrize("tray", [True, False])
def test_a_start_into_the_tray_never_loses_the_window(
    play: Play, fake_core: FakeCore, tray: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.background.HOST_MAY_COME", -0.9)

    async def scene(away: Away) -> None:
        away.window.hide()
        await away.background._begin_away()
        assert away.window.isVisible() is not tray
        assert away.window.isMinimized() is not tray

    play(scene, tray=tray)
    assert IN_TRAY == "--in-tray"


# --- Notices


def look_away(away: Away) -> None:
    away.window.hide()
    assert away.background.away


def test_a_knock_is_told_to_who_looks_elsewhere(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        fake_core.knock(ANOTHER)
        await away.settle()
        shown = list(away.notices) if QApplication.activeWindow() is not None else []
        assert shown == []  # the window itself says it
        fake_core.open_knocks = ()
        away.notices.clear()
        look_away(away)
        fake_core.knock(STRANGER)
        await away.settle()
        ((name, title, buttons),) = away.notices
        assert (name, title) == (KNOCKS, "A key asks to use your GPU")
        assert list(buttons.values()) == ["Allow for an hour", "Deny", "Open"]
        away.press(KNOCKS, "allow")
        await away.settle()
        assert fake_core.called("allow_key") == [(STRANGER, "", 1.0)]
        assert KNOCKS in away.taken_back

    play(scene)


def test_several_knocks_are_one_notice_that_opens_the_window(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        look_away(away)
        fake_core.knock(STRANGER)
        fake_core.knock(ANOTHER)
        await away.settle()
        name, title, buttons = away.notices[-1]
        assert (name, title, list(buttons.values())) == (KNOCKS, "2 keys ask to use your GPU", ["Open"])
        away.press(KNOCKS, "default")
        assert away.window.isVisible()
        assert away.window.tabs.currentIndex() == SHARE

    play(scene)


def test_a_denied_knock_is_denied(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        look_away(away)
        fake_core.knock(STRANGER)
        await away.settle()
        away.press(KNOCKS, "deny")
        await away.settle()
        assert fake_core.called("dismiss_knock") == [(STRANGER,)]

    play(scene)


def test_a_network_that_stays_away_is_told_and_one_that_comes_back_is_not(play: Play, fake_core: FakeCore) -> None:
    fake_core.sharing_state = REACHABLE

    async def scene(away: Away) -> None:
        look_away(away)
        lost = SharingState(SharingPhase.UNREACHABLE, 0.0, "This machine has no network.")
        fake_core.set_sharing(lost)
        assert away.background._long_unreachable.isActive()
        fake_core.set_sharing(REACHABLE)
        assert not away.background._long_unreachable.isActive()
        fake_core.set_sharing(lost)
        away.background._tell_unreachable()  # the minute is over
        await away.settle()
        assert [(name, title) for name, title, _ in away.notices] == [(UNREACHABLE, "No longer reachable")]
        away.press(UNREACHABLE, "again")
        await away.settle()
        assert fake_core.called("start_sharing") == [()]

    play(scene)


def test_what_a_disk_refuses_is_told_in_the_window(play: Play, fake_core: FakeCore) -> None:
    async def scene(away: Away) -> None:
        fake_core.fail["set_setting"] = StoreError("The disk is full.")
        away.background.tray.cut_chosen.emit(True)
        await away.settle()
        assert away.window.notice.isVisible()

    play(scene)
