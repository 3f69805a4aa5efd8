"""`core.answers.ask`: one answer without a conversation goes the way of those that have one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvac_core.core.answering import Began
from qvac_core.core.answers import Answers
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import AnswerPlace, AnswerSeam, AnswerTokens, Target
from qvac_core.engines.interface import ChatMessage
from qvac_core.errors import ConnectionClosed
from qvac_core.store.folders import DataDir
from qvac_core.store.settings import ChatSettings
from qvac_core.store.store import Store
from tests.limits import EVENT
from tests.unit.test_core_chats import REMOTE, STATS, Scene, Scripted

BEGAN, GOES_ON = Began("aa", continues=False), Began("aa", continues=True)
QUESTION = [ChatMessage("user", "Hello")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(DataDir(tmp_path, explicit=True), now=1000.0)
    yield store
    store.close()


class Terminal:
    def __init__(self, store: Store, remote: Scripted, local: Scripted) -> None:
        self.scene = Scene(store, remote, local)
        self.hub = EventHub()
        self.answers = Answers(self.scene.chats.asking, self.hub)

    async def close(self) -> None:
        await self.answers.close()
        await self.scene.chats.close()


async def test_it_streams_and_has_the_statistics_and_keeps_nothing(store: Store) -> None:
    terminal = Terminal(store, Scripted(BEGAN, "Good ", "day.", STATS), Scripted())
    async with terminal.answers.ask(REMOTE, QUESTION) as stream:
        said = [event.text async for event in stream if isinstance(event, AnswerTokens)]
    assert said == ["Good ", "day."]
    assert (stream.message.text, stream.message.status, stream.message.stats) == ("Good day.", "done", STATS)
    assert terminal.scene.events == [] and await terminal.scene.chats.conversations() == ()
    await terminal.close()


async def test_this_machine_goes_on_where_the_provider_broke_off(store: Store) -> None:
    terminal = Terminal(store, Scripted(BEGAN, "One ", ConnectionClosed("gone")), Scripted(GOES_ON, "two."))
    async with terminal.answers.ask(REMOTE, QUESTION) as stream:
        seams = [event.offset async for event in stream if isinstance(event, AnswerSeam)]
    assert (stream.message.text, seams) == ("One two.", [4])
    await terminal.close()


async def test_where_this_machine_may_not_go_on_the_error_is_raised_behind_what_came(store: Store) -> None:
    terminal = Terminal(store, Scripted(BEGAN, "One ", ConnectionClosed("gone")), Scripted(GOES_ON, "two."))
    stream = terminal.answers.ask(REMOTE, QUESTION, terms=ChatSettings(fallback=False))
    with pytest.raises(ConnectionClosed):
        async with stream:
            async for _ in stream:
                pass
    assert (stream.message.text, stream.message.status) == ("One ", "failed")
    assert not terminal.scene.local.questions
    await terminal.close()


async def test_a_late_first_word_is_hedged_as_in_the_window(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.core.hedging.UNKNOWN_SECONDS", 0.0)
    terminal = Terminal(store, Scripted(BEGAN, None), Scripted(BEGAN, "Here", STATS))
    async with terminal.answers.ask(REMOTE, QUESTION, terms=ChatSettings(hedge=True)) as stream:
        async for _ in stream:
            pass
    assert stream.message.text == "Here" and stream.message.stats is not None
    assert stream.message.stats.beside == "Studio"
    await terminal.close()


async def test_the_next_provider_goes_on_before_this_machine(store: Store) -> None:
    remote = Scripted(BEGAN, "One ", ConnectionClosed("gone"))
    remote.then = (GOES_ON, "two.")
    terminal = Terminal(store, remote, Scripted(GOES_ON, "never"))
    workshop = Target("cd" * 32, "m")
    async with terminal.answers.ask(REMOTE, QUESTION, others=[workshop]) as stream:
        async for _ in stream:
            pass
    assert stream.message.text == "One two." and [each.target for each in remote.questions] == [REMOTE, workshop]
    await terminal.close()


async def test_leaving_early_stops_whoever_answers(store: Store) -> None:
    remote = Scripted(BEGAN, "One ", None)
    terminal = Terminal(store, remote, Scripted())
    async with terminal.answers.ask(REMOTE, QUESTION) as stream:
        async for event in stream:
            if isinstance(event, AnswerTokens):
                break
    assert remote.left and (stream.message.text, stream.message.status) == ("One ", "stopped")
    await terminal.close()


async def test_a_mistake_in_the_watch_over_a_provider_ends_the_answer_with_its_cause(store: Store) -> None:
    """Else nobody would notice that the provider says nothing any more, and the answer would stand for ever."""
    remote = Scripted(BEGAN, "One ", None)
    terminal = Terminal(store, remote, Scripted())

    def broken(provider_key: str) -> float:
        raise ZeroDivisionError

    remote.quiet = broken  # type: ignore[method-assign]
    stream = terminal.answers.ask(REMOTE, QUESTION)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(EVENT), stream:
            async for _ in stream:
                pass
    assert remote.left and (stream.message.text, stream.message.status) == ("One ", "failed")
    await terminal.close()


async def test_its_place_in_a_line_is_told_and_no_other_ones(store: Store) -> None:
    remote = Scripted(BEGAN, None, "Day.", STATS)
    remote.pause = asyncio.Event()
    terminal = Terminal(store, remote, Scripted())
    async with terminal.answers.ask(REMOTE, QUESTION, terms=ChatSettings(fallback=False)) as stream:
        terminal.hub.emit(AnswerPlace(stream.id, 2))
        terminal.hub.emit(AnswerPlace("another", 7))
        remote.pause.set()
        places = [event.place async for event in stream if isinstance(event, AnswerPlace)]
    assert places == [2]
    await terminal.close()


async def test_the_end_of_the_core_ends_an_answer(store: Store) -> None:
    remote = Scripted(BEGAN, None)
    terminal = Terminal(store, remote, Scripted())
    stream = terminal.answers.ask(REMOTE, QUESTION)
    await asyncio.wait_for(terminal.close(), 10)
    async with stream:
        async for _ in stream:
            pass
    assert stream.message.status == "stopped"
