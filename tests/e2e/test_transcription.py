"""Speech for programs, on this machine and from another one: the same words, and the same errors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qvac_core import Delegate, cancel, load_model, transcribe, transcribe_stream
from qvac_core.core import Core, RuleOverride
from qvac_core.core.state import AnswerFinished, DictationEnded, Target
from qvac_core.core.transcript import read as read_transcript
from qvac_core.delegation.messages import FileAudio, Transcribe
from qvac_core.engines.live_speech import Committed, LiveFinished, LiveSession, TurnEnded, Voice
from qvac_core.engines.speech import SAMPLE_RATE, Progress
from qvac_core.errors import DelegationError, InferenceCancelled, LocalProtocolError, ModelError, QvacError
from tests.e2e.test_api import GUEST_KEY, GUEST_SEED, OTHER_KEY, OTHER_SEED, member, run
from tests.e2e.test_embeddings import settled
from tests.e2e.test_speech_engine import words
from tests.sound_files import encode
from tests.speech_files import KENNEDY, english_model, kennedy_wav, samples_of

pytestmark = pytest.mark.timeout(600)
HEARING = 500.0  # seconds: a busy machine hears more slowly than people speak
THERE = Delegate(OTHER_KEY, timeout=60)


def owned_by(tmp_path: Path, bootstrap: str) -> Core:
    config = replace(member(tmp_path / "owner", OTHER_SEED, bootstrap), rules=RuleOverride(allow=(GUEST_KEY,)))
    return Core(config)


def test_here_and_there_the_words_are_the_same(bootstrap: str, tmp_path: Path) -> None:
    sound = samples_of(kennedy_wav())

    async def test() -> None:
        async with owned_by(tmp_path, bootstrap) as owner:
            await owner.add_model_file(english_model())
            assert [(model.ability, model.shared) for model in await owner.shared_models()] == [("transcribe", True)]
            await owner.start_sharing()
            raw = {"audio_format": "f32le"}
            far = await load_model("ggml-tiny.en.bin", model_type="whisper", delegate=THERE)
            near = await load_model(str(english_model()), model_type="whisper")
            far_raw = await load_model("ggml-tiny.en", model_type="whisper", delegate=THERE, model_config=raw)
            near_raw = await load_model(str(english_model()), model_type="whisper", model_config=raw)
            told: dict[str, list[Progress]] = {far: [], near: []}
            segments = {
                model: await transcribe(model, kennedy_wav(), metadata=True, on_progress=told[model].append)
                for model in (far, near)
            }
            assert segments[far] == segments[near]
            assert words(" ".join(segment.text for segment in segments[far])) == words(KENNEDY)
            assert all(events[-1].done_ms == 11_000 for events in told.values())
            (tmp_path / "voice message").write_bytes(encode("ogg", sound))
            pcm = (sound[: 4 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()
            floats = sound[: 4 * SAMPLE_RATE].astype("<f4").tobytes()
            assert words(await transcribe(far, str(tmp_path / "voice message"))) == words(KENNEDY)
            said = words(KENNEDY)[:5]
            texts = [await transcribe(model, pcm) for model in (far, near)]
            assert texts[0] == texts[1] and words(texts[0])[:5] == said
            assert words(await transcribe(far_raw, floats))[:5] == said
            assert words(await transcribe(near_raw, floats))[:5] == said
            prompt = "AND SO MY FELLOW SHOUTERS"
            prompted = [await transcribe(model, pcm, prompt=prompt) for model in (far, near)]
            assert prompted[0] == prompted[1] != texts[0]
            entries = await settled(owner, 5)
            assert {(entry.method, entry.outcome, entry.unit) for entry in entries} == {
                ("transcribe", "eos", "seconds")
            }
            assert sorted(round(entry.amount) for entry in entries) == [4, 4, 4, 11, 11]

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap), HEARING)


def test_what_goes_wrong_is_told_alike_here_and_there(bootstrap: str, small_model_path: Path, tmp_path: Path) -> None:
    async def test() -> None:
        async with owned_by(tmp_path, bootstrap) as owner:
            for path in (english_model(), small_model_path):
                await owner.add_model_file(path)
            await owner.start_sharing()
            far = await load_model("ggml-tiny.en.bin", model_type="whisper", delegate=THERE)
            near = await load_model(str(english_model()), model_type="whisper")
            long = encode("flac", np.tile(samples_of(kennedy_wav()), 12))
            (tmp_path / "text.mp3").write_bytes(b"this is no sound\n" * 100)
            for model in (far, near):
                with pytest.raises(DelegationError, match="no sound or video file"):
                    await transcribe(model, tmp_path / "text.mp3")
                with pytest.raises(QvacError, match="cannot be read"):
                    await transcribe(model, tmp_path / "none.mp3")
                heard = asyncio.Event()
                task = asyncio.create_task(
                    transcribe(model, long, request_id="mine", on_progress=lambda _: heard.set())  # noqa: B023
                )
                await heard.wait()
                assert await cancel(request_id="mine") == 1
                with pytest.raises(InferenceCancelled, match="cancelled"):
                    await task
                assert await cancel(request_id="mine") == 0
            for delegate in (THERE, None):
                source = "ggml-tiny.en.bin" if delegate else str(english_model())
                other = small_model_path.name if delegate else str(small_model_path)
                spoken = await load_model(
                    source, model_type="whisper", delegate=delegate, model_config={"language": "klingon"}
                )
                with pytest.raises(DelegationError, match="no language"):
                    await transcribe(spoken, kennedy_wav())
                german = await load_model(
                    source, model_type="whisper", delegate=delegate, model_config={"language": "de", "translate": True}
                )
                with pytest.raises(DelegationError, match="English only"):
                    await transcribe(german, kennedy_wav())
                with pytest.raises(LocalProtocolError, match="n_threads"):
                    await load_model(source, model_type="whisper", delegate=delegate, model_config={"n_threads": 5})
                with pytest.raises(ModelError, match=r"transcribes no speech|Choose a Whisper model"):
                    await load_model(other, model_type="whisper", delegate=delegate)
            chat = await load_model(small_model_path.name, delegate=THERE)
            with pytest.raises(DelegationError, match="transcribes no speech"):
                await transcribe(chat, kennedy_wav())
            with pytest.raises(LocalProtocolError, match="f32le"):
                await transcribe_stream(far)

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap), HEARING)


def test_a_provider_opens_no_file_by_its_name_and_keeps_to_its_limits(bootstrap: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with owned_by(tmp_path, bootstrap) as owner:
            await owner.add_model_file(english_model())
            await owner.start_sharing()
            async with Core(member(tmp_path / "guest", GUEST_SEED, bootstrap)) as guest:
                delegate = THERE.resolved()
                loaded = await guest.consumer.load_model(
                    "ggml-tiny.en.bin", delegate=delegate, model_type="whispercpp-transcription"
                )
                connection = guest.consumer.connection(delegate.provider_public_key)
                assert connection is not None
                for path in (str(kennedy_wav()), "/no/such/file"):
                    asked = Transcribe(model_id=loaded.model_id, audio_chunk=FileAudio(path))
                    with pytest.raises(DelegationError, match="opens no file by its name") as refused:
                        async for _reply in connection.replies(connection.open_stream(asked)):
                            pass
                    assert refused.value.code == 52404
                # FLAC makes nearly nothing of silence: hours of it are a small file.
                hours = encode("flac", np.zeros(int(2.3 * 3600) * SAMPLE_RATE, np.float32))
                with pytest.raises(DelegationError, match="longer than the 2:00:00") as limited:
                    async for _event in guest.consumer.transcribe(loaded.model_id, sound_bytes(hours)):
                        pass
                assert limited.value.typed_fields["reason"] == "limit"

    run(test, member(tmp_path / "alone", "94" * 32, bootstrap), HEARING)


def sound_bytes(data: bytes) -> Any:
    from qvac_core.engines.speech import AudioBytes

    return AudioBytes(data)


async def speak(live: LiveSession, sound: Any) -> list[object]:
    events: list[object] = []

    async def write() -> None:
        for start in range(0, sound.size, SAMPLE_RATE // 4):
            await live.write(sound[start : start + SAMPLE_RATE // 4])
            await asyncio.sleep(0.1)
        await live.end()

    async with live:
        writing = asyncio.create_task(write())
        async for event in live:
            events.append(event)
        await writing
    return events


def test_live_words_here_and_there(bootstrap: str, tmp_path: Path) -> None:
    sound = np.concatenate([samples_of(kennedy_wav()), np.zeros(2 * SAMPLE_RATE, np.float32)])

    async def test() -> None:
        async with owned_by(tmp_path, bootstrap) as owner:
            await owner.add_model_file(english_model())
            await owner.start_sharing()
            raw = {"audio_format": "f32le"}
            far = await load_model("ggml-tiny.en.bin", model_type="whisper", delegate=THERE, model_config=raw)
            near = await load_model(str(english_model()), model_type="whisper", model_config=raw)
            for model in (near, far):
                live = await transcribe_stream(model, end_of_turn_silence_ms=1200, vad_run_interval_ms=1000)
                events = await speak(live, sound)
                said = "".join(event.text for event in events if isinstance(event, Committed))
                assert words(said) == words(KENNEDY)
                last = events[-1]
                assert isinstance(last, LiveFinished) and last.text == said and last.audio_ms == 13_000
                assert [event for event in events if isinstance(event, TurnEnded)]
                levels = [event for event in events if isinstance(event, Voice)]
                assert len(levels) < 13 * 1000 / 250 * 0.7  # less often than by itself
                assert {event.speaking for event in events if isinstance(event, Voice)} == {True, False}
            # Whoever leaves stops it there.
            left = await transcribe_stream(far, request_id="left")
            await left.write(sound)
            await asyncio.sleep(0.5)
            await left.close()
            entries = await settled(owner, 2)
            assert [entry.outcome for entry in entries] == ["cancelled", "eos"]
            assert round(entries[1].amount) == 13

    run(test, member(tmp_path / "guest", GUEST_SEED, bootstrap), HEARING)


def test_a_core_has_a_provider_listen(bootstrap: str, tmp_path: Path) -> None:
    """What the window does: a recording into a conversation, and somebody who talks."""

    async def test() -> None:
        async with owned_by(tmp_path, bootstrap) as owner:
            await owner.add_model_file(english_model())
            await owner.start_sharing()
            async with Core(member(tmp_path / "guest", GUEST_SEED, bootstrap)) as guest:
                assert await guest.speech_models() == ()
                await guest.add_provider(OTHER_KEY)
                assert (await guest.connect_provider(OTHER_KEY)).models == ()  # nothing to chat with
                (choice,) = await guest.speech_models()
                assert (choice.name, choice.where, choice.usable) == ("ggml-tiny.en", OTHER_KEY, True)
                events: asyncio.Queue[object] = asyncio.Queue()
                guest.subscribe(events.put_nowait)
                there = Target(choice.where, choice.name)
                conversation = await guest.new_conversation(there)
                id = await guest.start_transcript(conversation.id, kennedy_wav(), there)
                while not (isinstance(event := await events.get(), AnswerFinished) and event.message.id == id):
                    pass
                (message,) = await guest.messages(conversation.id)
                assert message.id == id and words(read_transcript(message.text).text) == words(KENNEDY)
                assert message.stats is not None and message.stats.provider_key == OTHER_KEY
                talk = "talk"
                await guest.start_dictation(talk, there)
                sound = samples_of(kennedy_wav())[: 4 * SAMPLE_RATE]
                for piece in np.array_split(sound, 8):
                    await guest.dictate(talk, piece.astype("<f4").tobytes())
                await guest.end_dictation(talk)
                while not isinstance(event := await events.get(), DictationEnded):
                    pass
                assert event.error is None and words(event.text)[:5] == words(KENNEDY)[:5]
                entries = await settled(owner, 2)
                assert [(entry.method, entry.outcome) for entry in entries] == [("transcribe", "eos")] * 2

    run(test, member(tmp_path / "alone", "94" * 32, bootstrap), HEARING)
