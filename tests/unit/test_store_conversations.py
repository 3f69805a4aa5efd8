"""Chats: kept, ordered, found, and whole after a crash.

qvac_core/store/conversations.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core.errors import StoreError
from qvac_core.store import (
    AnswerStats,
    Conversation,
    Conversations,
    Database,
    ErrorInfo,
    Message,
    Target,
    new_id,
)
from qvac_core.store.folders import DataDir
from qvac_core.store.records import Draft
from qvac_core.store.store import Store

NOW = 1_750_000_000.0
STATS = AnswerStats("Anna", "delegated", "direct", "Llama", 0.12, 41.5, 20, 300)


@pytest.fixture
def conversations(tmp_path: Path) -> Iterator[Conversations]:
    database = Database.open(tmp_path / "a.db", now=NOW)
    yield Conversations(database)
    database.close()


def said(text: str, role: str = "user", status: str = "done") -> Message:
    return Message(new_id(), role, text, NOW, status)


def titles(conversations: tuple[Conversation, ...]) -> list[str]:
    return [conversation.title for conversation in conversations]


def test_created_conversation_is_there_after_a_restart(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    created = Conversations(database).create(Target("ab" * 32, "Llama"), NOW, title="First")
    database.close()
    database = Database.open(tmp_path / "a.db", now=NOW)
    assert Conversations(database).list() == (created,)
    assert Conversations(database).get(created.id) == created
    database.close()


def test_messages_come_back_as_they_were(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    messages = (
        said("What is 1 + 1? 🤔\r\n\0"),
        Message(
            new_id(),
            "assistant",
            "It is two.",
            NOW + 1,
            "failed",
            STATS,
            ErrorInfo("PEER_NOT_FOUND", 0, "Anna is gone", "Try again."),
            ((3, "went on locally"), (7, "and back")),
            "1 + 1 …",
        ),
    )
    for message in messages:
        conversations.append(id, message, NOW + 2)
    assert conversations.messages(id) == messages
    assert conversations.get(id).updated_at == NOW + 2


def test_update_keeps_the_place(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    first, second = said("", "assistant", "streaming"), said("later")
    conversations.append(id, first, NOW)
    conversations.append(id, second, NOW)
    finished = replace(first, text="whole answer", status="done", stats=STATS)
    conversations.update(finished)
    assert conversations.messages(id) == (finished, second)
    third = said("in its place")
    conversations.append(id, third, NOW, in_place_of=[finished.id])
    assert conversations.messages(id) == (second, third)


def test_order_pinned_then_recent(conversations: Conversations) -> None:
    a, b, c = (conversations.create(Target(), NOW + n, title=title) for n, title in enumerate("abc"))
    assert titles(conversations.list()) == ["c", "b", "a"]
    conversations.append(a.id, said("hello"), NOW + 10)
    assert titles(conversations.list()) == ["a", "c", "b"]
    conversations.pin(b.id, True)
    assert titles(conversations.list()) == ["b", "a", "c"]
    conversations.pin(b.id, False)
    assert titles(conversations.list()) == ["a", "c", "b"]
    assert not conversations.get(c.id).pinned


def test_rename_and_retarget(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    conversations.rename(id, "Better")
    conversations.set_target(id, Target("cd" * 32, "Qwen"))
    assert conversations.get(id) == Conversation(id, "Better", NOW, NOW, False, Target("cd" * 32, "Qwen"))


def test_search_in_titles_and_texts_in_any_case(conversations: Conversations) -> None:
    a = conversations.create(Target(), NOW, title="Über Katzen")
    b = conversations.create(Target(), NOW + 1, title="Dogs")
    conversations.append(a.id, said("Sie SCHNURREN 100% laut"), NOW)
    conversations.append(b.id, said("they bark"), NOW + 1)
    assert titles(conversations.search("über")) == ["Über Katzen"]
    assert titles(conversations.search("schnurren 100%")) == ["Über Katzen"]
    assert titles(conversations.search("BARK")) == ["Dogs"]
    assert titles(conversations.search("_")) == []
    assert len(conversations.search(" ")) == 2


def test_delete_takes_the_messages_along(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW, title="gone").id
    message = said("secret")
    conversations.append(id, message, NOW)
    conversations.delete(id)
    conversations.delete(id)
    assert conversations.list() == ()
    assert conversations.messages(id) == ()
    assert conversations.search("secret") == ()
    conversations.update(message)
    for action in (
        lambda: conversations.get(id),
        lambda: conversations.rename(id, "x"),
        lambda: conversations.pin(id, True),
        lambda: conversations.append(id, said("late"), NOW),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert caught.value.name == "NO_SUCH_CONVERSATION"


def test_answer_cut_off_by_a_crash_keeps_its_text(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    conversations.append(id, said("half an ans", "assistant", "streaming"), NOW)
    assert conversations.close_unfinished() == 1
    (message,) = conversations.messages(id)
    assert (message.text, message.status) == ("half an ans", "stopped")


def test_drafts_are_kept_replaced_and_go_with_their_conversation(tmp_path: Path) -> None:
    store = Store.open(DataDir(tmp_path, explicit=True), now=NOW)
    kept = store.conversations.create(Target(), NOW)
    other = store.conversations.create(Target(), NOW)
    for key in (kept.id, other.id, "", "gone"):
        store.conversations.keep_draft(key, Draft(f"of {key}"))
    store.conversations.keep_draft(kept.id, Draft("newer", ("long", "longer"), waiting=True))
    store.conversations.delete(other.id)
    store.close()
    store = Store.open(DataDir(tmp_path, explicit=True), now=NOW)
    assert store.conversations.drafts() == {kept.id: Draft("newer", ("long", "longer"), True), "": Draft("of ")}
    store.conversations.keep_draft("", Draft("  \n"))
    assert set(store.conversations.drafts()) == {kept.id}
    store.close()
