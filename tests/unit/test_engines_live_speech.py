"""Live speech without a model: who speaks, which words are settled, when a turn ends."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import numpy as np
import pytest

from qvac_core.engines.live_speech import LiveTranscription, sound_of
from qvac_core.engines.live_words import (
    BACKLOG_MS,
    CUT_MS,
    LONGEST_MS,
    Committed,
    LiveEvent,
    LiveFinished,
    LiveOptions,
    LiveWords,
    Tentative,
    TurnEnded,
    Voice,
)
from qvac_core.engines.local_agreement import LocalAgreement, Word
from qvac_core.engines.speech import SAMPLE_RATE, Segment
from qvac_core.engines.speech_engine import WhisperModel
from qvac_core.engines.speech_task import Sound
from qvac_core.engines.voice_activity import VoiceActivity
from qvac_core.errors import ModelError
from tests.speech_files import kennedy_wav, samples_of

RANDOM = np.random.default_rng(5)


def noise(seconds: float, level: float) -> Sound:
    return (level * RANDOM.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


# --- Voice activity ---------------------------------------------------------------------------------------------------


def turns(sound: Sound, step: int = 800) -> list[tuple[float, bool]]:
    voice = VoiceActivity()
    heard = []
    for start in range(0, sound.size, step):
        if voice.feed(sound[start : start + step]):
            heard.append((round((start + step) / SAMPLE_RATE, 2), voice.speaking))
    return heard


@pytest.mark.parametrize("room", [0.0, 0.0003, 0.003])
@pytest.mark.parametrize("loudness", [1.0, 0.2])
def test_a_voice_is_told_from_the_room(room: float, loudness: float) -> None:
    speech = loudness * samples_of(kennedy_wav())
    sound = np.concatenate([np.zeros(2 * SAMPLE_RATE, np.float32), speech, np.zeros(2 * SAMPLE_RATE, np.float32)])
    heard = turns(sound + noise(sound.size / SAMPLE_RATE, room))
    (begin, speaking), (end, still) = heard[0], heard[-1]
    assert speaking and 2.0 <= begin <= 2.8
    assert not still and 12.0 <= end <= 13.5
    assert all(later - earlier < 4 for (earlier, on), (later, _) in pairwise(heard) if not on)


def test_a_fan_and_a_click_are_no_voice() -> None:
    assert turns(noise(8, 0.02)) == []
    click = np.zeros(3 * SAMPLE_RATE, np.float32)
    click[SAMPLE_RATE : SAMPLE_RATE + 160] = 0.8
    assert turns(click) == []
    assert turns(np.zeros(SAMPLE_RATE, np.float32)) == []


def test_the_size_of_the_pieces_changes_nothing() -> None:
    speech = samples_of(kennedy_wav())
    one, many = VoiceActivity(), VoiceActivity()
    one.feed(speech)
    for piece in np.array_split(speech, 937):
        many.feed(piece)
    assert (one.speaking, one.probability, one.silence_ms) == (many.speaking, many.probability, many.silence_ms)


# --- Settled words ----------------------------------------------------------------------------------------------------


def said(text: str, start: int = 0) -> list[Word]:
    return [Word(word, start + 300 * place, start + 300 * place + 280) for place, word in enumerate(text.split())]


def texts(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def test_what_two_passes_agree_on_is_settled_and_stays() -> None:
    """As measured on a real recording: single passes hear "american", "am i", "asked"."""
    agreement = LocalAgreement()
    settled = [
        texts(agreement.heard(said(text)))
        for text in [
            "And so am I",
            "And so my fellow american",
            "and so my fellow Americans asked",
            "And so, my fellow Americans, ask not",
            "And so, my fellow American, ask not what",
        ]
    ]
    assert settled == ["", "And so", "my fellow", "Americans,", "ask not"]
    assert texts(list(agreement.tentative)) == "what"
    assert (
        texts(agreement.settle(said("And so my fellow Americans ask not what your country."))) == "what your country."
    )
    assert texts(agreement.committed) == "And so my fellow Americans, ask not what your country."


def test_a_pass_that_hears_a_word_more_or_less_is_lined_up() -> None:
    agreement = LocalAgreement()
    for text in ["one two three four five", "one two three four five six"]:
        agreement.heard(said(text))
    assert texts(agreement.heard(said("the one two three four five six seven"))) == "six"
    assert texts(agreement.heard(said("two three four five six seven eight"))) == "seven"


def test_behind_a_cut_words_begin_anew() -> None:
    agreement = LocalAgreement()
    for _ in range(2):
        agreement.heard(said("no no no"))
    agreement.cut(agreement.committed_ms)
    after = said("no and yes", start=900)
    assert texts(agreement.heard(after)) == ""
    assert texts(agreement.heard(after)) == "no and yes"  # said again, and no echo
    assert texts(agreement.committed) == "no no no no and yes"


def test_committed_words_never_change_whatever_the_passes_say() -> None:
    chance = random.Random(3)
    for _ in range(300):
        agreement = LocalAgreement()
        before: list[Word] = []
        for _ in range(12):
            words = said(" ".join(chance.choice("aab") for _ in range(chance.randrange(9))))
            fresh = (
                agreement.heard(words) if chance.random() < 0.9 else agreement.settle(words, chance.choice([None, 900]))
            )
            assert agreement.committed == before + fresh
            before = list(agreement.committed)
            if chance.random() < 0.2:
                agreement.cut(agreement.committed_ms)


# --- The whole --------------------------------------------------------------------------------------------------------


class Speaker:
    """Says a word every 300 ms, and hears them again where they stand in a piece of sound."""

    def __init__(self) -> None:
        self.sound: Sound = np.zeros(0, np.float32)
        self.words: list[Word] = []

    def silence(self, seconds: float) -> Speaker:
        self.sound = np.concatenate([self.sound, noise(seconds, 0.0005)])
        return self

    def say(self, count: int) -> Speaker:
        for _ in range(count):
            start = self.sound.size * 1000 // SAMPLE_RATE
            word = np.concatenate([noise(0.22, 0.2), noise(0.08, 0.0005)])
            self.words.append(Word(f"w{len(self.words)}", start, start + 220))
            self.sound = np.concatenate([self.sound, word])
        return self


def run(speaker: Speaker, options: LiveOptions, every: int = 1600, slow: int = 1) -> list[LiveEvent]:
    """slow: pieces of sound that come while a pass is heard."""
    live = LiveWords(options)
    events: list[LiveEvent] = []

    def hear() -> bool:
        wanted = live.wanted_pass()
        if wanted is None:
            return False
        assert wanted.sound.size <= LONGEST_MS * SAMPLE_RATE // 1000
        end_ms = wanted.start_ms + wanted.sound.size * 1000 // SAMPLE_RATE
        inside = [word for word in speaker.words if word.start_ms >= wanted.start_ms - 20 and word.end_ms <= end_ms]
        events.extend(
            live.heard(
                [
                    Segment(n, max(word.start_ms - wanted.start_ms, 0), word.end_ms - wanted.start_ms, word.text)
                    for n, word in enumerate(inside)
                ],
                "en",
            )
        )
        return True

    for place, start in enumerate(range(0, speaker.sound.size, every)):
        events += live.feed(speaker.sound[start : start + every])
        if place % slow == 0:
            hear()
    events += live.end()
    while hear():
        pass
    assert live.finished and live.wanted_pass() is None
    return events


def committed(events: list[LiveEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Committed))


@pytest.mark.parametrize("slow", [1, 15, 60])
@pytest.mark.parametrize("end_of_turn_ms", [800, 0])
def test_every_word_is_committed_once(slow: int, end_of_turn_ms: int) -> None:
    speaker = Speaker().silence(2).say(12).silence(1.5).say(5).silence(4).say(200).silence(0.4)
    events = run(speaker, LiveOptions(end_of_turn_ms=end_of_turn_ms), slow=slow)
    assert committed(events) == " ".join(word.text for word in speaker.words)
    last = events[-1]
    assert isinstance(last, LiveFinished) and last.text == committed(events) and last.language == "en"
    assert last.audio_ms == speaker.sound.size * 1000 // SAMPLE_RATE
    starts = [event.start_ms for event in events if isinstance(event, Committed)]
    assert starts == sorted(starts)
    assert speaker.sound.size > CUT_MS * SAMPLE_RATE // 1000


def test_a_turn_ends_once_with_everything_committed_before() -> None:
    speaker = Speaker().silence(1).say(10).silence(3).say(4).silence(3)
    events = run(speaker, LiveOptions(end_of_turn_ms=800))
    ends = [place for place, event in enumerate(events) if isinstance(event, TurnEnded)]
    assert len(ends) == 2
    assert committed(events[: ends[0]]) == " ".join(f"w{n}" for n in range(10))
    said_of_it = [event for event in events[: ends[0]] if isinstance(event, Tentative)]
    assert said_of_it[-1].text == ""
    silence = [event.silence_ms for event in events if isinstance(event, TurnEnded)]
    assert all(800 <= each <= 1100 for each in silence)
    assert not [event for event in run(speaker, LiveOptions(end_of_turn_ms=0)) if isinstance(event, TurnEnded)]


def test_silence_asks_the_model_nothing_and_holds_no_sound() -> None:
    live = LiveWords(LiveOptions())
    events: list[LiveEvent] = []
    for _ in range(600):
        events += live.feed(noise(0.1, 0.0005))
        assert live.wanted_pass() is None
    assert live._sound.size < SAMPLE_RATE
    assert 180 < len([event for event in events if isinstance(event, Voice)]) < 300  # the level meter goes on
    (last,) = live.end()
    assert last == LiveFinished("", "", 60_000)


def test_a_model_slower_than_speech_is_noticed() -> None:
    live = LiveWords(LiveOptions())
    assert not live.is_behind
    speaker = Speaker().silence(1).say(round(BACKLOG_MS / 300) + 20)
    live.feed(speaker.sound)
    assert live.is_behind


def test_samples_in_pieces_of_any_size() -> None:
    sound = noise(0.01, 0.1)
    data, rest, heard = sound.tobytes(), b"", []
    for start in range(0, len(data), 7):
        piece, rest = sound_of(data[start : start + 7], rest)
        heard.append(piece)
    assert rest == b"" and np.array_equal(np.concatenate(heard), sound)
    stereo = np.stack([sound, -sound], axis=1)
    column, _ = sound_of(stereo[:, 0])
    assert np.array_equal(column, sound) and column.flags.c_contiguous  # the library reads a strided view wrongly
    for wrong in (stereo, (sound * 32767).astype(np.int16)):
        with pytest.raises(ModelError, match="float32"):
            sound_of(wrong)  # type: ignore[arg-type]


def test_who_reads_a_transcript_again_that_has_ended_finds_nothing() -> None:
    async def main() -> None:
        async with LiveTranscription(Silent(), LiveOptions()) as live:
            await live.end()
            first = [event async for event in live]
            assert isinstance(first[-1], LiveFinished)
            assert not [event async for event in live]

    asyncio.run(asyncio.wait_for(main(), 30))


class Silent(WhisperModel):
    """Nobody speaks, so nothing is asked of it."""

    def __init__(self) -> None:
        pass
