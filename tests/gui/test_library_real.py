"""The Library page with a real core and a hub on loopback: look an address up, get it, pause, check, remove, move."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.views.library_page import LibraryPage
from app.widgets.button import Button
from app.widgets.dialog import Dialog
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.core.library_state import DownloadState
from qvac_core.engines import download
from tests.e2e.file_server import FileServer, file_server
from tests.e2e.library_core import NOBODY, address, model_file, path_on_hub
from tests.gui.share_window import dialog_of
from tests.gui.test_real_windows import picture, until

Test = Callable[[MainWindow, LibraryPage], Awaitable[None]]
ONE, TWO = "one-Q4_K_M.gguf", "two-Q8_0.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A repository of two models, as Hugging Face tells of it."""
    with file_server() as server:
        files = {ONE: model_file(1), TWO: model_file(2)}
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)},
            }
            for name, data in files.items()
        ]
        told = {"id": "owner/repo", "sha": "abc", "siblings": siblings, "cardData": {"license": "apache-2.0"}}
        for revision in ("", "/revision/abc"):
            server.api[f"/api/models/owner/repo{revision}"] = told
        for name, data in files.items():
            server.files[path_on_hub(name)] = data
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(download, "RETRY_DELAY", 0.01)
        yield server


@pytest.fixture
def play(qloop: QEventLoop, theme: Theme, hub: FileServer, tmp_path: Path) -> Callable[[Test], None]:
    """A window with the page open, and a core whose data stay in `tmp_path` from one call to the next."""

    def core() -> Core:
        return Core(CoreConfig(tmp_path / "data", bytes(32), bootstrap=NOBODY, local_network=False))

    async def body(test: Test) -> None:
        proxy = CoreProxy(CoreThread(core))
        with theme.undressed():
            window = MainWindow(proxy, theme)
        window.resize(1280, 772)
        window.show()
        try:
            await proxy.start()
            await window.load()
            window.open_page(window.library_page)
            await window.library.tasks.settle()
            await test(window, window.library_page)
        finally:
            window.hide()
            await window.unload()
            await proxy.close()
            window.deleteLater()

    return lambda test: qloop.run_until_complete(body(test))


async def look_up(window: MainWindow, page: LibraryPage, file: str) -> None:
    page.catalog.search.clear()
    page.catalog.search.setFocus()
    QGuiApplication.clipboard().setText(address(file))
    QTest.keyClick(page.catalog.search, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    await until(lambda: window.library.chosen is not None, "the model at the address")


def act(page: LibraryPage, text: str) -> Button:
    return next(button for button in page.catalog.detail.buttons if button.text().startswith(text))


def test_the_catalog_is_searched_and_each_model_says_whether_it_fits(play: Callable[[Test], None]) -> None:
    async def test(window: MainWindow, page: LibraryPage) -> None:
        everything = len(page.catalog.table.rows.rows)
        assert everything > 20 and page.catalog.foot.text() == f"{everything} of {everything} in the catalog."
        QTest.keyClicks(page.catalog.search, "qwen3 8b")
        await window.library.tasks.settle()
        row = next(row for row in page.catalog.table.rows.rows if row.cells[0].text == "Qwen3 8B")
        assert row.cells[1].text == "5.0 GB"
        assert row.cells[3].text.startswith(("fits, needs", "only with", "needs"))
        assert page.catalog.table.rows.columns[3].title.startswith("This machine, ")
        assert page.here.empty.isVisible()

    play(test)


def test_an_address_is_looked_up_got_paused_gone_on_with_and_removed(
    play: Callable[[Test], None], hub: FileServer
) -> None:
    async def get(window: MainWindow, page: LibraryPage) -> None:
        await look_up(window, page, ONE)
        assert page.catalog.detail.title.text() == "repo" and page.catalog.detail.sizes.currentText() == "Q4_K_M, 2 MB"
        hub.gate.clear()
        act(page, "Download").click()
        await until(lambda: any(row.downloaded for row in window.library.downloads.values()), "bytes")
        (row,) = page.downloads.rows.values()
        assert row.pause.isVisible()
        picture(window, "library-real-running")
        row.pause.click()
        await until(lambda: row.resume.isVisible(), "the pause")
        assert row.state.text() == "Paused. Goes on from here, also after a restart"

    async def go_on(window: MainWindow, page: LibraryPage) -> None:
        (row,) = page.downloads.rows.values()
        assert row.row.state is DownloadState.PAUSED and row.row.downloaded > 0
        hub.gate.set()
        row.resume.click()
        await until(lambda: window.library.models, "the model here")
        await until(lambda: row.row.done, "the download is done")
        (model,) = window.library.models
        assert model.size_bytes == len(model_file(1)) and model.path.is_file()
        assert not page.here.empty.isVisible() and page.here.table.isVisible()
        picture(window, "library-real-here")
        page.here.ask_to_remove(model.name)
        await window.library.tasks.settle()
        dialog = dialog_of(window, Dialog)
        assert dialog.sentence.text().startswith("It frees 2 MB of the disk.")
        dialog.confirm.click()
        await until(lambda: not window.library.models, "the model is gone")
        assert not model.path.exists()

    play(get)
    play(go_on)


def test_what_arrives_damaged_is_said_with_what_helps(play: Callable[[Test], None], hub: FileServer) -> None:
    async def test(window: MainWindow, page: LibraryPage) -> None:
        await look_up(window, page, ONE)
        hub.linked_sha256 = "ab" * 32
        act(page, "Download").click()
        await until(lambda: any(r.state is DownloadState.FAILED for r in window.library.downloads.values()), "failure")
        (row,) = page.downloads.rows.values()
        assert row.error.isVisible() and row.error.title.text()
        hub.linked_sha256 = ""
        next(b for b in row.error.findChildren(Button) if b.kind == "primary").click()
        await until(lambda: window.library.models, "the model here")

    play(test)


def test_the_models_move_to_another_folder(play: Callable[[Test], None], hub: FileServer, tmp_path: Path) -> None:
    async def test(window: MainWindow, page: LibraryPage) -> None:
        await look_up(window, page, TWO)
        act(page, "Download").click()
        await until(lambda: window.library.models and not window.library.any_moves, "the model here")
        await until(lambda: (f := window.library.folder) is not None and f.models_bytes, "what it takes")
        page.here.change_folder(tmp_path / "elsewhere")
        dialog_of(window, Dialog).confirm.click()
        await until(lambda: window.library.models[0].path.parent == tmp_path / "elsewhere", "the move")
        await until(lambda: page.here.path.text() == str(tmp_path / "elsewhere"), "the folder's name")
        assert window.library.models[0].path.is_file() and not page.here.move_panel.isVisible()

    play(test)
