"""Answering a `transcribe` and a `transcribeStream`: bounds checked, sound to lines (docs/wire/qvac.md section 9)."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from qvac_core.delegation.admission import Limits
from qvac_core.delegation.blobs import KeyBlobs
from qvac_core.delegation.failures import Code, Reason, Rejection, by_policy
from qvac_core.delegation.held_models import KnownSpeechModel
from qvac_core.delegation.messages import (
    Base64Audio,
    BlobAudio,
    EndOfTurn,
    SpeechProgress,
    Transcribe,
    TranscribeLine,
    TranscribeSegment,
    TranscribeStats,
    TranscribeStream,
    TranscribeStreamLine,
    VadState,
)
from qvac_core.delegation.model_config import F32LE
from qvac_core.delegation.work import Work
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
    Finished,
    Progress,
    Samples,
    Segment,
    SpeechModel,
    TranscriptionRequest,
)
from qvac_core.errors import DelegationError, QvacError
from qvac_core.lazy import Lazy
from qvac_core.tasks import beside

if TYPE_CHECKING:
    import numpy as np
else:
    np = Lazy("numpy")

_OF_THE_SOUND = (Code.TRANSCRIPTION_FAILED.value, Code.REQUEST_REJECTED_BY_POLICY.value)
# How files begin; what begins otherwise is raw samples, as 0.16 takes all of them.
_FILES = (b"RIFF", b"OggS", b"ID3", b"fLaC", b"\x1aE\xdf\xa3", b"FORM", b"#!AMR", b"caff", b"\xff\xfb", b"\xff\xf1")
LONGEST_SILENCE_MS = 60_000
METER_MS = 250  # between two `vad` lines, where nobody says


@dataclass(frozen=True, slots=True)
class SpeechParts:
    """What a transcript needs of the connection it came on. owner: the guest's key. is_ours: it reads our own lines.

    seconds_left: of sound, today, with what is heard on other connections of the key just now.
    """

    owner: str
    running_model: Callable[[], Awaitable[SpeechModel]]
    limits: Limits
    is_ours: bool
    seconds_left: Callable[[], float]

    def max_seconds(self) -> float:
        """Of one request that begins now. Raises Rejection where nothing is left."""
        left = self.seconds_left()
        if left <= 0:
            raise _used_up()
        return min(self.limits.audio_seconds, left)

    def check(self) -> None:
        """Again and again while sound is heard: several requests at once share the day's time. Raises Rejection."""
        if self.seconds_left() < 0:
            raise _used_up()


def _used_up() -> Rejection:
    return by_policy(Reason.QUOTA, "Your time of speech for today is used up at this provider.")


async def transcribe(
    work: Work,
    message: Transcribe,
    known: KnownSpeechModel,
    parts: SpeechParts,
    blobs: KeyBlobs,
    write: Callable[[TranscribeLine], Awaitable[None]],
) -> TranscribeLine:
    """Inside the request's turn: lines as they come; returns the last one.

    Raises Rejection, ModelError, EngineCrashed.
    """
    audio = _audio(message, known.config.audio_format, blobs)
    start_ms = min(_number(message.start_ms, 0), round(parts.limits.audio_seconds * 1000))
    request = TranscriptionRequest(
        request_id=work.id,
        audio=audio,
        language=_text(known.config.language),
        prompt=_text(message.prompt) or _text(known.config.initial_prompt),
        translate=known.config.translate is True,
        owner=parts.owner,
        max_seconds=parts.max_seconds() + start_ms / 1000,
        start_ms=start_ms,
    )
    model = await parts.running_model()
    work.cancellable(model.cancel)
    try:
        async for event in model.transcribe(request):
            if isinstance(event, Finished):
                work.measure.amount = max(event.audio_ms - start_ms, 0) / 1000
                return _last(event, ours=parts.is_ours)
            if isinstance(event, Progress):
                work.measure.amount = max(event.done_ms - start_ms, 0) / 1000
                if event.total_ms is None or event.done_ms < event.total_ms:
                    parts.check()
                if parts.is_ours:
                    total = UNSET if event.total_ms is None else event.total_ms
                    await write(TranscribeLine(progress=SpeechProgress(event.done_ms, total)))
            elif message.metadata is True:
                await write(TranscribeLine(segment=_segment(event)))
            else:
                await write(TranscribeLine(text=event.text if event.id == 0 else f" {event.text}"))
    except DelegationError as error:
        model.cancel(work.id)  # where it is not the model that ended it
        raise _told(error) from error
    raise AssertionError("a transcript ended without its last event")


def _audio(message: Transcribe, audio_format: str | UnsetType, blobs: KeyBlobs) -> Audio:
    chunk = message.audio_chunk
    if isinstance(chunk, BlobAudio):
        return AudioBytes(blobs.take(chunk.sha256))
    if not isinstance(chunk, Base64Audio):
        raise Rejection(Code.AUDIO_FILE_NOT_FOUND, "A provider opens no file by its name. Send the sound itself.")
    try:
        data = binascii.a2b_base64(chunk.value, strict_mode=True)
    except (binascii.Error, ValueError):
        raise Rejection(Code.TRANSCRIPTION_FAILED, "The sound is no base64.") from None
    return audio_of(data, audio_format)


def audio_of(data: bytes, audio_format: str | UnsetType) -> Audio:
    """A file, by how it begins, or else raw samples in that format (s16le where none is given)."""
    if data.startswith(_FILES) or data[4:8] == b"ftyp":
        return AudioBytes(data)
    return Samples(_floats(data, audio_format))


def _floats(data: bytes, audio_format: str | UnsetType) -> bytes:
    if audio_format == F32LE:
        return data
    whole = data[: len(data) // 2 * 2]
    return (np.frombuffer(whole, "<i2") / 32768).astype("<f4").tobytes()


def _segment(event: Segment) -> TranscribeSegment:
    return TranscribeSegment(event.text, event.start_ms, event.end_ms, False, event.id)


def _last(event: Finished, *, ours: bool) -> TranscribeLine:
    stats = TranscribeStats(event.audio_ms, round(event.stats.real_time_factor, 4), event.stats.segments)
    if not ours:
        return TranscribeLine(done=True, stats=stats)
    return TranscribeLine(done=True, stats=stats, language=event.language, notices=list(event.notices))


def _text(value: str | UnsetType) -> str:
    return "" if isinstance(value, UnsetType) else value


def _number(value: int | UnsetType, otherwise: int) -> int:
    return otherwise if isinstance(value, UnsetType) else value


def _told(error: DelegationError) -> DelegationError:
    """What is wrong with the guest's sound, in the words that say what to do about it; anything else as it is."""
    if not isinstance(error, Rejection) and error.code in _OF_THE_SOUND:
        return Rejection(Code(error.code), error.message, dict(error.typed_fields))
    return error


# --- Live -------------------------------------------------------------------------------------------------------------


async def transcribe_live(
    work: Work,
    message: TranscribeStream,
    known: KnownSpeechModel,
    parts: SpeechParts,
    sound: AsyncIterator[bytes],
    write: Callable[[TranscribeStreamLine], Awaitable[None]],
) -> TranscribeStreamLine:
    """Inside the request's turn, until the guest's sound ends. sound: raw samples, cut anywhere."""
    most = parts.max_seconds()
    options = LiveOptions(
        language=_text(known.config.language),
        prompt=_text(message.prompt) or _text(known.config.initial_prompt),
        translate=known.config.translate is True,
        end_of_turn_ms=min(_number(message.end_of_turn_silence_ms, 0), LONGEST_SILENCE_MS),
        meter_ms=_number(message.vad_run_interval_ms, METER_MS),
    )
    live = LiveTranscription(await parts.running_model(), options, owner=parts.owner)
    try:
        async with beside(_feed(live, work, sound, known.config.audio_format, most, parts.check)) as reading:
            async for event in live:
                if isinstance(event, LiveFinished):
                    await reading
                    return TranscribeStreamLine(
                        done=True,
                        stats=TranscribeStats(audio_duration=event.audio_ms),
                        language=event.language if parts.is_ours else UNSET,
                    )
                line = _live_line(event, message)
                if line is not None:
                    await write(line)
    except DelegationError as error:
        raise _told(error) from error
    finally:
        await live.close()
    raise AssertionError("a live transcript ended without its last event")


async def _feed(
    live: LiveTranscription,
    work: Work,
    sound: AsyncIterator[bytes],
    audio_format: str | UnsetType,
    most: float,
    check: Callable[[], None],
) -> None:
    """Until the sound ends, or `check` raises; what goes wrong with it ends the transcript."""
    rest = b""
    heard = 0  # samples
    width = 4 if audio_format == F32LE else 2
    try:
        async for chunk in sound:
            data = rest + chunk
            whole = len(data) // width * width
            rest = data[whole:]
            heard += whole // width
            work.measure.amount = heard / SAMPLE_RATE
            if work.measure.amount > most:
                raise by_policy(Reason.LIMIT, f"A live transcript may be {most / 60:.0f} minutes long here.")
            check()
            await live.write(_floats(data[:whole], audio_format))
        await live.end()
    except QvacError as error:
        live.fail(error)


def _live_line(event: LiveEvent, message: TranscribeStream) -> TranscribeStreamLine | None:
    if isinstance(event, Committed):
        if message.metadata is True:
            return TranscribeStreamLine(segment=TranscribeSegment(event.text, event.start_ms, event.end_ms))
        return TranscribeStreamLine(text=event.text)
    if isinstance(event, TurnEnded):
        return TranscribeStreamLine(end_of_turn=EndOfTurn(event.silence_ms))
    if isinstance(event, Voice) and message.emit_vad_events is True:
        return TranscribeStreamLine(vad=VadState(event.speaking, event.probability))
    if isinstance(event, Tentative) and message.tentative is True:
        return TranscribeStreamLine(tentative=event.text)
    return None
