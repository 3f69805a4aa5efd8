"""Conversations with responders that are scripted: what is kept, what is told, what happens when one goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core.core.answering import AnswerPart, Began, Question, Thinking
from qvac_core.core.chat_settings import ChatSettings
from qvac_core.core.chats import Chats
from qvac_core.core.choosing import Standing
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import (
    AnswerFinished,
    AnswerSeam,
    AnswerStarted,
    AnswerStats,
    AnswerThinking,
    AnswerTokens,
    CoreEvent,
    Message,
    Parameters,
    PathChanged,
    Target,
)
from qvac_core.errors import ConnectionClosed, LocalProtocolError, ModelError, QvacError, StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store

STATS = AnswerStats("Studio", "delegated", "direct", "m", 0.1, 50.0, 10, 3)
REMOTE = Target("ab" * 32, "m")


class Scripted:
    """Says its parts, once the gate is open; an exception among them is raised there, None waits to be stopped."""

    def __init__(self, *parts: AnswerPart | QvacError | None) -> None:
        self.parts = parts
        self.questions: list[Question] = []
        self.then: tuple[AnswerPart | QvacError | None, ...] | None = None  # from the second question on
        self.seeing = True
        self.away: set[str] = set()
        self.stand: dict[str, Standing] = {}
        self.looked: list[tuple[Target, ...]] = []
        self.pause: asyncio.Event | None = None  # what None waits for
        self.gone: set[str] = set()
        self.silent: dict[str, float] = {}  # seconds, by provider
        self.models: dict[str, tuple[str, ...]] = {}  # the only ones of a provider, "" = this machine
        self.left = False
        self.gate: asyncio.Event | None = None

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        self.questions.append(question)
        try:
            if self.gate is not None:
                await self.gate.wait()
            parts = self.then if self.then is not None and len(self.questions) > 1 else self.parts
            for part in parts:
                if isinstance(part, QvacError):
                    raise part
                if part is None:
                    await (self.pause or asyncio.Event()).wait()
                else:
                    yield part
        finally:
            self.left = True

    def sees(self, target: Target) -> bool:
        return self.seeing

    async def can_answer(self) -> bool:
        return bool(self.parts)

    def is_away(self, provider_key: str) -> bool:
        return provider_key in self.away

    async def look(self, targets: Sequence[Target]) -> None:
        self.looked.append(tuple(targets))

    def standing(self, target: Target) -> Standing:
        key = target.provider_key
        known = self.stand.get(key, Standing(target, "", sha256="aa" * 32))
        return replace(known, target=target, name=self.name_of(key), away=self.is_away(key))

    def look_for(self, provider_key: str) -> bool:
        return True

    def is_gone(self, provider_key: str) -> bool:
        return provider_key in self.gone

    def quiet(self, provider_key: str) -> float:
        return self.silent.get(provider_key, 0.0)

    def has_model(self, target: Target, model_sha256: str) -> bool:
        return model_sha256 in self.models.get(target.provider_key, ("", model_sha256))

    def continues(self, model_sha256: str) -> bool:
        return model_sha256 in self.models.get("", ("", model_sha256))

    def name_of(self, provider_key: str) -> str:
        return {"cd" * 32: "Workshop"}.get(provider_key, "Studio")

    async def describe(self, model_sha256: str = "") -> str:
        return "Small model"


class Scene:
    def __init__(self, store: Store, remote: Scripted, local: Scripted) -> None:
        self.store, self.remote, self.local = store, remote, local
        self.events: list[CoreEvent] = []
        hub = EventHub()
        hub.subscribe(self.events.append)
        self.chats = Chats(store, hub, remote, local)
        self.settings = ChatSettings(store, hub)

    async def finished(self) -> Message:
        """The answer, once it has ended."""
        for _ in range(1000):
            if (event := next((e for e in self.events if isinstance(e, AnswerFinished)), None)) is not None:
                return event.message
            await asyncio.sleep(0.001)
        raise AssertionError(f"no end: {self.events}")

    async def asked(self, count: int) -> None:
        """The provider got that many questions."""
        while len(self.remote.questions) < count:
            await asyncio.sleep(0.001)

    async def retry(self, conversation_id: str, *parts: AnswerPart | QvacError) -> Message:
        """The answer, after the provider was asked once more and said these."""
        self.remote.parts = parts
        self.events.clear()
        await self.chats.retry(conversation_id)
        return await self.finished()

    async def said(self, text: str) -> None:
        for _ in range(1000):
            if "".join(e.text for e in self.events if isinstance(e, AnswerTokens)) == text:
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"not said: {self.events}")


def play(folder: Path, remote: Scripted, local: Scripted, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store.open(DataDir(folder, explicit=True), now=1000.0)
        scene = Scene(store, remote, local)
        try:
            await act(scene)
        finally:
            await scene.chats.close()
            store.close()

    asyncio.run(main())


def test_an_answer_is_streamed_and_kept(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Hello there,\nhow are you?")
        answer = await scene.finished()
        assert answer == Message(answer.id, "assistant", "Fine.", answer.created_at, "done", STATS)
        assert answer.id == message_id
        assert [type(event) for event in scene.events[-4:]] == [
            AnswerStarted,
            AnswerTokens,
            AnswerTokens,
            AnswerFinished,
        ]
        assert (await scene.chats.messages(conversation.id))[1] == answer
        assert (await scene.chats.conversations())[0].title == "Hello there,"
        assert [m.content for m in scene.remote.questions[0].history] == ["Hello there,\nhow are you?"]
        assert scene.local.questions == []

    play(tmp_path, Scripted("Fi", "ne.", STATS), Scripted("no"), act)


def test_thinking_is_told_and_kept_apart_from_the_answer(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.thinking, answer.text) == ("They greet me.", "Fine.")
        assert [e.text for e in scene.events if isinstance(e, AnswerThinking)] == ["They ", "greet me."]
        assert [e.text for e in scene.events if isinstance(e, AnswerTokens)] == ["Fine."]
        assert (await scene.chats.messages(conversation.id))[1] == answer
        scene.events.clear()
        await scene.chats.ask(conversation.id, "And now?")
        await scene.finished()
        assert [m.content for m in scene.remote.questions[-1].history] == ["Hello", "Fine.", "And now?"]

    play(tmp_path, Scripted(Thinking("They "), Thinking("greet me."), "Fine.", STATS), Scripted(), act)


@pytest.mark.parametrize("before", [(), (Thinking("Hm"),)])
def test_a_question_stopped_before_its_answer_is_not_sent_again(tmp_path: Path, before: tuple[AnswerPart, ...]) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        stopped = await scene.chats.ask(conversation.id, "Tell me evrything")
        await scene.asked(1)
        await scene.chats.stop(stopped)
        ended = await scene.finished()
        assert ended.status == "stopped"
        assert ended.stats is not None
        assert ended.stats.ending == "stopped"
        stopped = await scene.chats.ask(conversation.id, "Tell me everything")
        await scene.asked(2)
        await scene.chats.stop(stopped)
        # The question that was stopped last is still there for a retry.
        await scene.chats.retry(conversation.id)
        await scene.asked(3)
        for question in scene.remote.questions[1:]:
            assert [m.content for m in question.history] == ["Tell me everything"]

    play(tmp_path, Scripted(*before, None), Scripted(), act)


@pytest.mark.parametrize(
    ("parts", "thinking", "text"),
    [
        (("Hm.\n</thi", "nk>\n\nFine."), "Hm.", "Fine."),
        (("`<think>` is closed by `</think>`.",), "", "`<think>` is closed by `</think>`."),
        ((Began("aa", continues=False), "It is `</think>`."), "", "It is `</think>`."),
    ],
)
def test_thinking_that_a_javascript_provider_sends_as_text(
    tmp_path: Path, parts: tuple[AnswerPart, ...], thinking: str, text: str
) -> None:
    """Its SDK knows thinking by the tag that opens it, and there is none where the prompt opens it."""

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.thinking, answer.text) == (thinking, text)

    play(tmp_path, Scripted(*parts, STATS), Scripted(), act)


def test_who_goes_on_may_think_anew(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.thinking, answer.text) == ("Hm.\n\nWell.\n", "Fine.")

    gone = ConnectionClosed("gone", name="ECONNRESET")
    here = Scripted(Thinking("\nWell"), Thinking(".\n"), "\n\nFine.")
    play(tmp_path, Scripted(Thinking("\n"), Thinking("Hm."), gone), here, act)


def test_a_provider_that_goes_away_is_continued_here(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("One two", "done")
        ((offset, sentence),) = answer.seams
        assert offset == 4
        assert sentence == "Studio went offline. This machine continues with Small model."
        assert any(isinstance(event, AnswerSeam) for event in scene.events)
        (question,) = scene.local.questions
        assert question.so_far == "One "
        assert question.target == Target()

    gone = ConnectionClosed("gone", name="ECONNRESET")
    play(tmp_path, Scripted("One ", gone), Scripted("two"), act)


@pytest.mark.parametrize("fallback", [True, False])
def test_without_a_way_on_the_error_stands_under_what_came(tmp_path: Path, fallback: bool) -> None:
    async def act(scene: Scene) -> None:
        scene.store.settings.set_text("chat.fallback", "true" if fallback else "false")
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert (answer.text, answer.status, answer.seams) == ("One ", "failed", ())
        assert answer.error is not None
        assert answer.error.title == "The machine went offline."
        assert answer.error.message == "The answer goes on by itself when it is back, as long as QVAC Desktop runs."

    local = Scripted() if fallback else Scripted("two")
    play(tmp_path, Scripted("One ", ConnectionClosed("gone")), local, act)


def test_an_answer_that_ends_early_keeps_who_gave_it_and_how_much(tmp_path: Path) -> None:
    """Stopped or broken off: its statistics never came, but what came was counted."""
    begun = replace(STATS, time_to_first_token=0.0, tokens_per_second=0.0, prompt_tokens=0, generated_tokens=0)

    async def stop(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Count")
        await scene.said("One two")
        await scene.chats.stop(message_id)
        answer = await scene.finished()
        assert answer.stats is not None
        assert (answer.stats.who, answer.stats.path, answer.stats.generated_tokens) == ("Studio", "direct", 2)
        assert answer.stats.tokens_per_second > 0
        assert (await scene.chats.messages(conversation.id))[1].stats == answer.stats

    async def fail(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Count")
        answer = await scene.finished()
        assert answer.status == "failed"
        assert answer.stats is not None
        assert (answer.stats.who, answer.stats.provider_key) == ("Studio", REMOTE.provider_key)
        assert answer.stats.generated_tokens == 0

    play(tmp_path / "stop", Scripted(begun, "One ", "two", None), Scripted(), stop)
    play(tmp_path / "fail", Scripted(ConnectionClosed("The peer is not there.")), Scripted(), fail)


def test_stopping_keeps_what_came_and_leaves_the_responder(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Hello")
        await scene.said("One ")
        assert (await scene.chats.messages(conversation.id))[1].text == "One "
        with pytest.raises(StoreError, match="still being answered"):
            await scene.chats.ask(conversation.id, "And?")
        await scene.chats.stop(message_id)
        assert scene.remote.left
        assert (await scene.finished()).status == "stopped"
        assert (await scene.chats.messages(conversation.id))[1].text == "One "
        await scene.chats.stop(message_id)

    play(tmp_path, Scripted("One ", None), Scripted(), act)


def test_retry_keeps_the_last_answer_beside_the_new_one(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        first = await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        scene.events.clear()
        second = await scene.chats.retry(conversation.id)
        await scene.finished()
        shown = await scene.chats.messages(conversation.id)
        assert [message.id for message in shown[1:]] == [second]
        assert shown[1].branches == (first, second)
        assert [m.content for m in scene.remote.questions[1].history] == ["Hello"]
        scene.events.clear()
        await scene.chats.show_branch(conversation.id, first)
        (told,) = scene.events
        assert isinstance(told, PathChanged)
        assert [message.id for message in told.messages[1:]] == [first]

    play(tmp_path, Scripted("Fine."), Scripted(), act)


def test_an_answer_without_a_word_is_not_kept_beside_the_new_one(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        answer = await scene.retry(conversation.id, "Fine.")
        shown = await scene.chats.messages(conversation.id)
        assert (shown[1].id, shown[1].branches) == (answer.id, ())

    play(tmp_path, Scripted(ConnectionClosed("gone")), Scripted(), act)


def test_an_earlier_answer_is_given_again_as_a_branch(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        first = await scene.chats.ask(conversation.id, "One")
        await scene.finished()
        scene.events.clear()
        await scene.chats.ask(conversation.id, "Two")
        await scene.finished()
        scene.events.clear()
        again = await scene.chats.retry(conversation.id, first)
        await scene.finished()
        assert [m.content for m in scene.remote.questions[-1].history] == ["One"]
        shown = await scene.chats.messages(conversation.id)
        assert [(m.id, m.branches) for m in shown[1:]] == [(again, (first, again))]
        await scene.chats.show_branch(conversation.id, first)
        assert [m.text for m in await scene.chats.messages(conversation.id)] == ["One", "Fine.", "Two", "Fine."]

    play(tmp_path, Scripted("Fine."), Scripted(), act)


def test_an_edited_question_is_a_branch_with_an_answer_of_its_own(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        for text in ("One", "Two"):
            await scene.chats.ask(conversation.id, text)
            await scene.finished()
            scene.events.clear()
        asked = (await scene.chats.messages(conversation.id))[2]
        await scene.chats.edit(conversation.id, asked.id, "Three")
        await scene.finished()
        assert [m.content for m in scene.remote.questions[-1].history] == ["One", "Fine.", "Three"]
        shown = await scene.chats.messages(conversation.id)
        assert [m.text for m in shown] == ["One", "Fine.", "Three", "Fine."]
        assert shown[2].branches == (asked.id, shown[2].id)
        with pytest.raises(StoreError, match="Only your own"):
            await scene.chats.edit(conversation.id, shown[1].id, "No")

    play(tmp_path, Scripted("Fine."), Scripted(), act)


def test_a_transcript_behind_an_answer_stays_in_view_when_it_is_given_again(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        first = await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        heard = Message("t", "transcript", "heard", 1.0)
        scene.store.conversations.append(conversation.id, heard, 1.0)
        scene.events.clear()
        second = await scene.chats.retry(conversation.id)
        await scene.finished()
        shown = await scene.chats.messages(conversation.id)
        assert [m.id for m in shown[1:]] == ["t", second]
        assert shown[2].branches == (first, second)

    play(tmp_path, Scripted("Fine."), Scripted(), act)


@pytest.mark.parametrize("continues", [True, False])
def test_an_answer_that_was_cut_goes_on_from_the_same_word(tmp_path: Path, continues: bool) -> None:
    cut = replace(STATS, ending="length")

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        first = await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        scene.events.clear()
        scene.remote.parts = (Began("aa", continues=continues), " two", STATS)
        assert await scene.chats.continue_answer(conversation.id) == first
        answer = await scene.finished()
        assert scene.remote.questions[-1].so_far == "One"
        if continues:
            assert (answer.text, answer.seams) == ("One two", ())
        else:
            assert (answer.text, answer.seams) == ("One\n\n two", ((5, "Studio answers anew."),))
        with pytest.raises(StoreError, match="is whole"):
            await scene.chats.continue_answer(conversation.id)

    play(tmp_path, Scripted(Began("aa", continues=False), "One", cut), Scripted(), act)


def test_parameters_go_along_with_every_question(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        wanted = Parameters("Be brief.", temperature=0.1, seed=3)
        await scene.settings.set_parameters(conversation.id, wanted, "Clerk")
        await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        assert scene.remote.questions[0].parameters == wanted
        assert replace(scene.local.questions[0].parameters, max_tokens=None) == wanted
        with pytest.raises(LocalProtocolError, match="temperature"):
            await scene.settings.set_parameters(conversation.id, Parameters(temperature=7.0))

    play(tmp_path, Scripted("Fi", ConnectionClosed("gone")), Scripted("ne."), act)


WORKSHOP = Target("cd" * 32, "n")


def test_the_next_provider_goes_on_when_the_first_one_goes_away(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.then = (Began("aa", continues=True), "ne.", STATS)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert [q.target for q in scene.remote.questions] == [REMOTE, WORKSHOP]
        assert scene.remote.questions[1].so_far == "Fi"
        assert (answer.text, answer.status) == ("Fine.", "done")
        assert answer.seams == ((2, "Studio went offline. Workshop continues."),)
        assert scene.local.questions == []

    play(tmp_path, Scripted(Began("aa", continues=False), "Fi", ConnectionClosed("gone")), Scripted("no"), act)


def test_who_is_known_to_be_away_is_not_waited_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.away.add(REMOTE.provider_key)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert [q.target for q in scene.remote.questions] == [WORKSHOP]
        assert answer.seams == ((0, "Studio is away. Workshop answers."),)

    play(tmp_path, Scripted(Began("aa", continues=False), "Fine.", STATS), Scripted("no"), act)


@pytest.mark.parametrize(
    ("setting", "asked", "seams"),
    [
        ("order", [REMOTE], ()),
        ("same-model", [WORKSHOP], ((0, "Studio has a line of about 40 s. Workshop answers."),)),
    ],
)
def test_who_is_asked_first_is_a_setting(
    tmp_path: Path, setting: str, asked: list[Target], seams: tuple[tuple[int, str], ...]
) -> None:
    async def act(scene: Scene) -> None:
        scene.store.settings.set_text("chat.first_asked", setting)
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.stand[REMOTE.provider_key] = Standing(REMOTE, "", wait=42.0, sha256="aa" * 32)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert [q.target for q in scene.remote.questions] == asked
        assert (answer.text, answer.seams) == ("Fine.", seams)
        assert scene.remote.looked == ([] if setting == "order" else [(REMOTE, WORKSHOP)])

    play(tmp_path, Scripted(Began("aa", continues=False), "Fine.", STATS), Scripted("no"), act)


def test_whoever_has_a_line_is_asked_after_all_where_the_sooner_one_fails(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.stand[REMOTE.provider_key] = Standing(REMOTE, "", wait=42.0, sha256="aa" * 32)
        scene.remote.then = (Began("aa", continues=False), "Fine.", STATS)
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert [q.target for q in scene.remote.questions] == [WORKSHOP, REMOTE]
        assert answer.text == "Fine." and answer.seams[-1] == (0, "Workshop went offline. Studio answers.")

    play(tmp_path, Scripted(ConnectionClosed("gone")), Scripted("no"), act)


def test_what_was_begun_is_continued_in_the_order_whatever_the_lines(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        scene.remote.then = (Began("aa", continues=True), "ne.", STATS)
        await scene.chats.ask(conversation.id, "Hello")
        assert (await scene.finished()).status == "failed"
        await scene.settings.set_others(conversation.id, [WORKSHOP])
        scene.remote.stand[REMOTE.provider_key] = Standing(REMOTE, "", wait=42.0, sha256="aa" * 32)
        await scene.chats.retry(conversation.id)
        await scene.asked(2)
        assert [q.target for q in scene.remote.questions] == [REMOTE, REMOTE]

    play(tmp_path, Scripted(Began("aa", continues=False), "Fi", ConnectionClosed("gone")), Scripted(), act)


def test_this_machine_is_the_last_of_all(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.settings.set_others(conversation.id, [WORKSHOP, Target("", "small"), WORKSHOP])
        await scene.chats.ask(conversation.id, "Hello")
        answer = await scene.finished()
        assert [q.target for q in scene.remote.questions] == [REMOTE, WORKSHOP]
        assert len(scene.local.questions) == 1
        assert answer.seams[-1] == (0, "Workshop went offline. This machine continues with Small model.")

    play(tmp_path, Scripted(ConnectionClosed("gone")), Scripted("Here."), act)


def test_closing_keeps_a_streaming_answer_as_stopped(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.said("One ")
        await scene.chats.close()
        kept = scene.store.conversations.messages(conversation.id)[1]
        assert (kept.text, kept.status) == ("One ", "stopped")

    play(tmp_path, Scripted("One ", None), Scripted(), act)


def test_deleting_a_conversation_ends_its_answer(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.said("One ")
        await scene.chats.delete(conversation.id)
        assert scene.remote.left
        assert await scene.chats.conversations() == ()

    play(tmp_path, Scripted("One ", None), Scripted(), act)


def test_a_long_first_line_becomes_a_short_title(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(Target())
        await scene.chats.ask(conversation.id, "Please explain to me in simple words, how a lighthouse works")
        await scene.finished()
        (kept,) = await scene.chats.conversations()
        assert kept.title == "Please explain to me in simple words, how a …"

    play(tmp_path, Scripted(), Scripted("By light."), act)


@pytest.mark.parametrize("began", [Began("aa", continues=True), Began("bb", continues=False)])
def test_retry_keeps_an_answer_that_broke_off(tmp_path: Path, began: Began) -> None:
    """In the same model it goes on from there; in another one it is answered anew, below what stands there."""
    gone = ConnectionClosed("gone", name="ECONNRESET")

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Hello")
        half = await scene.finished()
        assert (half.text, half.status, half.model_sha256) == ("One ", "failed", "aa")
        again = await scene.retry(conversation.id, ConnectionClosed("gone", name="ECONNRESET"))
        seams = ((4, "Studio went offline. Studio is asked to go on."),)
        assert replace(again, stats=None) == replace(half, stats=None, seams=seams)
        answer = await scene.retry(conversation.id, began, "two", gone)
        asked = scene.remote.questions[-1]
        assert (asked.answer_id, asked.so_far, asked.model_sha256) == (message_id, "One ", "aa")
        assert [m.content for m in asked.history] == ["Hello"]
        if began.continues:
            assert answer.text == "One two"
            assert answer.seams == ((4, "Studio went offline. Studio continues."),)
        else:
            assert answer.text == "One \n\ntwo"
            assert answer.seams == ((6, "Studio went offline. Studio answers anew."),)
        answer = await scene.retry(conversation.id, began, " three")
        assert scene.remote.questions[-1].so_far == ("One two" if began.continues else "two")
        assert answer.status == "done"
        assert len(await scene.chats.messages(conversation.id)) == 2

        scene.events.clear()
        await scene.chats.ask(conversation.id, "And?")
        await scene.finished()
        whole = answer.text if began.continues else " three"
        assert [m.content for m in scene.remote.questions[-1].history] == ["Hello", whole, "And?"]

    play(tmp_path, Scripted(Began("aa", continues=False), "One ", gone), Scripted(), act)


def test_an_answer_that_broke_off_goes_on_here_when_it_is_moved_here(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello")
        await scene.finished()
        await scene.chats.set_target(conversation.id, Target())
        scene.local.parts = ("two",)
        scene.events.clear()
        await scene.chats.retry(conversation.id)
        answer = await scene.finished()
        assert (answer.text, scene.local.questions[0].so_far) == ("One two", "One ")
        assert answer.seams == ((4, "The machine went offline. This machine continues with Small model."),)

    play(tmp_path, Scripted("One ", ConnectionClosed("gone", name="ECONNRESET")), Scripted(), act)


def test_a_provider_that_says_nothing_is_left_for_this_machine(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Hello")
        await scene.said("One ")
        with pytest.raises(ModelError, match="no model on this machine"):
            await scene.chats.continue_here(message_id)
        scene.local.parts = ("two",)
        await scene.chats.continue_here(message_id)
        seam = next(event for event in scene.events if isinstance(event, AnswerSeam))
        assert seam.sentence == "Nothing came from Studio any more. This machine continues with Small model."
        await scene.chats.continue_here(message_id)
        answer = await scene.finished()
        assert (answer.text, answer.status, len(answer.seams)) == ("One two", "done", 1)
        assert scene.remote.left
        assert scene.local.questions[0].so_far == "One "
        await scene.chats.continue_here(message_id)

    play(tmp_path, Scripted("One ", None), Scripted(), act)


@pytest.mark.parametrize("way", ["stop", "delete", "close"])
def test_an_answer_that_is_ended_in_the_turn_it_was_asked_in_ends(tmp_path: Path, way: str) -> None:
    """A task that is cancelled before its first step never runs, and so never cleaned up."""

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        message_id = await scene.chats.ask(conversation.id, "Hello")
        if way == "stop":
            await scene.chats.stop(message_id)
        elif way == "delete":
            await scene.chats.delete(conversation.id)
        else:
            await scene.chats.close()
        assert (await scene.finished()).status == "stopped"
        assert scene.remote.left
        if way == "stop":
            assert (await scene.chats.messages(conversation.id))[1].status == "stopped"
            again = await scene.chats.ask(conversation.id, "And now?")
            await scene.chats.stop(again)

    play(tmp_path, Scripted("One ", None), Scripted(), act)


def test_two_questions_asked_at_once_get_one_answer_and_the_other_is_told(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        asked = [scene.chats.ask(conversation.id, text) for text in ("One?", "Two?")]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert [error.name for error in results if isinstance(error, StoreError)] == ["BUSY"]
        assert (await scene.finished()).text == "Fine."
        again = [scene.chats.retry(conversation.id), scene.chats.ask(conversation.id, "Three?")]
        results = await asyncio.gather(*again, return_exceptions=True)
        assert [error.name for error in results if isinstance(error, StoreError)] == ["BUSY"]
        assert [m.role for m in await scene.chats.messages(conversation.id)] == ["user", "assistant"]

    play(tmp_path, Scripted("Fine.", STATS), Scripted(), act)


def test_an_answer_that_trips_over_a_mistake_of_ours_ends_as_failed(tmp_path: Path) -> None:
    class Mistaken(Scripted):
        async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
            yield "Half"
            raise KeyError("secret")

    async def act(scene: Scene) -> None:
        conversation = await scene.chats.new(REMOTE)
        await scene.chats.ask(conversation.id, "Hello?")
        answer = await scene.finished()
        assert (answer.text, answer.status) == ("Half", "failed")
        assert answer.error is not None
        assert "mistake" in answer.error.title
        assert "secret" not in answer.error.title + answer.error.message
        assert (await scene.retry(conversation.id, " and whole.", STATS)).status in ("done", "failed")

    play(tmp_path, Mistaken(), Scripted(), act)
