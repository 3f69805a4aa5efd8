"""What a model thought before its answer: one folded line, by mouse, keyboard and screen reader."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.chat.answer_row import AnswerFacts, AnswerRow
from app.widgets.chat.long_text import UNFOLDED
from app.widgets.chat.long_text_box import LongTextBox
from app.widgets.chat.message_list import MessageList
from qvac_core.core.state import Message

QUESTION = Message("q", "user", "How much is 6 * 7?", 0.0)
DONE = Message("a", "assistant", "It is 42.", 1.0, thinking="They ask\n<b>for</b> a product.")


def facts(_message: Message) -> AnswerFacts:
    return AnswerFacts("Studio desktop", "ab" * 32, False, waiting="Studio desktop is reading…")


def settle() -> None:
    for _round in range(5):
        QApplication.processEvents()


def opened(qtbot: QtBot, theme: Theme, answer: Message) -> tuple[MessageList, AnswerRow]:
    view = MessageList(theme, facts)
    qtbot.addWidget(view)
    view.resize(900, 500)
    view.show_messages([QUESTION, answer])
    view.show()
    settle()
    row = view.rows[-1]
    assert isinstance(row, AnswerRow)
    return view, row


def test_it_is_folded_and_opens(qtbot: QtBot, theme: Theme) -> None:
    view, row = opened(qtbot, theme, DONE)
    thought = row.thought
    assert thought.line.text() == "Thought · 5 words"
    assert thought.line.accessibleName() == "Thought, 5 words, folded"
    assert not thought.text.isVisible()
    folded = row.height()
    thought.line.click()
    settle()
    assert thought.text.toPlainText() == DONE.thinking
    assert thought.line.accessibleName() == "Thought, 5 words, open"
    assert row.height() > folded + 20
    assert not view.following
    thought.line.click()
    settle()
    assert not thought.text.isVisible()
    assert row.height() == folded
    assert row.stats.copy.value == "It is 42."


def test_while_it_thinks(qtbot: QtBot, theme: Theme) -> None:
    view, row = opened(qtbot, theme, replace(DONE, text="", thinking="", status="streaming"))
    assert row.waiting.isVisible()
    assert not row.thought.isVisible()
    answer = replace(row.message, thinking="They")
    view.change(answer)
    assert row.thought.line.text() == "Thinking…"
    assert not row.waiting.isVisible()
    row.thought.line.click()
    view.change(replace(answer, thinking="They ask"))
    assert row.thought.text.toPlainText() == "They ask"
    view.change(replace(answer, thinking="They ask", text="It"))
    assert row.thought.line.text() == "Thought · 2 words"
    assert row.thought.is_open


def test_who_did_not_think_has_no_line(qtbot: QtBot, theme: Theme) -> None:
    _view, row = opened(qtbot, theme, replace(DONE, thinking=""))
    assert not row.thought.isVisible()


def test_the_keyboard_reaches_it(qtbot: QtBot, theme: Theme) -> None:
    view, row = opened(qtbot, theme, DONE)
    with qtbot.waitActive(view):
        view.activateWindow()
    view.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert QApplication.focusWidget() is row.thought.line
    QTest.keyClick(row.thought.line, Qt.Key.Key_Space)
    assert row.thought.text.isVisible()


def test_a_very_long_one_opens_in_a_window(qtbot: QtBot, theme: Theme) -> None:
    _view, row = opened(qtbot, theme, replace(DONE, thinking="word " * UNFOLDED.letters))
    row.thought.line.click()
    assert not row.thought.text.isVisible()
    (box,) = row.window().findChildren(LongTextBox)
    assert box.copy.value == "word " * UNFOLDED.letters
    box.accept()
