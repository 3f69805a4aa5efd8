"""What tests in the real window have in common: a window with a fake core, waiting, finding dialogs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from PySide6.QtWidgets import QDialog

from app.bridge import CoreProxy
from app.theme import Theme
from app.widgets.dialog import Dialog
from app.window import MainWindow

Test = Callable[[MainWindow], Awaitable[None]]
Run = Callable[[Test], None]
# What the offscreen platform says about every popup window.
POPUP = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True)


@asynccontextmanager
async def opened(proxy: CoreProxy, theme: Theme, clock: Callable[[], float]) -> AsyncIterator[MainWindow]:
    """A loaded window on screen; everything ends afterwards."""
    with theme.undressed():
        window = MainWindow(proxy, theme)
    window.share.clock = clock
    await proxy.start()
    window.resize(1280, 800)
    window.show()
    await window.load()
    window.activateWindow()
    await asyncio.sleep(0.01)
    try:
        yield window
    finally:
        window.hide()
        await window.unload()
        await proxy.close()
        window.deleteLater()


async def settle(window: MainWindow) -> None:
    await window.share.tasks.settle()
    await window.tasks.settle()
    await asyncio.sleep(0.01)


def dialog_of(window: MainWindow, kind: type[Dialog]) -> Any:
    return next(d for d in window.findChildren(QDialog) if isinstance(d, kind) and d.isVisible())
