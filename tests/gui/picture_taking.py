"""How the `screenshots…` modules take their pictures: one application for all of them, and each into a file.

PICTURE_LANGUAGE=de or ar takes them in that language, QT_SCALE_FACTOR=1.5 at that scale.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

from app import window_language
from app.theme import Theme
from app.window import MainWindow
from tests.gui.conftest import DirectProxy


class Named(Protocol):
    @property
    def name(self) -> str: ...


_Picture = TypeVar("_Picture", bound=Named)


def take_all(
    pictures: Sequence[_Picture],
    take: Callable[[_Picture, Theme, Path], Awaitable[None]],
    *,
    by_beginning: bool = False,
    reduced_motion: bool = True,
) -> None:
    """Those that the command line names, or all: `FOLDER [NAME…]`. by_beginning: NAME is the beginning of names."""
    folder = Path(sys.argv[1])
    wanted = tuple(sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication(["screenshots"])
    app.setStyle("Fusion")
    if language := os.environ.get("PICTURE_LANGUAGE"):
        window_language.install(app, language)
    app.setFont(QFont("Inter", 10))
    theme = Theme(app)
    if reduced_motion:
        theme.reduced_motion = True
    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    for picture in pictures:
        named = picture.name.startswith(wanted) if by_beginning else picture.name in wanted
        if not wanted or named:
            loop.run_until_complete(take(picture, theme, folder))
    loop.close()


async def settle(turns: int = 4) -> None:
    """Layouts settle over a few turns; processEvents would run other coroutines inside this one."""
    for _turn in range(turns):
        await asyncio.sleep(0.02)


async def keep_and_close(window: MainWindow, proxy: DirectProxy, folder: Path, name: str) -> None:
    """The picture of what floats over the window, or of the window; then the window's end."""
    floating = [w for w in QApplication.topLevelWidgets() if w.isVisible() and w is not window]
    for place, shown in enumerate(floating or [window]):
        shown.grab().save(str(folder / f"{name}{place or ''}.png"))
        if shown is not window:
            shown.close()
    window.hide()
    await window.unload()
    await proxy.close()
    window.deleteLater()
