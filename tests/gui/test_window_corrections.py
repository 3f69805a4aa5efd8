"""Small things of the window that a designer saw: texts beside icons, titles of dialogs, ends of answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QToolButton
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.chat.answer_row import AnswerFacts, AnswerRow
from app.widgets.chat.message_list import MessageList
from app.widgets.chat.question_row import QuestionRow
from app.widgets.dialog import Dialog
from app.widgets.search_field import SearchField
from qvac_core.core.state import AnswerStats, Message, Picture

STATS = AnswerStats("Studio", "delegated", "direct", "Qwen3 8B", 0.3, 64, 0, 7, "07" * 32)
FACTS = AnswerFacts("Studio", "07" * 32, local=False, words=("direct",))


@pytest.mark.parametrize("direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft])
def test_the_text_of_a_field_begins_8_px_after_its_icon(
    theme: Theme, qtbot: QtBot, direction: Qt.LayoutDirection
) -> None:
    field = SearchField(theme, "Search", "Search", clearable=False)
    qtbot.addWidget(field)
    field.setLayoutDirection(direction)
    field.resize(200, 28)
    field.setText("abc" if direction is Qt.LayoutDirection.LeftToRight else "بحث")
    field.setCursorPosition(0)
    field.show()
    QApplication.processEvents()
    (glass,) = field.findChildren(QToolButton)
    caret = field.cursorRect().center().x()
    centre = glass.geometry().center().x()
    assert abs(caret - centre) - 8 == pytest.approx(8, abs=3)


def test_a_dialog_does_not_say_its_title_twice(theme: Theme, qtbot: QtBot) -> None:
    dialog = Dialog(theme, "Remove Studio?", "", "Remove")
    qtbot.addWidget(dialog)
    assert dialog.windowTitle() == "QVAC Desktop"
    assert dialog.accessibleName() == "Remove Studio?"


def row(theme: Theme, qtbot: QtBot, text: str, status: str = "done") -> AnswerRow:
    row = AnswerRow(theme, Message("a", "assistant", text, 0.0, status, STATS), FACTS)
    qtbot.addWidget(row)
    row.fit(600, narrow=False)
    row.show()
    row.settle()
    return row


def test_an_answer_without_a_word_says_so(theme: Theme, qtbot: QtBot) -> None:
    empty = row(theme, qtbot, "", status="stopped")
    assert empty.waiting.isVisibleTo(empty)
    assert empty.waiting.text() == "Stopped before the first word."
    assert not row(theme, qtbot, "Half", status="stopped").waiting.isVisible()


def test_lines_without_words_leave_no_gap_below_an_answer(theme: Theme, qtbot: QtBot) -> None:
    assert row(theme, qtbot, "Yes.\n\n\n\n \n").sizeHint().height() == row(theme, qtbot, "Yes.").sizeHint().height()
    assert row(theme, qtbot, "\n\n\nYes.").sizeHint().height() == row(theme, qtbot, "Yes.").sizeHint().height()


def test_pictures_that_nobody_looked_at_say_so(theme: Theme, qtbot: QtBot) -> None:
    def answer(number: int, *, blind: bool) -> Message:
        return Message(f"a{number}", "assistant", "A cat.", 0.0, "done", replace(STATS, blind=blind))

    question = Message("q", "user", "What is it?", 0.0, pictures=(Picture("07" * 32, "image/png", "cat.png"),))
    messages = MessageList(theme, lambda _message: FACTS)
    qtbot.addWidget(messages)
    messages.show_messages([question, answer(1, blind=True)])
    row = messages.rows[0]
    assert isinstance(row, QuestionRow)
    assert row.unseen.isVisibleTo(row)
    assert row.unseen.text() == "not seen by Qwen3 8B"
    assert row.accessibleName().endswith("not seen by Qwen3 8B.")
    messages.show_path([question, answer(2, blind=False)])
    assert not row.unseen.isVisibleTo(row)
