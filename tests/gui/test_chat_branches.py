"""Branches in the window: a question edited, an answer given again beside the old one, arrows, and going on."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.presenters.chat_path import merged
from app.widgets.chat.answer_row import AnswerRow
from app.widgets.chat.question_row import QuestionRow
from qvac_core.core.state import Message
from qvac_core.errors import StoreError
from tests.gui.fake_core import STATS, Script
from tests.gui.test_chat_page import Chat, Open, open_chat, populated  # noqa: F401


def questions(chat: Chat) -> list[QuestionRow]:
    return [row for row in chat.page.conversation.messages.rows if isinstance(row, QuestionRow)]


def texts(chat: Chat) -> list[str]:
    return [message.text for message in chat.presenter.messages]


def asked(open_chat: Open, *texts: str) -> Chat:  # noqa: F811
    """A new conversation with these questions, each answered "Hello, world."."""
    core = populated()
    core.script = Script()
    chat = open_chat(core)
    chat.presenter.new_conversation()
    for text in texts:
        chat.ask(text)
    return chat


def test_an_edited_question_is_a_branch_and_the_old_one_is_an_arrow_away(open_chat: Open) -> None:  # noqa: F811
    chat = asked(open_chat, "One", "Two")
    row = questions(chat)[1]
    assert not row.branches.isVisible()
    row.pencil.click()
    assert row.edit is not None
    assert not row.bubble.isVisible()
    row.edit.text.setPlainText("Three")
    QTest.keyClick(row.edit.text, Qt.Key.Key_Return)
    chat.settle()
    assert texts(chat) == ["One", "Hello, world.", "Three", "Hello, world."]
    row = questions(chat)[1]
    assert row.branches.place.text() == "2 of 2"
    assert row.said_edited.isVisible()
    assert "Version 2 of 2" in row.accessibleName()
    assert not row.branches.after.isEnabled()
    row.branches.before.click()
    chat.settle()
    assert texts(chat) == ["One", "Hello, world.", "Two", "Hello, world."]
    row = questions(chat)[1]
    assert row.branches.place.text() == "1 of 2"
    assert not row.said_edited.isVisible()
    assert [r.message.text for r in questions(chat)] == ["One", "Two"]


def test_an_answer_is_given_again_beside_the_old_one(open_chat: Open) -> None:  # noqa: F811
    chat = asked(open_chat, "One")
    chat.core.script = Script(pieces=("Another.",))
    chat.last().stats.again.click()
    chat.settle()
    assert texts(chat) == ["One", "Another."]
    arrows = chat.last().stats.branches
    assert arrows.place.text() == "2 of 2"
    arrows.before.click()
    chat.settle()
    assert texts(chat) == ["One", "Hello, world."]


def test_alt_and_the_arrows_step_through_the_branches_of_the_focused_message(open_chat: Open) -> None:  # noqa: F811
    chat = asked(open_chat, "One")
    chat.core.script = Script(pieces=("Another.",))
    chat.last().stats.again.click()
    chat.settle()
    messages = chat.page.conversation.messages
    messages.setFocus(Qt.FocusReason.TabFocusReason)
    assert messages.current is chat.last()
    QTest.keyClick(messages, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    chat.settle()
    assert texts(chat) == ["One", "Hello, world."]
    assert messages.current is chat.last()  # the ring goes along
    QTest.keyClick(messages, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    chat.settle()
    assert texts(chat) == ["One", "Another."]


def test_an_earlier_answer_can_be_given_again(open_chat: Open) -> None:  # noqa: F811
    chat = asked(open_chat, "One", "Two")
    first = chat.page.conversation.messages.rows[1]
    assert isinstance(first, AnswerRow)
    assert first.stats.again.isVisible()
    first.stats.again.click()
    chat.settle()
    assert texts(chat) == ["One", "Hello, world."]
    chat.last().stats.branches.before.click()
    chat.settle()
    assert texts(chat) == ["One", "Hello, world.", "Two", "Hello, world."]


def test_escape_leaves_a_question_as_it_was_and_what_was_begun_is_kept_over_another_conversation(
    open_chat: Open,  # noqa: F811
) -> None:
    chat = asked(open_chat, "One")
    here = chat.presenter.open_id
    questions(chat)[0].pencil.click()
    edit = questions(chat)[0].edit
    assert edit is not None
    edit.text.setPlainText("Begun")
    chat.presenter.new_conversation()
    chat.presenter.open(here)
    chat.settle()
    edit = questions(chat)[0].edit
    assert edit is not None
    assert edit.text.toPlainText() == "Begun"
    QTest.keyClick(edit.text, Qt.Key.Key_Escape)
    assert questions(chat)[0].edit is None
    assert questions(chat)[0].bubble.isVisible()
    chat.presenter.new_conversation()
    chat.presenter.open(here)
    chat.settle()
    assert questions(chat)[0].edit is None


def test_a_refused_edit_is_said_and_changes_nothing(open_chat: Open) -> None:  # noqa: F811
    chat = asked(open_chat, "One")
    chat.core.fail["edit"] = StoreError("The disk is full.")
    chat.presenter.edit(chat.presenter.messages[0].id, "Two")
    chat.settle()
    assert texts(chat) == ["One", "Hello, world."]
    assert chat.page.conversation.error.isVisible()
    assert not chat.presenter.busy


def test_an_answer_that_was_cut_has_a_button_to_go_on(open_chat: Open) -> None:  # noqa: F811
    core = populated()
    core.script = Script(pieces=("Half",), stats=replace(STATS, ending="length"))
    chat = open_chat(core)
    chat.presenter.new_conversation()
    chat.ask("One")
    go_on = chat.last().stats.go_on
    assert go_on.isVisible()
    chat.core.script = Script(pieces=(" whole.",))
    go_on.click()
    chat.settle()
    assert texts(chat) == ["One", "Half whole."]
    assert not chat.last().stats.go_on.isVisible()


def test_what_the_core_does_not_have_yet_stays_in_view_over_another_path() -> None:
    one, answer, other = (Message(id, "user" if id != "a" else "assistant", id, 0.0) for id in ("1", "a", "2"))
    waiting = Message("asked-1", "user", "2", 0.0)
    untaken = Message("asked-2", "user", "never", 0.0)
    assert merged([one, waiting], [one, other, answer]) == ([one, other, answer], [("asked-1", other)])
    assert merged([one, untaken], [one, other]) == ([one, untaken, other], [])
    assert merged([one, answer, untaken], [other]) == ([other, untaken], [])
