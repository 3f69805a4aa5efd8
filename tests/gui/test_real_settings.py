"""The Settings page with a real core: changes are in the file, what cannot be is told, what was given is fixed."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.views.settings_row import GIVEN
from app.widgets.number import Number
from app.widgets.segmented import Segmented
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig

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
        assert not port.isEnabled() and page.row("network.port").note.plain == GIVEN
        window.settings.presenter.set("network.bootstrap", "nowhere")  # as somebody may write into the field
        await window.settings.settle()
        assert "HOST:PORT" in page.row("network.bootstrap").note.plain
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
