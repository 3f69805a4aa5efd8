"""Search in the window: what was found is told in the list, opened at its message, and marked; the way to the end."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from app.presenters.chat_groups import Entry, Heading
from app.widgets.chat.conversation_list import HIT_HEIGHT, ROLE
from app.widgets.chat.marks import marked
from qvac_core.core.state import Message
from tests.gui.fake_core import NOW, Script
from tests.gui.test_chat_page import Chat, Open, open_chat, populated  # noqa: F401


def look_for(chat: Chat, text: str) -> None:
    chat.page.side.search.setText(text)
    chat.page.side.searched.emit(text)
    chat.settle()


def entries(chat: Chat) -> list[Entry | Heading]:
    model = chat.page.side.model
    return [model.index(row).data(ROLE) for row in range(model.rowCount())]


def long_conversation(chat: Chat, id: str) -> None:
    """Of 120 messages, the fifth of which tells of a walrus."""
    chat.core.message_lists[id] = tuple(
        Message(
            f"m{n}", "user" if n % 2 else "assistant", f"Line {n}\n\n" + ("the Walrus said" if n == 5 else "x"), NOW
        )
        for n in range(1, 121)
    )


def test_what_was_found_is_shown_opened_and_marked(open_chat: Open) -> None:  # noqa: F811
    chat = open_chat(populated())
    long_conversation(chat, "zfs")
    look_for(chat, "walrus")
    heading, open_now, *found = entries(chat)
    assert isinstance(heading, Heading)
    assert heading.text == "Open now"
    assert isinstance(open_now, Entry)
    assert open_now.conversation.id == chat.presenter.open_id
    hits = [entry for entry in found if isinstance(entry, Entry)]
    assert [entry.conversation.id for entry in hits] == ["zfs"]
    assert hits[0].hit is not None
    assert (hits[0].hit.match, hits[0].hit.after) == ("Walrus", " said")
    view = chat.page.side.view
    row = chat.page.side.model.row_of("zfs")
    assert view.sizeHintForRow(row) >= HIT_HEIGHT
    index = chat.page.side.model.index(row)
    assert "the Walrus said" in str(index.data(Qt.ItemDataRole.AccessibleTextRole))
    chat.page.side.chosen.emit("zfs")
    chat.settle()
    messages = chat.page.conversation.messages
    assert messages.current is not None
    assert messages.current.message.id == "m5"
    assert [cursor.selectedText() for _, cursor in marked(messages.current)] == ["Walrus"]
    assert messages.following is False
    top = messages.current.mapTo(messages.viewport(), messages.current.rect().topLeft()).y()
    assert -messages.current.height() < top < messages.viewport().height()
    assert messages.to_end.isVisible()
    messages.to_end.click()
    assert bool(messages.following)
    assert not messages.to_end.isVisible()
    look_for(chat, "")
    chat.qtbot.waitUntil(lambda: not any(marked(row) for row in messages.rows), timeout=30000)  # in slices


def test_what_stands_on_another_branch_is_found_and_shown(open_chat: Open) -> None:  # noqa: F811
    core = populated()
    core.script = Script(pieces=("A walrus.",))
    chat = open_chat(core)
    chat.presenter.new_conversation()
    chat.ask("One")
    here = chat.presenter.open_id
    chat.core.script = Script(pieces=("A seal.",))
    chat.presenter.retry()
    chat.settle()
    look_for(chat, "walrus")
    chat.page.side.chosen.emit(here)
    chat.settle()
    assert [message.text for message in chat.presenter.messages] == ["One", "A walrus."]


def test_the_button_to_the_end_comes_and_goes_with_the_place(open_chat: Open) -> None:  # noqa: F811
    chat = open_chat(populated())
    long_conversation(chat, "zfs")
    chat.presenter.open("zfs")
    chat.settle()
    messages = chat.page.conversation.messages
    assert not messages.to_end.isVisible()
    messages.setFocus()
    QTest.keyClick(messages, Qt.Key.Key_Home)
    chat.qtbot.waitUntil(lambda: messages.waiting_rows == 0, timeout=30000)
    assert messages.to_end.isVisible()
    QTest.keyClick(messages, Qt.Key.Key_End)
    assert not messages.to_end.isVisible()
