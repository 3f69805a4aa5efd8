"""The real model in its real process: what the library gets wrong without an error, turns, cancels and crashes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from qvac_core.engines.live_speech import (
    Committed,
    LiveEvent,
    LiveFinished,
    LiveOptions,
    LiveTranscription,
    Tentative,
    TurnEnded,
    Voice,
)
from qvac_core.engines.speech import (
    SAMPLE_RATE,
    Audio,
    AudioBytes,
    AudioFile,
    Finished,
    Progress,
    Samples,
    Segment,
    SpeechConfig,
    SpeechEnd,
    TranscriptionRequest,
)
from qvac_core.engines.speech_engine import WhisperEngine, WhisperModel
from qvac_core.engines.subtitles import plain_text
from qvac_core.errors import EngineCrashed, InferenceCancelled, ModelError
from tests.sound_files import Sound, encode
from tests.speech_files import KENNEDY, english_model, kennedy_wav, multilingual_model, samples_of

pytestmark = pytest.mark.timeout(600)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def alike(heard: list[str], said: list[str]) -> bool:
    """A small model mistakes a word in a minute where the same is said again and again."""
    return SequenceMatcher(None, heard, said, autojunk=False).ratio() > 0.93


@pytest.fixture(scope="module")
def speech() -> Sound:
    return samples_of(kennedy_wav())


@asynccontextmanager
async def loaded(path: Path | None = None, window_seconds: float = 60.0) -> AsyncIterator[WhisperModel]:
    engine = WhisperEngine()
    try:
        yield await engine.load(path or english_model(), SpeechConfig(threads=1, window_seconds=window_seconds))
    finally:
        await engine.close()
        assert engine.worker_pids() == ()


class Taken:
    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.progress: list[Progress] = []
        self.end: Finished | None = None

    @property
    def words(self) -> list[str]:
        return words(plain_text(self.segments))


async def take(model: WhisperModel, audio: Audio, request_id: str = "1", **options: object) -> Taken:
    taken = Taken()
    request = replace(TranscriptionRequest(request_id, audio), **options)  # type: ignore[arg-type]
    async for event in model.transcribe(request):
        assert taken.end is None
        if isinstance(event, Segment):
            taken.segments.append(event)
        elif isinstance(event, Progress):
            taken.progress.append(event)
        else:
            taken.end = event
    return taken


def samples(sound: Sound) -> Samples:
    return Samples(np.ascontiguousarray(sound, "<f4").tobytes())


async def test_a_recording_in_three_ways_and_what_comes_after_it(speech: Sound) -> None:
    async with loaded() as model:
        assert not model.info.multilingual and model.info.languages == ("en",)
        file = await take(model, AudioFile(kennedy_wav()))
        assert file.words == words(KENNEDY)
        assert file.end is not None and file.end.stop_reason is SpeechEnd.EOS
        assert file.end.language == "en" and file.end.audio_ms == 11_000 and file.end.notices == ()
        assert file.end.stats.segments == len(file.segments) and file.end.stats.real_time_factor > 0
        assert file.progress[-1].done_ms == 11_000 and file.progress[-1].total_ms == 11_000
        assert [segment.id for segment in file.segments] == list(range(len(file.segments)))

        # An array without samples gives the last person's words in the library.
        empty = await take(model, samples(speech[:0]))
        assert empty.segments == [] and empty.end is not None and empty.end.audio_ms == 0
        # Less than 100 ms gives nothing there; here it is heard, with silence behind it.
        scrap = await take(model, samples(speech[5000:6000]))
        assert all(0 <= segment.start_ms <= segment.end_ms <= 62 for segment in scrap.segments)
        # Half a second of silence is [BLANK_AUDIO] of ten seconds there.
        silence = await take(model, samples(np.zeros(SAMPLE_RATE // 2, np.float32)))
        assert silence.segments == [] and silence.end is not None and silence.end.language == ""

        # Options stay with the library's model; not here.
        shout = await take(model, samples(speech), prompt="AND SO MY FELLOW SHOUTERS", words=True)
        assert all(len(words(segment.text)) <= 2 for segment in shout.segments)
        assert shout.words[:6] == words(KENNEDY)[:6]
        assert all(one.end_ms <= other.start_ms for one, other in zip(shout.segments, shout.segments[1:], strict=False))
        again = await take(model, AudioBytes(encode("m4a", speech)))
        assert again.words == words(KENNEDY)
        assert len(again.segments) == len(file.segments)
        assert all(0 <= segment.start_ms <= segment.end_ms <= 11_100 for segment in again.segments)


async def test_bad_input_is_told_and_costs_only_itself(speech: Sound, tmp_path: Path) -> None:
    async with loaded() as model:
        pid = model.worker_pid
        for audio, options, sentence in [
            (AudioBytes(b"no sound"), {}, "no sound or video file"),
            (AudioFile(tmp_path / "none.mp3"), {}, "cannot be read"),
            (samples(speech), {"language": "klingon"}, "no language"),
            (samples(speech), {"language": "de"}, "English only"),
            (samples(speech), {"max_seconds": 5.0}, "longer than the 0:05"),
            (AudioBytes(encode("flac", speech)), {"max_seconds": 5.0}, "longer than the 0:05"),
        ]:
            with pytest.raises(ModelError, match=sentence):
                await take(model, audio, **options)  # type: ignore[arg-type]
        odd = np.full(SAMPLE_RATE, np.nan, np.float32)
        assert (await take(model, samples(odd))).segments == []
        assert (await take(model, samples(speech), language="English")).words == words(KENNEDY)
        assert model.worker_pid == pid
    with pytest.raises(ModelError, match="not loaded any more"):
        await take(model, samples(speech))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are Unicode")
async def test_a_file_whose_name_is_no_utf_8_is_heard(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.wav"))
    path.write_bytes(kennedy_wav().read_bytes())
    model_path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.bin"))
    model_path.write_bytes(b"lmgg")

    async with loaded() as model:
        assert (await take(model, AudioFile(path))).words == words(KENNEDY)
        with pytest.raises(ModelError, match="cannot be read"):
            await take(model, AudioFile(path.with_name("gone\udcff.wav")))
    with pytest.raises(ModelError, match="Rename it"):
        async with loaded(model_path):
            pass


async def test_a_file_that_is_no_whole_model_is_refused(tmp_path: Path) -> None:
    data = english_model().read_bytes()
    cut = tmp_path / "cut.bin"
    cut.write_bytes(data[: len(data) // 2])
    garbage = tmp_path / "garbage.bin"
    garbage.write_bytes(b"nothing" * 1000)
    for path, sentence in [(cut, "not complete"), (garbage, "no Whisper model"), (tmp_path / "none", "not there")]:
        with pytest.raises(ModelError, match=sentence):
            async with loaded(path):
                pass


async def test_a_long_recording_is_heard_in_windows_and_others_take_turns(speech: Sound) -> None:
    async with loaded(window_seconds=24.0) as model:
        order: list[str] = []

        async def run(name: str, sound: Sound) -> Taken:
            taken = await take(model, samples(sound), name, owner=name)
            order.append(name)
            return taken

        long = asyncio.create_task(run("long", np.concatenate([speech] * 5)))
        short = asyncio.create_task(run("short", speech))
        with pytest.raises(ModelError, match="request id"):
            await asyncio.gather(asyncio.sleep(0), take(model, samples(speech), "long"))
        taken = await long
        assert (await short).words == words(KENNEDY)
        assert order == ["short", "long"]  # it did not wait for the long one's end
        assert alike(taken.words, words(KENNEDY) * 5)
        assert taken.end is not None and taken.end.audio_ms == 55_000
        assert [segment.id for segment in taken.segments] == list(range(len(taken.segments)))
        lefts = [event.left_seconds for event in taken.progress if event.left_seconds is not None]
        assert lefts and lefts[-1] == 0.0 and taken.progress[-1].total_ms == 55_000
        done = [event.done_ms for event in taken.progress]
        assert done == sorted(done)


async def test_a_cancel_is_no_silence_and_frees_the_model(speech: Sound) -> None:
    async with loaded() as model:
        long = samples(np.concatenate([speech] * 20))
        running = asyncio.create_task(take(model, long, "long"))
        await asyncio.sleep(0.3)
        assert not model.cancel("another")
        assert model.cancel("long")
        taken = await asyncio.wait_for(running, 2.0)
        assert taken.end is not None and taken.end.stop_reason is SpeechEnd.CANCELLED
        assert not model.cancel("long")
        # Whoever stops iterating cancels, too.
        async for _event in model.transcribe(TranscriptionRequest("left", long)):
            break
        assert (await take(model, samples(speech))).words == words(KENNEDY)


async def test_a_crash_costs_the_request_at_work_and_the_others_go_on(speech: Sound) -> None:
    async with loaded(window_seconds=24.0) as model:
        double = np.concatenate([speech] * 4)
        first = asyncio.create_task(take(model, samples(double), "first", owner="one"))
        segments: list[Segment] = []

        async def second() -> None:
            request = TranscriptionRequest("second", samples(double), owner="two")
            async for event in model.transcribe(request):
                if isinstance(event, Segment):
                    segments.append(event)

        other = asyncio.create_task(second())
        # Both have a window behind them when the process ends over one of them.
        while len(segments) < 1:
            await asyncio.sleep(0.05)
        while model._working != 1:
            await asyncio.sleep(0.01)
        assert model.worker_pid is not None
        os.kill(model.worker_pid, signal.SIGKILL)
        with pytest.raises(EngineCrashed, match="convert it to WAV"):
            await first
        await other
        assert alike(words(plain_text(segments)), words(KENNEDY) * 4)
        assert [segment.id for segment in segments] == list(range(len(segments)))
        assert (await take(model, samples(speech))).words == words(KENNEDY)


@pytest.mark.long
async def test_the_language_is_found_or_given() -> None:
    async with loaded(multilingual_model()) as model:
        assert model.info.multilingual and {"de", "en", "fr"} <= set(model.info.languages)
        audio = AudioFile(kennedy_wav())
        found = await take(model, audio)
        assert found.words == words(KENNEDY) and found.end is not None and found.end.language == "en"
        german = await take(model, audio, language="german")
        assert german.words[:2] == ["und", "so"] and german.end is not None and german.end.language == "de"
        english = await take(model, audio, language="de", translate=True)
        assert english.words == words(KENNEDY)


async def test_live_words_settle_and_turns_end(speech: Sound) -> None:
    async with loaded() as model:
        sound = np.concatenate([speech, np.zeros(2 * SAMPLE_RATE, np.float32), speech])
        events: list[LiveEvent] = []
        async with LiveTranscription(model, LiveOptions(end_of_turn_ms=1200)) as live:

            async def speak() -> None:
                for start in range(0, sound.size, SAMPLE_RATE // 4):
                    await live.write(sound[start : start + SAMPLE_RATE // 4].tobytes())
                    await asyncio.sleep(0.1)
                await live.end()

            speaking = asyncio.create_task(speak())
            async for event in live:
                events.append(event)
            await speaking
            with pytest.raises(ModelError, match="has ended"):
                await live.write(b"")
        texts = [event.text for event in events if isinstance(event, Committed)]
        assert words("".join(texts)) == words(KENNEDY) * 2
        assert isinstance(events[-1], LiveFinished) and events[-1].text == "".join(texts)
        assert any(isinstance(event, Tentative) for event in events)
        (turn,) = [place for place, event in enumerate(events) if isinstance(event, TurnEnded)]
        before = "".join(event.text for event in events[:turn] if isinstance(event, Committed))
        assert words(before) == words(KENNEDY)
        assert {event.speaking for event in events if isinstance(event, Voice)} == {True, False}

        left = LiveTranscription(model)
        await left.write(speech)
        await left.close()
        await left.close()
        with pytest.raises(InferenceCancelled):
            async for _event in left:
                pass


async def test_what_somebody_else_heard_is_not_heard_again(speech: Sound) -> None:
    async with loaded(window_seconds=8.0) as model:
        twice = await take(model, samples(np.tile(speech, 2)), start_ms=11_000)
        assert alike(twice.words, words(KENNEDY))
        assert twice.end is not None and twice.end.audio_ms == 22_000
        assert all(segment.start_ms >= 11_000 for segment in twice.segments)
        assert all(each.done_ms >= 11_000 for each in twice.progress)
        behind = await take(model, samples(speech), start_ms=20_000)
        assert behind.segments == []
        assert behind.end is not None and behind.end.audio_ms == 11_000, "and where the end is, is told"
