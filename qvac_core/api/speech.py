"""`transcribe` and `transcribe_stream`: the SDK's calls for speech, here and at a provider."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, overload

from msgspec import UnsetType

from qvac_core.api.functions import _session
from qvac_core.delegation.messages import TranscribeSegment
from qvac_core.delegation.model_config import F32LE
from qvac_core.delegation.transcriptions import audio_of
from qvac_core.engines.interface import LOCAL_OWNER
from qvac_core.engines.live_speech import LiveOptions, LiveSession, LiveTranscription
from qvac_core.engines.speech import Audio, AudioFile, Finished, Progress, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.engines.subtitles import plain_text
from qvac_core.errors import InferenceCancelled, LocalProtocolError

HeardSoFar = Callable[[Progress], None]


@overload
async def transcribe(
    model_id: str,
    audio_chunk: str | Path | bytes | bytearray | memoryview,
    *,
    prompt: str | None = None,
    metadata: Literal[False] = False,
    on_progress: HeardSoFar | None = None,
    request_id: str | None = None,
) -> str: ...


@overload
async def transcribe(
    model_id: str,
    audio_chunk: str | Path | bytes | bytearray | memoryview,
    *,
    prompt: str | None = None,
    metadata: Literal[True],
    on_progress: HeardSoFar | None = None,
    request_id: str | None = None,
) -> list[TranscribeSegment]: ...


async def transcribe(
    model_id: str,
    audio_chunk: str | Path | bytes | bytearray | memoryview,
    *,
    prompt: str | None = None,
    metadata: bool = False,
    on_progress: HeardSoFar | None = None,
    request_id: str | None = None,
) -> str | list[TranscribeSegment]:
    """What is said in a recording, by a loaded speech model: its text, or with `metadata` its segments with times.

    audio_chunk: a sound or video file of this machine by its path, or bytes: a whole file's, or raw samples as the
    model's audio_format says (16 kHz, mono, s16le unless it was loaded with f32le). prompt: words that may occur. The
    language and the translation are those of the model's configuration. on_progress: how much was heard, and the
    seconds left where that is known. Raises ModelError, InferenceCancelled, DelegationError, LocalProtocolError.
    """
    if not isinstance(audio_chunk, str | os.PathLike | bytes | bytearray | memoryview):
        raise LocalProtocolError("A recording is the path of a file, or bytes. Of an open file, give its path.")
    core = await _session.started()
    request_id = request_id or str(uuid.uuid4())
    here = core.machine.running_here(model_id) is not None
    config = core.machine.speech_here(model_id)[1] if here else core.consumer.speech_config(model_id)
    if isinstance(audio_chunk, str | os.PathLike):
        audio: Audio = AudioFile(Path(audio_chunk))
    else:
        audio = audio_of(bytes(audio_chunk), config.audio_format)
    try:
        if here:
            _session.work_here[request_id] = model_id
            events = core.machine.transcribe_here(model_id, audio, prompt or "", request_id)
        else:
            events = core.consumer.transcribe(model_id, audio, prompt=prompt or "", request_id=request_id)
        segments = await _all(events, on_progress)
    finally:
        _session.work_here.pop(request_id, None)
    if metadata:
        return [TranscribeSegment(s.text, s.start_ms, s.end_ms, False, s.id) for s in segments]
    return plain_text(segments)


async def _all(events: AsyncIterator[TranscriptionEvent], on_progress: HeardSoFar | None) -> list[Segment]:
    segments: list[Segment] = []
    async for event in events:
        if isinstance(event, Segment):
            segments.append(event)
        elif isinstance(event, Finished) and event.stop_reason is SpeechEnd.CANCELLED:
            raise InferenceCancelled("The transcript was cancelled.", typed_fields={"text": plain_text(segments)})
        elif isinstance(event, Progress) and on_progress is not None:
            on_progress(event)
    return segments


async def transcribe_stream(
    model_id: str,
    *,
    prompt: str | None = None,
    end_of_turn_silence_ms: int | None = None,
    vad_run_interval_ms: int | None = None,
    request_id: str | None = None,
) -> LiveSession:
    """A live transcript by a loaded speech model: `write` samples as they come from a microphone, `end`, and iterate.

    Samples are float32, mono, 16 kHz. The events: Committed words that never change again, Tentative ones behind them,
    Voice (speaking or not), TurnEnded after so much silence (end_of_turn_silence_ms; 0 or None = never), LiveFinished
    last. vad_run_interval_ms: of sound between two Voice events. At a provider the model is one that was loaded with
    model_config={"audio_format": "f32le"}. `async with` it, or close it; `qvac_core.close()` closes it, too. Raises
    ModelError, DelegationError.
    """
    core = await _session.started()
    here = core.machine.running_here(model_id) is not None
    config = core.machine.speech_here(model_id)[1] if here else core.consumer.speech_config(model_id)
    options = LiveOptions(
        language=_text(config.language),
        prompt=prompt or _text(config.initial_prompt),
        translate=config.translate is True,
        end_of_turn_ms=end_of_turn_silence_ms or 0,
        meter_ms=vad_run_interval_ms or LiveOptions().meter_ms,
    )
    live: LiveSession
    if here:
        live = LiveTranscription(core.machine.speech_here(model_id)[0], options, owner=LOCAL_OWNER)
        _session.lives.add(live)
        return live
    if config.audio_format != F32LE:
        raise LocalProtocolError('Live sound is float32: load the model with model_config={"audio_format": "f32le"}.')
    live = await core.consumer.transcribe_live(model_id, options, request_id=request_id)
    _session.lives.add(live)
    return live


def _text(value: str | UnsetType) -> str:
    return "" if isinstance(value, UnsetType) else value
