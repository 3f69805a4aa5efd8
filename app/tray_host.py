"""Whether the desktop has a tray now. It may come and go: a panel restarts, or starts after us at login.

Qt 6.11 settles once, when it is first asked, whether it speaks StatusNotifier; else it takes X11's own tray, and never
looks again. So it is not asked before a StatusNotifier host is there, or has had time to come. `isVisible()` of an icon
says nothing: it is true without any tray.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QSystemTrayIcon

if TYPE_CHECKING:
    from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher

NOTIFIER = "org.kde.StatusNotifierWatcher"
HOST_MAY_COME = 5.0  # seconds after the start
LOOK_EVERY = 4.0  # seconds, while the window is away
GONE_AFTER = 2  # looks in a row: a panel that restarts is no loss


class TrayHost(QObject):
    """`came`: there is a tray, for the first time. `lost`: it is gone for good, told while watched."""

    came = Signal()
    lost = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._asked = False  # Qt has settled for one kind
        self._came = False
        self._missed = 0
        self._notifiers: QDBusServiceWatcher | None = None
        self._waiting = QTimer(self)
        self._waiting.setSingleShot(True)
        self._waiting.setInterval(round(HOST_MAY_COME * 1000))
        self._waiting.timeout.connect(self._ask)
        self._looking = QTimer(self)
        self._looking.setInterval(round(LOOK_EVERY * 1000))
        self._looking.timeout.connect(self.look)

    def start(self) -> None:
        """From now on `came` is told."""
        bus = _session_bus()
        if bus is None:
            self._ask()
            return
        from PySide6.QtDBus import QDBusServiceWatcher

        mode = QDBusServiceWatcher.WatchModeFlag.WatchForRegistration
        self._notifiers = QDBusServiceWatcher(NOTIFIER, bus, mode, self)
        self._notifiers.serviceRegistered.connect(lambda _name: self._ask())
        if _has_notifier(bus):
            self._ask()
        elif QGuiApplication.platformName() == "xcb":
            self._waiting.start()

    def available(self) -> bool:
        """Now. Settles for what is there, if nothing came yet."""
        return self._ask()

    def available_now(self) -> bool:
        """Without settling."""
        return self._came and self._ask()

    def watch(self) -> None:
        """The window goes away: `lost` brings it back."""
        self._missed = 0
        self._looking.start()

    def unwatch(self) -> None:
        self._looking.stop()

    def close(self) -> None:
        self._waiting.stop()
        self._looking.stop()

    def look(self) -> None:
        self._missed = 0 if self._ask() else self._missed + 1
        if self._missed == GONE_AFTER:
            self.lost.emit()

    def _ask(self) -> bool:
        """Wayland has no other tray than StatusNotifier's: there Qt is asked when that is there, and not before."""
        self._waiting.stop()
        if not self._asked and QGuiApplication.platformName().startswith("wayland"):
            bus = _session_bus()
            if bus is None or not _has_notifier(bus):
                return False
        self._asked = True
        there = QSystemTrayIcon.isSystemTrayAvailable()
        if there and not self._came:
            self._came = True
            self.came.emit()
        return there


def _session_bus() -> QDBusConnection | None:
    if sys.platform != "linux":
        return None
    from PySide6.QtDBus import QDBusConnection

    bus = QDBusConnection.sessionBus()
    return bus if bus.isConnected() else None


def _has_notifier(bus: QDBusConnection) -> bool:
    interface = bus.interface()
    return interface is not None and bool(interface.isServiceRegistered(NOTIFIER).value())
