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
from qvac_core.store.records import Draft, Parameters, Preset
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


def texts(conversations: Conversations, conversation_id: str) -> list[str]:
    return [message.text for message in conversations.messages(conversation_id)]


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


def test_a_conversation_is_a_tree_of_which_one_path_is_shown(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    asked, answer, asked_on, again, edited = (said(text) for text in ("asked", "a", "on", "b", "edited"))
    for message in (asked, answer, asked_on):
        conversations.append(id, message, NOW)
    conversations.append(id, again, NOW, after=asked.id)
    conversations.append(id, edited, NOW, after="")
    assert texts(conversations, id) == ["edited"]
    conversations.show(id, asked.id)
    assert texts(conversations, id) == ["asked", "b"]  # what was last shown behind it
    shown = conversations.messages(id)
    assert [message.branches for message in shown] == [(asked.id, edited.id), (answer.id, again.id)]
    conversations.show(id, answer.id)
    assert texts(conversations, id) == ["asked", "a", "on"]
    assert conversations.messages(id)[2].branches == ()
    assert [(message.text, parent) for message, parent in conversations.tree(id)] == [
        ("asked", ""),
        ("a", asked.id),
        ("on", answer.id),
        ("b", asked.id),
        ("edited", ""),
    ]


def test_a_message_goes_when_another_is_in_its_place_unless_something_is_behind_it(
    conversations: Conversations,
) -> None:
    id = conversations.create(Target(), NOW).id
    asked, empty, filled = said("asked"), said("", "assistant"), said("a", "assistant")
    conversations.append(id, asked, NOW)
    conversations.append(id, empty, NOW)
    conversations.append(id, filled, NOW, after=asked.id, drop=[empty.id])
    assert [message.branches for message in conversations.messages(id)] == [(), ()]
    conversations.append(id, said("more"), NOW)
    conversations.append(id, said("b", "assistant"), NOW, after=asked.id, drop=[filled.id])
    assert len(conversations.messages(id)[1].branches) == 2


def test_a_message_can_be_hung_elsewhere(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    asked, answer, heard = said("asked"), said("a", "assistant"), said("heard")
    for message in (asked, answer, heard):
        conversations.append(id, message, NOW)
    conversations.hang(id, heard.id, asked.id)
    conversations.hang(id, answer.id, heard.id)
    assert texts(conversations, id) == ["asked", "heard", "a"]


@pytest.mark.parametrize("act", ["show", "append", "hang", "parent"])
def test_a_message_that_is_gone_is_said(conversations: Conversations, act: str) -> None:
    id = conversations.create(Target(), NOW).id
    with pytest.raises(StoreError, match="does not exist") as caught:
        match act:
            case "show":
                conversations.show(id, "x")
            case "append":
                conversations.append(id, said("a"), NOW, after="x")
            case "hang":
                conversations.hang(id, "x", "")
            case _:
                conversations.parent(id, "x")
    assert caught.value.name == "NO_SUCH_MESSAGE"
    assert conversations.messages(id) == ()


def test_parameters_presets_and_who_answers_else_are_kept(conversations: Conversations) -> None:
    id = conversations.create(Target(), NOW).id
    assert conversations.get(id).parameters == Parameters()
    wanted = Parameters("Be brief.", 0.4, 0.9, 200, 7, '{"type":"object"}', think=False)
    others = (Target("ab" * 32, "m"), Target("cd" * 32))
    conversations.set_parameters(id, wanted, "Clerk")
    conversations.set_others(id, others)
    kept = conversations.get(id)
    assert (kept.parameters, kept.preset, kept.others) == (wanted, "Clerk", others)
    conversations.keep_preset(Preset("b", wanted))
    conversations.keep_preset(Preset("A", Parameters()))
    conversations.keep_preset(Preset("b", Parameters(seed=1)))
    assert conversations.presets() == (Preset("A", Parameters()), Preset("b", Parameters(seed=1)))
    conversations.remove_preset("b")
    assert [preset.name for preset in conversations.presets()] == ["A"]


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
