"""The message list: following, never fighting who scrolls up, lazy rows, resizing, the keyboard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.chat.answer_row import AnswerFacts, AnswerRow
from app.widgets.chat.message_list import FIRST_ROWS, SCREENS_ABOVE, MessageList
from qvac_core.core.state import Message

PARAGRAPH = "Some words of an answer that wraps over more than one line in a narrow column, as answers do.\n\n"


def facts(message: Message) -> AnswerFacts:
    return AnswerFacts("Studio desktop", "ab" * 32, False, ("direct",) if message.stats else (), "Connecting…")


def conversation(count: int) -> list[Message]:
    return [
        Message(f"m{i}", "user" if i % 2 == 0 else "assistant", PARAGRAPH * (1 if i % 2 == 0 else 4), float(i))
        for i in range(count)
    ]


def make(qtbot: QtBot, theme: Theme, messages: list[Message]) -> MessageList:
    view = MessageList(theme, facts)
    qtbot.addWidget(view)
    view.resize(900, 500)
    view.show()
    view.show_messages(messages)
    if view.waiting_rows:
        QTest.keyClick(view, Qt.Key.Key_Home)  # all of them are made for who goes there
        qtbot.waitUntil(lambda: view.waiting_rows == 0, timeout=30000)
        settle()
        view.scroll_to_end()
    settle()
    return view


def settle() -> None:
    for _round in range(4):
        QApplication.processEvents()


def at_end(view: MessageList) -> bool:
    bar = view.verticalScrollBar()
    return bar.value() == bar.maximum()


def following(view: MessageList) -> bool:
    return view.following


def stream(view: MessageList, pieces: int) -> None:
    answer = Message("new", "assistant", "", 0.0, "streaming")
    view.add(answer)
    for _piece in range(pieces):
        answer = replace(answer, text=answer.text + PARAGRAPH)
        view.change(answer)
        settle()


def test_a_conversation_opens_at_its_end(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(10))
    assert view.verticalScrollBar().maximum() > 500
    assert at_end(view)


def test_a_growing_answer_is_followed(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(4))
    stream(view, 12)
    assert at_end(view)


def test_who_has_scrolled_up_is_left_alone(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(6))
    bar = view.verticalScrollBar()
    bar.setValue(120)
    moved: list[int] = []
    bar.valueChanged.connect(moved.append)
    picture = view.viewport().grab().toImage()
    stream(view, 12)
    assert moved == []
    assert view.viewport().grab().toImage() == picture


def test_back_at_the_end_it_follows_again(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(6))
    bar = view.verticalScrollBar()
    bar.setValue(0)
    assert not following(view)
    bar.setValue(bar.maximum() - 5)
    assert following(view)
    stream(view, 5)
    assert at_end(view)


def test_my_own_question_is_brought_into_view(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(6))
    view.verticalScrollBar().setValue(0)
    view.add(Message("q", "user", "And now?", 0.0))
    settle()
    assert at_end(view)


def test_older_messages_are_made_later_and_move_nothing(qtbot: QtBot, theme: Theme) -> None:
    view = MessageList(theme, facts)
    qtbot.addWidget(view)
    view.resize(900, 500)
    view.show()
    view.show_messages(conversation(60))
    first = len(view.rows)
    assert 5 < first <= FIRST_ROWS
    assert view.waiting_rows == 60 - first
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    row = view.rows[first // 2]
    before = row.mapTo(view, row.rect().topLeft())
    qtbot.waitUntil(lambda: bar.value() > SCREENS_ABOVE * view.viewport().height(), timeout=30000)
    settle()
    assert first < len(view.rows) < 60  # as many as are needed soon
    assert row.mapTo(view, row.rect().topLeft()) == before
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: view.waiting_rows == 0, timeout=30000)
    settle()
    assert [r.message.id for r in view.rows] == [f"m{i}" for i in range(60)]
    assert bar.value() == 0


def test_resizing_keeps_what_is_in_view(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(12))
    bar = view.verticalScrollBar()
    row = view.rows[4]
    bar.setValue(row.y() - 20)
    for width in (620, 1000, 900):
        view.resize(width, 500)
        settle()
        assert row.mapTo(view, row.rect().topLeft()).y() == 20


def test_another_conversation_replaces_all_rows(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(30))
    view.show_messages(conversation(2))
    assert len(view.rows) == 2
    settle()
    assert len(view.rows) == 2


def test_arrows_walk_messages_and_enter_goes_into_one(qtbot: QtBot, theme: Theme) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    other = QLineEdit()
    view = MessageList(theme, facts)
    layout = QVBoxLayout(window)
    layout.addWidget(other)
    layout.addWidget(view)
    with qtbot.waitActive(window):
        window.show()
    view.show_messages(conversation(4))
    other.setFocus()
    view.setFocus(Qt.FocusReason.TabFocusReason)
    assert view.current is view.rows[-1]
    QTest.keyClick(view, Qt.Key.Key_Up)
    QTest.keyClick(view, Qt.Key.Key_Up)
    current = view.current
    assert current is view.rows[1]
    QTest.keyClick(view, Qt.Key.Key_Return)
    stops = current.blocks()
    assert QApplication.focusWidget() is stops[0]
    QTest.keyClick(stops[0], Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is stops[1]
    QTest.keyClick(stops[1], Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is view


def test_messages_say_their_text(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(2))
    question, answer = view.rows
    assert _name(question).startswith("I wrote: Some words")
    assert _name(answer).startswith("Studio desktop answered: Some words")


def test_an_answer_waits_in_words(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, conversation(1))
    view.add(Message("a", "assistant", "", 0.0, "streaming"))
    settle()
    row = view.rows[-1]
    assert isinstance(row, AnswerRow)
    assert row.waiting.text() == "Connecting…"
    assert row.waiting.isVisible()
    view.change(Message("a", "assistant", "Hello", 0.0, "streaming"))
    assert not row.waiting.isVisible()
    assert row.stats.words == "Studio desktop · answering…"


def test_a_theme_change_reaches_every_row(qtbot: QtBot, theme: Theme) -> None:
    view = make(qtbot, theme, [*conversation(2), Message("c", "assistant", "```python\nimport x\n```", 3.0)])
    light = view.grab().toImage().pixelColor(450, 250)
    theme.choose("dark")
    settle()
    dark = view.grab().toImage().pixelColor(450, 250)
    assert light.lightness() > 200
    assert dark.lightness() < 80


def _name(widget: object) -> str:
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)  # type: ignore[arg-type]


@pytest.mark.parametrize("narrow", [100, 640])
def test_a_conversation_opened_before_the_window_has_its_size_has_no_holes(
    qtbot: QtBot, theme: Theme, narrow: int
) -> None:
    """As after a start: rows are made while the window is hidden and still small."""

    def heights(first: int) -> list[int]:
        view = MessageList(theme, facts)
        qtbot.addWidget(view)
        view.resize(first, 480)
        view.show_messages([Message("q", "user", "hello", 0.0), Message("a", "assistant", PARAGRAPH * 2, 0.0)])
        view.resize(900, 500)
        view.show()
        settle()
        return [row.height() for row in view.rows]

    assert heights(narrow) == heights(900)
