"""Starts and ends the window: QApplication, Fusion, theme, the two loops; what was begun is ended before the exit.

The command line calls `run` with a function that makes the core; nothing of Qt is imported before that.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QSocketNotifier, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.core.interface import CoreInterface
from qvac_core.errors import QvacError

DONE, FAILED, INTERRUPTED = 0, 1, 130
SHOW_AFTER = 0.3  # seconds


def run(core_factory: Callable[[], CoreInterface]) -> int:
    """Open the window and return the exit code once everything has ended. `core_factory` runs in the core's thread."""
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("qvac-desktop")
    app.setApplicationDisplayName("QVAC Desktop")
    app.setDesktopFileName("qvac-desktop")
    app.setStyle("Fusion")
    # The core has to be closed first; the last window may go before that.
    app.setQuitOnLastWindowClosed(False)
    theme = Theme(app)
    theme.choose("system")
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    try:
        return int(loop.run_until_complete(live(CoreProxy(CoreThread(core_factory)), theme)))
    finally:
        loop.close()
        asyncio.set_event_loop(None)


async def live(core: CoreProxy, theme: Theme) -> int:
    """The whole life of the window, on the window's loop."""
    left = asyncio.Event()
    interrupts = Interrupts(left.set)
    window = MainWindow(core, theme)
    window.leaving.connect(left.set)
    code = DONE
    leaving = asyncio.ensure_future(left.wait())
    beginning = asyncio.ensure_future(_begin(core, window))
    try:
        # Shown as it was left, if the core tells in time; a core that opens a large store must not delay the window.
        await asyncio.wait({beginning}, timeout=SHOW_AFTER)
        window.show()
        await asyncio.wait({beginning, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            try:
                beginning.result()
            except QvacError as error:
                code = FAILED
                _say(theme, window, error)
            await leaving
    finally:
        for task in (beginning, leaving):
            task.cancel()
        await asyncio.gather(beginning, leaving, return_exceptions=True)
        window.hide()
        await window.unload()
        ended = await core.close()
        interrupts.close()
        window.deleteLater()
    if not ended:
        print("Some of the work did not end in time and was cut off.", file=sys.stderr)  # noqa: T201
    return INTERRUPTED if interrupts.came else code


async def _begin(core: CoreProxy, window: MainWindow) -> None:
    await core.start()
    await window.load()


def _say(theme: Theme, window: MainWindow, error: QvacError) -> None:
    """The core did not start: say why; closing that leaves."""
    dialog = Dialog(theme, "QVAC Desktop could not start", error.message, "", cancel="Quit", parent=window)
    dialog.finished.connect(window.leaving)
    print(error.message, file=sys.stderr)  # noqa: T201
    dialog.open()


class Interrupts:
    """Ctrl-C and SIGTERM while Qt waits: Python runs signal handlers only when it runs at all, so a socket wakes it."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self.came = False
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._woken)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}

    def close(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._notifier.setEnabled(False)
        self._reader.close()
        self._writer.close()

    def _woken(self) -> None:
        self._reader.recv(64)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        self._stop()
