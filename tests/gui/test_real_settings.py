"""The Settings page with a real core: changes are in the file, what cannot be is told, what was given is fixed."""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.views.settings_row import GIVEN
from app.views.settings_tools import ToolServersEntry
from app.views.tool_dialogs import ServerDialog
from app.widgets.number import Number
from app.widgets.segmented import Segmented
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.tools.forms import as_line

TOOL_SERVER = Path(__file__).parents[1] / "e2e" / "tool_server.py"
NOBODY = ("127.0.0.1", 9)


@pytest.fixture(autouse=True)
def plain_look(theme: Theme) -> Iterator[None]:
    yield
    theme.use("light", 100, "normal", "")


def with_window(
    qloop: QEventLoop, theme: Theme, config: CoreConfig, test: Callable[[MainWindow], Awaitable[None]]
) -> None:
    async def body() -> None:
        proxy = CoreProxy(CoreThread(lambda: Core(config)))
        with theme.undressed():
            window = MainWindow(proxy, theme)
        await proxy.start()
        window.show()
        await window.load()
        try:
            await test(window)
        finally:
            window.hide()
            await window.unload()
            await proxy.close()
            window.deleteLater()

    qloop.run_until_complete(body())


def test_changes_are_in_the_file_and_there_at_the_next_start(qloop: QEventLoop, theme: Theme, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"

    async def change(window: MainWindow) -> None:
        window.open_settings("appearance")
        page = window.settings.page
        choice = page.row("theme").controls[0]
        assert isinstance(choice, Segmented)
        choice.button("dark").click()
        port = page.row("network.port").controls[0]
        assert isinstance(port, Number)
        assert not port.isEnabled() and page.row("network.port").note.text() == GIVEN
        window.settings.presenter.set("network.bootstrap", "nowhere")  # as somebody may write into the field
        await window.settings.settle()
        assert "HOST:PORT" in page.row("network.bootstrap").note.text()
        assert window.settings.presenter.value("network.bootstrap") == ""
        window.settings.presenter.set("sharing.slots", "2")
        await window.settings.settle()

    with_window(qloop, theme, CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,), port=40_123), change)
    kept = tomllib.loads(file.read_text())
    assert (kept["theme"], kept["sharing"]["slots"], kept["network"]["bootstrap"]) == ("dark", 2, "")

    async def look(window: MainWindow) -> None:
        assert theme.dark
        window.open_settings("sharing")
        slots = window.settings.page.row("sharing.slots").controls[0]
        assert isinstance(slots, Number)
        assert slots.value() == 2
        await asyncio.sleep(0)

    theme.choose("light")
    with_window(qloop, theme, CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,)), look)


def test_a_server_of_tools_is_added_tried_and_kept(qloop: QEventLoop, theme: Theme, tmp_path: Path) -> None:
    async def add(window: MainWindow) -> None:
        window.open_settings("tools")
        (entry,) = window.settings.page.findChildren(ToolServersEntry)
        for name, command in (("Desk", as_line(sys.executable, (str(TOOL_SERVER),))), ("Gone", "qvac-no-such-program")):
            entry.add.click()
            dialog = entry.dialog
            assert isinstance(dialog, ServerDialog)
            dialog.name.setText(name)
            dialog.command.setText(command)
            dialog.confirm.click()
            async with asyncio.timeout(60):
                while name not in entry.rows or entry.dialog is not None:
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(60):
            while "7 tools" not in entry.rows["Desk"].words.text() or not entry.rows["Gone"].again.isVisible():
                await asyncio.sleep(0.01)
        assert entry.rows["Gone"].words.text() == "The program qvac-no-such-program was not found."
        entry.rows["Desk"].in_new.click()
        await window.chat.settle()

    async def look(window: MainWindow) -> None:
        assert {entry.server.name for entry in window.chat.tools.servers.entries} == {"Desk", "Gone"}
        assert window.chat.tools.chosen == ("Desk",), "it is on in new conversations"

    config = CoreConfig(tmp_path, bytes(32), bootstrap=(NOBODY,))
    with_window(qloop, theme, config, add)
    with_window(qloop, theme, config, look)
