"""`qvac-desktop chat` asks by `core.answers`, so that it has what the window has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.cli import chat as chat_verb
from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.core.answering import Question
from qvac_core.core.answers import Answers
from qvac_core.core.event_hub import EventHub
from qvac_core.delegation.completion import CompletionFinal
from qvac_core.delegation.messages import ContentDelta, Event
from qvac_core.errors import ConnectionClosed
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store
from tests.unit.test_core_chats import Scene, Scripted

KEY = "ab" * 32


class Said:
    """An answer of these words; None waits for ever, an exception is raised."""

    def __init__(self, *words: str | ConnectionClosed | None) -> None:
        self._words = words
        text = "".join(word for word in words if isinstance(word, str))
        self.final: asyncio.Future[CompletionFinal] = asyncio.get_running_loop().create_future()
        self.final.set_result(CompletionFinal(text, "", None, ""))

    def when_placed(self, call: object) -> None:
        pass

    async def __aenter__(self) -> Said:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    @property
    async def events(self) -> AsyncIterator[Event]:
        for place, word in enumerate(self._words):
            if word is None:
                await asyncio.Event().wait()
            elif isinstance(word, ConnectionClosed):
                raise word
            else:
                yield ContentDelta(place, word)


class Talk:
    """A chat with a provider and a machine that say these."""

    def __init__(self, store: Store, there: Said, here: Said, *options: str) -> None:
        scene = Scene(store, Scripted(), Scripted())
        self.asked_here: list[str] = []
        self.connection: Any = SimpleNamespace(gone=False, quiet=0.0, stream=SimpleNamespace(rtt=0.0))

        async def completion(*_: object, **__: object) -> Said:
            return there

        async def load_local(*_: object) -> str:
            return "local-1"

        async def start(_: object, question: Question) -> Said:
            self.asked_here.append(question.so_far)
            return here

        self.start = start
        consumer = SimpleNamespace(completion=completion, connection=lambda key: self.connection)
        machine = SimpleNamespace(load_local=load_local, named=lambda name: name, name_of=lambda name: name)
        core: Any = SimpleNamespace(
            answers=Answers(scene.chats.asking, EventHub()), consumer=consumer, machine=machine, public_key="cd" * 32
        )
        parsed = parse_options(["chat", KEY, "--json", *options])
        self.chat = chat_verb._Chat(core, parsed, Output(as_json=True), model_id="there-1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(DataDir(tmp_path, explicit=True), now=1000.0)
    yield store
    store.close()


def told(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, object]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [(line["event"], line.get("text") or line.get("to") or line.get("where")) for line in lines]


async def test_a_late_first_word_is_hedged(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a person switched that on; the provider is there all the same, and is asked the next time."""
    monkeypatch.setattr("qvac_core.core.hedging.UNKNOWN_SECONDS", 0.0)
    store.settings.set_text("chat.hedge", "true")
    talk = Talk(store, Said(None), Said("Here."), "--fallback", "--local-model", "small")
    monkeypatch.setattr(chat_verb._Here, "_start", talk.start)
    await chat_verb._ask(talk.chat, "Hello")
    assert told(capsys) == [("loaded", "local"), ("seam", "local"), ("token", "Here.")]
    assert talk.chat.where == "delegated" and talk.chat.history[-1].content == "Here."


async def test_this_machine_goes_on_at_the_next_word_and_answers_from_there_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = Talk(store, Said("One ", ConnectionClosed("gone")), Said("two."), "--fallback", "--local-model", "small")
    monkeypatch.setattr(chat_verb._Here, "_start", talk.start)
    talk.connection = None
    await chat_verb._ask(talk.chat, "Hello")
    assert told(capsys) == [("token", "One "), ("loaded", "local"), ("seam", "local"), ("token", "two.")]
    assert (talk.asked_here, talk.chat.where) == (["One "], "local")
    assert talk.chat.history[-1].content == "One two."


async def test_without_fallback_nobody_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk(store, Said("One ", ConnectionClosed("gone")), Said("two."))
    monkeypatch.setattr(chat_verb._Here, "_start", talk.start)
    with pytest.raises(ConnectionClosed):
        await chat_verb._ask(talk.chat, "Hello")
    assert talk.asked_here == []
