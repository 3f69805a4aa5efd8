"""The Chat presenter with a fake core: asking, streaming, stopping, failing, retrying, conversations and targets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from qasync import QEventLoop

from app.presenters import chat_groups, chat_picker
from app.presenters.chat import DRAFT, ChatPresenter
from app.presenters.chat_groups import Entry, Heading
from app.presenters.chat_words import Cause, cause_of, stats_words
from app.presenters.picker_rows import RowKind
from qvac_core.core.state import (
    AnswerStarted,
    AnswerThinking,
    AnswerTokens,
    Conversation,
    DownloadChanged,
    Draft,
    ErrorInfo,
    Message,
    ProviderEntry,
    SharedModelsChanged,
    Target,
)
from qvac_core.errors import NetworkError, StoreError
from tests.gui import chat_scenes as scenes
from tests.gui.conftest import DirectProxy
from tests.gui.fake_core import STATS, FakeCore, Script

HERE = Target()


@contextmanager
def running(qloop: QEventLoop, core: FakeCore) -> Iterator[ChatPresenter]:
    proxy = DirectProxy(core)
    presenter = ChatPresenter(proxy, clock=core.clock)

    async def begin() -> None:
        await proxy.start()
        await presenter.load()

    async def end() -> None:
        await presenter.close()
        await proxy.close()

    qloop.run_until_complete(begin())
    yield presenter
    qloop.run_until_complete(end())


def settle(qloop: QEventLoop, presenter: ChatPresenter, core: FakeCore) -> None:
    async def all_of_it() -> None:
        await presenter.settle()
        await core.answers_ended()
        await presenter.settle()

    qloop.run_until_complete(all_of_it())


def begun(qloop: QEventLoop, presenter: ChatPresenter) -> None:
    """The intents have ended; an answer that is held goes on."""

    async def some() -> None:
        await presenter.settle()
        for _round in range(8):
            await asyncio.sleep(0)

    qloop.run_until_complete(some())


def busy(presenter: ChatPresenter) -> bool:
    return presenter.busy


def first_start(presenter: ChatPresenter) -> bool:
    return presenter.first_start


def download(presenter: ChatPresenter) -> DownloadChanged | None:
    return presenter.download


def said(presenter: ChatPresenter) -> list[tuple[str, str, str]]:
    return [(m.role, m.text, m.status) for m in presenter.messages]


def test_a_question_is_streamed_and_finished(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        seen: list[str] = []
        presenter.message_changed.connect(lambda message: seen.append(message.text))
        assert presenter.send("  Hello?  ")
        assert busy(presenter)
        settle(qloop, presenter, fake_core)
        assert said(presenter) == [("user", "Hello?", "done"), ("assistant", "Hello, world.", "done")]
        assert seen == ["Hello", "Hello, ", "Hello, world.", "Hello, world."]
        assert not busy(presenter)
        assert fake_core.called("new_conversation") == [(HERE,)]
        assert fake_core.called("ask") == [(presenter.open_id, "Hello?")]


def test_a_draft_is_kept_from_its_first_message_on(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        presenter.new_conversation()
        presenter.new_conversation()
        assert presenter.open_id == DRAFT
        assert fake_core.called("new_conversation") == []
        presenter.send("One")
        settle(qloop, presenter, fake_core)
        presenter.send("Two")
        settle(qloop, presenter, fake_core)
        assert len(fake_core.called("new_conversation")) == 1
        assert presenter.open_id == fake_core.conversation_list[0].id


def test_nothing_is_asked_while_an_answer_runs(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(hold=True)
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        begun(qloop, presenter)
        assert not presenter.send("Two")
        assert not presenter.send("   ")
        fake_core.release()
        settle(qloop, presenter, fake_core)
        assert len(fake_core.called("ask")) == 1


def test_stop_stops_and_keeps_what_came(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(hold=True)
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        begun(qloop, presenter)
        answer = presenter.answering
        assert answer is not None
        presenter.stop()
        settle(qloop, presenter, fake_core)
        assert fake_core.called("stop_answer") == [(answer.id,)]
        assert said(presenter)[-1] == ("assistant", "Hello, world.", "stopped")


def test_an_answer_that_broke_off_is_retried_and_goes_on(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=("Half",), stats=None, error=scenes.OFFLINE)
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        settle(qloop, presenter, fake_core)
        half = presenter.messages[-1]
        for error in (StoreError("The disk is full."), None):
            if error is not None:
                fake_core.fail["retry"] = error
            presenter.retry()
            assert presenter.messages[1].text == "Half"
            fake_core.script = Script(seam=(0, "Studio desktop went offline. Studio desktop continues."))
            settle(qloop, presenter, fake_core)
        assert said(presenter) == [("user", "One", "done"), ("assistant", "HalfHello, world.", "done")]
        assert presenter.messages[-1].id == half.id
        assert presenter.messages[-1].seams[0][0] == 4


def test_a_draft_belongs_to_its_conversation_and_outlives_the_program(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        presenter.set_draft(Draft("first of all"))
        presenter.send("One")
        presenter.set_draft(Draft("and then", ("long",)))
        settle(qloop, presenter, fake_core)
        first = presenter.open_id
        assert presenter.draft == Draft("and then", ("long",))  # it came along when the conversation got its id
        presenter.new_conversation()
        assert presenter.draft == Draft()
        presenter.set_draft(Draft("another"))
        presenter.open(first)
        assert presenter.draft == Draft("another")  # what the composer shows until the other one is there
        settle(qloop, presenter, fake_core)
        assert presenter.draft == Draft("and then", ("long",))
    assert fake_core.kept_drafts == {first: Draft("and then", ("long",)), "": Draft("another")}
    with running(qloop, fake_core) as presenter:
        assert presenter.draft == Draft("and then", ("long",))
        presenter.set_draft(Draft())
        presenter.new_conversation()
        assert presenter.draft == Draft("another") and not presenter.draft_was_left
    assert fake_core.kept_drafts == {"": Draft("another")}


def test_a_question_that_waits_is_sent_where_it_was_written(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=("One",), hold=True)
    with running(qloop, fake_core) as presenter:
        presenter.send("First")
        begun(qloop, presenter)
        first = presenter.open_id
        presenter.set_draft(Draft("Second", waiting=True))
        presenter.new_conversation()
        assert not presenter.busy  # this one is free
        fake_core.script = Script()
        fake_core.release()
        settle(qloop, presenter, fake_core)
        assert fake_core.called("ask") == [(first, "First"), (first, "Second")]
        assert presenter.messages == [] and presenter.drafts.written == frozenset()
        presenter.open(first)
        settle(qloop, presenter, fake_core)
        assert [m.text for m in presenter.messages] == ["First", "One", "Second", "Hello, world."]


def test_a_question_that_waited_when_the_program_ended_is_kept_and_told(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=("One",), hold=True)
    with running(qloop, fake_core) as presenter:
        presenter.send("First")
        begun(qloop, presenter)
        presenter.set_draft(Draft("Second", waiting=True))
    with running(qloop, fake_core) as presenter:
        assert presenter.draft == Draft("Second")
        assert presenter.draft_was_left and not presenter.busy
        assert len(fake_core.called("ask")) == 1
        presenter.set_draft(Draft("Second?"))
        assert not presenter.draft_was_left


def test_a_question_that_waits_and_is_not_taken_comes_back(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=("One",), hold=True)
    with running(qloop, fake_core) as presenter:
        told: list[ErrorInfo] = []
        presenter.failed.connect(told.append)
        presenter.send("First")
        begun(qloop, presenter)
        first = presenter.open_id
        presenter.set_draft(Draft("Second", waiting=True))
        presenter.new_conversation()
        fake_core.fail["ask"] = StoreError("The disk is full.", name="DISK_FULL")
        fake_core.release()
        settle(qloop, presenter, fake_core)
        assert [error.name for error in told] == ["DISK_FULL"]
        presenter.open(first)
        settle(qloop, presenter, fake_core)
        assert presenter.draft == Draft("Second") and presenter.draft_was_left and not presenter.busy


def test_a_failed_answer_is_retried_and_replaced(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=(), stats=None, error=scenes.OFFLINE)
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        settle(qloop, presenter, fake_core)
        assert said(presenter)[-1] == ("assistant", "", "failed")
        fake_core.script = Script()
        presenter.retry()
        settle(qloop, presenter, fake_core)
        assert said(presenter) == [("user", "One", "done"), ("assistant", "Hello, world.", "done")]
        assert fake_core.called("retry") == [(presenter.open_id,)]


def test_a_question_the_core_did_not_take_is_not_lost(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.fail["ask"] = StoreError("The disk is full. Make room and try again.", name="DISK_FULL")
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        settle(qloop, presenter, fake_core)
        assert said(presenter)[0] == ("user", "One", "done")
        failed = presenter.messages[-1]
        assert failed.status == "failed"
        assert failed.error is not None
        assert failed.error.title == "The disk is full."
        presenter.retry()
        settle(qloop, presenter, fake_core)
        assert said(presenter) == [("user", "One", "done"), ("assistant", "Hello, world.", "done")]
        assert [text for _, text in fake_core.called("ask")] == ["One", "One"]


def test_a_seam_is_kept_with_its_place(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.script = Script(pieces=("One ", "two"), seam=(1, scenes.SEAM), stats=scenes.LOCAL_STATS)
    fake_core.provider_list = scenes.providers()
    with running(qloop, fake_core) as presenter:
        presenter.set_target(Target(scenes.STUDIO, "qwen3-8b"))
        presenter.send("Count")
        settle(qloop, presenter, fake_core)
        answer = presenter.messages[-1]
        assert answer.seams == ((4, scenes.SEAM),)
        assert presenter.speaker(answer).local
        assert presenter.speaker(answer).public_key == ""


def test_an_answer_keeps_who_gave_it(qloop: QEventLoop, fake_core: FakeCore) -> None:
    """Whoever is chosen now, however it ended, whatever the provider is called by now."""
    stopped = replace(scenes.STATS, prompt_tokens=0, generated_tokens=7, provider_key=scenes.STUDIO)
    asked = replace(scenes.STATS, path="", generated_tokens=0, prompt_tokens=0, provider_key=scenes.STUDIO)
    fake_core.provider_list = scenes.providers()
    fake_core.conversation_list = (Conversation("c", "C", 0.0, 0.0, False, Target(scenes.WORKSHOP, "qwen3-4b")),)
    answers = (
        Message("a", "assistant", "Half", 0.0, "stopped", stopped),
        Message("b", "assistant", "", 0.0, "failed", asked, scenes.OFFLINE),
        Message("d", "assistant", "Old", 0.0, "done", replace(scenes.STATS, provider_key="")),
    )
    fake_core.message_lists = {"c": answers}
    with running(qloop, fake_core) as presenter:
        for answer in answers:
            assert presenter.speaker(answer).public_key == scenes.STUDIO
        renamed = replace(fake_core.provider_list[0], name="Attic")
        presenter.chats.providers = (renamed, *fake_core.provider_list[1:])
        assert presenter.speaker(answers[0]).name == "Attic"
        presenter.chats.providers = ()
        assert presenter.speaker(answers[0]).name == "Studio desktop"
        assert presenter.speaker(answers[0]).public_key == scenes.STUDIO
    assert stats_words(stopped) == ("direct", "first token 0.31 s", "64 tok/s", "7 out")
    assert stats_words(asked) == ()


def test_a_model_nobody_has_described_yet_has_a_readable_name(qloop: QEventLoop, fake_core: FakeCore) -> None:
    """After the start, before its provider was reached."""
    target = Target(scenes.LIBRARY, "SMOLLM2_135M_INST_Q4_1")
    fake_core.provider_list = scenes.providers()
    with running(qloop, fake_core) as presenter:
        assert presenter.model_name(target) == "SmolLM2 135M Instruct"
        assert presenter.model_name(Target("", "SMOLLM2_135M_INST_Q4_1")) == "SmolLM2 135M Instruct"
        assert presenter.model_name(Target(scenes.LIBRARY, "my own model")) == "my own model"


def test_an_answer_goes_on_while_another_conversation_is_open(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    fake_core.message_lists = {"merge": (), "zfs": (Message("z", "user", "ZFS?", 0.0),)}
    with running(qloop, fake_core) as presenter:
        assert presenter.open_id == "merge"
        answer = Message("a", "assistant", "", 0.0, "streaming")
        fake_core.emit(AnswerStarted("merge", answer))
        fake_core.emit(AnswerTokens("merge", "a", "One "))
        presenter.open("zfs")
        settle(qloop, presenter, fake_core)
        assert said(presenter) == [("user", "ZFS?", "done")]
        assert not busy(presenter)
        fake_core.emit(AnswerTokens("merge", "a", "two"))
        # The core's own list may be ahead of the events or behind them: the events decide.
        fake_core.message_lists["merge"] = (replace(answer, text="One two th"),)
        presenter.open("merge")
        settle(qloop, presenter, fake_core)
        assert said(presenter) == [("assistant", "One two", "streaming")]
        assert busy(presenter)
        fake_core.emit(AnswerTokens("merge", "a", " three"))
        fake_core.emit(AnswerThinking("merge", "a", "Four?"))
        assert said(presenter) == [("assistant", "One two three", "streaming")]
        assert presenter.messages[-1].thinking == "Four?"


def test_busy_from_the_question_to_the_end_without_a_gap(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        states: list[bool] = []
        presenter.answering_changed.connect(lambda: states.append(presenter.busy))
        presenter.send("One")
        settle(qloop, presenter, fake_core)
        assert states[-1] is False
        assert all(states[:-1])


def test_an_answer_that_a_power_cut_ended_does_not_stream_for_ever(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    fake_core.message_lists = {"merge": (Message("a", "assistant", "Half", 0.0, "streaming"),)}
    with running(qloop, fake_core) as presenter:
        assert said(presenter) == [("assistant", "Half", "stopped")]
        # Unless its start is only on its way here.
        fake_core.emit(AnswerStarted("merge", Message("a", "assistant", "Half", 0.0, "streaming")))
        assert said(presenter) == [("assistant", "Half", "streaming")]


def test_tokens_of_strangers_change_nothing(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        fake_core.emit(AnswerTokens("nowhere", "nobody", "boo"))
        assert presenter.messages == []


def test_conversations_go_through_the_core(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    with running(qloop, fake_core) as presenter:
        presenter.rename("zfs", "  Snapshots ")
        presenter.rename("zfs", "   ")
        presenter.pin("zfs", True)
        presenter.delete("merge")
        settle(qloop, presenter, fake_core)
        assert fake_core.called("rename_conversation") == [("zfs", "Snapshots")]
        assert fake_core.called("pin_conversation") == [("zfs", True)]
        assert "merge" not in {c.id for c in presenter.conversations}
        assert presenter.open_id == "print"


def test_the_last_conversation_deleted_leaves_a_draft(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()[:1]
    fake_core.provider_list = scenes.providers()
    with running(qloop, fake_core) as presenter:
        presenter.delete("merge")
        settle(qloop, presenter, fake_core)
        assert presenter.open_id == DRAFT
        assert presenter.messages == []


def test_search_asks_the_core_and_the_newest_search_wins(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    with running(qloop, fake_core) as presenter:
        presenter.search("zf")
        presenter.search("zfs")
        settle(qloop, presenter, fake_core)
        assert presenter.found is not None
        assert [c.id for c in presenter.found] == ["zfs"]
        presenter.search("")
        assert presenter.found is None


def test_an_intent_that_fails_is_told(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    fake_core.fail["pin_conversation"] = StoreError("The disk is full. Make room.")
    with running(qloop, fake_core) as presenter:
        failures: list[ErrorInfo] = []
        presenter.failed.connect(failures.append)
        presenter.pin("zfs", True)
        settle(qloop, presenter, fake_core)
        assert [failure.title for failure in failures] == ["The disk is full."]


def test_the_target_of_a_conversation_is_set_in_the_core(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.conversation_list = scenes.conversations()
    fake_core.provider_list = scenes.providers()
    with running(qloop, fake_core) as presenter:
        assert presenter.target_name(presenter.target) == "Studio desktop"
        workshop = Target(scenes.WORKSHOP, "qwen3-4b")
        presenter.set_target(workshop)
        settle(qloop, presenter, fake_core)
        assert presenter.target == workshop
        assert fake_core.called("set_target") == [("merge", workshop)]
        presenter.new_conversation()
        assert presenter.target == workshop


def test_first_start_ends_with_a_choice(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        assert first_start(presenter)
        presenter.chat_here()
        assert not first_start(presenter)
    fake_core.provider_list = scenes.providers()
    with running(qloop, fake_core) as presenter:
        assert not first_start(presenter)


def test_a_provider_is_added_and_connected(qloop: QEventLoop, fake_core: FakeCore) -> None:
    with running(qloop, fake_core) as presenter:
        entry = qloop.run_until_complete(presenter.add_provider("ab" * 32, "Attic"))
        assert entry.state == "online"
        assert fake_core.called("add_provider") == [("ab" * 32, "Attic")]
        qloop.run_until_complete(presenter.add_provider("ab" * 32, "Cellar"))
        assert len(fake_core.called("add_provider")) == 1
        assert presenter.providers[0].name == "Cellar"
        fake_core.fail["connect_provider"] = NetworkError("Nothing there.", name="PEER_NOT_FOUND")
        presenter.connect_provider("ab" * 32)
        settle(qloop, presenter, fake_core)
        assert presenter.providers[0].state == "offline"


def test_a_cancelled_download_is_no_failure(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.fail["download_model"] = NetworkError("Cancelled.", name="DOWNLOAD_CANCELLED")
    with running(qloop, fake_core) as presenter:
        presenter.download_default()
        settle(qloop, presenter, fake_core)
        assert download(presenter) is None
        presenter.download_default()
        settle(qloop, presenter, fake_core)
        done = download(presenter)
        assert done is not None
        assert done.done
        assert presenter.models


def test_closing_ends_what_runs(qloop: QEventLoop, fake_core: FakeCore) -> None:
    fake_core.slow["ask"] = asyncio.Event()
    with running(qloop, fake_core) as presenter:
        presenter.send("One")
        begun_soon = asyncio.sleep(0)
        qloop.run_until_complete(begun_soon)
    # The qloop fixture fails the test when a task is left.
    assert fake_core.closed


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (scenes.REFUSED, Cause.REFUSED),
        (ErrorInfo("DELEGATE_PROVIDER_ERROR", 53702, scenes.REFUSED.title, ""), Cause.REFUSED),
        (scenes.NOT_FOUND, Cause.NOT_FOUND),
        (scenes.OFFLINE, Cause.OFFLINE),
        (scenes.TOO_LONG, Cause.TOO_LONG),
        (scenes.USED_UP, Cause.USED_UP),
        (ErrorInfo("IDENTITY", 0, "That is not a public key: no peer can have it.", ""), Cause.NOT_FOUND),
        (ErrorInfo("MODEL_NOT_FOUND_HERE", 0, "There is no model.", ""), Cause.NO_MODEL_HERE),
        (ErrorInfo("WHATEVER", 1, "Something else.", ""), Cause.OTHER),
    ],
)
def test_causes(error: ErrorInfo, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_the_facts_under_an_answer() -> None:
    assert stats_words(STATS) == ("direct", "first token 0.31 s", "64 tok/s", "212 in, 248 out")
    assert stats_words(replace(STATS, tokens_per_second=3.14))[2] == "3.1 tok/s"


def test_groups_of_conversations() -> None:
    rows = chat_groups.rows(scenes.conversations(), scenes.NOW)
    headings = [row.text for row in rows if isinstance(row, Heading)]
    assert headings == ["Pinned", "Today", "This week", "November"]
    times = {row.conversation.id: row.when for row in rows if isinstance(row, Entry)}
    assert times["merge"] == "14:14"
    assert times["labels"] == "Mon"
    assert times["backup"] == "14 Nov"
    old = Conversation("old", "", 0.0, scenes.NOW - 400 * 86400)
    heading, entry = chat_groups.rows([old], scenes.NOW)
    assert isinstance(heading, Heading)
    assert heading.text == "October 2025"
    assert isinstance(entry, Entry)
    assert entry.title == "New conversation"


def test_models_for_embeddings_are_not_offered(qloop: QEventLoop, fake_core: FakeCore) -> None:
    chat, other = scenes.models()
    embed = replace(other, ability="embed")
    fake_core.models = (embed,)
    with running(qloop, fake_core) as presenter:
        offered = [presenter.models]
        fake_core.emit(SharedModelsChanged((chat, embed)))
        settle(qloop, presenter, fake_core)
        assert [*offered, presenter.models] == [(), (chat,)]


def test_what_the_picker_lists() -> None:
    target = Target(scenes.STUDIO, "qwen3-8b")
    here, studio, workshop, library = chat_picker.groups(scenes.models(), scenes.providers(), target)
    assert [row.text for row in here.rows] == ["Qwen3 4B", "Llama 3.2 1B"]
    assert [row.current for row in studio.rows] == [True, False]
    assert workshop.head.spoken == "Provider Workshop PC, reachable, 112 ms"
    assert library.rows[0].kind is RowKind.CONNECT
    assert library.rows[0].act == "Try again"
    nothing, unknown = chat_picker.groups((), (ProviderEntry("ab" * 32, "Attic"),), HERE)
    assert nothing.rows[0].kind is RowKind.DOWNLOAD
    assert unknown.rows[0].spoken == "Not connected yet, Connect"
