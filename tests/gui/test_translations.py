"""A message, or what is selected of it, in another language: the menu, the text below it, stopping, failing, going."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu, QTextEdit

from app.languages import NAMES, Choice
from app.presenters.translations import Translations
from app.widgets.button import Button
from app.widgets.chat.answer_row import AnswerRow
from app.widgets.language_popup import LanguagePopup
from qvac_core.core.state import ProvidersChanged, SharedModelsChanged, Target, TranslationChanged
from qvac_core.errors import ModelError
from tests.gui import chat_scenes as scenes
from tests.gui.share_window import POPUP
from tests.gui.test_transcripts import Desk, Play
from tests.gui.test_transcripts import desk as desk

if TYPE_CHECKING:
    from app.widgets.chat.message_list import Row

STUDIO = Target(scenes.STUDIO, "qwen3-8b")


def row_of(desk: Desk, message_id: str) -> Row:
    return next(row for row in desk.messages.rows if row.message.id == message_id)


def text_of(row: Row) -> QTextEdit:
    return next(block for block in row.blocks() if isinstance(block, QTextEdit))


def acts(menu: QMenu) -> dict[str, Callable[[], None]]:
    return {action.text(): action.trigger for action in menu.actions()}


def submenu(menu: QMenu, title: str) -> QMenu:
    found = next(action.menu() for action in menu.actions() if action.text() == title)
    assert isinstance(found, QMenu)
    return found


def select(text: QTextEdit, words: str) -> None:
    start = text.toPlainText().index(words)
    cursor = text.textCursor()
    cursor.setPosition(start)
    cursor.setPosition(start + len(words), QTextCursor.MoveMode.KeepAnchor)
    text.setTextCursor(cursor)


def test_a_selection_is_translated_below_its_message(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        row = row_of(desk, "m2")
        text = text_of(row)
        select(text, "file names")
        menu = desk.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
        acts(submenu(menu, "Translate the selection to"))["German"]()
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        assert desk.core.called("start_translation") == [("file names", "de", STUDIO)]
        box = desk.messages.translation("m2")
        assert box is not None
        assert box.isVisible()
        assert (box.title.text(), box.text.toPlainText()) == ("German", "Die Dateinamen sind Tage.")
        assert box.stop.isVisible()
        assert not box.copy.isVisible()
        assert box.mapTo(desk.page, QPoint()).y() >= row.mapTo(desk.page, QPoint()).y() + row.height()
        desk.core.release()
        await asyncio.sleep(0.02)
        assert not box.stop.isVisible()
        assert box.copy.value == "Die Dateinamen sind Tage."
        box.close_button.click()
        assert desk.messages.translation("m2") is None

    desk(test)


def test_stopping_keeps_what_is_there(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        desk.messages.translation_wanted.emit("m2", "text", "de")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        box = desk.messages.translation("m2")
        assert box is not None
        box.stop.click()
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        assert len(desk.core.called("stop_translation")) == 1
        assert box.text.toPlainText() == "Die Dateinamen sind Tage."
        assert not box.stop.isVisible()

    desk(test)


@pytest.mark.parametrize("when", ["start_translation", "translation"])
def test_a_failure_is_told_in_its_place(desk: Play, when: str) -> None:
    async def test(desk: Desk) -> None:
        desk.core.fail[when] = ModelError("There is no model on this machine yet.")
        desk.messages.translation_wanted.emit("m1", "text", "fr")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        box = desk.messages.translation("m1")
        assert box is not None
        assert box.error.isVisible()
        assert not box.stop.isVisible()
        assert box.close_button.isVisible()

    desk(test)


def test_a_second_translation_takes_the_place_of_the_first(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        desk.messages.translation_wanted.emit("m2", "one", "de")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        (first,) = desk.presenter.translations._ids.values()
        desk.messages.translation_wanted.emit("m2", "two", "fr")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        desk.core.emit(TranslationChanged(first, "late"))
        box = desk.messages.translation("m2")
        assert box is not None
        assert (box.title.text(), box.text.toPlainText()) == ("French", "Die Dateinamen sind Tage.")
        assert len(desk.core.called("stop_translation")) == 1

    desk(test)


@POPUP
def test_the_whole_answer_by_its_menu_without_a_mouse(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        row = row_of(desk, "m2")
        assert isinstance(row, AnswerRow)
        assert row.stats.more.isVisible()
        assert row.stats.more in row.blocks()
        row.stats.more.click()
        menu = next(menu for menu in row.stats.findChildren(QMenu) if menu.isVisible())
        acts(submenu(menu, "Translate to"))["French"]()
        await desk.presenter.settle()
        assert desk.core.called("start_translation") == [(scenes.ANSWER, "fr", STUDIO)]
        await desk.presenter.settle()
        assert desk.core.settings["translation_language"] == "fr"
        assert desk.presenter.translations.languages()[0] == Choice("fr", "French")

    desk(test)


def test_what_is_selected_can_be_asked_about_and_copied(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        row = row_of(desk, "m1")
        text = text_of(row)
        menu = desk.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
        assert "Ask about this" not in acts(menu)
        assert not next(action for action in menu.actions() if action.text() == "Copy").isEnabled()
        menu.close()
        select(text, "one CSV a day")
        menu = desk.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft()))
        acts(menu)["Ask about this"]()
        assert desk.composer.message.strip() == "> one CSV a day"

    desk(test)


def test_it_is_still_there_when_the_conversation_is_opened_again(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.messages.translation_wanted.emit("m2", "text", "de")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        desk.presenter.open("zfs")
        await desk.presenter.settle()
        assert desk.messages.translation("m2") is None
        desk.presenter.open("merge")
        await desk.presenter.settle()
        box = desk.messages.translation("m2")
        assert box is not None
        assert box.text.toPlainText() == "Die Dateinamen sind Tage."

    desk(test)


def test_nothing_is_not_translated(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        translations: Translations = desk.presenter.translations
        translations.start("m1", "  \n", "de", Target())
        assert translations.of("m1") is None

    desk(test)


def test_what_translation_models_of_this_machine_do_stands_first_and_both_languages_are_told(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.translators.now = (("en", "fr"), ("de", "en"))
        desk.core.emit(SharedModelsChanged(()))
        await desk.presenter.settle()
        row = row_of(desk, "m2")
        text = text_of(row)
        select(text, "file names")
        menu = submenu(
            desk.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft())), "Translate the selection to"
        )
        named = [action.text() for action in menu.actions()][:2]
        assert named == ["English to French, by a translation model", "German to English, by a translation model"]
        acts(menu)[named[1]]()
        await desk.presenter.settle()
        assert desk.core.called("start_translation") == [("file names", "en", STUDIO, "de")]
        assert "translation_language" not in desk.core.settings
        box = desk.messages.translation("m2")
        assert box is not None
        assert box.title.text() == named[1]
        desk.core.translators.now = ()
        desk.core.emit(SharedModelsChanged(()))
        await desk.presenter.settle()
        assert not any(">" in choice.code for choice in desk.presenter.translations.languages())

    desk(test)


def offer(desk: Desk, *pairs: tuple[str, str], state: str = "online") -> None:
    """The workshop has these translation models now."""
    providers = tuple(
        replace(each, translates=pairs, state=state) if each.public_key == scenes.WORKSHOP else each
        for each in scenes.providers()
    )
    desk.core.provider_list = providers
    desk.core.emit(ProvidersChanged(providers))


def menu_of(desk: Desk, message_id: str) -> QMenu:
    row = row_of(desk, message_id)
    text = text_of(row)
    return submenu(desk.messages.menu_for(text, row, text.mapToGlobal(text.rect().topLeft())), "Translate to")


def test_translation_models_of_a_provider_stand_behind_those_of_this_machine(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.translators.now = (("en", "fr"),)
        desk.core.emit(SharedModelsChanged(()))
        await desk.presenter.settle()
        offer(desk, ("en", "de"), ("de", "en"))
        shown = menu_of(desk, "m2")
        named = [action.text() for action in shown.actions()]
        there = [
            "English to German, by a translation model of Workshop PC",
            "German to English, by a translation model of Workshop PC",
        ]
        assert named[:4] == ["English to French, by a translation model", *there, ""]
        assert shown.actions()[3].isSeparator()
        desk.core.script.hold = True
        acts(shown)[there[0]]()
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        assert desk.core.called("start_translation") == [(scenes.ANSWER, "de", STUDIO, "en", scenes.WORKSHOP)]
        box = desk.messages.translation("m2")
        assert box is not None
        assert box.title.text() == there[0]
        box.stop.click()
        await desk.presenter.settle()
        assert len(desk.core.called("stop_translation")) == 1
        offer(desk, ("en", "de"), state="connecting")
        assert not any("Workshop" in action.text() for action in menu_of(desk, "m2").actions())
        assert desk.messages.translation("m2") is box
        assert box.title.text() == there[0]

    desk(test)


@POPUP
def test_the_menu_of_an_answer_that_stands_there_hears_of_them(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        offer(desk, ("en", "de"))
        row = row_of(desk, "m2")
        assert isinstance(row, AnswerRow)
        row.stats.more.click()
        menu = next(menu for menu in row.stats.findChildren(QMenu) if menu.isVisible())
        named = [action.text() for action in submenu(menu, "Translate to").actions()]
        assert named[0] == "English to German, by a translation model of Workshop PC"
        menu.close()

    desk(test)


def test_many_of_them_have_a_menu_of_their_own_by_the_language_of_the_text(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        offer(desk, *((source, target) for source in ("de", "fr", "en") for target in ("es", "it", "pl")))
        whose = submenu(menu_of(desk, "m2"), "By a translation model of Workshop PC")
        assert [action.text() for action in whose.actions()] == ["From English", "From French", "From German"]
        acts(submenu(whose, "From German"))["Polish"]()
        await desk.presenter.settle()
        assert desk.core.called("start_translation") == [(scenes.ANSWER, "pl", STUDIO, "de", scenes.WORKSHOP)]

    desk(test)


def test_why_another_machine_translates_stands_above_the_text(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.seam = (1, "Workshop PC went offline. This machine translates.")
        desk.messages.translation_wanted.emit("m2", "text", f"en>de@{scenes.WORKSHOP}")
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        box = desk.messages.translation("m2")
        assert box is not None
        assert box.seam.isVisible()
        assert box.seam.accessibleName() == "Workshop PC went offline. This machine translates."
        assert box.seam.token == "local"
        assert box.text.toPlainText() == "sind Tage."
        assert not box.error.isVisible()

    desk(test)


def test_what_failed_is_tried_again_with_the_same_text_and_by_the_same_machine(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        code = f"en>de@{scenes.WORKSHOP}"
        desk.core.fail["translation"] = ModelError("Workshop PC went offline.")
        desk.messages.translation_wanted.emit("m2", "text", code)
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        box = desk.messages.translation("m2")
        assert box is not None
        again = next(button for button in box.error.findChildren(Button) if button.text() == "Try again")
        again.click()
        await desk.presenter.settle()
        await asyncio.sleep(0.02)
        assert not box.error.isVisible()
        assert desk.core.called("start_translation") == [("text", "de", STUDIO, "en", scenes.WORKSHOP)] * 2

    desk(test)


@POPUP
def test_the_menu_is_short_and_every_language_is_found_by_typing(desk: Play) -> None:
    async def test(desk: Desk) -> None:
        desk.core.script.hold = True
        menu = menu_of(desk, "m2")
        named = [action.text() for action in menu.actions() if not action.isSeparator()]
        assert len(named) <= 13
        assert {"English", "German", "Chinese", "Arabic"} < set(named)
        acts(menu)["Another language…"]()
        popup = desk.messages.findChild(LanguagePopup)
        assert popup is not None and popup.search.hasFocus()
        assert popup.list.count() == len(NAMES)
        QTest.keyClicks(popup.search, "etruscan")
        assert popup.nothing.isVisible() and not popup.list.isVisible()
        QTest.keyClick(popup.search, Qt.Key.Key_Return)
        assert desk.core.called("start_translation") == []
        popup.search.clear()
        QTest.keyClicks(popup.search, "ian")
        QTest.keyClick(popup.search, Qt.Key.Key_Down)
        QTest.keyClick(popup.search, Qt.Key.Key_Up)
        popup.search.clear()
        QTest.keyClicks(popup.search, "et")  # its code
        assert popup.list.currentItem().text() == "Estonian"
        QTest.keyClick(popup.search, Qt.Key.Key_Return)
        await desk.presenter.settle()
        assert [call[1] for call in desk.core.called("start_translation")] == ["et"]
        assert desk.presenter.translations.last_language == "et"
        assert "Estonian" in acts(menu_of(desk, "m2"))  # used last: in the menu itself from now on

    desk(test)
