"""A transcript by a provider, as its guest sees it: of a recording, and live (docs/wire/qvac.md section 9)."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from types import TracebackType
from typing import TypeVar

from msgspec import UNSET, UnsetType

from qvac_core.delegation.connection import ProviderConnection
from qvac_core.delegation.failures import Code
from qvac_core.delegation.life_signs import stopped_answering
from qvac_core.delegation.messages import (
    Base64Audio,
    BlobAudio,
    Reply,
    Transcribe,
    TranscribeLine,
    TranscribeSegment,
    TranscribeStats,
    TranscribeStream,
    TranscribeStreamLine,
)
from qvac_core.delegation.plain_sound import sound_parts
from qvac_core.delegation.rpc_streams import IncomingStream
from qvac_core.engines.live_events import LiveEvents
from qvac_core.engines.live_speech import SoundBytes, sound_of
from qvac_core.engines.live_words import (
    Committed,
    LiveEvent,
    LiveFinished,
    LiveOptions,
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
    Segment,
    SpeechEnd,
    SpeechStats,
    TranscriptionEvent,
)
from qvac_core.errors import ConnectionClosed, ModelError, ProviderError, QvacError
from qvac_core.tasks import beside, leave

T = TypeVar("T")

UploadProgress = Callable[[int, int], None]
Chunk = Base64Audio | BlobAudio

PROBE_SECONDS = 15.0  # of silence, after which the provider is asked whether it is there
PROBE_PATIENCE = 10.0
GONE_LOOK_SECONDS = 0.1  # between two looks at whether it is there, where somebody else could go on
SMALL_BYTES = 64 * 1024  # of raw samples that go within the request
UPLOAD_LIMIT = 4 * 1024 * 1024  # bytes of live sound that wait for the line
LONGEST_MS = 2**31 - 1  # that a provider can say: 24 days
TOO_SLOW_LINE = "The connection to the provider is too slow for live sound."


class Transcript:
    """One recording. `events` once; leaving them stops the provider.

    float32: what the model was loaded to take as raw samples, else s16le; said to a provider that takes nothing else.
    start_ms: what is before it was heard already. impatient: whether somebody else could go on: then a provider that
    is gone ends it within a second.
    """

    def __init__(
        self,
        connection: ProviderConnection,
        model_id: str,
        request_id: str,
        prompt: str,
        *,
        float32: bool = False,
        start_ms: int = 0,
        impatient: Callable[[], bool] | None = None,
    ) -> None:
        self._connection = connection
        self._float32 = float32
        self._model_id = model_id
        self._request_id = request_id
        self._prompt = prompt
        self._start_ms = self._done_ms = start_ms
        self._impatient = impatient
        self._began = asyncio.get_running_loop().time()
        self._segments = 0
        self._cancelled = asyncio.Event()
        self.heard_seconds: float | None = None
        """Of sound, as its last line said; None before it."""

    async def events(self, audio: Audio, on_upload: UploadProgress | None) -> AsyncGenerator[TranscriptionEvent, None]:
        await self._connection.greeted()
        told = self._whole(audio, on_upload) if self._connection.offers("blobs") else self._in_parts(audio)
        try:
            async with aclosing(told):
                async for event in told:
                    yield event
        except ProviderError as error:
            if error.code != Code.INFERENCE_CANCELLED.value:
                raise
            yield self._finished(SpeechEnd.CANCELLED, "", UNSET, UNSET)

    async def _whole(self, audio: Audio, on_upload: UploadProgress | None) -> AsyncGenerator[TranscriptionEvent, None]:
        message = Transcribe(
            model_id=self._model_id,
            audio_chunk=await self._sent(self._chunk(audio, on_upload)),
            prompt=self._prompt or UNSET,
            metadata=True,
            request_id=self._request_id,
            # One that does not know the word hears all of it once more; what was told already is passed over.
            start_ms=self._start_ms if self._start_ms and self._connection.offers("startMs") else UNSET,
        )
        self._began = asyncio.get_running_loop().time()
        async with aclosing(self._lines(message)) as lines:
            async for line in lines:
                for event in self._read(line):
                    yield event

    async def _in_parts(self, audio: Audio) -> AsyncGenerator[TranscriptionEvent, None]:
        """By a provider of the SDK's own, one request after the other."""
        compute_ms = 0.0
        await self._unless_cancelled(self._connection.all_read_out())
        self._began = asyncio.get_running_loop().time()
        async with aclosing(sound_parts(audio, float32=self._float32, start_ms=self._start_ms)) as parts:
            async for part in parts:
                if self._cancelled.is_set():
                    break
                total, end_ms = UNSET if part.total_ms is None else part.total_ms, part.start_ms + part.length_ms
                message = Transcribe(
                    model_id=self._model_id,
                    audio_chunk=part.audio,
                    prompt=self._prompt or UNSET,
                    metadata=True,
                    request_id=self._request_id,
                )
                async with aclosing(self._lines(message)) as lines:
                    while (line := await self._unless_cancelled(anext(lines, None))) is not None:
                        if not isinstance(line.segment, UnsetType):
                            yield self._segment(line.segment, part.start_ms, end_ms)
                            yield self._progress(total)
                        compute_ms += part.length_ms * _factor(line.stats)
                if self._cancelled.is_set():
                    break
                self._done_ms = end_ms
                yield self._progress(total)
        if self._cancelled.is_set():
            yield self._finished(SpeechEnd.CANCELLED, "", UNSET, UNSET)
            return
        stats = SpeechStats(self._done_ms, round(compute_ms), self._segments)
        yield Finished(SpeechEnd.EOS, "", self._done_ms, (), stats)

    def cancel(self) -> bool:
        """End it here, where the provider is let end its part. False where it is told, as of any request."""
        if self._connection.offers("blobs"):
            return False
        self._cancelled.set()
        return True

    async def _unless_cancelled(self, work: Awaitable[T]) -> T | None:
        coming = asyncio.ensure_future(work)
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({coming, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            return None if self._cancelled.is_set() else await coming
        finally:
            await leave(coming, cancelled)

    async def _lines(self, message: Transcribe) -> AsyncGenerator[TranscribeLine, None]:
        """Up to the one with `done`. Leaving them stops the provider."""
        stream = self._connection.open_stream(message)
        ended = False
        try:
            async for reply in watched(self._connection, stream, impatient=self._impatient):
                if not isinstance(reply, TranscribeLine):
                    continue
                if isinstance(reply.error, str):
                    code = Code.TRANSCRIPTION_FAILED
                    raise ProviderError(reply.error, name=code.name, code=code.value)
                ended = reply.done is True
                yield reply
                if ended:
                    return
            raise ProviderError("The provider ended the transcript before its end. Ask again.")
        except (ProviderError, ConnectionClosed):
            ended = True
            raise
        finally:
            if ended or self._connection.closed:
                stream.destroy()
            elif self._connection.offers("blobs"):
                await self._connection.stop_request(self._request_id)
                stream.destroy()
            else:  # one of the SDK's own is let end its part
                self._connection.read_out(stream)

    async def _sent(self, sending: Coroutine[None, None, Chunk]) -> Chunk:
        task = asyncio.ensure_future(sending)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=GONE_LOOK_SECONDS if self._impatient is not None else None)
                if self._impatient is not None and not task.done() and self._connection.gone and self._impatient():
                    raise stopped_answering()
            return await task
        finally:
            await leave(task)

    async def _chunk(self, audio: Audio, on_upload: UploadProgress | None) -> Chunk:
        """A small thing goes within the request, anything else before it."""
        if isinstance(audio, AudioFile):
            return BlobAudio(await self._connection.put_blob(audio.path, on_upload, what="recordings"))
        data = audio.data if isinstance(audio, AudioBytes) else as_wav(audio.data)
        if len(data) <= SMALL_BYTES:
            return Base64Audio(base64.b64encode(data).decode())
        return BlobAudio(await self._connection.put_blob(data, on_upload, what="recordings"))

    def _read(self, line: TranscribeLine) -> list[TranscriptionEvent]:
        events: list[TranscriptionEvent] = []
        if not isinstance(line.segment, UnsetType):
            if _ms(line.segment.end_ms) <= self._start_ms:
                return []  # somebody else has told it
            events.append(self._segment(line.segment, 0, LONGEST_MS))
        if not isinstance(line.progress, UnsetType):
            self._done_ms = max(self._done_ms, _ms(line.progress.done_ms))
            total = line.progress.total_ms
            events.append(self._progress(total if isinstance(total, UnsetType) else _ms(total)))
        if line.done is True:
            notices = [] if isinstance(line.notices, UnsetType) else line.notices
            language = line.language if isinstance(line.language, str) else ""
            events.append(self._finished(SpeechEnd.EOS, language, line.stats, notices))
        return events

    def _segment(self, said: TranscribeSegment, offset_ms: int, end_ms: int) -> Segment:
        """Of a part that begins and ends there in the recording: a model hears on into the silence behind it."""
        start = min(offset_ms + _ms(said.start_ms), end_ms)
        end = min(max(offset_ms + _ms(said.end_ms), start), end_ms)
        segment = Segment(self._segments, start, end, said.text.strip())
        self._segments += 1
        self._done_ms = max(self._done_ms, end)
        return segment

    def _progress(self, total_ms: int | UnsetType) -> Progress:
        if isinstance(total_ms, UnsetType) or total_ms < self._done_ms or not self._done_ms:
            return Progress(self._done_ms, None if isinstance(total_ms, UnsetType) else total_ms)
        passed, here = asyncio.get_running_loop().time() - self._began, self._done_ms - self._start_ms
        return Progress(self._done_ms, total_ms, passed * (total_ms - self._done_ms) / here if here else None)

    def _finished(
        self, end: SpeechEnd, language: str, stats: TranscribeStats | UnsetType, notices: list[str] | UnsetType
    ) -> Finished:
        audio_ms, factor = self._done_ms, 0.0
        if not isinstance(stats, UnsetType):
            audio_ms = self._done_ms if isinstance(stats.audio_duration, UnsetType) else _ms(stats.audio_duration)
            factor = _factor(stats)
        if end is SpeechEnd.EOS:
            self.heard_seconds = max(audio_ms - self._start_ms, 0) / 1000
        said = () if isinstance(notices, UnsetType) else tuple(notices)
        return Finished(end, language, audio_ms, said, SpeechStats(audio_ms, _ms(audio_ms * factor), self._segments))


def as_wav(samples: bytes) -> bytes:
    """Raw float32 samples as a WAV file: the same to the last bit, and no question of their format."""
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + (3).to_bytes(2, "little") + (1).to_bytes(2, "little")
    head += SAMPLE_RATE.to_bytes(4, "little") + (4 * SAMPLE_RATE).to_bytes(4, "little")
    head += (4).to_bytes(2, "little") + (32).to_bytes(2, "little") + b"data" + len(samples).to_bytes(4, "little")
    return b"RIFF" + (len(head) + len(samples)).to_bytes(4, "little") + head + samples


def _ms(said: float) -> int:
    """What a provider says of a time, as one that can be shown, kept and sent on."""
    return round(min(max(said, 0), LONGEST_MS))


def _factor(stats: TranscribeStats | UnsetType) -> float:
    """Seconds of computing for a second of sound; 0 where nobody says."""
    if isinstance(stats, UnsetType) or isinstance(stats.real_time_factor, UnsetType):
        return 0.0
    return float(stats.real_time_factor)


async def watched(
    connection: ProviderConnection, stream: IncomingStream, *, impatient: Callable[[], bool] | None = None
) -> AsyncIterator[Reply]:
    """The lines of an answer whose silences may be long: the provider is asked now and then whether it is there.

    Raises ConnectionClosed where it is not; impatient: as soon as it is known to be gone, where that is true.
    """
    clock = asyncio.get_running_loop().time
    heard_at = clock()
    replies = connection.replies(stream)
    coming: asyncio.Task[Reply | None] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(replies, None))
            done, _ = await asyncio.wait(
                {coming}, timeout=GONE_LOOK_SECONDS if impatient is not None else PROBE_SECONDS
            )
            if done:
                reply, coming = coming.result(), None
                if reply is None:
                    return
                yield reply
                heard_at = clock()
            elif impatient is not None and connection.gone and impatient():
                raise stopped_answering()
            elif clock() - heard_at >= PROBE_SECONDS:
                if not await connection.healthy(PROBE_PATIENCE):
                    connection.destroy()
                    raise stopped_answering()
                heard_at = clock()
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})


class RemoteLive:
    """`LiveSession` by a provider. Its sound is f32le; whatever waits for the line is bounded."""

    def __init__(self, connection: ProviderConnection, model_id: str, options: LiveOptions, request_id: str) -> None:
        self.request_id = request_id
        self._connection = connection
        self._message = TranscribeStream(
            model_id=model_id,
            prompt=options.prompt or UNSET,
            metadata=True,
            emit_vad_events=True,
            end_of_turn_silence_ms=options.end_of_turn_ms,
            vad_run_interval_ms=options.meter_ms,
            tentative=True,
            request_id=request_id,
        )
        self._outbox: deque[bytes] = deque()
        self._waiting = 0
        self._written = asyncio.Event()
        self._ended = False
        self._rest = b""
        self._sent = 0
        self._text = ""
        self._events = LiveEvents()
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def sent_seconds(self) -> float:
        """Of sound, that the provider was given."""
        return self._sent / SAMPLE_RATE

    async def __aenter__(self) -> RemoteLive:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def write(self, samples: SoundBytes) -> None:
        if self._ended or self._events.closed:
            raise ModelError(
                "This live transcript has ended. Begin another one.", name="TRANSCRIPTION_FAILED", code=52403
            )
        sound, self._rest = sound_of(samples, self._rest)
        data = sound.astype("<f4").tobytes()
        self._sent += sound.size
        self._waiting += len(data)
        if self._waiting > UPLOAD_LIMIT:
            self._fail(ModelError(TOO_SLOW_LINE, name="TRANSCRIPTION_FAILED", code=52403))
        elif data:
            self._outbox.append(data)
        self._written.set()

    async def end(self) -> None:
        self._ended = True
        self._written.set()

    def __aiter__(self) -> AsyncIterator[LiveEvent]:
        return aiter(self._events)

    async def close(self) -> None:
        self._events.close()
        self.task.cancel()
        await asyncio.wait({self.task})

    # --- The connection -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        upload, answer, head = self._connection.open_duplex(self._message)

        async def send() -> None:
            await upload.write(head)
            while self._outbox or not self._ended:
                if not self._outbox:
                    self._written.clear()
                    await self._written.wait()
                    continue
                data = self._outbox.popleft()
                await upload.write(data)
                self._waiting -= len(data)
            upload.end()

        try:
            async with beside(send(), quiet=(QvacError,)):  # the answer says why nothing more goes out
                async for reply in watched(self._connection, answer):
                    if isinstance(reply, TranscribeStreamLine) and self._take(reply):
                        return
            self._fail(ProviderError("The provider ended the live transcript before its end."))
        except QvacError as error:
            self._fail(error)
        finally:
            answer.destroy()

    def _take(self, line: TranscribeStreamLine) -> bool:
        """True for the last one."""
        if isinstance(line.error, str):
            raise ProviderError(line.error, name=Code.TRANSCRIPTION_FAILED.name, code=Code.TRANSCRIPTION_FAILED.value)
        if not isinstance(line.segment, UnsetType):
            self._text += line.segment.text
            self._events.put(Committed(line.segment.text, _ms(line.segment.start_ms), _ms(line.segment.end_ms)))
        if isinstance(line.tentative, str):
            self._events.put(Tentative(line.tentative))
        if not isinstance(line.vad, UnsetType):
            self._events.put(Voice(line.vad.speaking, float(line.vad.probability)))
        if not isinstance(line.end_of_turn, UnsetType):
            self._events.put(TurnEnded(_ms(line.end_of_turn.silence_duration_ms)))
        if line.done is True:
            language = line.language if isinstance(line.language, str) else ""
            self._events.put(LiveFinished(self._text, language, self._sent * 1000 // SAMPLE_RATE))
        return line.done is True

    def _fail(self, error: QvacError) -> None:
        self._events.fail(error)
        if not self.task.done() and asyncio.current_task() is not self.task:
            self.task.cancel()
