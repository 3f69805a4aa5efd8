"""A provider that transcribes, with a scripted model: what reaches the engine, what is told, and the limits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from qvac_core.core.receipts_room import ReceiptState
from qvac_core.delegation.admission import Limits
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import TranscribeLine
from qvac_core.delegation.model_config import SPEECH_MODEL_TYPE
from qvac_core.delegation.rpc import Rpc
from qvac_core.delegation.transcript import LONGEST_MS, Transcript
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.live_words import LiveOptions
from qvac_core.engines.speech import (
    SAMPLE_RATE,
    AudioBytes,
    Finished,
    Progress,
    Samples,
    Segment,
    SpeechEnd,
    SpeechModelInfo,
    SpeechStats,
    TranscriptionEvent,
    TranscriptionRequest,
)
from qvac_core.errors import DelegationError, ModelError, QvacError
from tests.unit.delegation_room import CONSUMER_KEY, Room, admitting, provider_room
from tests.unit.memory_stream import run, settle
from tests.unit.receipt_books import GUEST, PROVIDER, Book, book
from tests.unit.scripted_engine import SMOL

RUNNER = run

DELEGATE = Delegate(PROVIDER.public_key)
WHISPER = replace(SMOL, name="whisper", path=Path("/models/ggml.bin"), model_type=SPEECH_MODEL_TYPE)


class ScriptedSpeech:
    """Hears "word N" in each second of the sound it is given, one per `step` seconds of loop time."""

    def __init__(self) -> None:
        self.requests: list[TranscriptionRequest] = []
        self.cancelled: set[str] = set()
        self.step = 0.01
        self.alive = True
        self.failure: QvacError | None = None

    @property
    def info(self) -> SpeechModelInfo:
        return SpeechModelInfo("whisper", "", 0, 0, 1, 0, 1, 1, "cpu", False, multilingual=True, languages=("en",))

    async def transcribe(self, request: TranscriptionRequest) -> AsyncIterator[TranscriptionEvent]:
        self.requests.append(request)
        sound = request.audio
        seconds = len(sound.data) // (4 * SAMPLE_RATE) if isinstance(sound, Samples) else 3
        for second in range(seconds):
            await asyncio.sleep(self.step)
            if request.request_id in self.cancelled:
                yield Finished(SpeechEnd.CANCELLED, "", second * 1000)
                return
            if self.failure is not None:
                raise self.failure
            yield Segment(second, second * 1000, second * 1000 + 900, f"word{second}")
            yield Progress((second + 1) * 1000, seconds * 1000, 0.1)
        yield Finished(SpeechEnd.EOS, "en", seconds * 1000, ("a notice",), SpeechStats(seconds * 1000, 500, seconds))

    def cancel(self, request_id: str) -> bool:
        self.cancelled.add(request_id)
        return True

    async def unload(self) -> None:
        self.alive = False


@asynccontextmanager
async def listening(
    limits: Limits | None = None, *, receipts: Book | None = None
) -> AsyncIterator[tuple[Room, ScriptedSpeech]]:
    """A room whose one shared model listens."""
    rules = admitting(CONSUMER_KEY, GUEST.public_key)
    async with provider_room(rules, limits, provider_key=PROVIDER.public_key, receipts=receipts) as room:
        model = ScriptedSpeech()
        room.pool.model = cast(Any, model)
        shared = room.models

        def find(name: str, _key: bytes) -> LibraryModel | None:
            return WHISPER if name == WHISPER.name and shared.shared else None

        setattr(shared, "find", find)  # noqa: B010
        yield room, model


async def loaded(room: Room, config: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    consumer = room.consumer()
    it = await consumer.load_model(WHISPER.name, delegate=DELEGATE, model_type=SPEECH_MODEL_TYPE, model_config=config)
    return consumer, it.model_id


async def connected_plainly(consumer: Any) -> None:
    """As if the provider were one of the SDK's own: it knows none of our messages."""
    (connection,) = consumer._connections.values()
    await connection.greeted()
    connection.hello = None


async def all_of(events: AsyncIterator[TranscriptionEvent]) -> list[TranscriptionEvent]:
    return [event async for event in events]


async def test_what_a_model_was_loaded_with_reaches_the_engine() -> None:
    config = {"language": "de", "translate": True, "initial_prompt": "Ada", "audio_format": "f32le"}

    async with listening() as (room, model):
        consumer, its = await loaded(room, config)
        await all_of(consumer.transcribe(its, Samples(bytes(400))))
        await all_of(consumer.transcribe(its, AudioBytes(b"OggS and more"), prompt="Grace"))
        first, second = model.requests
        assert isinstance(first.audio, AudioBytes) and first.audio.data.startswith(b"RIFF")
        assert second.audio == AudioBytes(b"OggS and more")
        assert (first.language, first.translate, first.prompt, second.prompt) == ("de", True, "Ada", "Grace")
        assert first.owner == CONSUMER_KEY.hex() and first.max_seconds == Limits().audio_seconds
        _, plain = await loaded(room)
        assert plain != its
        await all_of(consumer.transcribe(plain, AudioBytes(b"OggS"), delegate=DELEGATE))
        third = model.requests[2]
        assert (third.language, third.translate, third.prompt) == ("", False, "")


async def test_a_transcript_crosses_the_wire_whole() -> None:
    async with listening() as (room, _model):
        consumer, its = await loaded(room)
        events = await all_of(consumer.transcribe(its, AudioBytes(b"OggS")))
        assert [event for event in events if isinstance(event, Segment)] == [
            Segment(n, n * 1000, n * 1000 + 900, f"word{n}") for n in range(3)
        ]
        heard = [event for event in events if isinstance(event, Progress)]
        assert [(event.done_ms, event.total_ms) for event in heard] == [(1000, 3000), (2000, 3000), (3000, 3000)]
        last = events[-1]
        assert isinstance(last, Finished)
        assert (last.language, last.audio_ms, last.notices) == ("en", 3000, ("a notice",))
        assert last.stats.compute_ms == 500
        (entry,) = room.log.finished
        assert (entry["outcome"], entry["amount"], entry["unit"]) == ("eos", 3.0, "seconds")


async def test_an_engine_that_fails_and_sound_that_is_none() -> None:
    async with listening() as (room, model):
        consumer, its = await loaded(room)
        told = ModelError("There is no sound in this file.", name="TRANSCRIPTION_FAILED", code=52403)
        for failure, sentence in [
            (told, "no sound in this file"),  # theirs: said as it is
            (ModelError("/home/owner/models is full"), "Its owner can see why"),  # ours: not
        ]:
            model.failure = failure
            with pytest.raises(DelegationError, match=sentence):
                await all_of(consumer.transcribe(its, AudioBytes(b"OggS")))
        assert room.log.outcomes == ["error", "error"]


async def test_a_guest_that_leaves_or_cancels_stops_it() -> None:
    async with listening() as (room, model):
        model.step = 1.0
        consumer, its = await loaded(room)
        task = asyncio.create_task(all_of(consumer.transcribe(its, AudioBytes(b"OggS"), request_id="mine")))
        await asyncio.sleep(1.5)
        assert await consumer.cancel(request_id="mine") == 1
        last = (await task)[-1]
        assert isinstance(last, Finished) and last.stop_reason is SpeechEnd.CANCELLED
        events = consumer.transcribe(its, AudioBytes(b"OggS"))
        async for _event in events:
            break
        await events.aclose()
        await asyncio.sleep(3)
        assert room.log.outcomes == ["cancelled", "cancelled"]
        assert len(model.cancelled) == 2


async def test_the_time_of_a_day_is_used_up() -> None:
    async with listening(Limits(audio_seconds_per_day=5)) as (room, model):
        consumer, its = await loaded(room)
        for left in (5, 2):
            await all_of(consumer.transcribe(its, AudioBytes(b"OggS")))
            assert model.requests[-1].max_seconds == left
        with pytest.raises(DelegationError, match="time of speech for today is used up") as refused:
            await all_of(consumer.transcribe(its, AudioBytes(b"OggS")))
        assert refused.value.typed_fields["reason"] == "quota"


async def test_recordings_at_once_share_the_time_of_a_day() -> None:
    """Four of three seconds each, where five are left: what one hears is not there for the others."""

    async with listening(Limits(audio_seconds_per_day=5)) as (room, model):
        model.step = 1.0
        consumer, its = await loaded(room)
        every = [all_of(consumer.transcribe(its, AudioBytes(b"OggS"))) for _ in range(4)]
        ends = await asyncio.gather(*every, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, DelegationError)]
        assert refused and {str(end.typed_fields.get("reason")) for end in refused} == {"quota"}
        heard = room.log.amount_today(CONSUMER_KEY.hex(), "seconds", 0)
        assert 5 <= heard <= 5 + len(every)  # each may be one second beyond
        assert len(model.cancelled) >= len([end for end in refused if "used up" in end.message]) - 1


class SdkPeer:
    """A consumer that speaks as @qvac/sdk does, and greets nobody."""

    def __init__(self, room: Room) -> None:
        self.rpc = Rpc(room.stream_as(CONSUMER_KEY))
        self._task = room.tasks.create_task(self.rpc.run())

    async def load(self, config: Mapping[str, Any]) -> str:
        body = {
            "type": "loadModel",
            "modelSrc": WHISPER.name,
            "modelType": SPEECH_MODEL_TYPE,
            "modelConfig": {"n_threads": 4, "vad_params": {"threshold": 0.5}, **config},  # the rest is ignored
        }
        reply = json.loads(await self.rpc.request(json.dumps(body).encode()))
        assert reply["success"], reply
        return str(reply["modelId"])


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize(("audio_format", "kind"), [(None, "<i2"), ("f32le", "<f4")])
async def test_a_transcript_in_the_sdks_form(audio_format: str | None, kind: str) -> None:
    async with listening() as (room, model):
        peer = SdkPeer(room)
        model_id = await peer.load({} if audio_format is None else {"audio_format": audio_format})
        sound = np.linspace(-0.5, 0.5, SAMPLE_RATE).astype(np.float32)
        raw = (sound * 32768).astype(kind) if kind == "<i2" else sound.astype(kind)
        body: dict[str, Any] = {
            "type": "transcribe",
            "modelId": model_id,
            "audioChunk": {"type": "base64", "value": base64.b64encode(raw.tobytes()).decode()},
        }
        answers = []
        for metadata in (False, True):
            asked = json.dumps({**body, "metadata": metadata}).encode()
            answers.append(lines(b"".join([chunk async for chunk in peer.rpc.open_stream(asked)])))
        stats = {"audioDuration": 1000, "realTimeFactor": 0.5, "totalSegments": 1}
        done = {"type": "transcribe", "done": True, "stats": stats}
        assert answers[0] == [{"type": "transcribe", "text": "word0"}, done]
        segment = {"text": "word0", "startMs": 0, "endMs": 900, "append": False, "id": 0}
        assert answers[1] == [{"type": "transcribe", "segment": segment}, done]
        heard = model.requests[0].audio
        assert isinstance(heard, Samples)
        assert np.allclose(np.frombuffer(heard.data, "<f4"), sound, atol=1e-4)
        asked = json.dumps({**body, "audioChunk": {"type": "base64", "value": "?"}}).encode()
        (error,) = lines(b"".join([chunk async for chunk in peer.rpc.open_stream(asked)]))
        assert (error["type"], error["code"]) == ("error", 52403)
        peer.rpc.destroy()


def spoken(seconds: float) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(1)
    bursts = np.repeat((np.arange(int(seconds * 10)) % 3 < 2).astype(np.float32), SAMPLE_RATE // 10)
    return (0.2 * bursts * generator.standard_normal(bursts.size)).astype(np.float32)


async def test_live_speech_in_the_sdks_form() -> None:
    """The first chunk is the request, without a newline; then raw samples, cut anywhere."""

    async with listening() as (room, model):
        peer = SdkPeer(room)
        model_id = await peer.load({})
        for wants_vad in (False, True):
            body: dict[str, Any] = {"type": "transcribeStream", "modelId": model_id, "endOfTurnSilenceMs": 600}
            body |= {"emitVadEvents": True, "vadRunIntervalMs": 100, "prompt": "Ada"} if wants_vad else {}
            upload, answer = peer.rpc.open_duplex()
            await upload.write(json.dumps(body).encode())
            sound = np.concatenate([spoken(3), np.zeros(SAMPLE_RATE * 2, np.float32)])
            data = (sound * 32768).astype("<i2").tobytes()
            for start in range(0, len(data), 3333):
                await upload.write(data[start : start + 3333])
                await asyncio.sleep(0.1)
            upload.end()
            told = lines(b"".join([chunk async for chunk in answer]))
            assert all(line["type"] == "transcribeStream" for line in told)
            text = "".join(line.get("text", "") for line in told)
            assert text.startswith("word0 word1")
            (turn,) = [line["endOfTurn"] for line in told if "endOfTurn" in line]
            assert turn["source"] == "whisper" and turn["silenceDurationMs"] >= 600
            assert told[-1]["done"] is True and told[-1]["stats"]["audioDuration"] == 5000
            levels = [line["vad"] for line in told if "vad" in line]
            assert (len(levels) > 25) is wants_vad and not any("tentative" in line for line in told)
        assert {request.prompt for request in model.requests} == {"", "Ada"}
        assert [entry["amount"] for entry in room.log.finished] == [5.0, 5.0]
        peer.rpc.destroy()


async def test_live_speech_keeps_to_its_limits() -> None:
    async with listening(Limits(audio_seconds=4, parallel_per_key=2)) as (room, _model):
        consumer, its = await loaded(room, {"audio_format": "f32le"})
        live = await consumer.transcribe_live(its, LiveOptions())
        await live.write(spoken(5))
        with pytest.raises(DelegationError, match="minutes long here"):
            async for _event in live:
                pass
        open_ones = [await consumer.transcribe_live(its, LiveOptions()) for _ in range(3)]
        await settle()
        with pytest.raises(DelegationError, match="Too many live requests"):
            async for _event in open_ones[2]:
                pass
        for each in open_ones:
            await each.close()
        await asyncio.sleep(1)
        another = await consumer.transcribe_live(its, LiveOptions())
        async with another:
            await another.end()
            assert [event async for event in another]


@pytest.mark.parametrize(
    "line",
    [
        {"segment": {"text": "a", "startMs": 1e308, "endMs": 1e308}},
        {"segment": {"text": "a", "startMs": -1e308, "endMs": 7}},
        {"progress": {"doneMs": 10**300, "totalMs": 10**301}},
        {"progress": {"doneMs": -5, "totalMs": -7}},
        {"done": True, "stats": {"audioDuration": 1e308, "realTimeFactor": 1e308}},
        {"done": True, "stats": {"audioDuration": -1, "realTimeFactor": -1e308}},
    ],
)
def test_times_that_no_recording_has_become_some_that_can_be_shown(line: dict[str, Any]) -> None:
    """A provider that says them ends no transcript by a mistake of ours, and sends no such number on to the next."""

    async def main() -> None:
        transcript = Transcript(cast(Any, None), "model", "1", "")
        (event,) = transcript._read(msgspec.json.decode(json.dumps(line), type=TranscribeLine))
        numbers = [value for value in vars_of(event) if isinstance(value, int)]
        assert numbers and all(0 <= value <= LONGEST_MS for value in numbers)

    asyncio.run(main())


def vars_of(event: TranscriptionEvent) -> list[object]:
    values = [getattr(event, field.name) for field in fields(event)]
    return [*values, *(vars_of(event.stats) if isinstance(event, Finished) and event.stats else ())]  # type: ignore[arg-type]


def test_live_and_recorded_sound_have_receipts_that_say_its_seconds(tmp_path: Path) -> None:
    async def main(provider: Book, guest: Book) -> None:
        async with listening(receipts=provider) as (room, _model):
            consumer = room.consumer(GUEST.public_key, receipts=guest)
            await consumer.list_models(DELEGATE)
            config = {"audio_format": "f32le"}
            its = await consumer.load_model(
                WHISPER.name, delegate=DELEGATE, model_type=SPEECH_MODEL_TYPE, model_config=config
            )
            live = await consumer.transcribe_live(its.model_id, LiveOptions())
            async with live:
                await live.write(spoken(5))
                await live.end()
                assert [event async for event in live]
            await all_of(consumer.transcribe(its.model_id, Samples(bytes(4 * SAMPLE_RATE * 2))))
            for _ in range(100):
                await asyncio.sleep(0.1)
                if len(guest.all) == 2 and all(one.state is ReceiptState.SIGNED for one in guest.all):
                    break
            for kept in (provider, guest):
                assert {one.state for one in kept.all} == {ReceiptState.SIGNED}
                assert sorted((one.amount, one.unit, one.tokens) for one in kept.all) == [
                    (3.0, "seconds", 0),
                    (5.0, "seconds", 0),
                ]
            await consumer.close()

    with book(tmp_path / "provider", PROVIDER) as provider, book(tmp_path / "guest", GUEST) as guest:
        run(main(provider, guest))
