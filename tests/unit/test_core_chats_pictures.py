"""Pictures beside questions: kept with the conversation, shown again with every turn, and gone with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from qvac_core.engines.pictures import PICTURES
from qvac_core.errors import LocalProtocolError, ModelError, StoreError
from tests.pictures import blue, chessboard, shades
from tests.unit.test_core_chats import REMOTE, STATS, Scene, Scripted, play


def files(folder: Path) -> set[str]:
    return {file.name for file in (folder / "pictures").glob("*")}


@pytest.fixture
def album(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, data in {"cat.png": shades(), "board.webp": chessboard("WEBP"), "sea.jpg": blue("JPEG")}.items():
        found[name] = tmp_path / name
        found[name].write_bytes(data)
    return found


async def asked(scene: Scene, conversation: str, text: str, *pictures: Path) -> list[tuple[bytes, ...]]:
    """What each message of the history showed."""
    scene.events.clear()
    await scene.chats.ask(conversation, text, pictures)
    await scene.finished()
    return [message.pictures for message in scene.remote.questions[-1].history]


def test_they_are_kept_and_shown_with_every_turn(tmp_path: Path, album: dict[str, Path]) -> None:
    data = tmp_path / "data"

    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        assert await asked(scene, conversation, "", album["cat.png"], album["board.webp"]) == [
            (shades(), chessboard("WEBP"))
        ]
        assert (await scene.chats.conversations())[0].title == "cat.png, board.webp"
        for path in album.values():
            path.unlink()  # what was shown is kept, wherever it came from
        assert await asked(scene, conversation, "And now?") == [(shades(), chessboard("WEBP")), (), ()]
        first = (await scene.chats.messages(conversation))[0]
        assert [(picture.media_type, picture.name) for picture in first.pictures] == [
            ("image/png", "cat.png"),
            ("image/webp", "board.webp"),
        ]
        assert [scene.chats.picture_file(picture.sha256).read_bytes() for picture in first.pictures] == [
            shades(),
            chessboard("WEBP"),
        ]

    async def later(scene: Scene) -> None:
        (conversation,) = await scene.chats.conversations()
        assert await asked(scene, conversation.id, "After a restart?") == [
            (shades(), chessboard("WEBP")),
            (),
            (),
            (),
            (),
        ]

    for scenario in (act, later):
        play(data, Scripted("Fine.", STATS), Scripted("no"), scenario)


def test_they_go_with_their_conversation_and_not_with_anothers(tmp_path: Path, album: dict[str, Path]) -> None:
    data = tmp_path / "data"

    async def act(scene: Scene) -> None:
        one, two = [(await scene.chats.new(REMOTE)).id for _ in range(2)]
        await asked(scene, one, "One", album["cat.png"], album["sea.jpg"])
        await asked(scene, two, "Two", album["cat.png"])
        assert len(files(data)) == 2  # the same picture lies there once
        await scene.chats.delete(one)
        (left,) = files(data)
        assert scene.chats.picture_file(left).read_bytes() == shades()
        await scene.chats.delete(two)
        assert files(data) == set()

    play(data, Scripted("Fine.", STATS), Scripted("no"), act)


def test_what_cannot_be_shown_leaves_nothing_behind(tmp_path: Path, album: dict[str, Path]) -> None:
    data = tmp_path / "data"
    (tmp_path / "notes.txt").write_text("no picture")

    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        for wrong, error in ((tmp_path / "notes.txt", ModelError), (tmp_path / "absent.png", LocalProtocolError)):
            with pytest.raises(error):
                await scene.chats.ask(conversation, "What is this?", [album["cat.png"], wrong])
        assert await scene.chats.messages(conversation) == () and files(data) == set()
        assert await asked(scene, conversation, "What is this?", album["cat.png"]) == [(shades(),)]

    play(data, Scripted("Fine.", STATS), Scripted("no"), act)


def test_of_many_pictures_the_newest_are_shown(tmp_path: Path, album: dict[str, Path]) -> None:
    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        for _ in range(PICTURES):
            await asked(scene, conversation, "And this?", album["cat.png"])
        shown = await asked(scene, conversation, "And this?", album["sea.jpg"])
        assert shown[0] == () and shown[2] == (shades(),) and shown[-1] == (blue("JPEG"),)
        assert sum(map(len, shown)) == PICTURES

    play(tmp_path / "data", Scripted("Fine.", STATS), Scripted("no"), act)


def test_one_that_was_taken_away_is_named(tmp_path: Path, album: dict[str, Path]) -> None:
    data = tmp_path / "data"

    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        await asked(scene, conversation, "What is this?", album["cat.png"])
        for name in files(data):
            (data / "pictures" / name).unlink()
        with pytest.raises(StoreError, match="not there any more") as caught:
            await scene.chats.ask(conversation, "And now?")
        assert caught.value.name == "PICTURE_GONE"

    play(data, Scripted("Fine.", STATS), Scripted("no"), act)


async def blind(scene: Scene, conversation: str) -> bool:
    """Whether the last answer was given without the pictures, as it is kept."""
    stats = (await scene.chats.messages(conversation))[-1].stats
    assert stats is not None
    return stats.blind


def test_a_model_that_sees_none_is_shown_none_until_one_does(tmp_path: Path, album: dict[str, Path]) -> None:
    remote = Scripted("I see no picture.", STATS)
    remote.seeing = False

    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        assert await asked(scene, conversation, "What is it?", album["cat.png"]) == [()]
        assert await asked(scene, conversation, "", album["sea.jpg"]) == [(), (), ()]
        assert remote.questions[-1].history[-1].content  # no template takes a question without a word
        assert await blind(scene, conversation)
        remote.seeing = True
        await scene.retry(conversation, "A cat.", STATS)
        assert [m.pictures for m in remote.questions[-1].history] == [(shades(),), (), (blue("JPEG"),)]
        assert not await blind(scene, conversation)

    play(tmp_path / "data", remote, Scripted(), act)


def test_this_machine_goes_on_without_them_where_its_model_sees_none(tmp_path: Path, album: dict[str, Path]) -> None:
    local = Scripted("Here.", STATS)
    local.seeing = False

    async def act(scene: Scene) -> None:
        conversation = (await scene.chats.new(REMOTE)).id
        assert await asked(scene, conversation, "What is it?", album["cat.png"]) == [(shades(),)]
        assert local.questions[0].history[0].pictures == ()

    play(tmp_path / "data", Scripted(ModelError("gone")), local, act)
