"""A recording for a provider of the SDK's own: cut in pauses, sent as raw samples, not stopped within a part."""

from __future__ import annotations

import asyncio
import base64
import itertools
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from qvac_core.delegation import plain_sound
from qvac_core.delegation.plain_sound import QUIET_SECONDS, SoundPart, quiet_end, sound_parts
from qvac_core.engines.speech import SAMPLE_RATE, Audio, AudioFile, Finished, Progress, Samples, Segment, SpeechEnd
from qvac_core.errors import ModelError
from tests.unit.memory_stream import run
from tests.unit.test_delegation_transcriptions import all_of, connected_plainly, listening, loaded

RUNNER = run

NOISE = np.random.default_rng(7)


def noise(seconds: float) -> npt.NDArray[np.float32]:
    return NOISE.uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE)).astype(np.float32)


def silence(seconds: float) -> npt.NDArray[np.float32]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def parts_of(audio: Audio, *, float32: bool = False, start_ms: int = 0) -> list[SoundPart]:
    async def main() -> list[SoundPart]:
        return [part async for part in sound_parts(audio, float32=float32, start_ms=start_ms)]

    return asyncio.run(main())


def samples_of(parts: list[SoundPart], kind: str) -> npt.NDArray[np.float32]:
    raw = np.frombuffer(b"".join(base64.b64decode(part.audio.value) for part in parts), kind)
    return raw.astype(np.float32) if kind == "<f4" else (raw / 32767).astype(np.float32)


def test_parts_are_cut_in_pauses_and_are_the_whole_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_sound, "PART_SECONDS", 4.0)
    sound = np.concatenate((noise(3.0), silence(0.6), noise(2.9), silence(0.6), noise(2.0)))
    parts = parts_of(Samples(sound.tobytes()), float32=True)
    assert [part.start_ms for part in parts] == sorted(part.start_ms for part in parts)
    assert len(parts) == 3
    for part in parts[1:]:
        at = part.start_ms * SAMPLE_RATE // 1000
        assert not np.any(sound[at - SAMPLE_RATE // 20 : at + SAMPLE_RATE // 20])  # in the middle of a pause
    assert np.array_equal(samples_of(parts, "<f4"), sound)
    assert sum(part.length_ms for part in parts) == pytest.approx(len(sound) / 16, abs=len(parts))
    assert {part.total_ms for part in parts} == {9100}


def test_sound_without_a_pause_is_cut_all_the_same() -> None:
    loud = noise(61)
    most = 60 * SAMPLE_RATE
    assert most - round(QUIET_SECONDS * SAMPLE_RATE) <= quiet_end(loud, most) <= most


def test_s16le_is_what_the_sdk_reads_where_nothing_was_said() -> None:
    sound = np.array([0.0, 0.25, -0.25, 1.5, -1.5], np.float32)
    (part,) = parts_of(Samples(sound.tobytes()))
    assert np.frombuffer(base64.b64decode(part.audio.value), "<i2").tolist() == [0, 8192, -8192, 32767, -32768]


def test_a_file_is_decoded_and_begins_where_it_was_heard_up_to(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    tone = (np.sin(np.arange(48_000 * 3) / 20) * 20_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(tone.tobytes())
    whole, rest = parts_of(AudioFile(path)), parts_of(AudioFile(path), start_ms=2000)
    assert [(part.start_ms, part.total_ms) for part in (*whole, *rest)] == [(0, 3000), (2000, 3000)]
    assert whole[0].length_ms == pytest.approx(3000, abs=5)
    assert rest[0].length_ms == pytest.approx(1000, abs=100)  # to a frame


def test_a_file_that_is_no_sound_says_so_and_one_that_is_left_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"no sound at all")
    with pytest.raises(ModelError, match="no sound or video file"):
        parts_of(AudioFile(path))
    with pytest.raises(ModelError, match="cannot be read"):
        parts_of(AudioFile(tmp_path / "missing.wav"))


async def test_a_provider_that_is_not_ours_gets_samples_and_its_times_become_those_of_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plain_sound, "PART_SECONDS", 4.0)
    sound = np.concatenate((noise(3.0), silence(0.6), noise(2.9)))

    async with listening() as (room, model):
        consumer, its = await loaded(room)
        await connected_plainly(consumer)
        events = await all_of(consumer.transcribe(its, Samples(sound.tobytes())))
        assert [type(request.audio) for request in model.requests] == [Samples, Samples]
        segments = [event for event in events if isinstance(event, Segment)]
        assert [segment.id for segment in segments] == list(range(len(segments)))
        # Words of whole seconds within each part: 0, 1, 2 of the first one, then those behind the pause.
        assert [segment.start_ms // 1000 for segment in segments] == [0, 1, 2, 3, 4, 5][: len(segments)]
        assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(segments))
        (last,) = [event for event in events if isinstance(event, Finished)]
        assert (last.stop_reason, last.audio_ms) == (SpeechEnd.EOS, 6500)
        await consumer.close()


async def test_one_that_is_left_or_cancelled_is_read_out_and_the_next_waits_for_it() -> None:
    async with listening() as (room, model):
        model.step = 1.0
        consumer, its = await loaded(room)
        await connected_plainly(consumer)
        sound = Samples(silence(4).tobytes())
        events = consumer.transcribe(its, sound)
        async for _event in events:
            break
        await events.aclose()
        task = asyncio.create_task(all_of(consumer.transcribe(its, sound, request_id="mine")))
        await asyncio.sleep(0.5)
        assert len(model.requests) == 1  # the first one is still heard
        while len(model.requests) < 2:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        assert await consumer.cancel(request_id="mine") == 1
        last = (await task)[-1]
        assert isinstance(last, Finished) and last.stop_reason is SpeechEnd.CANCELLED
        assert not model.cancelled
        await asyncio.sleep(5)
        assert room.log.outcomes == ["eos", "eos"]
        await consumer.close()


async def test_a_cancel_while_the_last_one_is_read_out_is_over_at_once_and_sends_nothing() -> None:
    async with listening() as (room, model):
        model.step = 1000.0
        consumer, its = await loaded(room)
        await connected_plainly(consumer)
        left = asyncio.create_task(all_of(consumer.transcribe(its, Samples(silence(4).tobytes()))))
        while not model.requests:
            await asyncio.sleep(0.1)
        left.cancel()
        await asyncio.wait({left})
        task = asyncio.create_task(all_of(consumer.transcribe(its, Samples(silence(4).tobytes()), request_id="mine")))
        await asyncio.sleep(0.5)
        assert await consumer.cancel(request_id="mine") == 1
        async with asyncio.timeout(10):
            (last,) = await task
        assert isinstance(last, Finished) and last.stop_reason is SpeechEnd.CANCELLED
        assert len(model.requests) == 1
        await consumer.close()  # while the first one is read out still


async def test_a_cancel_between_two_parts_sends_no_further_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_sound, "PART_SECONDS", 2.0)
    async with listening() as (room, model):
        consumer, its = await loaded(room)
        await connected_plainly(consumer)
        sound = Samples(silence(6).tobytes())
        second = [part async for part in sound_parts(sound, float32=False)][1]
        told = []
        async for event in consumer.transcribe(its, sound, request_id="mine"):
            told.append(event)
            if isinstance(event, Progress) and event.done_ms == second.start_ms:
                assert await consumer.cancel(request_id="mine") == 1
        assert isinstance(told[-1], Finished) and told[-1].stop_reason is SpeechEnd.CANCELLED
        await asyncio.sleep(1)
        assert len(model.requests) == 1
        await consumer.close()


@pytest.mark.parametrize("count", [0, 1, 64_000, 64_001])
def test_recordings_of_nothing_and_of_exactly_one_part(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_sound, "PART_SECONDS", 4.0)
    sound = np.zeros(count, np.float32)
    parts = parts_of(Samples(sound.tobytes()), float32=True)
    assert len(parts) == (0 if not count else 1 if count <= 64_000 else 2)
    assert sum(len(base64.b64decode(part.audio.value)) for part in parts) == 4 * count
    assert parts_of(Samples(sound.tobytes()), start_ms=9000) == []


def test_samples_that_end_within_one_and_are_no_numbers_break_nothing() -> None:
    sound = np.array([np.nan, np.inf, -np.inf, 0.5], np.float32).tobytes() + b"\x01\x02"
    (part,) = parts_of(Samples(sound))
    assert np.frombuffer(base64.b64decode(part.audio.value), "<i2").tolist() == [0, 32767, -32768, 16384]


def test_hours_of_samples_are_not_copied_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    concatenate = np.concatenate

    def counting(pieces: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        copied.append(sum(map(len, pieces)))
        return concatenate(pieces)

    monkeypatch.setattr(plain_sound, "PART_SECONDS", 1.0)
    monkeypatch.setattr(np, "concatenate", counting)
    assert len(parts_of(Samples(silence(60).tobytes()))) >= 60
    assert sum(copied) < 4 * 60 * SAMPLE_RATE


async def test_the_time_left_is_reckoned_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_sound, "PART_SECONDS", 4.0)
    sound = np.concatenate((noise(3.0), silence(0.6), noise(5.4)))

    async with listening() as (room, model):
        model.step = 2.0  # seconds for each one of sound
        consumer, its = await loaded(room)
        await connected_plainly(consumer)
        events = await all_of(consumer.transcribe(its, Samples(sound.tobytes())))
        left = [(event.done_ms, event.left_seconds) for event in events if isinstance(event, Progress)]
        behind = [(done, seconds) for done, seconds in left if 3300 < done < 9000]
        assert behind
        for done, seconds in behind:
            assert seconds == pytest.approx(2 * (9000 - done) / 1000, rel=0.35)
        await consumer.close()
