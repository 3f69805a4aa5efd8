"""Pictures beside questions: kept once, shown again with every turn to a model that sees, and to no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.core.state import GivenPicture, Message, Target
from qvac_core.errors import ModelError
from qvac_core.store.store import Store
from tests.pictures import blue, chessboard, declared
from tests.unit.test_core_chats import REMOTE, STATS, Scene, Scripted, play


async def kept_pictures(store: Store) -> int:
    rows = await store.database.run(store.database.rows, "SELECT count(*) FROM pictures")
    return int(rows[0][0])


def test_they_go_along_with_every_turn_and_are_kept(tmp_path: Path) -> None:
    remote = Scripted("Blue.", STATS)

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "What is it?", [GivenPicture("a.png", blue())])
        await scene.finished()
        scene.events.clear()
        await scene.chats.ask(conversation.id, "And this?", [GivenPicture("b.png", chessboard())])
        await scene.finished()
        first, second = remote.questions
        assert [message.pictures for message in first.history] == [(blue(),)]
        assert [message.pictures for message in second.history] == [(blue(),), (), (chessboard(),)]
        (asked, _, _, _) = await scene.chats.messages(conversation.id)
        (picture,) = asked.pictures
        assert (picture.name, picture.size_bytes) == ("a.png", len(blue()))
        store = scene.store
        assert await store.database.run(store.conversations.picture, picture.sha256) == blue()
        assert await store.database.run(store.conversations.picture, "0" * 64) == b""

    play(tmp_path, remote, Scripted(), act)


def test_a_model_that_sees_none_gets_none_and_they_stay(tmp_path: Path) -> None:
    remote = Scripted("I see no picture.", STATS)
    remote.seeing = False

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "What is it?", [GivenPicture("a.png", blue())])
        await scene.finished()
        assert [message.pictures for message in remote.questions[0].history] == [()]
        remote.seeing = True
        await scene.retry(conversation.id, "Blue.", STATS)
        assert [message.pictures for message in remote.questions[1].history] == [(blue(),)]

    play(tmp_path, remote, Scripted(), act)


def test_this_machine_goes_on_without_them_where_its_model_sees_none(tmp_path: Path) -> None:
    remote = Scripted(ModelError("gone"))
    local = Scripted("Here.", STATS)
    local.seeing = False

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "What is it?", [GivenPicture("a.png", blue())])
        await scene.finished()
        assert remote.questions[0].history[0].pictures == (blue(),)
        assert local.questions[0].history[0].pictures == ()

    play(tmp_path, remote, local, act)


@pytest.mark.parametrize("data", [b"no picture", declared(60_000, 60_000)], ids=["no picture", "a bomb"])
def test_what_is_no_picture_is_refused_and_nothing_is_asked(tmp_path: Path, data: bytes) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(Target())
        with pytest.raises(ModelError):
            await scene.chats.ask(conversation.id, "What is it?", [GivenPicture("a.png", data)])
        assert await scene.chats.messages(conversation.id) == ()
        assert await kept_pictures(scene.store) == 0

    play(tmp_path, Scripted(), Scripted("x", STATS), act)


def test_they_go_with_the_last_message_that_shows_them(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        one, two = await scene.chats.new(Target()), await scene.chats.new(Target())
        for conversation in (one, two):
            scene.events.clear()
            await scene.chats.ask(conversation.id, "What is it?", [GivenPicture("a.png", blue())])
            await scene.finished()
        await asyncio.sleep(0)
        assert await kept_pictures(scene.store) == 1
        await scene.chats.delete(one.id)
        assert await kept_pictures(scene.store) == 1
        await scene.chats.delete(two.id)
        assert await kept_pictures(scene.store) == 0

    play(tmp_path, Scripted(), Scripted("x", STATS), act)


def test_messages_of_older_versions_show_none() -> None:
    assert Message("m", "user", "text", 0.0).pictures == ()
