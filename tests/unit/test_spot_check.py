"""Spot checks: who is asked, what is compared, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.cli import spot_check as verb
from app.cli.options import parse_options
from app.cli.output import Output
from qvac_core.core.answering import AnswerPart, Began, Question
from qvac_core.core.spot_check import QUESTIONS, TOKENS, Finding, Pair, SpotCheck, SpotChecks
from qvac_core.core.state import ProviderEntry, RemoteModel
from qvac_core.errors import ModelError

STUDIO, OFFICE = "ab" * 32, "cd" * 32
HASH = "ee" * 32
QWEN = RemoteModel("Qwen", "QWEN", sha256=HASH)


class Scripted:
    """Answers each question by `say`, and remembers who was asked."""

    def __init__(self, **say: str) -> None:
        self.say = say
        self.asked: list[Question] = []

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        self.asked.append(question)
        yield Began(HASH, continues=False)
        yield self.say.get(question.target.provider_key or "here", "the answer")


def checks(
    entries: dict[str, ProviderEntry], *, theirs: Scripted | None = None, here: bool = True, ours: str = "the answer"
) -> tuple[SpotChecks, Scripted, Scripted]:
    async def connect(key: str) -> ProviderEntry:
        return entries[key]

    providers, local = theirs or Scripted(), Scripted(here=ours)
    file = cast(Any, SimpleNamespace(name="MY_QWEN"))
    room = SpotChecks(
        cast(Any, providers),
        cast(Any, local),
        connect,
        lambda: tuple(entries.values()),
        lambda sha256: file if here and sha256 == HASH else None,
    )
    return room, providers, local


def entry(key: str, *models: RemoteModel, state: str = "online") -> ProviderEntry:
    return ProviderEntry(key, "", state, models=models)


def test_the_file_of_this_machine_is_compared_with() -> None:
    room, providers, local = checks({STUDIO: entry(STUDIO, QWEN)})
    found = asyncio.run(room.check(STUDIO))
    assert found.finding is Finding.SAME and found.compared_with == "" and found.sha256 == HASH
    assert len(providers.asked) == len(local.asked) == QUESTIONS
    for there, here in zip(providers.asked, local.asked, strict=True):
        assert there.history == here.history and there.answer_id != here.answer_id
        assert (there.target.model, here.target.model) == ("QWEN", "MY_QWEN")
        assert there.parameters == here.parameters
        assert (there.parameters.temperature, there.parameters.max_tokens) == (0.0, TOKENS)
    assert len({question.history for question in providers.asked}) == QUESTIONS, "drawn by chance"


def test_another_provider_is_where_this_machine_has_no_file() -> None:
    entries = {STUDIO: entry(STUDIO, QWEN), OFFICE: entry(OFFICE, replace(QWEN, source="THEIR_QWEN"))}
    room, providers, local = checks(entries, here=False)
    assert asyncio.run(room.check(STUDIO)).compared_with == OFFICE and not local.asked
    assert {q.target.model for q in providers.asked if q.target.provider_key == OFFICE} == {"THEIR_QWEN"}
    room, _, local = checks(entries)
    assert asyncio.run(room.check(STUDIO, other=OFFICE)).compared_with == OFFICE and not local.asked


@pytest.mark.parametrize(
    ("entries", "arguments", "words"),
    [
        ({STUDIO: entry(STUDIO, QWEN)}, {}, "Nobody else is there"),
        ({STUDIO: entry(STUDIO, QWEN), OFFICE: entry(OFFICE, QWEN, state="offline")}, {}, "Nobody else is there"),
        ({STUDIO: entry(STUDIO, QWEN), OFFICE: entry(OFFICE)}, {"other": OFFICE}, "no model file with this hash"),
        ({STUDIO: entry(STUDIO, QWEN)}, {"other": STUDIO}, "itself"),
        ({STUDIO: entry(STUDIO)}, {}, "no chat model"),
        ({STUDIO: entry(STUDIO, QWEN)}, {"model": "Llama"}, "no chat model called Llama"),
        ({STUDIO: entry(STUDIO, replace(QWEN, sha256=""))}, {}, "does not say which model file"),
    ],
)
def test_where_nothing_can_be_compared_it_is_said(
    entries: dict[str, ProviderEntry], arguments: dict[str, str], words: str
) -> None:
    room, providers, _ = checks(entries, here=False)
    with pytest.raises(ModelError, match=words):
        asyncio.run(room.check(STUDIO, **arguments))
    assert not providers.asked


@pytest.mark.parametrize(
    ("theirs", "finding"),
    [
        ("the answer", Finding.SAME),
        ("the answers", Finding.MOSTLY),
        ("the antlers", Finding.MOSTLY),
        ("Gladly!", Finding.DIFFERENT),
        ("", Finding.DIFFERENT),
    ],
)
def test_what_is_found(theirs: str, finding: Finding) -> None:
    room, _, _ = checks({STUDIO: entry(STUDIO, QWEN)}, theirs=Scripted(**{STUDIO: theirs}))
    assert asyncio.run(room.check(STUDIO)).finding is finding


def test_silence_on_both_sides_is_no_answer_that_is_the_same() -> None:
    room, *_ = checks({STUDIO: entry(STUDIO, QWEN)}, theirs=Scripted(**{STUDIO: ""}), ours="")
    with pytest.raises(ModelError, match="nothing to compare"):
        asyncio.run(room.check(STUDIO))


def test_what_proves_nothing_is_not_said_to_prove_something() -> None:
    assert set(verb.SAID) == set(Finding)
    assert "does not prove" in verb.SAID[Finding.SAME] and "does not prove" in verb.SAID[Finding.MOSTLY]


def test_the_options_reach_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[Any, ...]] = []
    found = SpotCheck("Qwen", HASH, OFFICE, (Pair("q", "a", "a"), Pair("q", "a", "b"), Pair("q", "a", "b")))

    class Core:
        def __init__(self, config: Any) -> None:
            asked.append((config.seed, config.bootstrap, config.port, config.local_network, config.relays))
            self.spot_checks = self

        async def __aenter__(self) -> Core:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def check(self, *arguments: str) -> SpotCheck:
            asked.append(arguments)
            return found

    monkeypatch.setattr(verb, "Core", Core)
    options = parse_options(
        [
            *("spot-check", STUDIO, "--model", "Qwen", "--with", OFFICE, "--json", "--seed", "01" * 32),
            *("--bootstrap", "127.0.0.1:4000", "--port", "5000", "--no-local-network", "--relay-through", "ef" * 32),
        ]
    )
    assert asyncio.run(verb.spot_check(options, Output(as_json=True))) == 1
    assert asked[1] == (STUDIO, "Qwen", OFFICE)
    assert asked[0] == (bytes([1]) * 32, (("127.0.0.1", 4000),), 5000, False, (bytes.fromhex("ef" * 32),))
    assert '"finding": "different"' in capsys.readouterr().out
