"""Two real windows with two real cores: share in one, paste the key in the other, read the streamed answer.

Nothing is faked: the network is a testnet of our own nodes in another process, the model a small real one. With
QVAC_SCREENSHOTS=FOLDER the windows are kept as pictures.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.theme import Theme
from app.views.chat_provider_dialog import ProviderDialog
from app.views.share_knocks import KnockCard
from app.window import SHARE, MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.core.state import SharingPhase
from tests.e2e.program import is_to_the_point, loopback_network
from tests.limits import EVENT

LIMIT = EVENT
STEP = 0.02


async def until(true: Callable[[], object], what: str) -> None:
    """Wait for the screen; AssertionError names what never came."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LIMIT
    while not true():
        assert loop.time() < end, f"never: {what}"
        await asyncio.sleep(STEP)


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[tuple[str, int], ...]]:
    with loopback_network() as net:
        host, _, port = str(net.until("ready")["bootstrap"][0]).rpartition(":")
        yield ((host, int(port)),)


def picture(window: QWidget, name: str) -> None:
    if folder := os.environ.get("QVAC_SCREENSHOTS"):
        window.grab().save(str(Path(folder) / f"{name}.png"))


def pictures(windows: dict[str, MainWindow], theme: Theme) -> None:
    """Each window light, dark and narrow."""
    for name, window in windows.items():
        for choice in ("light", "dark"):
            theme.choose(choice)
            picture(window, f"{name}-{choice}")
        theme.choose("light")
        window.resize(900, 640)
        picture(window, f"{name}-narrow")
        window.resize(1280, 800)


def paste(field: QWidget) -> None:
    field.setFocus()
    QTest.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_share_in_one_window_and_chat_in_the_other(
    qloop: QEventLoop,
    theme: Theme,
    network: tuple[tuple[str, int], ...],
    small_model_path: Path,
    tmp_path: Path,
) -> None:
    def core(name: str) -> CoreProxy:
        return CoreProxy(CoreThread(lambda: Core(CoreConfig(tmp_path / name, bootstrap=network))))

    async def play() -> None:
        cores = {name: core(name) for name in ("owner", "guest")}
        with theme.undressed():
            windows = {name: MainWindow(proxy, theme) for name, proxy in cores.items()}
        try:
            for name, window in windows.items():
                window.show()
                await cores[name].start()
                await window.load()
            await share(windows["owner"], small_model_path)
            await ask(windows["owner"], windows["guest"])
            pictures(windows, theme)
        finally:
            for name, window in windows.items():
                window.hide()
                await window.unload()
                assert await cores[name].close(), "the core did not end in time"
                window.deleteLater()

    qloop.run_until_complete(play())


async def share(owner: MainWindow, model: Path) -> None:
    """Switch sharing on and copy the key."""
    owner.tabs.setCurrentIndex(SHARE)
    owner.share.add_model_file(model)
    await until(lambda: owner.share.models, "the model in the list")
    click(owner.share_page.status.switch)
    await until(lambda: owner.share.sharing.phase is SharingPhase.ANNOUNCED, "announced")
    QGuiApplication.clipboard().setText("")
    click(owner.share_page.key.copy)
    assert QGuiApplication.clipboard().text() == owner.share.public_key


async def ask(owner: MainWindow, guest: MainWindow) -> None:
    """Paste the key, knock, be allowed, ask, read."""
    first = guest.chat_page.first_start
    paste(first.key)
    assert first.key.key == owner.share.public_key
    click(first.connect_)
    await until(lambda: guest.chat_page.dialog is not None, "the dialog")
    dialog = guest.chat_page.dialog
    assert isinstance(dialog, ProviderDialog)
    if not dialog.connecting and dialog.go.isVisible():
        click(dialog.go)
    await until(lambda: dialog.error.isVisible(), "the refusal")
    assert "has not allowed your key yet" in dialog.error.accessibleDescription() + dialog.error.accessibleName()
    picture(dialog, "refused")

    await until(lambda: owner.findChildren(KnockCard), "the knock")
    picture(owner, "knock")
    click(owner.findChildren(KnockCard)[0].hour)
    await until(lambda: not owner.findChildren(KnockCard), "the knock answered")

    dialog.name.setText("Studio desktop")
    dialog.start()
    await until(lambda: dialog.go.isVisible() and dialog.go.isEnabled(), "connected")
    picture(dialog, "connected")
    click(dialog.go)
    composer = guest.chat_page.conversation.composer
    await until(composer.isVisible, "the composer")
    QTest.keyClicks(composer.text, "What is the capital of France? Answer in one sentence.")
    QTest.keyClick(composer.text, Qt.Key.Key_Return)
    await until(lambda: len(guest.chat.messages) == 2 and not guest.chat.busy, "the answer")
    answer = guest.chat.messages[1]
    assert is_to_the_point(answer.text)
    assert answer.stats is not None
    assert (answer.stats.where, answer.stats.who) == ("delegated", "Studio desktop")
    await until(lambda: owner.share.log, "the owner's log")
    assert owner.share.log[0].remote_public_key == guest.share.public_key
