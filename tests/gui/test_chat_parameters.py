"""The panel beside a conversation: parameters, presets, the schema, and who answers in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from app.views.chat_parameters import ParametersPanel, SaveDialog
from app.views.chat_schema_dialog import SchemaDialog
from app.widgets.optional_number import OptionalNumber
from qvac_core.core.state import Parameters, Target
from qvac_core.errors import StoreError
from tests.gui import chat_scenes as scenes
from tests.gui.test_chat_page import Chat, Open, open_chat, populated  # noqa: F401

STUDIO, WORKSHOP = Target(scenes.STUDIO, "qwen3-8b"), Target(scenes.WORKSHOP, "")


def opened(open_chat: Open, size: tuple[int, int] = (1280, 728)) -> tuple[Chat, ParametersPanel]:  # noqa: F811
    chat = open_chat(populated(), size)
    chat.page.toggle_parameters()
    assert chat.page.parameters.isVisible()
    return chat, chat.page.parameters


def write(field: OptionalNumber, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def until(chat: Chat, holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.01)

    chat.loop.run_until_complete(asyncio.wait_for(wait(), 30))


def asked_for(chat: Chat) -> Parameters:
    chat.settle()
    conversation = chat.presenter.conversation
    assert conversation is not None
    return conversation.parameters


def test_values_reach_the_core_and_come_back_with_the_conversation(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    write(panel.temperature, "0,4")
    write(panel.top_p, ".9")
    write(panel.longest, "1,024")
    write(panel.seed, "7")
    panel.think.click()
    panel.instructions.setPlainText("Be brief.")
    panel.keep_instructions()
    wanted = Parameters("Be brief.", 0.4, 0.9, 1024, 7, think=False)
    assert asked_for(chat) == wanted
    here = chat.presenter.open_id
    chat.presenter.new_conversation()
    assert panel.temperature.text() == ""
    assert panel.instructions.toPlainText() == ""
    chat.presenter.open(here)
    chat.settle()
    assert panel.temperature.text() == "0.4"
    assert panel.longest.text() == "1,024"
    assert panel.instructions.toPlainText() == "Be brief."
    write(panel.temperature, " ")
    assert asked_for(chat).temperature is None


def test_what_is_no_number_is_said_and_changes_nothing(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    write(panel.temperature, "9")
    assert panel.wrong.isVisible()
    assert panel.wrong.text() == "The temperature is a number from 0 to 2."
    assert asked_for(chat) == Parameters()
    assert panel.temperature.text() == "9"  # nothing typed is lost
    QTest.keyClick(panel.temperature, Qt.Key.Key_Escape)
    assert not panel.wrong.isVisible()
    assert panel.isVisible()


def test_a_knob_moves_the_number_beside_it(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    panel.temperature_knob.setValue(120)
    assert panel.temperature.text() == "1.2"
    assert asked_for(chat).temperature == pytest.approx(1.2)


def test_a_new_conversation_takes_along_what_was_chosen_before_its_first_question(
    open_chat: Open,  # noqa: F811
) -> None:
    chat, panel = opened(open_chat)
    chat.presenter.new_conversation()
    write(panel.seed, "3")
    chat.presenter.settings.add(WORKSHOP)
    chat.ask("Hello")
    names = [call[0] for call in chat.core.calls if call[0] in ("ask", "set_parameters", "set_others")]
    assert names == ["set_parameters", "set_others", "ask"]
    assert asked_for(chat).seed == 3
    chat.presenter.new_conversation()
    assert panel.seed.text() == ""


def test_presets_are_saved_used_changed_and_removed(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    write(panel.seed, "3")
    assert panel.preset.currentText() == "Defaults, changed"
    panel.save.click()
    assert isinstance(panel.dialog, SaveDialog)
    panel.dialog.name.setText(" Clerk ")
    assert panel.dialog.confirm.text() == "Save as new"
    panel.dialog.confirm.click()
    chat.settle()
    assert panel.preset.currentText() == "Clerk"
    assert panel.back.isVisible() is False
    write(panel.seed, "4")
    chat.settle()
    assert panel.preset.currentText() == "Clerk, changed"
    panel.save.click()
    assert panel.dialog.confirm.text() == "Update"
    panel.dialog.reject()
    panel.back.click()
    assert asked_for(chat).seed == 3
    assert [panel.preset.itemText(row) for row in range(panel.preset.count())] == [
        "Defaults",
        "Clerk",
        "Remove a preset…",
    ]
    chat.presenter.settings.remove_preset("Clerk")
    chat.settle()
    assert panel.preset.currentText() == "Clerk, changed"  # what it asked for goes on to be asked
    assert asked_for(chat).seed == 3


def test_what_the_core_refuses_is_said_and_taken_back(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    chat.core.fail["set_parameters"] = StoreError("The disk is full.")
    write(panel.seed, "3")
    chat.settle()
    assert panel.error.isVisible()
    assert panel.seed.text() == ""


def test_a_schema_is_checked_while_it_is_written_and_a_bad_one_is_said(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    panel.form.button("json").click()
    dialog = panel.dialog
    assert isinstance(dialog, SchemaDialog)
    until(chat, lambda: dialog.verdict.text() == "This schema can be used.")
    dialog.text.setPlainText('{"type": "object"')
    until(chat, lambda: "no JSON" in dialog.verdict.text())
    dialog.confirm.click()
    assert asked_for(chat).schema == '{"type": "object"'
    until(chat, panel.schema_fault.isVisible)
    assert "no JSON" in panel.schema_fault.text()
    assert panel.form.choice == "json"
    panel.form.button("text").click()
    assert asked_for(chat).schema == ""
    assert not panel.schema_fault.isVisible()


def test_the_order_is_changed_by_keys_menu_and_handle(open_chat: Open) -> None:  # noqa: F811
    chat, panel = opened(open_chat)
    chat.presenter.settings.add(WORKSHOP)
    chat.settle()
    names = [row.answerer.name for row in panel.order.rows]
    assert names == ["Studio desktop", "Workshop PC", "This machine"]
    assert panel.order.rows[2].answerer.last
    panel.order.rows[1].setFocus()
    QTest.keyClick(panel.order.rows[1], Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    chat.settle()
    assert [row.answerer.name for row in panel.order.rows][:2] == ["Workshop PC", "Studio desktop"]
    assert panel.order.rows[0].hasFocus()
    assert chat.presenter.target.provider_key == scenes.WORKSHOP
    handle = panel.order.rows[0].handle
    middle = panel.order.rows[1].mapTo(panel.order, QPoint(0, panel.order.rows[1].height() - 2))
    QTest.mousePress(handle, Qt.MouseButton.LeftButton)
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=handle.mapFrom(panel.order, middle))
    chat.settle()
    assert chat.presenter.target.provider_key == scenes.STUDIO
    QTest.keyClick(panel.order.rows[1], Qt.Key.Key_Delete)
    chat.settle()
    assert [row.answerer.name for row in panel.order.rows] == ["Studio desktop", "This machine"]
    QTest.keyClick(panel.order.rows[0], Qt.Key.Key_Delete)
    chat.settle()
    assert [row.answerer.name for row in panel.order.rows] == ["This machine"]
    assert chat.presenter.target.provider_key == ""


@pytest.mark.parametrize("size", [(1280, 728), (900, 568), (720, 478)])
def test_the_panel_opens_and_closes_at_every_width(open_chat: Open, size: tuple[int, int]) -> None:  # noqa: F811
    chat, panel = opened(open_chat, size)
    assert chat.page.width() == size[0]
    assert chat.page.conversation.composer.tune.isChecked()
    assert panel.width() == (size[0] if size[0] < 840 else 300)
    assert panel.mapTo(chat.page, QPoint(panel.width(), 0)).x() == size[0]
    QTest.keyClick(panel.seed, Qt.Key.Key_Escape)
    assert not panel.isVisible()
    assert not chat.page.conversation.composer.tune.isChecked()
    chat.page.toggle_parameters()
    assert panel.isVisible()
    chat.page.resize(1280, 728)
    assert panel.width() == 300
