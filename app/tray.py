"""The icon in the system's tray, and its menu: plain text and icons only, as every tray can show.

Menus of StatusNotifier are sent to another process: lines are changed in place, and made anew
only where somebody comes or goes, so that one that is open stays open.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from PySide6.QtCore import QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app import tray_words
from app.app_icon import bar_is_dark, tray_icon
from app.i18n import tr
from app.presenters.share import HOUR_GRANT, SharePresenter
from app.tray_words import Sharing
from app.widgets.avatar import paint_avatar
from qvac_core.core.state import PauseReason

FACE = 16
KNOCKS = 3  # lines; the window shows the rest


class Tray(QObject):
    """Shown by `show` once there is a tray. `opened(page)`: "share" for who is on and who asks, "settings", "" for the
    window as it was left. `cut_chosen(bool)`: whether a pause ends what runs."""

    opened = Signal(str)
    quit_wanted = Signal()
    cut_chosen = Signal(bool)
    balloon_clicked = Signal()

    def __init__(self, share: SharePresenter, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._share = share
        self.icon: QSystemTrayIcon | None = None
        self.menu = QMenu()
        self._guests: dict[str, _Line] = {}
        self._knocks: dict[str, _Line] = {}
        self._build()
        # One look at everything for all that comes at once: a request that ends changes four lists.
        self._due = QTimer(self)
        self._due.setSingleShot(True)
        self._due.setInterval(0)
        self._due.timeout.connect(self.refresh)
        for signal in (
            share.sharing_changed,
            share.models_changed,
            share.rules_changed,
            share.knocks_changed,
            share.running_changed,
            share.pauses_changed,
        ):
            signal.connect(self._due.start)
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _scheme: self.refresh())
        self.refresh()

    def show(self) -> None:
        if self.icon is None:
            self.icon = QSystemTrayIcon(self)
            self.icon.setContextMenu(self.menu)
            self.icon.activated.connect(self._activated)
            self.icon.messageClicked.connect(self.balloon_clicked)
            self.refresh()
            self.icon.show()

    def close(self) -> None:
        self._due.stop()
        if self.icon is not None:
            self.icon.hide()
        self.menu.deleteLater()

    def say(self, title: str, sentence: str) -> None:
        """A balloon, where the system has no better notices."""
        if self.icon is not None:
            self.icon.showMessage(title, sentence, self.icon.icon())

    @property
    def sharing(self) -> Sharing:
        share = self._share
        return Sharing(
            share.sharing,
            share.pauses,
            share.rules,
            share.running,
            share.models,
            share.knocks,
            share.people_on,
            share.clock(),
        )

    # --- The menu

    def _build(self) -> None:
        menu = self.menu
        self.line = _title(menu)
        menu.addSeparator()
        self.switch = menu.addAction(tr("Share my GPU"))
        self.switch.setCheckable(True)
        self.switch.triggered.connect(self._share.set_sharing)
        self.pause = menu.addMenu(tr("Pause"))
        self.pause_hour = self._pause(tr("For an hour"), tray_words.in_an_hour)
        self.pause_morning = self._pause(tray_words.until_morning(), tray_words.tomorrow_morning)
        self.pause_open = self._pause(tr("Until I turn it on"), lambda _now: None)
        self.pause.addSeparator()
        self.finish = self.pause.addAction(tr("Finish what runs, then pause"))
        self.finish.setCheckable(True)
        self.finish.setChecked(True)
        self.finish.triggered.connect(lambda on: self.cut_chosen.emit(not on))
        self.resume = menu.addAction(tr("Resume sharing"))
        self.resume.triggered.connect(self._share.resume)
        self.free = menu.addAction("")
        self.free.triggered.connect(self._share.free_models)
        self._before_knocks = menu.addSeparator()
        self.more_knocks = menu.addAction("")
        self.more_knocks.triggered.connect(lambda: self.opened.emit("share"))
        self._before_guests = menu.addSeparator()
        self.on_now = _title(menu)
        self._after_guests = menu.addSeparator()
        self.open = menu.addAction(tr("Open QVAC Desktop"))
        self.open.triggered.connect(lambda: self.opened.emit(""))
        self.settings = menu.addAction(tr("Settings…"))
        self.settings.triggered.connect(lambda: self.opened.emit("settings"))
        self.quit = menu.addAction(tr("Quit…"))
        self.quit.triggered.connect(self.quit_wanted)

    def _pause(self, text: str, until: Callable[[float], float | None]) -> QAction:
        action = self.pause.addAction(text)
        action.triggered.connect(lambda: self._share.pause(until(self._share.clock()), cut=not self.finish.isChecked()))
        return action

    def show_cut(self, cut: bool) -> None:
        self.finish.setChecked(not cut)

    def refresh(self) -> None:
        sharing = self.sharing
        _set(self.line, tray_words.line(sharing))
        self.switch.setChecked(sharing.on)
        paused_by_hand = any(pause.reason is PauseReason.OWNER for pause in sharing.pauses)
        self.pause.menuAction().setVisible(sharing.on and not paused_by_hand)
        self.resume.setVisible(sharing.on and paused_by_hand)
        _set(self.free, tray_words.free(sharing.models))
        self.free.setEnabled(bool(tray_words.loaded_bytes(sharing.models)))
        self._show_knocks(sharing)
        self._show_guests(sharing)
        self._show_icon(sharing)

    def _show_icon(self, sharing: Sharing) -> None:
        if self.icon is not None:
            state = tray_words.state(sharing)
            icon = tray_icon(state, bar_is_dark(QGuiApplication.styleHints().colorScheme()))
            if icon.cacheKey() != self.icon.icon().cacheKey():
                self.icon.setIcon(icon)
            text = tray_words.tooltip(sharing)
            if text != self.icon.toolTip():
                self.icon.setToolTip(text)

    def _show_knocks(self, sharing: Sharing) -> None:
        keys = [knock.public_key for knock in sharing.knocks[:KNOCKS]]
        self._before_knocks.setVisible(bool(keys))
        self._match(self._knocks, keys, self.more_knocks, self._knock_line)
        for key in keys:
            _set(self._knocks[key].action, tray_words.knock(key))
        more = len(sharing.knocks) - len(keys)
        self.more_knocks.setVisible(more > 0)
        _set(self.more_knocks, tr("{count} more…", count=more) if more > 0 else "")

    def _show_guests(self, sharing: Sharing) -> None:
        guests = tray_words.guests(sharing) if sharing.on else ()
        title = tray_words.on_now(sharing) if sharing.on else ""
        self._before_guests.setVisible(bool(title))
        self.on_now.setVisible(bool(title))
        _set(self.on_now, title)
        self._match(self._guests, [guest.public_key for guest in guests], self._after_guests, self._guest_line)
        for guest in guests:
            line = self._guests[guest.public_key]
            _set(line.action, guest.text)
            if line.stop is not None:
                line.stop.setEnabled(bool(guest.requests))

    def _match(self, lines: dict[str, _Line], keys: list[str], before: QAction, make: Callable[[str], _Line]) -> None:
        """Lines for these keys in this order, above `before`; those that are right already are left alone."""
        if list(lines) == keys:
            return
        for key in [key for key in lines if key not in keys]:
            line = lines.pop(key)
            self.menu.removeAction(line.action)
            line.menu.deleteLater()
        kept = dict(lines)
        lines.clear()
        for key in keys:
            line = kept.get(key) or make(key)
            lines[key] = line
            self.menu.removeAction(line.action)
            self.menu.insertAction(before, line.action)

    def _knock_line(self, key: str) -> _Line:
        line = _Line(key)
        line.add(tr("Allow for an hour"), lambda: self._share.allow(key, "", hours=HOUR_GRANT, place="knock"))
        line.add(tr("Deny"), lambda: self._share.deny(key))
        line.add(tr("Open", "verb"), lambda: self.opened.emit("share"))
        return line

    def _guest_line(self, key: str) -> _Line:
        line = _Line(key)
        line.stop = line.add(tr("Stop the request"), lambda: self._stop(key))
        line.add(tr("Open", "verb"), lambda: self.opened.emit("share"))
        return line

    def _stop(self, public_key: str) -> None:
        for request in list(self._share.running.values()):
            if request.remote_public_key == public_key:
                self._share.stop(request.id)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        # A click on a Mac opens the menu, and nothing else.
        if reason is QSystemTrayIcon.ActivationReason.Trigger and sys.platform != "darwin":
            self.opened.emit("")


class _Line:
    """Somebody's line with a menu of its own."""

    def __init__(self, public_key: str) -> None:
        self.menu = QMenu()
        self.action = self.menu.menuAction()
        self.stop: QAction | None = None
        if sys.platform != "darwin":
            self.action.setIcon(_face(public_key))

    def add(self, text: str, act: Callable[[], object]) -> QAction:
        action = self.menu.addAction(text)
        action.triggered.connect(lambda: act())
        return action


def _face(public_key: str) -> QIcon:
    icon = QIcon()
    for ratio in (1, 2):
        pixmap = QPixmap(FACE * ratio, FACE * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        paint_avatar(painter, QRectF(0, 0, FACE, FACE), public_key)
        painter.end()
        icon.addPixmap(pixmap)
    return icon


def _title(menu: QMenu) -> QAction:
    """A line that says something, and does nothing."""
    action = menu.addAction("")
    action.setEnabled(False)
    return action


def _set(action: QAction, text: str) -> None:
    # A name is no menu text: "&" would mark its next letter as a key.
    shown = text.replace("&", "&&")
    if action.text() != shown:
        action.setText(shown)
