"""Pictures of the Library page with a fake core: `python -m tests.gui.screenshots_library FOLDER [NAME…]`.

To be looked at beside the design's pictures `library`, `narrow-library` and `states`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import Qt

from app.presenters.library import DOWNLOADS, HERE
from app.theme import Theme
from app.window import MainWindow
from qvac_core.core.library_state import DownloadChanged, DownloadState, MachineMemory, Move
from qvac_core.core.state import ErrorInfo
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore
from tests.gui.fake_library import GB, LM_STUDIO, OLLAMA
from tests.gui.library_scenes import GEMMA, MODELS, library_core
from tests.gui.picture_taking import keep_and_close, settle, take_all
from tests.gui.populated import NOON

WIDE = (1280, 800 - 28)  # the design's pictures have a title bar of their own
NARROW = (900, 640 - 28)
SMALLEST = (720, 520)


def _searched(window: MainWindow) -> None:
    page = window.library_page
    page.catalog.search.setText("qwen3")
    window.library.search("qwen3")


async def _chosen(window: MainWindow) -> None:
    _searched(window)
    await window.library.tasks.settle()
    window.library.choose("QWEN3_14B")


async def _nothing(_window: MainWindow) -> None:
    return


def _part(part: str) -> Callable[[MainWindow], object]:
    async def show(window: MainWindow) -> None:
        await _chosen(window)
        window.library_page.parts.button(part).click()

    return show


@dataclass(frozen=True)
class Picture:
    name: str
    core: Callable[[], FakeCore] = library_core
    theme: str = "light"
    size: tuple[int, int] = WIDE
    act: Callable[[MainWindow], object] = field(default=_chosen)
    mirrored: bool = False


def _empty() -> FakeCore:
    core = FakeCore(clock=lambda: NOON)
    core.library.programs = (LM_STUDIO, OLLAMA)
    return core


def _bare() -> FakeCore:
    core = FakeCore(clock=lambda: NOON)
    core.library.machine = MachineMemory(16 * GB, 11 * GB)
    core.library.catalog = tuple(
        replace(entry, versions=tuple(replace(v, sources=v.sources[-1:]) for v in entry.versions))
        for entry in core.library.catalog
    )
    return core


def _trouble() -> FakeCore:
    core = library_core()
    full = ErrorInfo("DISK_FULL", 0, "There is no room for it.", "")
    damaged = ErrorInfo(
        "CHECKSUM",
        0,
        "Gemma 3 12B arrived damaged and was put aside.",
        "Its checksum differs. A second source often helps.",
    )
    core.library.rows = (
        DownloadChanged(
            "QWEN3_14B_Q4_K_M",
            int(4.2 * GB),
            9 * GB,
            0.0,
            DownloadState.FAILED,
            full,
            title="Qwen3 14B",
            needed_bytes=int(8.6 * GB),
        ),
        DownloadChanged(GEMMA, 0, int(7.3 * GB), 0.0, DownloadState.FAILED, damaged, title="Gemma 3 12B"),
    )
    return core


def _moving() -> FakeCore:
    core = library_core()
    folder = core.library.models_folder
    core.library.models_folder = replace(
        folder,
        move=Move(Path("E:/Large disk/Models"), int(12.1 * GB), int(42.6 * GB), 120e6, 254.0, "Qwen3-4B-Q4_K_M.gguf"),
    )
    return core


async def _remove(window: MainWindow) -> None:
    window.library_page.here.ask_to_remove("GPT-OSS 20B")
    await window.library.tasks.settle()


async def _free_up(window: MainWindow) -> None:
    window.library_page.here.ask_to_free_up()
    await window.library.tasks.settle()
    from app.views.library_dialogs import FreeUpDialog

    dialog = window.findChildren(FreeUpDialog)[0]
    for name in ("Gemma 3 27B", "Phi 4 mini"):
        dialog.boxes[name].setChecked(True)


async def _nothing_found(window: MainWindow) -> None:
    window.library_page.catalog.search.setText("xyzzy")
    window.library.search("xyzzy")


async def _here_chosen(window: MainWindow) -> None:
    _searched(window)
    await window.library.tasks.settle()
    window.library.choose("QWEN3_4B")


async def _too_large(window: MainWindow) -> None:
    _searched(window)
    await window.library.tasks.settle()
    window.library_page.catalog.table.setFocus(Qt.FocusReason.TabFocusReason)
    window.library.choose("QWEN3_235B_A22B")


PICTURES = (
    Picture("library"),
    Picture("library-dark", theme="dark"),
    Picture("narrow-library", size=NARROW),
    Picture("narrow-library-dark", theme="dark", size=NARROW),
    Picture("narrow-downloads", size=NARROW, act=_part(DOWNLOADS)),
    Picture("narrow-here", size=NARROW, act=_part(HERE)),
    Picture("narrow-near", size=NARROW, act=_part("near")),
    Picture("smallest-library", size=SMALLEST),
    Picture("library-first", _empty, act=_nothing),
    Picture("library-bare", _bare, act=_nothing),
    Picture("library-trouble", _trouble),
    Picture("library-trouble-dark", _trouble, "dark"),
    Picture("library-moving", _moving),
    Picture("library-remove", act=_remove),
    Picture("library-free-up", act=_free_up),
    Picture("library-free-up-dark", theme="dark", act=_free_up),
    Picture("library-nothing", act=_nothing_found),
    Picture("library-here", act=_here_chosen),
    Picture("library-too-large", act=_too_large),
    Picture("library-mirrored", mirrored=True),
    Picture("library-tall", size=(1500, 1100)),
)
assert len(MODELS) == 8


async def take(picture: Picture, theme: Theme, folder: Path) -> None:
    core = picture.core()
    core.settings["theme"] = picture.theme
    proxy = DirectProxy(core)
    with theme.undressed():
        window = MainWindow(proxy, theme)
    window.share.clock = window.library.clock = core.clock
    await proxy.start()
    window.resize(*picture.size)
    if picture.mirrored:
        window.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    window.show()
    await window.load()
    window.open_page(window.library_page)
    await window.library.tasks.settle()
    await picture.act(window)  # type: ignore[misc]
    await window.library.tasks.settle()
    await settle()
    await keep_and_close(window, proxy, folder, picture.name)


def main() -> None:
    take_all(PICTURES, take)


if __name__ == "__main__":
    main()
