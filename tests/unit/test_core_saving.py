"""Saves that the disk refuses: real refusals of SQLite while an answer streams and ends, and in the request log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from qvac_core.core import answer_keeper, chats, log_writer
from qvac_core.core.log_writer import LogWriter
from qvac_core.core.state import Message, Notice
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


async def kept(store: Store, conversation_id: str, wanted: Message) -> None:
    """The disk has the message just so."""
    while store.conversations.messages(conversation_id)[-1] != wanted:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_answer_goes_on_and_is_kept_later(tmp_path: Path, refusal: Refusal) -> None:
    remote = Scripted(LONG, "and ", "more.", STATS)

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        remote.gate = asyncio.Event()
        await scene.chats.ask(conversation.id, "Tell me.")
        with refusal(scene.store):
            remote.gate.set()
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
        conversation = await scene.chats.new(REMOTE)
        remote.gate = asyncio.Event()
        await scene.chats.ask(conversation.id, "Tell me.")
        with refusal(scene.store):
            remote.gate.set()
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
        conversation = await scene.chats.new(REMOTE)
        remote.gate = asyncio.Event()
        await scene.chats.ask(conversation.id, "Tell me.")
        with held_by_another(scene.store):
            remote.gate.set()
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
