"""`qvac-desktop transcribe`: what is said in a recording, by a model of this machine or, with a key, of a provider."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from app.cli.config import core_config
from app.cli.output import Output
from app.cli.refusal import is_refusal, with_own_key
from qvac_core.core import Core, load_key_pair
from qvac_core.core.config import CoreConfig
from qvac_core.core.heard_elsewhere import Listeners, TakenOver, heard_to_the_end
from qvac_core.core.library_folder import open_library
from qvac_core.core.speech import HOW_TO_GET_ONE, NO_MODEL
from qvac_core.delegation.consumer import Delegate
from qvac_core.delegation.messages import ModelProgress
from qvac_core.engines.interface import DownloadProgress, LibraryModel
from qvac_core.engines.library import Library
from qvac_core.engines.model_kind import SPEECH_TYPE
from qvac_core.engines.speech import (
    AudioFile,
    Finished,
    Progress,
    Segment,
    SpeechConfig,
    TranscriptionEvent,
    TranscriptionRequest,
)
from qvac_core.engines.speech_engine import WhisperEngine
from qvac_core.engines.subtitles import plain_text, srt, vtt
from qvac_core.errors import LocalProtocolError, ModelError, QvacError, StoreError
from qvac_core.store.folders import DataDir, InstanceLock
from qvac_core.store.records import Target
from qvac_core.store.settings_file import SettingsFile
from qvac_core.threads import make_in_thread

FOR_A_KEY = ("seed", "bootstrap", "port", "no_local_network", "relay_through", "timeout", "fallback")

Events = AsyncGenerator[TranscriptionEvent, None]
Heard = AsyncGenerator[TranscriptionEvent | TakenOver, None]


async def transcribe(options: argparse.Namespace, output: Output) -> int:
    """Events `progress`, `segment` and `done`. Raises QvacError, whose sentence is the one line that says why."""
    if options.json and options.format != "text":
        raise LocalProtocolError("--format is of no use with --json: that tells every segment.", name="INVALID_OPTION")
    config = core_config(options)
    if options.key is not None and (await asyncio.to_thread(load_key_pair, config)).public_key == options.key:
        output.note("This is your own key: the model of this machine listens.")
        options.key = None
    elif options.key is None:
        for name in FOR_A_KEY:
            if getattr(options, name, None) not in (None, False):
                raise LocalProtocolError(f"--{name.replace('_', '-')} is for a provider's KEY.", name="INVALID_OPTION")
    opened = _there(options, config, output) if options.key is not None else _here(options, config, output)
    async with opened as events:
        await _tell(events, options, output)
    return 0


# --- Who listens ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _here(options: argparse.Namespace, config: CoreConfig, output: Output) -> AsyncIterator[Events]:
    """Without a core: nothing of this has to do with the network, and the window may run beside it."""
    folder = await asyncio.to_thread(DataDir.locate(config.data_dir).create)
    settings = await asyncio.to_thread(lambda: SettingsFile(folder.settings_file, now=time.time()))
    library = await asyncio.to_thread(open_library, folder, settings, config.models_folder)
    path = await _model_here(folder, library, options.model, output)
    engine = WhisperEngine()
    try:
        loaded = await engine.load(path, SpeechConfig())
        output.event("loaded", where="local", model=path.name)
        request = TranscriptionRequest(
            uuid.uuid4().hex,
            AudioFile(options.file),
            language=options.language or "",
            prompt=options.prompt or "",
            translate=options.translate,
        )
        async with aclosing(loaded.transcribe(request)) as events:
            yield events
    finally:
        await engine.close()


async def _model_here(folder: DataDir, library: Library, name: str | None, output: Output) -> Path:
    """Its file. A window that runs keeps the library's index, which two must not write."""
    if name is not None and (path := await asyncio.to_thread(_file, name)) is not None:
        return path
    known = library.find(name) if name is not None else None
    if known is None:
        known = await _looked_for(folder, library, name, output)
    if known.model_type != SPEECH_TYPE:
        raise ModelError(f"{known.name} transcribes no speech. Choose a Whisper model.", name=NO_MODEL)
    return known.path


async def _looked_for(folder: DataDir, library: Library, name: str | None, output: Output) -> LibraryModel:
    def progress(report: DownloadProgress) -> None:
        output.event("progress", model=report.key, downloaded=report.downloaded, total=report.total)

    lock = InstanceLock(folder.lock_file)
    try:
        await make_in_thread(lock.acquire, lambda _: lock.release())
    except StoreError as error:
        if error.name != "ALREADY_RUNNING" or name is not None:
            raise
    else:
        try:
            if name is not None:
                return await library.ensure(name, progress)
            await library.scan()
        finally:
            lock.release()
    found = next((model for model in library.models() if model.model_type == SPEECH_TYPE), None)
    if found is None:
        raise ModelError(f"{HOW_TO_GET_ONE} Here: --model WHISPER_TINY fetches it.", name=NO_MODEL)
    return found


@asynccontextmanager
async def _there(options: argparse.Namespace, config: CoreConfig, output: Output) -> AsyncIterator[Heard]:
    core = Core(config)
    delegate = Delegate(options.key, timeout=options.timeout)

    def load(report: ModelProgress) -> None:
        output.event("progress", downloaded=report.downloaded, total=report.total, percentage=report.percentage)

    def upload(done: int, total: int) -> None:
        output.event("upload", sent=done, total=total)
        _status(output, f"Sending the recording: {done * 100 // max(total, 1)} %")

    try:
        await core.start()

        def listen(who: Target, start_ms: int, *, impatient: Callable[[], bool]) -> Events:
            return core.speech.transcribe(
                AudioFile(options.file),
                who,
                language=options.language or "",
                prompt=options.prompt or "",
                translate=options.translate,
                on_load=load,
                on_upload=upload,
                delegate=delegate,
                start_ms=start_ms,
                impatient=impatient,
            )

        listeners = Listeners(core.speech.choices, here=options.fallback, language=options.language or "")
        events = heard_to_the_end(Target(options.key.hex(), options.model or ""), listen, listeners)
        async with aclosing(events):
            yield events
    except QvacError as error:
        raise (with_own_key(core.public_key, error) if is_refusal(error) else error) from None
    finally:
        await core.close()


def _file(name: str) -> Path | None:
    path = Path(name).expanduser()
    return path.absolute() if path.is_file() else None


# --- What is told -----------------------------------------------------------------------------------------------------


async def _tell(events: Events | Heard, options: argparse.Namespace, output: Output) -> None:
    segments: list[Segment] = []
    async for event in events:
        if isinstance(event, Segment):
            segments.append(event)
            output.event("segment", id=event.id, startMs=event.start_ms, endMs=event.end_ms, text=event.text)
            if options.format == "text":
                _status(output, "")
                output.text(event.text)
        elif isinstance(event, TakenOver):
            output.event("seam", **{"from": "delegated", "to": "local", "atMs": event.at_ms})
            output.note(f"The provider went away: this machine goes on at {_clock(event.at_ms / 1000)}.")
        elif isinstance(event, Progress):
            output.event("progress", doneMs=event.done_ms, totalMs=event.total_ms, leftSeconds=event.left_seconds)
            _status(output, _words(event))
        else:
            _end(event, segments, options, output)


def _end(end: Finished, segments: list[Segment], options: argparse.Namespace, output: Output) -> None:
    _status(output, "")
    match options.format:
        case "srt":
            output.text(srt(segments), end="")
        case "vtt":
            output.text(vtt(segments), end="")
        case "json":
            output.text(json.dumps(_document(end, segments), ensure_ascii=False))
    output.event(
        "done",
        outcome=end.stop_reason.value,
        language=end.language,
        audioMs=end.audio_ms,
        segments=len(segments),
        notices=list(end.notices),
        text=plain_text(segments),
    )
    for notice in end.notices:
        output.note(notice)
    if not segments:
        output.note("Nothing was said in this recording.")


def _document(end: Finished, segments: list[Segment]) -> dict[str, object]:
    return {
        "text": plain_text(segments),
        "language": end.language,
        "audioMs": end.audio_ms,
        "notices": list(end.notices),
        "segments": [
            {"id": each.id, "startMs": each.start_ms, "endMs": each.end_ms, "text": each.text} for each in segments
        ],
    }


def _words(progress: Progress) -> str:
    heard = f"Heard {_clock(progress.done_ms / 1000)}"
    if progress.total_ms:
        heard += f" of {_clock(progress.total_ms / 1000)}"
    if progress.left_seconds is not None:
        heard += f", {_clock(progress.left_seconds)} left"
    return heard


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _status(output: Output, text: str) -> None:
    """One line that is written over, where a person watches."""
    if sys.stderr is not None and sys.stderr.isatty():
        output.over(text)
