"""A provider that says nothing any more, in the middle of an answer: who goes on, when, and with what."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qvac_core.core import asking
from qvac_core.core.answering import Began
from qvac_core.core.state import AnswerSeam, Parameters, ProviderEntry, ProvidersChanged, Target
from qvac_core.errors import ConnectionClosed, ProviderError
from tests.unit.test_core_chats import REMOTE, STATS, WORKSHOP, Scene, Scripted, play

STUDIO = REMOTE.provider_key
BEGAN = Began("aa", continues=False)
GOES_ON = Began("aa", continues=True)


def test_who_goes_on_makes_it_no_longer_than_it_was_to_be(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        await scene.settings.set_parameters(conversation.id, Parameters(max_tokens=10))
        scene.remote.then = (GOES_ON, "three ", "four ", ConnectionClosed("gone"))
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert answer.text == "One two three four five"
        asked = [*scene.remote.questions, *scene.local.questions]
        assert [question.parameters.max_tokens for question in asked] == [10, 8, 6]

    play(tmp_path, Scripted(BEGAN, "One ", "two ", ConnectionClosed("gone")), Scripted(GOES_ON, "five"), act)


async def half_said(scene: Scene, *others: Target) -> None:
    """ "One " is there, and nothing more comes."""
    conversation = await scene.chats.new(REMOTE)
    await scene.settings.set_others(conversation.id, list(others))
    await scene.chats.ask(conversation.id, "Hello")
    await scene.said("One ")


def test_this_machine_goes_on_at_the_next_token_with_what_it_had_begun(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await half_said(scene)
        scene.remote.silent[STUDIO] = 0.5
        while not scene.local.questions:
            await asyncio.sleep(0.001)
        assert scene.local.questions[0].so_far == "One " and not any(isinstance(e, AnswerSeam) for e in scene.events)
        scene.remote.silent[STUDIO] = 0.7
        scene.remote.gone.add(STUDIO)
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("One two", "done")
        assert answer.seams == ((4, "Nothing came from Studio any more. This machine continues with Small model."),)
        assert len(scene.local.questions) == 1 and scene.remote.left

    play(tmp_path, Scripted(BEGAN, "One ", None), Scripted(GOES_ON, "two"), act)


def test_a_provider_that_is_heard_again_in_time_keeps_its_answer(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        gate = scene.remote.pause = asyncio.Event()
        await half_said(scene)
        for _ in range(2):
            asked = len(scene.local.questions)
            scene.local.left = False
            scene.remote.silent[STUDIO] = 0.5
            while len(scene.local.questions) == asked:
                await asyncio.sleep(0.001)
            scene.remote.silent.clear()
            while not scene.local.left:  # what was begun is stopped
                await asyncio.sleep(0.001)
        gate.set()
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("One two", "done", ())

    play(tmp_path, Scripted(BEGAN, "One ", None, "two", STATS), Scripted(GOES_ON, "no", None), act)


def test_with_another_model_the_answer_begins_anew_below_the_old_text_and_not_at_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.local.models[""] = ("bb",)
        await half_said(scene)
        scene.remote.gone.add(STUDIO)
        scene.remote.silent[STUDIO] = asking.ANEW_SECONDS / 2
        await asyncio.sleep(1.5 * asking.ANEW_SECONDS)
        assert scene.local.questions == []
        scene.remote.silent[STUDIO] = asking.ANEW_SECONDS
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("One \n\nOther words", "done")
        assert answer.seams == ((6, "Nothing came from Studio any more. This machine answers anew."),)
        (question,) = scene.local.questions
        assert question.so_far == ""

    play(tmp_path, Scripted(BEGAN, "One ", None), Scripted(Began("bb", continues=False), "Other words"), act)


def test_who_has_the_same_model_goes_before_who_is_next_and_would_begin_anew(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.remote.models[WORKSHOP.provider_key] = ("bb",)
        scene.remote.then = (GOES_ON, "three", STATS)
        await half_said(scene, WORKSHOP, Target("ef" * 32))
        scene.remote.silent[STUDIO] = 0.7
        scene.remote.gone.add(STUDIO)
        answer = await scene.finished()
        assert [question.target.provider_key for question in scene.remote.questions] == [STUDIO, "ef" * 32]
        assert answer.text == "One three"

    play(tmp_path, Scripted(BEGAN, "One ", None), Scripted("no"), act)


def test_without_anybody_else_it_is_waited_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        gate = scene.remote.pause = asyncio.Event()
        await half_said(scene)
        scene.remote.silent[STUDIO] = 100.0
        scene.remote.gone.add(STUDIO)
        await asyncio.sleep(20 * asking.LOOK_SECONDS)
        gate.set()
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("One two", "done", ())

    play(tmp_path, Scripted(BEGAN, "One ", None, "two", STATS), Scripted(), act)


def online(scene: Scene, key: str = STUDIO) -> None:
    scene.chats._events.emit(ProvidersChanged((ProviderEntry(key, "Studio", "online"),)))


def test_an_answer_that_nobody_can_go_on_with_waits_until_somebody_is_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.remote.then = (GOES_ON, "two", STATS)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        half = await scene.finished()
        assert (half.text, half.status) == ("One ", "failed")
        scene.events.clear()
        online(scene, "ff" * 32)  # somebody else
        online(scene)
        online(scene)
        answer = await scene.finished()
        assert (answer.id, answer.text, answer.status) == (half.id, "One two", "done")
        assert scene.remote.questions[1].so_far == "One "
        assert len(scene.remote.questions) == 2

    play(tmp_path, Scripted(BEGAN, "One ", ConnectionClosed("gone", name="ETIMEDOUT")), Scripted(), act)


def test_a_question_of_which_nothing_was_answered_is_asked_again_when_somebody_is_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.remote.then = (BEGAN, "One", STATS)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        none = await scene.finished()
        assert (none.text, none.status) == ("", "failed")
        assert none.error is not None and none.error.message.startswith("Your question is asked again by itself")
        scene.events.clear()
        online(scene)
        online(scene)
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("One", "done")
        assert [message.text for message in await scene.chats.messages(conversation.id)] == ["Hello", "One"]
        assert len(scene.remote.questions) == 2

    play(tmp_path, Scripted(ConnectionClosed("gone", name="ETIMEDOUT")), Scripted(), act)


def test_an_answer_that_a_person_left_behind_waits_no_more(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.remote.then = (BEGAN, "Else.", STATS)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        scene.events.clear()
        await scene.chats.ask(conversation.id, "Something else")
        await scene.finished()
        online(scene)
        await asyncio.sleep(0.05)
        assert len(scene.remote.questions) == 2

    play(tmp_path, Scripted(BEGAN, "One ", ConnectionClosed("gone", name="ETIMEDOUT")), Scripted(), act)


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_provider_whose_model_process_ended_is_asked_once_more(tmp_path: Path, crashes: int) -> None:
    crash = ProviderError("It ended.", name="WORKER_CRASHED", code=50205)

    async def act(scene: Scene) -> None:
        scene.remote.then = (GOES_ON, "two", STATS) if crashes == 1 else (GOES_ON, crash)
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert answer.status == ("done" if crashes == 1 else "failed")
        assert answer.text == ("One two" if crashes == 1 else "One ")
        assert [question.so_far for question in scene.remote.questions] == ["", "One "]

    play(tmp_path, Scripted(BEGAN, "One ", crash), Scripted(), act)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(asking, "AHEAD_SECONDS", 0.02)
    monkeypatch.setattr(asking, "ANEW_SECONDS", 0.2)
