"""Long texts, as they are pasted and answered: what Qt lays out is bounded, what is sent and copied is whole.

Layout is what costs (half a minute for a million letters in one line), so the letters given to it are counted, not the
time they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from PySide6.QtCore import QMimeData
from PySide6.QtGui import QGuiApplication, QTextDocument
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QTextEdit, QWidget
from pytestqt.qtbot import QtBot

from app.theme import Theme
from app.widgets.chat.answer_row import AnswerFacts, AnswerRow
from app.widgets.chat.answer_text import AnswerText
from app.widgets.chat.code_block import CodeBlock
from app.widgets.chat.composer import Composer
from app.widgets.chat.long_text import ANSWER, FOLDED, IN_COMPOSER, LONGEST_LINE, UNFOLDED, cut, fits, short_lines
from app.widgets.chat.long_text_box import LINES_PER_SLICE, LongTextBox
from app.widgets.chat.markdown_view import BLOCKS_PER_SLICE, MarkdownView
from app.widgets.chat.message_list import MessageList
from app.widgets.chat.question_row import QuestionRow
from app.widgets.label import Label
from app.words import ONE_LINE
from qvac_core.core.state import Message

MEGABYTE = 1_020_000
ONE_LONG_LINE = "a" * MEGABYTE
MANY_LINES = "word \n" * (MEGABYTE // 6)
KINDS = {
    "a line": ONE_LONG_LINE,
    "words in a line": "word " * (MEGABYTE // 5),
    "lines": MANY_LINES,
    "code": f"```\n{ONE_LONG_LINE}\n```",
    "lines of code": f"```python\n{MANY_LINES}```",
    "paragraphs": "Some words.\n\n" * (MEGABYTE // 13),
    "a quote": f"> {ONE_LONG_LINE}",
    "a heading": f"# {ONE_LONG_LINE}",
    "a list": "- item\n" * (MEGABYTE // 7),
    "a table": "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * (MEGABYTE // 10),
}


def facts(_message: Message) -> AnswerFacts:
    return AnswerFacts("Studio desktop", "ab" * 32, False)


def documents(widget: QWidget) -> Iterator[QTextDocument]:
    for rich in widget.findChildren(QTextEdit):
        yield rich.document()
    for plain in widget.findChildren(QPlainTextEdit):
        yield plain.document()


def laid_out(widget: QWidget) -> tuple[int, int]:
    """Letters that the layout of `widget` was given in all, and in its longest line."""
    texts = [document.toRawText() for document in documents(widget)]
    lines = [line for text in texts for line in text.replace("\u2028", "\u2029").split("\u2029")]
    return sum(map(len, texts)), max(map(len, lines), default=0)


def paste(composer: Composer, text: str) -> None:
    data = QMimeData()
    data.setText(text)
    composer.text.insertFromMimeData(data)


@pytest.mark.parametrize("text", [ONE_LONG_LINE, MANY_LINES], ids=["a line", "lines"])
def test_a_long_paste_is_a_chip_and_is_sent_whole(qtbot: QtBot, theme: Theme, text: str) -> None:
    composer = Composer(theme)
    qtbot.addWidget(composer)
    composer.text.setPlainText("What is this?")
    paste(composer, text)
    assert laid_out(composer)[0] <= IN_COMPOSER.letters
    (chip,) = composer.pasted.chips
    assert chip.open.text().startswith("Pasted text · 1 MB, ")
    assert composer.message == f"What is this?\n\n{text}"
    with qtbot.waitSignal(composer.submitted) as sent:
        composer.button.click()
    assert sent.args == [f"What is this?\n\n{text}"]
    composer.clear()
    assert composer.message == ""
    assert composer.pasted.chips == []


def test_a_chip_alone_can_be_sent_opened_and_removed(qtbot: QtBot, theme: Theme) -> None:
    composer = Composer(theme)
    qtbot.addWidget(composer)
    composer.show()
    paste(composer, ONE_LONG_LINE)
    assert composer.button.isEnabled()
    composer.pasted.chips[0].open.click()
    (box,) = composer.findChildren(LongTextBox)
    qtbot.waitUntil(lambda: not box.filling, timeout=20_000)
    assert laid_out(box)[1] <= LINES_PER_SLICE
    assert box.text.toPlainText().replace("\n", "") == ONE_LONG_LINE
    box.copy.click()
    assert QGuiApplication.clipboard().text() == ONE_LONG_LINE
    box.accept()
    composer.pasted.chips[0].remove.click()
    assert composer.message == ""
    assert not composer.button.isEnabled()


def test_small_pastes_are_edited_until_they_are_too_much(qtbot: QtBot, theme: Theme) -> None:
    composer = Composer(theme)
    qtbot.addWidget(composer)
    for _time in range(20):
        paste(composer, "words " * 200)
    assert laid_out(composer)[0] <= IN_COMPOSER.letters
    assert composer.pasted.texts
    assert composer.message.count("words") == 20 * 200


def test_a_long_question_that_is_taken_back_is_a_chip_again(qtbot: QtBot, theme: Theme) -> None:
    composer = Composer(theme)
    qtbot.addWidget(composer)
    composer.set_text(ONE_LONG_LINE)
    assert laid_out(composer)[0] == 0
    assert composer.message == ONE_LONG_LINE
    composer.set_text("short")
    assert composer.message == "short"


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_a_long_question_is_folded(qtbot: QtBot, theme: Theme, text: str) -> None:
    view = MessageList(theme, facts)
    qtbot.addWidget(view)
    view.resize(900, 500)
    view.show_messages([Message("q", "user", text, 0.0)])
    assert laid_out(view)[0] <= FOLDED.letters
    (row,) = view.rows
    assert isinstance(row, QuestionRow)
    assert row.bubble.fold.text().startswith("Open all of it (1 MB, ")
    row.bubble.fold.click()
    (box,) = row.window().findChildren(LongTextBox)
    assert box.copy.value == text
    box.accept()


def test_a_middling_question_unfolds_in_place(qtbot: QtBot, theme: Theme) -> None:
    view = MessageList(theme, facts)
    qtbot.addWidget(view)
    view.resize(900, 500)
    text = "\n".join(f"line {place}" for place in range(60))
    view.show_messages([Message("q", "user", text, 0.0)])
    view.show()
    (row,) = view.rows
    assert isinstance(row, QuestionRow)
    before = row.bubble.height()
    assert row.bubble.fold.text() == "Show all of it (60 lines)"
    row.bubble.fold.click()
    assert row.bubble.height() > 3 * before
    assert row.bubble.fold.text() == "Show less"
    assert not view.following
    row.bubble.fold.click()
    assert row.bubble.height() == before


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_a_long_answer_is_cut_for_showing(qtbot: QtBot, theme: Theme, text: str) -> None:
    message = Message("a", "assistant", text, 0.0)
    row = AnswerRow(theme, message, facts(message))
    qtbot.addWidget(row)
    row.fit(736, narrow=False)
    qtbot.waitUntil(lambda: not row.view.filling, timeout=30_000)
    letters, longest = laid_out(row)
    assert letters <= ANSWER.letters + 1_000
    assert longest <= LONGEST_LINE + 1
    assert row.whole.isVisibleTo(row)
    assert row.stats.copy.value == text
    row.whole.click()
    (box,) = row.window().findChildren(LongTextBox)
    assert box.copy.value == text
    box.accept()


def test_a_long_answer_that_streams_costs_no_more_at_its_end(qtbot: QtBot, theme: Theme) -> None:
    """Past what is shown nothing of it is laid out again."""
    message = Message("a", "assistant", "", 0.0, "streaming")
    row = AnswerRow(theme, message, facts(message))
    qtbot.addWidget(row)
    row.fit(736, narrow=False)
    row.show_message(Message("a", "assistant", "word " * 20_000, 0.0, "streaming"), facts(message))
    before = [document.revision() for document in documents(row)]
    for end in range(100_000, MEGABYTE, 100_000):
        row.show_message(Message("a", "assistant", ("word " * 200_000)[:end], 0.0, "streaming"), facts(message))
    assert [document.revision() for document in documents(row)] == before
    assert row.whole.text().startswith("Open all of it (")


def test_many_blocks_are_made_in_slices(qtbot: QtBot, theme: Theme) -> None:
    view = MarkdownView(theme)
    qtbot.addWidget(view)
    view.fit(600)
    parts = AnswerText().update("Some words.\n\n" * 100, (), streaming=False)
    made = []
    view.show_parts(parts)
    while view.filling:
        made.append(len(view.widgets))
        QApplication.processEvents()
    made.append(len(view.widgets))
    assert made[-1] == 100
    assert max(after - before for before, after in pairwise([0, *made])) <= BLOCKS_PER_SLICE


def test_long_code_is_coloured_in_slices(qtbot: QtBot, theme: Theme) -> None:
    code = CodeBlock(theme)
    qtbot.addWidget(code)
    code.show_code("x = 1  # a number\n" * 900, "python")

    def coloured() -> int:
        block, count = code.text.document().begin(), 0
        while block.isValid():
            count += bool(block.layout().formats())
            block = block.next()
        return count

    seen = [coloured()]
    while code.text.colouring:
        QApplication.processEvents()
        seen.append(coloured())
    assert seen[-1] == 900
    assert max(after - before for before, after in pairwise(seen)) <= 100


def test_names_of_people_and_peers_are_cut_before_they_are_measured(qtbot: QtBot, theme: Theme) -> None:
    label = Label(ONE_LONG_LINE)
    qtbot.addWidget(label)
    assert len(label.text()) <= ONE_LINE + 1
    label.setText(ONE_LONG_LINE)
    assert len(label.text()) <= ONE_LINE + 1
    wrapped = Label(ONE_LONG_LINE, wrap=True)
    qtbot.addWidget(wrapped)
    assert len(wrapped.text()) <= 4_001


def test_cutting() -> None:
    assert cut("a\nb", FOLDED) == "a\nb"
    assert fits("x" * FOLDED.letters, FOLDED)
    assert not fits("x" * (FOLDED.letters + 1), FOLDED)
    assert cut("\n".join("abcdefghijklmnop"), FOLDED) == "\n".join("abcdefghijkl")
    assert cut("a" * 9_000 + "\nb", ANSWER) == "a" * LONGEST_LINE + "…\nb"
    assert not fits("a" * 9_000, ANSWER)
    assert fits("a" * 9_000, UNFOLDED) is False
    table = "\n".join(["| a |", "|---|", *["| 1 |"] * 300, "after"])
    assert cut(table, ANSWER).splitlines() == ["| a |", "|---|", *["| 1 |"] * 98, "after"]
    assert list(short_lines("abc\n\nd", 2)) == ["ab", "c", "", "d"]
