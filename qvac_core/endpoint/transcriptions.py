"""POST /v1/audio/transcriptions and /translations: a form with a file, answered in five formats or as a stream.

The file is judged by its content: clients call bytes `upload`, with no type at all. Fields come in any order, behind
the file too, and without a length of the whole (openai 7.59 sends it chunked).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from qvac_core.endpoint.conversation import model_of
from qvac_core.endpoint.exchange import Exchange, paced
from qvac_core.endpoint.faults import Fault, bad
from qvac_core.endpoint.fields import Fields
from qvac_core.endpoint.interface import Heard, HeardAll, SpeechAsk
from qvac_core.engines.speech import Segment
from qvac_core.engines.subtitles import plain_text, srt, vtt

FILE_BYTES = 512 * 1024 * 1024
FIELD_BYTES = 64 * 1024
FIELDS = 32
FORMATS = ("json", "text", "srt", "vtt", "verbose_json")


@dataclass(frozen=True, slots=True)
class SpeechAsked:
    model: str
    ask: SpeechAsk
    format: str
    stream: bool


@asynccontextmanager
async def speech_asked(exchange: Exchange, *, translate: bool) -> AsyncIterator[SpeechAsked]:
    """The file lies on the disk meanwhile. Raises Fault, Left."""
    from starlette.datastructures import Headers, UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    kind = exchange.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise Fault(415, "A recording is sent as multipart/form-data, with the fields file and model.", retry=False)
    parser = MultiPartParser(
        Headers({"content-type": kind}),
        exchange.chunks(FILE_BYTES),
        max_files=1,
        max_fields=FIELDS,
        max_part_size=FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise bad(f"The form cannot be read: {error.message}") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise bad("The field file has the recording.", "file")
        if not file.size:
            raise bad("The recording is empty.", "file")
        fields = Fields({name: value for name, value in form.multi_items() if isinstance(value, str)})
        format = fields.text("response_format", "json") or "json"
        if format not in FORMATS:
            raise bad(f"response_format is one of {', '.join(FORMATS)}.", "response_format")
        if "word" in (form.getlist("timestamp_granularities[]") + form.getlist("timestamp_granularities")):
            raise bad("Times are of segments here, not of words.", "timestamp_granularities", "unsupported_parameter")
        model, stream = model_of(fields), fields.text("stream", "") in ("true", "True", "1")
        path = await asyncio.to_thread(_copied, file.file)
        try:
            ask = SpeechAsk(path, fields.text("language", "").strip(), fields.text("prompt", ""), translate)
            yield SpeechAsked(model, ask, format, stream)
        finally:
            await asyncio.to_thread(path.unlink, True)
    finally:
        await form.close()


def _copied(file: BinaryIO) -> Path:
    """A file with a name, for whoever decodes it."""
    descriptor, name = tempfile.mkstemp(prefix="qvac-sound-")
    with os.fdopen(descriptor, "wb") as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy, 1 << 20)
    return Path(name)


async def transcript_answer(
    exchange: Exchange, pieces: AsyncGenerator[Heard | HeardAll, None], asked: SpeechAsked
) -> None:
    if asked.stream and asked.format in ("json", "text"):
        await _stream(exchange, pieces)
        return
    segments: list[Segment] = []
    all_ = HeardAll("", 0)
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, Heard):
                segments.append(Segment(len(segments), piece.start_ms, piece.end_ms, piece.text))
            else:
                all_ = piece
    text = plain_text(segments)
    match asked.format:
        case "text":
            await exchange.text(f"{text}\n")
        case "srt":
            await exchange.text(srt(segments))
        case "vtt":
            await exchange.text(vtt(segments), "text/vtt; charset=utf-8")
        case "verbose_json":
            await exchange.json(_verbose(text, segments, all_, translate=asked.ask.translate))
        case _:
            await exchange.json({"text": text, "usage": {"type": "duration", "seconds": round(all_.audio_ms / 1000)}})


async def _stream(exchange: Exchange, pieces: AsyncGenerator[Heard | HeardAll, None]) -> None:
    text = ""
    async with aclosing(paced(pieces)) as coming:
        async for piece in coming:
            if piece is None:
                await exchange.comment("still at work")
            elif isinstance(piece, Heard):
                delta = f" {piece.text}" if text else piece.text
                text += delta
                await exchange.event({"type": "transcript.text.delta", "delta": delta})
    await exchange.event({"type": "transcript.text.done", "text": text})
    await exchange.last_word("[DONE]")
    await exchange.end_stream()


def _verbose(text: str, segments: list[Segment], all_: HeardAll, *, translate: bool) -> Mapping[str, Any]:
    return {
        "task": "translate" if translate else "transcribe",
        "language": all_.language,
        "duration": all_.audio_ms / 1000,
        "text": text,
        "segments": [
            {
                "id": segment.id,
                "seek": 0,
                "start": segment.start_ms / 1000,
                "end": segment.end_ms / 1000,
                "text": segment.text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": 0.0,
                "compression_ratio": 0.0,
                "no_speech_prob": 0.0,
            }
            for segment in segments
        ],
        "usage": {"type": "duration", "seconds": round(all_.audio_ms / 1000)},
    }
