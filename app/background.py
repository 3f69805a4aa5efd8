"""The app while its window is away: where a closed window goes, what brings it back, and who is told of what meanwhile.

The window knows nothing of it but that closing may be somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app.bridge import CoreProxy
from app.come_forward import come_forward
from app.i18n import tr, trn
from app.notices import DEFAULT, Notices
from app.own_command import IN_TRAY
from app.presenters.share import HOUR_GRANT
from app.tasks import Tasks
from app.theme import Theme
from app.tray import Tray
from app.tray_host import HOST_MAY_COME, TrayHost
from app.views.keep_sharing_dialog import KeepSharingDialog
from app.window import SHARE, MainWindow
from qvac_core.codec.key_text import short_key
from qvac_core.core.state import SharingPhase
from qvac_core.errors import QvacError

SHARE_AT_START, CLOSE_TO_TRAY, CUT, SAID = "share_at_start", "close_to_tray", "pause.cut", "tray.said"
# A network that changes is away for some seconds: nobody is told before this (seconds).
TOLD_AFTER = 60.0
ANSWER_LIMIT = 1.0  # seconds that a closed window waits for a setting
RELAY_ON = "relay.on"
STAYS, KNOCKS, UNREACHABLE = "stays", "knocks", "unreachable"  # notices
OPEN = "open"


class Background(QObject):
    """`start` once the window has loaded, `close` before it is gone."""

    def __init__(self, window: MainWindow, core: CoreProxy, theme: Theme) -> None:
        super().__init__(window)
        self.setObjectName("background")
        self._window, self._core, self._theme = window, core, theme
        self._tasks = Tasks()
        self._question: KeepSharingDialog | None = None
        self._asking_key = ""  # of the notice that is shown
        self.host = TrayHost(self)
        self.tray = Tray(window.share, self)
        self.notices = Notices(self.tray.say, self)
        self._long_unreachable = QTimer(self)
        self._long_unreachable.setSingleShot(True)
        self._long_unreachable.setInterval(round(TOLD_AFTER * 1000))
        self._long_unreachable.timeout.connect(self._tell_unreachable)

    async def start(self, arguments: Sequence[str] = ()) -> None:
        """arguments: of the command line. A window that is to begin in the tray is minimised where there is none."""
        share = self._window.share
        self.host.came.connect(self.tray.show)
        self.host.lost.connect(self._tray_is_gone)
        self.tray.opened.connect(self.come_back)
        self.tray.quit_wanted.connect(self._window.ask_to_leave)
        self.tray.cut_chosen.connect(lambda cut: self._remember(CUT, "true" if cut else ""))
        self.tray.balloon_clicked.connect(self.notices.balloon_clicked)
        self.notices.pressed.connect(self._pressed)
        self._window.knocks.arrived.connect(self._tell_knocks)
        share.knocks_changed.connect(self._knocks_changed)
        share.sharing_changed.connect(self._sharing_changed)
        self._window.take_close = self._close
        if sys.platform == "darwin":
            app = QApplication.instance()
            assert isinstance(app, QApplication)
            app.applicationStateChanged.connect(self._activated)
        self.tray.show_cut(await self._setting(CUT) == "true")
        self.host.start()
        if IN_TRAY in arguments:
            self._tasks.start(self._begin_away(), self._not_done)
        if await self._setting(SHARE_AT_START) == "true" and not share.on:
            share.set_sharing(True)

    async def close(self) -> None:
        self._window.take_close = None
        self._long_unreachable.stop()
        self.host.close()
        await self._tasks.close()
        await self.notices.close()
        self.tray.close()

    # --- Away, and back

    def _close(self, window: QWidget) -> None:
        """Somebody has closed the last window that was seen."""
        if self._question is not None:
            self._question.activateWindow()
        else:
            self._tasks.start(self._take_close(window), self._not_done)

    async def _take_close(self, window: QWidget) -> None:
        sharing = self._window.share.on
        if not sharing and not await self._stays_unshared():
            self._window.ask_to_leave()
        elif self.host.available():
            self.go_away(window)
            if sharing and await self._setting(SAID) != "true":
                self._remember(SAID, "true")
                await self._tell_stays()
        elif sharing:
            self._question = KeepSharingDialog(self._theme, window.showMinimized, self._window.ask_to_leave, window)
            self._question.finished.connect(self._forget_question)
            self._question.open()
        else:
            self._window.ask_to_leave()

    async def _stays_unshared(self) -> bool:
        """Because the owner wants it so, or because others go through the relay of this machine."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                return "true" in (await self._setting(CLOSE_TO_TRAY), await self._setting(RELAY_ON))
        except TimeoutError:
            return False  # a core that hangs keeps no window open

    def _forget_question(self) -> None:
        self._question = None

    def go_away(self, window: QWidget) -> None:
        self._window.remember_place()
        window.hide()
        self.host.watch()

    def come_back(self, page: str = "") -> None:
        """page: "share", "settings"; "" for the window that was in front, as it was."""
        self.host.unwatch()
        self._window.windows.bring_back()
        come_forward(self._window if page else self._window.windows.front)
        if page == "share":
            self._window.tabs.choose(SHARE)
        elif page == "settings":
            self._window.open_settings()

    async def _begin_away(self) -> None:
        """The panel may start after us: it is waited for, and the window never lost."""
        if not self.host.available_now():
            came = asyncio.Event()
            self.host.came.connect(came.set)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), HOST_MAY_COME + 1)
        if self._window.isVisible():
            return  # somebody started us again, and has it now
        if self.host.available():
            self.host.watch()
        else:
            self._window.showMinimized()

    def _tray_is_gone(self) -> None:
        self.come_back()
        self._window.notice.show_notice(
            tr("The tray of this desktop is gone."), tr("The window is back, so that it is not lost. Sharing went on.")
        )

    def _activated(self, state: Qt.ApplicationState) -> None:
        """A click on the Dock."""
        if state is Qt.ApplicationState.ApplicationActive and not self._window.windows.seen():
            self.come_back()

    # --- Notices

    @property
    def away(self) -> bool:
        """Nobody looks at a window of ours."""
        seen = [window for window in self._window.windows.seen() if not window.isMinimized()]
        return QApplication.activeWindow() is None or not seen

    async def _tell_stays(self) -> None:
        await self.notices.show(
            STAYS,
            tr("Still sharing"),
            tr("QVAC Desktop stays in the tray while you share. To stop, use its switch there, or Quit."),
            {OPEN: tr("Open it again"), "stop": tr("Stop sharing")},
        )

    def _tell_knocks(self) -> None:
        knocks = self._window.share.knocks
        if not self.away or not knocks:
            return
        self._asking_key = knocks[0].public_key if len(knocks) == 1 else ""
        if self._asking_key:
            title, sentence = tr("A key asks to use your GPU"), short_key(self._asking_key)
            buttons = {"allow": tr("Allow for an hour"), "deny": tr("Deny"), OPEN: tr("Open", "verb")}
        else:
            title = trn("%n key asks to use your GPU", "%n keys ask to use your GPU", len(knocks))
            sentence, buttons = tr("Open the window to decide about each of them."), {OPEN: tr("Open", "verb")}
        self._tell(KNOCKS, title, sentence, buttons)

    def _knocks_changed(self) -> None:
        asking = {knock.public_key for knock in self._window.share.knocks}
        if not asking or (self._asking_key and self._asking_key not in asking):
            self._asking_key = ""
            self._tasks.start(self.notices.take_back(KNOCKS), self._not_done)

    def _sharing_changed(self) -> None:
        phase = self._window.share.sharing.phase
        if phase is not SharingPhase.UNREACHABLE:
            if phase is not SharingPhase.STARTING:
                self._long_unreachable.stop()
                self._tasks.start(self.notices.take_back(UNREACHABLE), self._not_done)
        elif not self._long_unreachable.isActive():
            self._long_unreachable.start()

    def _tell_unreachable(self) -> None:
        state = self._window.share.sharing
        if state.phase is SharingPhase.UNREACHABLE and self.away:
            buttons = {"network": tr("Network…"), "again": tr("Try now")}
            self._tell(UNREACHABLE, tr("No longer reachable"), state.detail, buttons)

    def _tell(self, name: str, title: str, sentence: str, buttons: dict[str, str]) -> None:
        self._tasks.start(self.notices.show(name, title, sentence, buttons), self._not_done)

    def _pressed(self, name: str, action: str) -> None:
        share = self._window.share
        acts: dict[tuple[str, str], Callable[[], object]] = {
            (STAYS, "stop"): lambda: share.set_sharing(False),
            (STAYS, OPEN): self.come_back,
            (STAYS, DEFAULT): self.come_back,
            (KNOCKS, "allow"): lambda: share.allow(self._asking_key, "", hours=HOUR_GRANT, place="knock"),
            (KNOCKS, "deny"): lambda: share.deny(self._asking_key),
            (UNREACHABLE, "again"): share.try_again,
            (UNREACHABLE, "network"): self._open_network,
        }
        acts.get((name, action), lambda: self.come_back("share"))()

    def _open_network(self) -> None:
        self.come_back("share")
        self._window.open_network()

    # --- Settings

    async def _setting(self, key: str) -> str:
        return await self._core.call(lambda core: core.setting(key))

    def _remember(self, key: str, value: str) -> None:
        self._tasks.start(self._core.call(lambda core: core.set_setting(key, value)), self._not_done)

    def _not_done(self, error: QvacError) -> None:
        self._window.notice.show_notice(tr("A setting was not saved."), error.message)
