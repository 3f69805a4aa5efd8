"""Several windows over one core: one conversation in two of them, what each has for itself, closing, coming back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu
from qasync import QEventLoop

from app.background import SAID, Background
from app.chat_window import ChatWindow
from app.chat_windows import MAIN, OPEN
from app.theme import Theme
from app.views.chat_provider_dialog import ProviderDialog
from app.views.keep_sharing_dialog import KeepSharingDialog
from app.window import MainWindow
from qvac_core.core.state import (
    Draft,
    Message,
    PathChanged,
    SharingPhase,
    SharingState,
    ToolUse,
    UseState,
)
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import FakeCore, Script
from tests.gui.share_window import POPUP, Run, opened

pytestmark = POPUP


CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def fake_core() -> FakeCore:
    """With conversations."""
    return scenes.chat()


@pytest.fixture
def chatty(fake_core: FakeCore) -> FakeCore:
    return fake_core


async def settled(window: MainWindow) -> None:
    for _round in range(4):
        await window.tasks.settle()
        await window.windows._tasks.settle()
        await window.chat._tasks.settle()
        for each in window.windows.all:
            await each.chat._tasks.settle()
        await asyncio.sleep(0.005)


async def until(holds: Callable[[], bool], what: str) -> None:
    for _round in range(400):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within 4 s: {what}")


async def second(window: MainWindow, conversation_id: str = "") -> ChatWindow:
    another = window.windows.open(conversation_id)
    await settled(window)
    return another


def asked(window: MainWindow) -> list[ProviderDialog]:
    return window.findChildren(ProviderDialog)


def busy(window: MainWindow | ChatWindow) -> bool:
    return window.chat.busy


def seen(window: MainWindow | ChatWindow) -> bool:
    return window.isVisible()


def texts(window: MainWindow | ChatWindow) -> list[str]:
    return [message.text for message in window.chat.messages]


def write(window: MainWindow | ChatWindow, text: str) -> None:
    window.chat_page.conversation.composer.text.insertPlainText(text)


def written(window: MainWindow | ChatWindow) -> str:
    return window.chat_page.conversation.composer.text.toPlainText()


def test_two_windows_show_the_same_conversation_as_it_streams(run: Run, chatty: FakeCore) -> None:
    chatty.script = Script(hold=True)

    async def test(window: MainWindow) -> None:
        other = await second(window, window.chat.open_id)
        assert other.chat.open_id == window.chat.open_id
        assert other.windowTitle() == window.chat.conversation.title  # type: ignore[union-attr]
        other.chat.send("And now?")
        assert texts(window)[-1] == "And now?"  # before the core has it
        assert busy(window)
        assert not window.chat.send("Twice")
        await until(lambda: window.chat.answering is not None, "the answer begins")
        rows = [each.chat_page.conversation.messages.rows for each in (window, other)]
        assert [row.message.id for row in rows[0]] == [row.message.id for row in rows[1]]
        await until(lambda: texts(window)[-1] == "Hello, world.", "all of it")
        window.chat.stop()  # also the one that did not ask
        await chatty.answers_ended()
        await settled(window)
        assert texts(window)[-1] == texts(other)[-1] == "Hello, world."
        assert not busy(other) and not busy(window)
        assert len(chatty.called("ask")) == 1

    run(test)


def test_what_is_written_is_the_same_in_both_and_the_caret_stays(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        other = await second(window, window.chat.open_id)
        write(window, "one three \N{GRINNING FACE}!")
        assert written(other) == written(window)
        here = other.chat_page.conversation.composer.text
        cursor = here.textCursor()
        cursor.setPosition(len("one"))
        here.setTextCursor(cursor)
        QTest.keyClicks(here, " two")
        assert written(window) == "one two three \N{GRINNING FACE}!"
        cursor = window.chat_page.conversation.composer.text.textCursor()
        cursor.setPosition(0)
        window.chat_page.conversation.composer.text.setTextCursor(cursor)
        write(window, "zero ")
        assert written(other) == "zero one two three \N{GRINNING FACE}!"
        assert here.textCursor().position() == len("zero one two")
        window.chat_page.conversation._send(window.chat_page.conversation.composer.message)
        assert written(other) == written(window) == ""

    run(test)


def test_each_window_has_a_new_conversation_of_its_own(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        window.chat.new_conversation()
        other = await second(window)
        write(window, "here")
        write(other, "there")
        assert (written(window), written(other)) == ("here", "there")
        other.chat_page.conversation._send("there")
        await chatty.answers_ended()
        await settled(window)
        assert texts(other)[0] == "there"
        assert texts(window) == [] and written(window) == "here"
        assert other.chat.open_id and not window.chat.open_id

    run(test)


def test_what_waits_is_asked_once_though_two_windows_show_it(run: Run, chatty: FakeCore) -> None:
    chatty.script = Script(hold=True)

    async def test(window: MainWindow) -> None:
        other = await second(window, window.chat.open_id)
        window.chat.send("First")
        await until(lambda: other.chat.answering is not None, "the answer begins")
        write(other, "Second")
        other.chat_page.conversation.composer._submit()
        assert other.chat_page.conversation.composer.waiting and window.chat_page.conversation.composer.waiting
        chatty.script = Script()
        chatty.release()
        await until(lambda: len(chatty.called("ask")) == 2, "what waited is asked")
        await chatty.answers_ended()
        await settled(window)
        assert written(other) == written(window) == ""
        assert [text for text in texts(other) if text == "Second"] == ["Second"]
        assert texts(window) == texts(other)

    run(test)


def test_closing_a_window_ends_nothing_and_keeps_what_was_written(run: Run, chatty: FakeCore) -> None:
    chatty.script = Script(hold=True)

    async def test(window: MainWindow) -> None:
        other = await second(window)
        other.chat.send("Go on without me")
        await until(lambda: other.chat.answering is not None, "the answer begins")
        asked = other.chat.open_id
        other.chat.new_conversation()
        write(other, "an idea")
        other.close()
        assert not seen(other) and seen(window)
        await settled(window)
        assert chatty.called("stop_answer") == []
        chatty.release()
        await chatty.answers_ended()
        assert chatty.message_lists[asked][-1].status == "done"
        kept = [key for key, draft in chatty.kept_drafts.items() if draft.text == "an idea"]
        assert [c.id for c in chatty.conversation_list if c.id in kept] == kept != []
        window.chat.open(kept[0])
        await settled(window)
        assert written(window) == "an idea"
        assert window.windows.all == []

    run(test)


def test_the_main_window_goes_while_another_one_is_there(run: Run, chatty: FakeCore) -> None:
    left: list[None] = []

    async def test(window: MainWindow) -> None:
        window.leaving.connect(lambda: left.append(None))
        other = await second(window)
        window.close()
        assert not seen(window) and seen(other) and not left
        QTest.keyClick(other.chat_page, Qt.Key.Key_1, CONTROL)
        assert seen(window)
        window.close()
        other.close()  # the last one
        await settled(window)
        assert left == [None]
        assert json.loads(chatty.settings[OPEN])[0]["draft"] == "+2"  # it is back at the next start

    run(test)


def test_a_link_goes_to_the_window_in_front_and_its_dialog_too(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        other = await second(window)
        window.windows.is_front(other)
        link = f"qvac://{'ab' * 32}"
        window.called.emit((link,))
        dialog = other.chat_page.dialog
        assert isinstance(dialog, ProviderDialog) and not asked(window)
        assert dialog.key.key == "ab" * 32
        window.windows.is_front(window)
        window.called.emit((link,))
        assert len(asked(window)) == 1
        for each in (dialog, *asked(window)):
            each.reject()

    run(test)


def test_a_conversation_opens_in_a_new_window_by_its_menus(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        menu = QMenu()
        window.chat_page._fill_menu(menu)
        names = [action.text() for action in menu.actions()]
        assert "New window" in names and "Show the main window" not in names
        next(action for action in menu.actions() if action.text() == "Open in a new window").trigger()
        await settled(window)
        (other,) = window.windows.all
        assert other.chat.open_id == window.chat.open_id
        menu.clear()
        other.chat_page._fill_menu(menu)
        window.hide()
        next(action for action in menu.actions() if action.text() == "Show the main window").trigger()
        assert seen(window)
        QTest.keyClick(other.chat_page.conversation.composer.text, Qt.Key.Key_N, CONTROL | SHIFT)
        await settled(window)
        assert len(window.windows.all) == 2
        assert other.pos() != window.windows.all[1].pos()

    run(test)


def test_a_deleted_conversation_is_left_by_all_windows(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        gone = window.chat.open_id
        other = await second(window, gone)
        other.chat.delete(gone)
        await settled(window)
        assert gone not in (window.chat.open_id, other.chat.open_id)

    run(test)


def test_windows_are_back_at_the_next_start(qloop: QEventLoop, chatty: FakeCore, theme: Theme) -> None:
    async def first() -> list[str]:
        proxy = DirectProxy(chatty)
        async with opened(proxy, theme, chatty.clock) as window:
            ids = [c.id for c in window.chat.conversations]
            window.chat.open(ids[-1])
            one, two = await second(window, ids[1]), await second(window)
            one.resize(760, 600)
            write(two, "half a thought")
            empty = await second(window)
            empty.resize(760, 620)
            window.leave()
            await settled(window)
            assert not seen(one)
        assert chatty.kept_drafts["+3"].text == "half a thought"
        return ids

    async def again(ids: list[str]) -> None:
        chatty.closed = False
        proxy = DirectProxy(chatty)
        async with opened(proxy, theme, chatty.clock) as window:
            one, two, empty = window.windows.all
            assert window.chat.open_id == ids[-1]
            assert (written(empty), empty.chat.open_id, empty.height()) == ("", "", 620)
            assert one.chat.open_id == ids[1] and (one.width(), one.height()) == (760, 600)
            assert written(two) == "half a thought" and not two.chat.open_id
            assert seen(one) and seen(two) and seen(empty)

    qloop.run_until_complete(again(qloop.run_until_complete(first())))


def test_what_was_written_in_a_window_that_is_not_back_is_a_conversation(run: Run, chatty: FakeCore) -> None:
    """The program was killed before it kept which windows were open; and somebody has edited the file."""
    chatty.kept_drafts["+7"] = Draft("rescued")
    chatty.settings |= {OPEN: '[{"conversation": "gone", "place": "ü", "draft": "+9"}, 5, {"draft": ""}]', MAIN: "gone"}

    async def test(window: MainWindow) -> None:
        assert window.windows.all == []
        (kept,) = [key for key, draft in chatty.kept_drafts.items() if draft.text == "rescued"]
        assert kept in [c.id for c in window.chat.conversations]

    run(test)


@pytest.mark.parametrize("tray", [True, False])
def test_the_last_window_follows_the_rules_of_the_tray(
    qloop: QEventLoop, proxy: DirectProxy, chatty: FakeCore, theme: Theme, tray: bool
) -> None:
    chatty.sharing_state = SharingState(SharingPhase.REACHABLE, 0.0, path="direct")
    chatty.settings[SAID] = "true"

    async def body() -> None:
        async with opened(proxy, theme, chatty.clock) as window:
            background = Background(window, proxy, theme)
            background.host.available = lambda: tray  # type: ignore[method-assign]
            background.host._ask = lambda: tray  # type: ignore[method-assign]
            await background.start(())
            try:
                other = await second(window)
                window.close()
                await background._tasks.settle()
                assert not seen(window) and seen(other)
                other.close()
                await background._tasks.settle()
                if tray:
                    assert not seen(other)
                    background.come_back()
                    assert seen(other) and not seen(window)
                else:
                    dialog = next(d for d in other.findChildren(KeepSharingDialog))
                    dialog.accept()
                    assert other.isMinimized()
            finally:
                await background.close()

    qloop.run_until_complete(body())


def test_ctrl_enter_sends_in_all_windows_once_it_is_chosen(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        other = await second(window)
        window.settings.presenter.set("chat.send_key", "ctrl+enter")
        await window.settings.settle()
        third = await second(window)
        for each in (window, other, third):
            assert not each.chat_page.conversation.composer.text.enter_sends

    run(test)


def test_a_knock_is_seen_in_every_window(run: Run, chatty: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        chatty.knock("8a" * 32)
        other = await second(window)
        assert not other.knocks.isVisible()  # the main window has told it
        chatty.knock("9b" * 32)
        assert other.knocks.isVisible() and window.knocks.isVisible()
        other.knocks._deny()
        await window.share.tasks.settle()
        assert len(window.share.knocks) == 1

    run(test)


def test_an_answer_that_ends_while_a_window_opens_its_conversation_is_shown_whole(
    run: Run, chatty: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    chatty.script = Script(hold=True)
    read, seen = chatty.messages, asyncio.Event()
    may_go = asyncio.Event()

    async def slowly(conversation_id: str) -> tuple[Message, ...]:
        messages = await read(conversation_id)
        seen.set()
        await may_go.wait()
        return messages

    async def test(window: MainWindow) -> None:
        asked = window.chat.open_id
        window.chat.send("And now?")
        await until(lambda: window.chat.answering is not None, "the answer begins")
        window.chat.new_conversation()
        monkeypatch.setattr(chatty, "messages", slowly)
        other = window.windows.open(asked)
        await seen.wait()
        chatty.release()
        await chatty.answers_ended()
        may_go.set()
        await settled(window)
        assert other.chat.messages[-1].status == chatty.message_lists[asked][-1].status == "done"
        assert texts(other)[-1] == "Hello, world."

    run(test)


def test_a_tool_that_asked_when_the_program_was_killed_asks_no_more(run: Run, chatty: FakeCore) -> None:
    """The store ends such an answer as stopped at the next start; nobody would hear what is pressed."""
    asks = ToolUse("u", "Desk", "add", "add", "{}", 0, 1, UseState.ASKS)
    killed = Message("killed", "assistant", "", 1.0, "stopped", tools=(asks,))
    place = chatty.conversation_list[-1].id
    chatty.message_lists[place] = (Message("q", "user", "Add", 0.5), killed)

    async def test(window: MainWindow) -> None:
        window.chat.open(place)
        await settled(window)
        assert window.chat.messages[-1].tools[0].state is UseState.STOPPED
        chatty.emit(PathChanged(place, chatty.message_lists[place]))
        await settled(window)
        assert window.chat.messages[-1].tools[0].state is UseState.STOPPED

    run(test)
