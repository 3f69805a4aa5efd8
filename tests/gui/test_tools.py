"""Tools in the window with a fake core: calls drawn and answered, the wrench, the servers in the settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app import tool_words
from app.presenters import chat_groups
from app.theme import Theme
from app.views.settings_tools import ToolServersEntry
from app.views.tool_dialogs import HIDDEN, ImportDialog, ServerDialog
from app.widgets.chat.answer_text import ToolMark
from app.widgets.chat.tool_card import ToolCard
from app.window import MainWindow
from qvac_core.core.state import AnswerStarted, AnswerTool, Message, Parameters, ServerEntry, ToolUse, UseState
from qvac_core.core.tools_state import Decision
from qvac_core.tools.health import Health, ServerState, Unusable
from tests.gui import chat_scenes as scenes
from tests.gui.fake_core import FakeCore
from tests.gui.fake_tools import ADD_EVENT, CALENDAR, MAPS
from tests.gui.share_window import Run

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing|propagateSizeHints)", extend=True)

ARGUMENTS = '{"title":"Reading group","room":2,"note":"Bring\\nbooks"}'
ASKS = ToolUse("u", "Calendar", "add_event", "add_event", ARGUMENTS)
DONE = replace(ASKS, state=UseState.DONE, allowed="once", seconds=0.21, result="\n".join(map(str, range(20))))


@pytest.fixture
def card(qtbot: QtBot, theme: Theme) -> ToolCard:
    card = ToolCard(theme)
    qtbot.addWidget(card)
    card.show()
    return card


def test_what_is_asked_is_shown_in_full_and_answered(qtbot: QtBot, card: ToolCard) -> None:
    card.show_mark(ToolMark(ASKS, "Studio desktop"))
    card.fit(640)
    assert card.text.toPlainText() == "title: Reading group\nroom: 2\nnote: \n    Bring\n    books"
    assert card.tool.text() == "add_event" and "Calendar" in card.server.text()
    assert "Studio desktop" in card.where.text() and card.where.isVisible()
    with qtbot.waitSignal(card.decided) as decided:
        card.once.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(card.once, Qt.Key.Key_Return)
    assert decided.args == ["u", Decision.ONCE] and not card.deny.isEnabled()
    card.show_mark(ToolMark(replace(ASKS, state=UseState.RUNNING), "Studio desktop"))
    assert not card.once.isVisible() and not card.text.isVisible() and "running" in card.state.text()


def test_a_result_is_folded_and_opens_by_key(card: ToolCard) -> None:
    card.show_mark(ToolMark(DONE, "Studio desktop"))
    folded = card.fit(640)
    assert not card.text.isVisible() and card.state.text() == "allowed once, 0.2 s"
    assert card.header.accessibleName().endswith("folded") and "add_event" in card.header.accessibleName()
    card.header.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(card.header, Qt.Key.Key_Return)
    assert card.is_open and card.height() > folded and card.text.toPlainText().split("\n") == [str(n) for n in range(8)]
    assert card.whole.isVisible() and "20" in card.whole.text()
    assert "went to Studio desktop" in card.where.text()
    card.asked.click()
    assert "Reading group" in card.text.toPlainText()


@pytest.mark.parametrize("state", list(UseState))
def test_every_state_has_its_words(card: ToolCard, state: UseState) -> None:
    card.show_mark(ToolMark(replace(ASKS, state=state, result="because"), "Studio", local=True))
    assert card.state.text() and card.accessibleName()


def test_what_cannot_be_seen_is_shown_as_numbers() -> None:
    use = replace(ASKS, arguments='{"path":"a\\u202egpj.exe","x\\ny":"\\u0000"}')
    assert tool_words.in_full(use) == "path: a\\u202egpj.exe\nx\ny: \\u0000".replace("x\ny", "x\ny")
    assert "\u202e" not in tool_words.in_full(use) + tool_words.summary(use)
    assert tool_words.in_full(replace(ASKS, arguments="{")) == "{"


async def settled(window: MainWindow) -> None:
    """Whatever was begun has ended, and is on screen."""
    for _turn in range(3):
        await asyncio.sleep(0)
        await window.chat.settle()
    await asyncio.sleep(0.05)  # a burst of tokens is shown together


def chat(fake_core: FakeCore) -> None:
    scene = scenes.chat()
    fake_core.provider_list, fake_core.models = scene.provider_list, scene.models
    fake_core.conversation_list, fake_core.message_lists = scene.conversation_list, scene.message_lists
    fake_core.tools.entries = (CALENDAR, MAPS)


def test_a_call_is_drawn_in_its_answer_and_answered(run: Run, fake_core: FakeCore) -> None:
    chat(fake_core)

    async def test(window: MainWindow) -> None:
        open_id = window.chat.open_id
        fake_core.emit(AnswerStarted(open_id, Message("new", "assistant", "", scenes.NOW, status="streaming")))
        fake_core.emit(AnswerTool(open_id, "new", ASKS))
        await settled(window)
        (card,) = window.chat_page.findChildren(ToolCard)
        assert window.chat.chats.asking == {open_id}, "the list says so, whatever is open"
        listed = chat_groups.rows(window.chat.conversations, scenes.NOW, asking=window.chat.chats.asking)
        assert [row.when for row in listed if isinstance(row, chat_groups.Entry)].count("asks") == 1
        card.here.click()
        await settled(window)
        assert fake_core.tools.decisions == [("new", "u", Decision.CONVERSATION)]
        fake_core.emit(AnswerTool(open_id, "new", DONE))
        await settled(window)
        assert window.chat_page.findChildren(ToolCard) == [card] and card.use == DONE
        assert not window.chat.chats.asking

    run(test)


def test_the_wrench_switches_servers_and_says_why_not(run: Run, fake_core: FakeCore) -> None:
    chat(fake_core)

    async def test(window: MainWindow) -> None:
        tools, wrench = window.chat_page.conversation.tools, window.chat_page.conversation.composer.wrench
        wrench.click()
        assert tools.menu is not None and not wrench.isChecked()
        calendar = next(action for action in tools.menu.actions() if action.text() == "Calendar")
        calendar.trigger()
        await settled(window)
        assert window.chat.tools.chosen == ("Calendar",) and wrench.isChecked() and "Calendar" in wrench.toolTip()
        open_id = window.chat.open_id
        await fake_core.chat_settings.set_parameters(open_id, Parameters(schema='{"type":"object"}'))
        await settled(window)
        assert not wrench.isEnabled() and "JSON" in wrench.toolTip()
        wrench = window.chat_page.conversation.composer.wrench
        await fake_core.chat_settings.set_parameters(open_id, Parameters())
        await settled(window)
        wrench.click()
        assert tools.menu is not None
        tools.menu.actions()[-1].trigger()
        assert window.settings.page.isVisible()

    run(test)


def test_a_new_conversation_begins_with_what_is_on_in_new_ones(run: Run, fake_core: FakeCore) -> None:
    chat(fake_core)
    fake_core.tools.entries = (replace(CALENDAR, server=replace(CALENDAR.server, in_new=True)), MAPS)

    async def test(window: MainWindow) -> None:
        window.chat.new_conversation()
        assert window.chat.tools.chosen == ("Calendar",)
        window.chat.tools.use("Map search", True)
        window.chat.send("Hello")
        await settled(window)
        assert window.chat.conversation is not None
        assert window.chat.conversation.tools.servers == ("Calendar", "Map search")

    run(test)


def servers(window: MainWindow) -> ToolServersEntry:
    window.open_settings("tools")
    return window.settings.page.findChildren(ToolServersEntry)[0]


def test_a_server_is_added_changed_and_removed(run: Run, fake_core: FakeCore) -> None:
    async def test(window: MainWindow) -> None:
        entry = servers(window)
        entry.add.click()
        dialog = entry.dialog
        assert isinstance(dialog, ServerDialog)
        dialog.confirm.click()
        await settled(window)
        assert dialog.wrong.isVisible() and "name" in dialog.wrong.text()
        dialog.name.setText("Files")
        dialog.command.setText("files-mcp '/my docs'")
        dialog.variables.setPlainText("KEY=s3cret")
        dialog.confirm.click()
        await settled(window)
        closed = entry.dialog is None
        assert closed
        (kept,) = fake_core.tools.entries
        assert kept.server.args == ("/my docs",) and kept.server.env == (("KEY", "s3cret"),)
        assert ("test_tool_server", "Files") in fake_core.calls
        entry.edit(kept.server)
        dialog = entry.dialog
        assert isinstance(dialog, ServerDialog)
        assert dialog.variables.toPlainText() == f"KEY={HIDDEN}", "never shown again"
        dialog.variables.setPlainText(f"KEY={HIDDEN}\nOTHER=1")
        dialog.name.setText("My files")
        dialog.confirm.click()
        await settled(window)
        (kept,) = fake_core.tools.entries
        assert kept.server.name == "My files" and kept.server.env == (("KEY", "s3cret"), ("OTHER", "1"))
        entry.edit(kept.server)
        dialog = entry.dialog
        assert isinstance(dialog, ServerDialog)
        dialog.kind.button("address").click()
        dialog.address.setText("https://example.org/mcp")
        dialog.headers.setPlainText("Authorization: Bearer x")
        dialog.confirm.click()
        await settled(window)
        (kept,) = fake_core.tools.entries
        assert kept.server.url and not kept.server.command and kept.server.headers == (("Authorization", "Bearer x"),)
        entry.ask_to_remove("My files")
        assert entry.dialog is not None
        entry.dialog.accept()
        await settled(window)
        assert not fake_core.tools.entries and not entry.rows

    run(test)


def test_the_json_of_another_program_is_taken_in(run: Run, fake_core: FakeCore, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"a": {"command": "x"}, "b": {"url": "http://127.0.0.1:1/mcp"}}}')

    async def test(window: MainWindow) -> None:
        entry = servers(window)
        entry.take_in.click()
        dialog = entry.dialog
        assert isinstance(dialog, ImportDialog) and not dialog.confirm.isEnabled()
        assert dialog.focusWidget() is dialog.text  # it is pasted into at once
        dialog.text.setPlainText("{")
        dialog.check()
        await settled(window)
        assert "JSON" in dialog.verdict.text() and not dialog.confirm.isEnabled()
        dialog.read(tmp_path / "none.json")
        assert "none.json" in dialog.verdict.text()
        dialog.read(file)
        await settled(window)
        assert dialog.confirm.isEnabled() and "a" in dialog.verdict.text()
        dialog.confirm.click()
        await settled(window)
        assert [each.server.name for each in fake_core.tools.entries] == ["a", "b"]
        assert list(entry.rows) == ["a", "b"]

    run(test)


def test_each_tool_has_its_switch_and_a_failure_its_reason(run: Run, fake_core: FakeCore) -> None:
    odd = replace(ADD_EVENT, name="odd tool")
    always = replace(CALENDAR.server, always=("add_event",))
    fake_core.tools.entries = (
        ServerEntry(
            always,
            Health(ServerState.READY, (*CALENDAR.health.tools, odd)),
            (Unusable("Calendar", "odd tool", "The schema of odd tool is not JSON."),),
        ),
        MAPS,
    )

    async def test(window: MainWindow) -> None:
        entry = servers(window)
        row = entry.rows["Calendar"]
        row.fold.click()
        assert not row.switches["odd tool"].isEnabled()
        row.switches["add_event"].click()
        row.policy.setCurrentIndex(1)
        row.policy.activated.emit(1)
        await settled(window)
        row.in_new.click()
        await settled(window)
        server = fake_core.tools.entries[0].server
        assert server.off == ("add_event",) and server.trusted and server.in_new
        row._ask_again("add_event")
        await settled(window)
        assert fake_core.tools.entries[0].server.always == ()
        failed = entry.rows["Map search"]
        assert failed.words.text() == "The program npx was not found." and failed.again.isVisible()
        entry.show_details(MAPS)
        assert entry.dialog is not None
        entry.dialog.reject()
        failed.again.click()
        await settled(window)
        assert not failed.again.isVisible()

    run(test)
