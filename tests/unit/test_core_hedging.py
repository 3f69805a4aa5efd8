"""A second one asked beside a slow first one: when, who answers, and what becomes of whoever lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from qvac_core.core import hedging
from qvac_core.core.answering import Began
from qvac_core.core.hedging import LEAST_SECONDS, MOST_SECONDS, UNKNOWN_SECONDS, FirstWords, left_behind
from qvac_core.errors import ConnectionClosed, ModelError
from qvac_core.tasks import TaskOwner
from tests.unit.memory_stream import run
from tests.unit.test_core_chats import REMOTE, STATS, WORKSHOP, Scene, Scripted, play

RUNNER = run

STUDIO = REMOTE.provider_key
BEGAN = Began("aa", continues=False)
GOES_ON = Began("aa", continues=True)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hedging, "UNKNOWN_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("took", "patience"),
    [
        ([], UNKNOWN_SECONDS),
        ([0.01], LEAST_SECONDS),
        ([1.0], 2.0),
        ([1.0, 1.0, 60.0], 2.0),  # once is not usual
        ([5.0, 0.4], 0.8),  # nor the first one, for which a model was loaded
        ([60.0], MOST_SECONDS),
        ([60.0] * 3 + [1.0] * 12, 2.0),  # what was long ago says nothing
    ],
)
def test_how_long_a_first_word_is_waited_for_follows_from_what_is_usual_for_its_provider(
    took: list[float], patience: float
) -> None:
    words = FirstWords()
    for seconds in took:
        words.came(STUDIO, seconds)
    assert words.patience(STUDIO) == patience
    assert words.patience("ff" * 32) == UNKNOWN_SECONDS


def hedged(scene: Scene) -> None:
    scene.store.settings.set_text("chat.hedge", "true")


def test_who_begins_first_answers_and_the_other_one_is_left(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        hedged(scene)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("Here", "done")
        assert answer.seams == ((0, "Studio had not begun yet. This machine continues with Small model."),)
        assert scene.remote.left and len(scene.local.questions) == len(scene.remote.questions) == 1
        assert answer.stats is not None and answer.stats.beside == "Studio"

    play(tmp_path, Scripted(BEGAN, None), Scripted(BEGAN, "Here", STATS), act)


def test_the_next_provider_of_the_conversation_goes_before_this_machine(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        hedged(scene)
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.then = (BEGAN, "There", STATS)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("There", "done", ((0, answer.seams[0][1]),))
        assert answer.seams[0][1] == "Studio had not begun yet. Workshop answers."
        assert [question.target for question in scene.remote.questions] == [REMOTE, WORKSHOP]
        assert not scene.local.questions

    play(tmp_path, Scripted(BEGAN, None), Scripted(BEGAN, "Here"), act)


def test_a_first_one_that_begins_after_all_answers_and_the_second_is_stopped(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        hedged(scene)
        scene.remote.pause = asyncio.Event()
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        while not scene.local.questions:
            await asyncio.sleep(0.001)
        scene.remote.pause.set()
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("There", "done", ())
        assert answer.stats is not None and answer.stats.beside == "This machine"
        while not scene.local.left:
            await asyncio.sleep(0.001)

    play(tmp_path, Scripted(BEGAN, None, "There", STATS), Scripted(BEGAN, None), act)


def test_one_that_fails_costs_the_other_nothing(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        hedged(scene)
        scene.remote.pause = asyncio.Event()
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        while not scene.local.left:
            await asyncio.sleep(0.001)
        scene.remote.pause.set()
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("There", "done", ())

    play(tmp_path, Scripted(BEGAN, None, "There", STATS), Scripted(ModelError("No room.")), act)


def test_nobody_else_is_asked_where_nobody_allowed_it(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        scene.remote.pause = asyncio.Event()
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await asyncio.sleep(0.2)  # several looks
        scene.remote.pause.set()
        answer = await scene.finished()
        assert (answer.text, scene.local.questions) == ("There", [])
        assert answer.stats is not None and answer.stats.beside == ""

    play(tmp_path, Scripted(BEGAN, None, "There", STATS), Scripted(BEGAN, "Here"), act)


def test_in_mid_answer_this_machine_goes_on_as_soon_as_it_has_the_next_word(tmp_path: Path) -> None:
    """Not only when the provider is known to be gone."""

    async def act(scene: Scene) -> None:
        hedged(scene)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.said("One ")
        scene.remote.silent[STUDIO] = 0.4
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("One two", "done")
        assert scene.remote.left

    play(tmp_path, Scripted(BEGAN, "One ", None), Scripted(GOES_ON, "two"), act)


async def test_leaving_one_waits_for_nobody() -> None:

    owner, loop, told = TaskOwner(), asyncio.get_running_loop(), False

    async def parts() -> AsyncGenerator[int, None]:
        nonlocal told
        try:
            for number in range(100):
                await asyncio.sleep(0.1)
                yield number
        finally:
            await asyncio.sleep(5)  # until it has heard
            told = True

    async with aclosing(left_behind(parts(), owner.start)) as coming:
        assert [await anext(coming) for _ in range(3)] == [0, 1, 2]
        before = loop.time()
    assert loop.time() == before and not told
    await owner.finish()
    assert told


async def test_all_parts_come_in_their_order_and_then_its_error() -> None:

    owner = TaskOwner()

    async def parts() -> AsyncGenerator[int, None]:
        for number in range(20):
            yield number
        raise ConnectionClosed("gone")

    heard = []
    with pytest.raises(ConnectionClosed):
        async for number in left_behind(parts(), owner.start):
            heard.append(number)
    assert heard == list(range(20))
    await owner.close()


def test_a_stop_between_the_two_leaves_neither_at_work(tmp_path: Path, at_once: None) -> None:
    async def act(scene: Scene) -> None:
        hedged(scene)
        between, never = asyncio.Event(), asyncio.Event()

        async def describe(model_sha256: str = "") -> str:
            between.set()
            await never.wait()
            return ""

        scene.local.describe = describe  # type: ignore[method-assign]
        conversation = await scene.chats.new(REMOTE)
        answer = await scene.chats.ask(conversation.id, "Hello")
        await between.wait()
        assert not scene.local.left
        await scene.chats.stop(answer)
        assert (await scene.finished()).status == "stopped"
        assert (scene.local.left, scene.remote.left) == (True, True)

    play(tmp_path, Scripted(BEGAN, None), Scripted(BEGAN, "Here", None), act)


def test_this_machine_is_not_asked_twice_beside_one_that_is_silent(
    tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvac_core.core.asking.ANEW_SECONDS", 60.0)

    async def act(scene: Scene) -> None:
        hedged(scene)
        scene.local.pause = asyncio.Event()
        scene.remote.silent[STUDIO] = 30.0
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await asyncio.sleep(1.0)  # several looks
        assert len(scene.local.questions) == 1
        scene.local.pause.set()
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("Here", "done")
        assert len(scene.local.questions) == 1

    play(tmp_path, Scripted(BEGAN, None), Scripted(BEGAN, None, "Here", STATS), act)
