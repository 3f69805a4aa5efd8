"""A transcript as a message's text, and the making of one: kept by the line, stopped, failed, sent to no model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest

from qvac_core.core import transcript
from qvac_core.core.chats import _history
from qvac_core.core.event_hub import EventHub
from qvac_core.core.heard_elsewhere import TakenOver
from qvac_core.core.state import (
    TRANSCRIPT,
    AnswerFinished,
    AnswerStats,
    AnswerTokens,
    CoreEvent,
    Message,
    ProviderEntry,
    ProvidersChanged,
    Target,
    TranscriptProgress,
)
from qvac_core.core.transcript import HandedOver, Transcript, TranscriptLine
from qvac_core.core.transcripts import Transcripts
from qvac_core.engines.speech import Finished, Progress, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.errors import ConnectionClosed, EngineCrashed, ModelError, StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.store import Store

HERE = AnswerStats("This machine", "local", "local", "Whisper base", 0.0, 0.0, 0, 0)
KEY = "ab" * 32
THERE = AnswerStats("Studio", "delegated", "direct", "Whisper base", 0.0, 0.0, 0, 0, provider_key=KEY)
Script = Callable[[], AsyncGenerator[TranscriptionEvent | TakenOver, None]]


def test_it_is_read_as_it_was_written() -> None:
    text = (
        transcript.begin('häß "1".m4a', 39) + transcript.piece(0, 1500, "line\nbreak") + transcript.piece(1500, 9, "")
    )
    half = Transcript('häß "1".m4a', 39, (TranscriptLine(0, 1500, "line\nbreak"), TranscriptLine(1500, 9, "")))
    assert transcript.read(text) == half
    whole = transcript.read(text + transcript.end("en", 11_000, ("The file ends early.",)))
    assert (whole.whole, whole.language, whole.audio_ms) == (True, "en", 11_000)
    assert whole.notices == ("The file ends early.",)
    assert (half.heard_ms, whole.heard_ms) == (1500, 11_000)


@pytest.mark.parametrize("between", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\r", "\r\n"])
def test_no_piece_is_lost_by_what_parts_lines_elsewhere(between: str) -> None:
    said = f"one{between}two"
    text = transcript.begin(f"a{between}.ogg", 1) + transcript.piece(0, 1, said)
    assert transcript.read(text).lines == (TranscriptLine(0, 1, said),)
    assert transcript.read(text).file == f"a{between}.ogg"


@pytest.mark.parametrize("text", ["", "no json", '{"type":"piece"}\n{"type":"other","x":1}', '[1]\n"x"\n{', "\0"])
def test_what_is_no_transcript_is_an_empty_one(text: str) -> None:
    assert transcript.read(text) == Transcript()


def test_a_model_never_sees_a_transcript() -> None:
    messages = [
        Message("1", "user", "Hello", 0),
        Message("2", "assistant", "Hi", 0),
        Message("3", TRANSCRIPT, transcript.begin("a.wav", 1), 0),
        Message("4", "user", "And?", 0),
    ]
    assert [(m.role, m.content) for m in _history(messages, {})] == [
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", "And?"),
    ]


class Made:
    """Transcripts on a real store, of what a test scripts."""

    def __init__(self, store: Store, script: Script) -> None:
        self.store = store
        self.events: list[CoreEvent] = []
        self.asked: list[tuple[str, Target, str]] = []
        self.begun_at: list[tuple[int, int]] = []  # milliseconds and segments that were there
        self.hub = EventHub()
        self.hub.subscribe(self.events.append)

        def transcribe(
            path: Path, listener: Target, language: str, *, others: Sequence[Target], start_ms: int, segments: int
        ) -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
            self.asked.append((path.name, listener, language))
            self.begun_at.append((start_ms, segments))
            return script()

        async def who(listener: Target) -> AnswerStats:
            return THERE if listener.provider_key == KEY else HERE

        self.transcripts = Transcripts(store, self.hub, transcribe, who)

    async def ended(self, times: int = 1) -> Message:
        while len(ends := [event.message for event in self.events if isinstance(event, AnswerFinished)]) < times:
            await asyncio.sleep(0)
        return ends[times - 1]

    async def kept(self, conversation_id: str) -> Message:
        await self.transcripts.close()
        (message,) = await self.store.database.run(self.store.conversations.messages, conversation_id)
        return message


def play(tmp_path: Path, script: Script, test: Callable[..., object]) -> None:
    async def main() -> None:
        store = await asyncio.to_thread(Store.open, DataDir(tmp_path / "data").create(), now=time.time())
        recording = tmp_path / "oral-history-07.m4a"
        recording.write_bytes(b"x" * 39)
        made = Made(store, script)
        try:
            conversation = await store.database.run(store.conversations.create, Target(), time.time())
            await test(made, conversation.id, recording)  # type: ignore[misc]
        finally:
            await made.transcripts.close()
            await asyncio.to_thread(store.close)

    asyncio.run(main())


async def two_lines() -> AsyncGenerator[TranscriptionEvent, None]:
    yield Progress(0, 11_000)
    yield Segment(0, 0, 5_000, "And so my fellow Americans")
    yield Progress(5_000, 11_000, 3.0)
    yield Segment(1, 5_000, 11_000, "ask not")
    yield Finished(SpeechEnd.EOS, "en", 11_000)


def test_lines_come_as_they_are_heard_and_stay(tmp_path: Path) -> None:
    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        message_id = await made.transcripts.start(conversation_id, recording, Target("", "Whisper base"), "en")
        message = await made.ended()
        assert (message.id, message.status, message.stats) == (message_id, "done", HERE)
        assert made.asked == [("oral-history-07.m4a", Target("", "Whisper base"), "en")]
        assert sum(isinstance(event, AnswerTokens) for event in made.events) == 3
        progress = [event for event in made.events if isinstance(event, TranscriptProgress)]
        assert progress[-1] == TranscriptProgress(message_id, 5_000, 11_000, 3.0)
        kept = await made.kept(conversation_id)
        assert kept == message
        told = transcript.read(kept.text)
        assert (told.text, told.whole, told.size_bytes) == ("And so my fellow Americans ask not", True, 39)
        (conversation,) = await made.store.database.run(made.store.conversations.list)
        assert conversation.title == "Transcript: oral-history-07"

    play(tmp_path, two_lines, test)


def test_stopped_keeps_what_is_done(tmp_path: Path) -> None:
    closed: list[bool] = []

    async def endless() -> AsyncGenerator[TranscriptionEvent, None]:
        try:
            yield Segment(0, 0, 5_000, "And so")
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        message_id = await made.transcripts.start(conversation_id, recording, Target(), "")
        while not any(isinstance(event, AnswerTokens) for event in made.events):
            await asyncio.sleep(0)
        await made.transcripts.stop(message_id)
        message = await made.ended()
        assert (message.status, closed) == ("stopped", [True])
        assert transcript.read((await made.kept(conversation_id)).text).text == "And so"
        await made.transcripts.stop(message_id)

    play(tmp_path, endless, test)


def test_a_failure_keeps_what_is_done_and_says_why(tmp_path: Path) -> None:
    async def crashing() -> AsyncGenerator[TranscriptionEvent, None]:
        yield Segment(0, 0, 5_000, "And so")
        raise EngineCrashed("The speech process ended over this sound.")

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        await made.transcripts.start(conversation_id, recording, Target(), "")
        message = await made.ended()
        assert message.status == "failed"
        assert message.error is not None
        assert transcript.read((await made.kept(conversation_id)).text).text == "And so"

    play(tmp_path, crashing, test)


def test_a_program_that_closes_keeps_what_is_done(tmp_path: Path) -> None:
    async def endless() -> AsyncGenerator[TranscriptionEvent, None]:
        yield Segment(0, 0, 5_000, "And so")
        await asyncio.sleep(3600)

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        await made.transcripts.start(conversation_id, recording, Target(), "")
        while not any(isinstance(event, AnswerTokens) for event in made.events):
            await asyncio.sleep(0)
        kept = await made.kept(conversation_id)
        assert (kept.status, transcript.read(kept.text).text) == ("stopped", "And so")

    play(tmp_path, endless, test)


def test_a_file_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        recording.unlink()
        with pytest.raises(ModelError, match=r"no file oral-history-07.m4a"):
            await made.transcripts.start(conversation_id, recording, Target(), "")
        assert made.asked == []

    play(tmp_path, two_lines, test)


# --- Going on -------------------------------------------------------------------------------------------------------


def test_who_went_on_stands_in_it(tmp_path: Path) -> None:
    async def handed_over() -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
        yield Segment(0, 0, 5_000, "And so")
        yield TakenOver(Target(KEY, "Whisper base"), Target("", "Whisper base"), 5_000)
        yield Segment(1, 5_000, 11_000, "ask not")
        yield Finished(SpeechEnd.EOS, "en", 11_000)

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        await made.transcripts.start(conversation_id, recording, Target(KEY, "Whisper base"), "en")
        message = await made.ended()
        told = transcript.read(message.text)
        assert (told.text, told.whole, message.stats) == ("And so ask not", True, HERE)
        assert told.handed_over == (HandedOver(5_000, "Studio", ""),)

    play(tmp_path, handed_over, test)


def test_it_goes_on_by_itself_when_its_listener_is_back(tmp_path: Path) -> None:
    runs = 0

    async def cut_off() -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
        nonlocal runs
        runs += 1
        if runs == 1:
            yield Segment(0, 0, 5_000, "And so")
            raise ConnectionClosed("the peer stopped answering", name="ETIMEDOUT")
        yield Segment(1, 5_000, 11_000, "ask not")
        yield Finished(SpeechEnd.EOS, "en", 11_000)

    def seen(made: Made, state: str) -> None:
        made.hub.emit(ProvidersChanged((ProviderEntry(KEY, "Studio", state=state),)))

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        await made.transcripts.start(conversation_id, recording, Target(KEY, "Whisper base"), "")
        message = await made.ended()
        assert message.status == "failed" and message.error is not None
        assert message.error.message.startswith("The transcript goes on by itself")
        seen(made, "connecting")
        assert runs == 1
        seen(made, "online")
        message = await made.ended(2)
        assert (message.status, message.error, transcript.read(message.text).text) == ("done", None, "And so ask not")
        assert made.begun_at == [(0, 0), (5_000, 1)]
        seen(made, "online")
        assert runs == 2

    play(tmp_path, cut_off, test)


def test_a_person_goes_on_with_what_was_stopped(tmp_path: Path) -> None:
    runs = 0

    async def slow() -> AsyncGenerator[TranscriptionEvent | TakenOver, None]:
        nonlocal runs
        runs += 1
        if runs == 1:
            yield Segment(0, 0, 5_000, "And so")
            await asyncio.sleep(3600)
        yield Segment(1, 5_000, 11_000, "ask not")
        yield Finished(SpeechEnd.EOS, "en", 11_000)

    async def test(made: Made, conversation_id: str, recording: Path) -> None:
        message_id = await made.transcripts.start(conversation_id, recording, Target("", "Whisper base"), "de")
        while not any(isinstance(event, AnswerTokens) for event in made.events):
            await asyncio.sleep(0)
        await made.transcripts.stop(message_id)
        recording.write_bytes(b"another recording")
        with pytest.raises(ModelError, match="not where it was, or is another one"):
            await made.transcripts.go_on(conversation_id, message_id)
        recording.write_bytes(b"x" * 39)
        await made.transcripts.go_on(conversation_id, message_id)
        message = await made.ended(2)
        assert (message.status, transcript.read(message.text).text) == ("done", "And so ask not")
        await made.transcripts.go_on(conversation_id, message_id)
        assert runs == 2  # it is whole
        assert [language for _, _, language in made.asked] == ["de", "de"]
        with pytest.raises(StoreError, match="does not exist any more"):
            await made.transcripts.go_on(conversation_id, "none")

    play(tmp_path, slow, test)
