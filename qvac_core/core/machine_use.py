"""How this machine is used by its owner just now: the time since a key or the mouse, and the battery.

X11: the screen saver extension (libXss). Windows: GetLastInputInfo. macOS: CGEventSourceSecondsSinceLastEventType. A
Wayland desktop tells no program, and a machine without a screen has nobody at it: that is said, not guessed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    import psutil
else:
    psutil = Lazy("psutil")


class IdleTime(Protocol):
    """`unknown`: why it cannot be told, "" when it can."""

    unknown: str

    def seconds(self) -> float | None:
        """Since the last key or movement; None where it is not told. May block for a moment: not for an event loop."""


class UnknownIdleTime:
    def __init__(self, why: str) -> None:
        self.unknown = why

    def seconds(self) -> float | None:
        return None


WAYLAND = "This desktop (Wayland) does not tell programs whether somebody uses it."
NO_SCREEN = "There is no screen here, so nobody is at this machine."
NO_LIBRARY = "The library that tells it (libXss) is not installed."
NO_ANSWER = "The desktop does not tell it."


class _ScreenSaverInfo(ctypes.Structure):
    """XScreenSaverInfo of X11/extensions/scrnsaver.h."""

    _fields_ = (
        ("window", ctypes.c_ulong),
        ("state", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("til_or_since", ctypes.c_ulong),
        ("idle", ctypes.c_ulong),
        ("event_mask", ctypes.c_ulong),
    )


class X11IdleTime:
    """Asks the X server. Xlib ends the process when the server goes away, unless it is told not to (libX11 1.7)."""

    def __init__(self) -> None:
        """Raises OSError where the libraries or the server are not there."""
        self.unknown = ""
        self._x11, self._xss = _library("X11"), _library("Xss")
        try:
            keep_running = self._x11.XSetIOErrorExitHandler
        except AttributeError:
            raise OSError("this libX11 would end the program with the server") from None
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
        self._x11.XDefaultRootWindow.restype = ctypes.c_ulong
        self._x11.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
        self._xss.XScreenSaverQueryInfo.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p]
        self._display = self._x11.XOpenDisplay(None)
        if not self._display:
            raise OSError("no display")
        handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
        self._lost = handler(self._server_went)  # kept: C calls it later
        keep_running.argtypes = [ctypes.c_void_p, handler, ctypes.c_void_p]
        keep_running(self._display, self._lost, None)
        # The default handler ends the process by itself, before the one of this display is asked. Others' displays
        # keep their own end of the program.
        quiet = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        self._quiet = quiet(lambda _display: 0)
        self._x11.XSetIOErrorHandler.argtypes = [quiet]
        self._x11.XSetIOErrorHandler.restype = ctypes.c_void_p
        self._x11.XSetIOErrorHandler(self._quiet)
        self._root = self._x11.XDefaultRootWindow(self._display)

    def _server_went(self, _display: int | None, _data: int | None) -> None:
        self._display = None

    def seconds(self) -> float | None:
        info = _ScreenSaverInfo()
        told = self._display and self._xss.XScreenSaverQueryInfo(self._display, self._root, ctypes.byref(info))
        if not told or not self._display:
            self.unknown = NO_ANSWER
            return None
        return float(info.idle) / 1000


class _LastInput(ctypes.Structure):
    _fields_ = (("cbSize", ctypes.c_uint), ("dwTime", ctypes.c_uint))


class WindowsIdleTime:
    unknown = ""

    def seconds(self) -> float | None:
        windows: Any = ctypes
        info = _LastInput(ctypes.sizeof(_LastInput), 0)
        if not windows.windll.user32.GetLastInputInfo(ctypes.byref(info)):
            return None
        # Both count milliseconds in 32 bits, and begin anew after 49 days.
        return float((windows.windll.kernel32.GetTickCount() - info.dwTime) & 0xFFFFFFFF) / 1000


class MacIdleTime:
    _SESSION, _ANY_EVENT = 0, 0xFFFFFFFF  # kCGEventSourceStateCombinedSessionState, kCGAnyInputEventType

    def __init__(self) -> None:
        """Raises OSError."""
        self.unknown = ""
        graphics = ctypes.CDLL("/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics")
        self._since = graphics.CGEventSourceSecondsSinceLastEventType
        self._since.restype, self._since.argtypes = ctypes.c_double, [ctypes.c_int, ctypes.c_uint32]

    def seconds(self) -> float | None:
        return float(self._since(self._SESSION, self._ANY_EVENT))


def idle_time() -> IdleTime:
    """What this desktop has. May block for a moment: not for an event loop."""
    try:
        if sys.platform == "win32":
            return WindowsIdleTime()
        if sys.platform == "darwin":
            return MacIdleTime()
        if os.environ.get("WAYLAND_DISPLAY"):
            return UnknownIdleTime(WAYLAND)
        if not os.environ.get("DISPLAY"):
            return UnknownIdleTime(NO_SCREEN)
        return X11IdleTime()
    except (OSError, AttributeError):
        return UnknownIdleTime(
            NO_LIBRARY if sys.platform == "linux" and not ctypes.util.find_library("Xss") else NO_ANSWER
        )


def _library(name: str) -> ctypes.CDLL:
    found = ctypes.util.find_library(name)
    if found is None:
        raise OSError(f"lib{name} is not installed")
    return ctypes.CDLL(found)


def on_battery() -> bool | None:
    """None: this machine has no battery, or does not tell of one."""
    sensors = getattr(psutil, "sensors_battery", None)  # not on every system
    try:
        battery = sensors() if sensors is not None else None
    except OSError:  # psutil 7.2.2 where /sys is not there: a root of its own, some containers
        return None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged
