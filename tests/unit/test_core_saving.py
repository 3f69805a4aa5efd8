"""Saves that the disk refuses: real refusals of SQLite while an answer streams and ends, and in the request log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core.core import answer_keeper, chats, log_writer
from qvac_core.core.log_writer import LogWriter
from qvac_core.core.state import Conversation, Message, Notice
from qvac_core.errors import StoreError
from qvac_core.store import database
from qvac_core.store.store import Store
from tests.unit.test_core_chats import REMOTE, STATS, Scene, Scripted, play


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(answer_keeper, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(answer_keeper, "LAST_PAUSE", 0.02)
    monkeypatch.setattr(chats, "KEEP_EVERY", 0.0)
    monkeypatch.setattr(log_writer, "BUSY_PAUSE", 0.01)


@contextmanager
def held_by_another(store: Store) -> Iterator[None]:
    """Another program has the write lock."""
    other = sqlite3.connect(store.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def full_disk(store: Store) -> Iterator[None]:
    """No page more for this connection: SQLITE_FULL, as on a full disk."""
    (pages,) = store.database.rows("PRAGMA page_count")[0]
    store.database.rows(f"PRAGMA max_page_count = {pages}")
    yield
    store.database.rows("PRAGMA max_page_count = 1000000")


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    """SQLITE_READONLY, as in a folder that this user may not write."""
    store.database.rows("PRAGMA query_only = ON")
    yield
    store.database.rows("PRAGMA query_only = OFF")


Refusal = Callable[[Store], AbstractContextManager[None]]
REFUSALS: list[Refusal] = [held_by_another, full_disk, read_only]
LONG = "word " * 20_000  # more than the pages that are there have room for


async def asked(scene: Scene) -> tuple[Conversation, asyncio.Event]:
    """A conversation with a question in it, whose answer begins when the gate is opened."""
    conversation = await scene.chats.new(REMOTE)
    gate = scene.remote.gate = asyncio.Event()
    await scene.chats.ask(conversation.id, "Tell me.")
    return conversation, gate


async def kept(store: Store, conversation_id: str, wanted: Message) -> None:
    """The disk has the message just so."""
    while store.conversations.messages(conversation_id)[-1] != wanted:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_answer_goes_on_and_is_kept_later(tmp_path: Path, refusal: Refusal) -> None:
    remote = Scripted(LONG, "and ", "more.", STATS)

    async def act(scene: Scene) -> None:
        conversation, gate = await asked(scene)
        with refusal(scene.store):
            gate.set()
            answer = await scene.finished()
            assert (answer.text, answer.status, answer.error) == (f"{LONG}and more.", "done", None)
            assert (await scene.chats.messages(conversation.id))[-1] == answer
            assert scene.store.conversations.messages(conversation.id)[-1] != answer
        await asyncio.wait_for(kept(scene.store, conversation.id, answer), 30)
        assert not [event for event in scene.events if isinstance(event, Notice)]

    play(tmp_path, remote, Scripted(), act)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_it_is_told_when_it_stays_impossible_and_when_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    monkeypatch.setattr(answer_keeper, "PATIENCE", 0.05)
    remote = Scripted(LONG, STATS)

    async def told(scene: Scene, count: int) -> list[Notice]:
        while len(notices := [event for event in scene.events if isinstance(event, Notice)]) < count:
            await asyncio.sleep(0.005)
        return notices

    async def act(scene: Scene) -> None:
        conversation, gate = await asked(scene)
        with refusal(scene.store):
            gate.set()
            answer = await scene.finished()
            (notice,) = await asyncio.wait_for(told(scene, 1), 30)
            assert "cannot be saved" in notice.title
            assert "Keep the window open" in notice.message
            await asyncio.sleep(0.1)
        notices = await asyncio.wait_for(told(scene, 2), 30)
        assert [n.message for n in notices[1:]] == ["Answers are saved again."]
        assert scene.store.conversations.messages(conversation.id)[-1] == answer

    play(tmp_path, remote, Scripted(), act)


def test_closing_tries_once_more(tmp_path: Path) -> None:
    remote = Scripted(LONG, STATS)

    async def act(scene: Scene) -> None:
        conversation, gate = await asked(scene)
        with held_by_another(scene.store):
            gate.set()
            answer = await scene.finished()
        await scene.chats.close()
        assert scene.store.conversations.messages(conversation.id)[-1] == answer

    play(tmp_path, remote, Scripted(), act)


def test_the_request_log_waits_for_another_program_and_keeps_the_order(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        log = LogWriter(scene.store)
        with held_by_another(scene.store):
            log.start("r1", "ab" * 32, "completionStream", "m", 1000.0)
            log.finish("r1", "eos", prompt_tokens=1, generated_tokens=2, ms=3.0)
            await asyncio.sleep(0.02)
        await log.close()
        (entry,) = scene.store.request_log.entries(10, None, "")
        assert (entry.outcome, entry.generated_tokens) == ("eos", 2)

    play(tmp_path, Scripted(), Scripted(), act)


def test_a_retry_that_the_disk_refuses_keeps_the_answer_that_is_there(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Tell me.")
        answer = await scene.finished()
        await asyncio.wait_for(kept(scene.store, conversation.id, answer), 30)
        before = scene.store.conversations.messages(conversation.id)
        # There is room to remove the old answer, and none for a new one.
        full = "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(FAIL, 'disk full'); END"
        scene.store.database.execute(full)
        with pytest.raises(StoreError):
            await scene.chats.retry(conversation.id)
        assert scene.store.conversations.messages(conversation.id) == before
        scene.store.database.execute("DROP TRIGGER full")
        assert (await scene.retry(conversation.id, "Anew.", STATS)).text == "Anew."
        assert [m.role for m in scene.store.conversations.messages(conversation.id)] == ["user", "assistant"]

    play(tmp_path, Scripted("A long answer.", STATS), Scripted(), act)


def test_text_that_no_disk_can_hold_keeps_nothing_else_from_being_saved(tmp_path: Path) -> None:
    """Half of a character: what a JavaScript peer makes of an emoji that it cut in two, or a paste."""

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Tell me \ud83d.")
        answer = await scene.finished()
        await asyncio.wait_for(kept(scene.store, conversation.id, replace(answer, text="Half a ? here.")), 30)
        scene.events.clear()
        await scene.chats.ask(conversation.id, "And now?")
        answer = await scene.finished()
        assert (await scene.chats.messages(conversation.id))[0].text == "Tell me ?."

    play(tmp_path, Scripted("Half a \ud83d here.", STATS), Scripted(), act)


def test_the_request_log_keeps_a_model_name_with_half_a_character(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        log = LogWriter(scene.store)
        log.start("r1", "ab" * 32, "completionStream", "m\ud83d", 1000.0)
        log.start("r2", "ab" * 32, "completionStream", "m", 1001.0)
        log.finish("r1", "error", error="\ud83d")
        log.finish("r2", "eos")
        await log.close()
        assert [entry.model for entry in scene.store.request_log.entries(10, None, "")] == ["m", "m?"]

    play(tmp_path, Scripted(), Scripted(), act)
