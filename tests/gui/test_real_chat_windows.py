"""Two windows over one real core: what streams, is written, is deleted or closed in one, as the other shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from qasync import QEventLoop

from app.bridge import CoreProxy, CoreThread
from app.chat_window import ChatWindow
from app.theme import Theme
from app.window import MainWindow
from qvac_core.core import Core, CoreConfig
from qvac_core.core.state import Parameters, Target
from tests.gui.share_window import POPUP
from tests.gui.test_real_windows import until

pytestmark = POPUP

NOBODY = (("127.0.0.1", 9),)  # no network is entered


def run(qloop: QEventLoop, theme: Theme, folder: Path, act: Callable[[MainWindow], Awaitable[None]]) -> None:
    """One run of the program over that folder."""

    async def play() -> None:
        proxy = CoreProxy(CoreThread(lambda: Core(CoreConfig(folder, bootstrap=NOBODY))))
        with theme.undressed():
            window = MainWindow(proxy, theme)
        try:
            window.show()
            await proxy.start()
            await window.load()
            await act(window)
        finally:
            window.hide()
            await window.unload()
            assert await proxy.close(), "the core did not end in time"
            window.deleteLater()

    qloop.run_until_complete(play())


async def settled(window: MainWindow) -> None:
    await window.windows._tasks.settle()
    for chat in (window.chat, *(each.chat for each in window.windows.all)):
        await chat.settle()
    await asyncio.sleep(0.05)


async def second(window: MainWindow, conversation_id: str = "") -> ChatWindow:
    another = window.windows.open(conversation_id)
    await settled(window)
    return another


def write(window: MainWindow | ChatWindow, text: str) -> None:
    window.chat_page.conversation.composer.text.insertPlainText(text)


def written(window: MainWindow | ChatWindow) -> str:
    return window.chat_page.conversation.composer.text.toPlainText()


def told(window: MainWindow | ChatWindow) -> list[tuple[str, str, str]]:
    return [(m.role, m.text, m.status) for m in window.chat.messages]


def test_two_windows_over_one_core_and_the_next_run(
    qloop: QEventLoop, theme: Theme, small_model_path: Path, tmp_path: Path
) -> None:
    async def first(window: MainWindow) -> None:
        await window.core.call(lambda core: core.add_model_file(small_model_path))
        here = (await window.core.call(lambda core: core.new_conversation(Target()))).id
        short = Parameters(temperature=0.0, max_tokens=40)
        await window.core.call(lambda core: core.chat_settings.set_parameters(here, short))
        window.chat.open(here)
        await settled(window)
        other = await second(window, here)
        window.chat.send("Write a story about a lighthouse.")
        await until(lambda: other.chat.answering is not None and other.chat.answering.text, "the answer begins")
        third = await second(window, here)  # in the middle of it
        other.close()
        await until(lambda: not window.chat.busy, "the answer ends")
        await settled(window)
        stored = await window.core.call(lambda core: core.messages(here))
        assert told(window) == told(third) == [(m.role, m.text, m.status) for m in stored]
        assert stored[-1].status == "done"

        third.chat.new_conversation()
        write(third, "third")
        write(window, "on what goes")
        fourth = await second(window)
        write(fourth, "fourth")
        third.close()
        await settled(window)
        window.chat.delete(here)
        await settled(window)
        assert window.chat.open_id != here and written(window) == "third"  # the one that is left

    async def again(window: MainWindow) -> None:
        (back,) = window.windows.all
        assert (written(window), written(back)) == ("third", "fourth")
        drafts = await window.core.call(lambda core: core.drafts())
        assert sorted(draft.text for draft in drafts.values()) == ["fourth", "third"]

    run(qloop, theme, tmp_path, first)
    run(qloop, theme, tmp_path, again)
