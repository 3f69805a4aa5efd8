"""Pictures of the page For programs with a fake core: `python -m tests.gui.screenshots_programs FOLDER [NAME…]`.

To be looked at beside the design's picture `programs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.theme import Theme
from app.views.programs_endpoint import OriginsDialog
from app.window import MainWindow
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.picture_taking import keep_and_close, settle, take_all
from tests.gui.populated import NOON
from tests.gui.programs_scenes import programs_core

WIDE = (1280, 800 - 28)  # the design's pictures have a title bar of their own
NARROW = (900, 640 - 28)
SMALLEST = (720, 520)


def _nothing(_window: MainWindow) -> None:
    return


def _tried(window: MainWindow) -> None:
    window.programs.try_model(window.programs.chat_models[0].id)


def _taken(window: MainWindow) -> None:
    window.programs.switch(False)
    window.programs.switch(True)


def _off(window: MainWindow) -> None:
    window.programs.switch(False)


def _kind(kind: str) -> Callable[[MainWindow], None]:
    return lambda window: window.programs_page.connect_card.show_kind(kind)


def _mirrored(_window: MainWindow) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setLayoutDirection(Qt.LayoutDirection.RightToLeft)


def _scrolled(window: MainWindow) -> None:
    bar = window.programs_page.area.verticalScrollBar()
    bar.setValue(bar.maximum())


def _pages(window: MainWindow) -> None:
    dialog = OriginsDialog(window.programs, window.theme, window)
    dialog.pages.setPlainText("https://chat.example.com\nexample.com")
    dialog.open()


def _port_taken() -> FakeCore:
    core = programs_core(FakeCore())
    core.programs.taken = 8123
    return core


def _new() -> FakeCore:
    core = FakeCore()
    core.programs.model_list = ()
    return core


@dataclass(frozen=True)
class Picture:
    name: str
    core: Callable[[], FakeCore] = lambda: programs_core(FakeCore())
    theme: str = "light"
    size: tuple[int, int] = WIDE
    act: Callable[[MainWindow], None] = field(default=_nothing)


PICTURES = (
    Picture("programs", act=_tried),
    Picture("programs-dark", theme="dark", act=_tried),
    Picture("programs-mirrored", act=_mirrored),
    Picture("programs-narrow", size=NARROW),
    Picture("programs-narrow-end", size=NARROW, act=_scrolled),
    Picture("programs-smallest", theme="dark", size=SMALLEST, act=_kind("curl")),
    Picture("programs-taken", _port_taken, act=_taken),
    Picture("programs-off", act=_off),
    Picture("programs-zed", act=_kind("zed")),
    Picture("programs-new", _new, "dark"),
    Picture("programs-pages", act=_pages),
)


async def take(picture: Picture, theme: Theme, folder: Path) -> None:
    core = picture.core()
    core.settings["theme"] = picture.theme
    proxy = DirectProxy(core)
    with theme.undressed():
        window = MainWindow(proxy, theme)
    window.programs.clock = lambda: NOON
    await proxy.start()
    window.resize(*picture.size)
    window.show()
    await window.load()
    window.open_page(window.programs_page)
    await settle(6)
    picture.act(window)
    await settle(6)
    await keep_and_close(window, proxy, folder, picture.name)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


def main() -> None:
    take_all(PICTURES, take)


if __name__ == "__main__":
    main()
