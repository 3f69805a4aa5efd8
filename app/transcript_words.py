"""A transcript in words: times, progress, what an export holds and how its file is called. Knows no Qt."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path

from app import languages
from app.i18n import later, listed, number, tr
from app.words import whole_duration
from qvac_core.core.state import Message, TranscriptProgress
from qvac_core.core.transcript import HandedOver, Transcript, TranscriptLine
from qvac_core.errors import StoreError
from qvac_core.late_dataclass import dataclass


class Form(Enum):
    """(name, ending)"""

    TEXT = (later("Text"), "txt")
    TIMES = (later("Text with times"), "txt")
    SUBTITLES = (later("Subtitles"), "srt")
    WEB_SUBTITLES = (later("Subtitles for the web"), "vtt")
    DATA = (later("Data"), "json")


def clock(milliseconds: int) -> str:
    """ "0:21", "25:48", "1:02:03"."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def facts(transcript: Transcript, progress: TranscriptProgress | None) -> str:
    """Beside the name of the file: how long, in which language."""
    length = transcript.audio_ms or (progress.total_ms if progress is not None else 0)
    parts = [_length(length) if length else "", languages.name(transcript.language)]
    return listed(parts)


def _length(milliseconds: int) -> str:
    """ "11 s", "42 min 10 s", "1 h 3 min"."""
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    if minutes >= 60:
        return tr("{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60)
    if minutes:
        return tr("{minutes} min {seconds} s", minutes=minutes, seconds=seconds)
    return tr("{number} s", number=number(seconds))


@dataclass(frozen=True, slots=True)
class Course:
    """How a running transcript goes: a bold clause, a remark, a fraction for the bar (None: not known)."""

    clause: str
    remark: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class Sound:
    """The recording of a transcript. position_ms: None where it was not played yet. peaks: a byte for each 100 ms.

    trouble: why it is not heard.
    """

    playing: bool = False
    position_ms: int | None = None
    peaks: bytes = b""
    trouble: str = ""


def course(progress: TranscriptProgress | None, running_seconds: float) -> Course:
    if progress is None or (not progress.done_ms and not progress.total_ms):
        return Course(tr("Getting ready"), tr("the model and the file are opened"), None)
    remarks = []
    if running_seconds >= 1 and progress.done_ms:
        speed = progress.done_ms / 1000 / running_seconds
        remarks.append(tr("{speed} × real time", speed=number(speed, 0 if speed >= 10 else 1)))
    if progress.left_seconds is not None:
        remarks.append(tr("about {time} left", time=whole_duration(progress.left_seconds)))
    fraction = min(1.0, progress.done_ms / progress.total_ms) if progress.total_ms else None
    done = clock(progress.done_ms)
    if progress.total_ms:
        clause = tr("Transcribing, {done} of {total}", done=done, total=clock(progress.total_ms))
    else:
        clause = tr("Transcribing, {done}", done=done)
    return Course(clause, listed(remarks), fraction)


def ending(message: Message, transcript: Transcript) -> str:
    """The last fact of the line below."""
    if message.status == "done":
        return "" if transcript.lines else tr("nothing was said")
    if not transcript.lines:
        return tr("stopped before the first word") if message.status == "stopped" else ""
    so_far = clock(transcript.heard_ms)
    if message.status == "stopped":
        return tr("stopped, so far {time} is kept", time=so_far)
    return tr("so far {time} is kept", time=so_far)


def hand_over(change: HandedOver) -> str:
    """That somebody else listened from there on."""
    left, time = change.left or tr("This machine"), clock(change.at_ms)
    if change.by:
        return tr("{name} went away: from {time} on, {other} listened.", name=left, time=time, other=change.by)
    return tr("{name} went away: from {time} on, this machine listened.", name=left, time=time)


def line(piece: TranscriptLine) -> str:
    return f"{clock(piece.start_ms)}  {piece.text}"


def export(transcript: Transcript, form: Form) -> str:
    # The rooms of speech are not read at a start that only shows conversations.
    from qvac_core.engines.speech import Segment
    from qvac_core.engines.subtitles import srt, vtt

    segments = [
        Segment(number, piece.start_ms, piece.end_ms, piece.text) for number, piece in enumerate(transcript.lines)
    ]
    match form:
        case Form.TEXT:
            return paragraphs(transcript) + "\n"
        case Form.TIMES:
            return "".join(f"{line(piece)}\n" for piece in transcript.lines)
        case Form.SUBTITLES:
            return srt(segments)
        case Form.WEB_SUBTITLES:
            return vtt(segments)
        case Form.DATA:
            return _data(transcript)


def paragraphs(transcript: Transcript) -> str:
    """Prose: a pause of two seconds and more begins a paragraph."""
    text = ""
    before: TranscriptLine | None = None
    for piece in transcript.lines:
        if before is not None:
            text += "\n\n" if piece.start_ms - before.end_ms >= 2000 else " "
        text += piece.text
        before = piece
    return text


def _data(transcript: Transcript) -> str:
    content = {
        "file": transcript.file,
        "language": transcript.language,
        "whole": transcript.whole,
        "segments": [
            {"startMs": piece.start_ms, "endMs": piece.end_ms, "text": piece.text} for piece in transcript.lines
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def file_name(transcript: Transcript, form: Form) -> str:
    stem = re.sub(r"\.[^.]*$", "", transcript.file) or "transcript"
    return f"{stem}{'' if transcript.whole else ' so far'}.{form.value[1]}"


def save(text: str, path: Path) -> None:
    """Raises StoreError with a sentence."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        message = tr("{name} could not be written: {reason}.", name=path.name, reason=error.strerror or error)
        raise StoreError(message) from error


def for_the_model(transcript: Transcript) -> str:
    """What *Ask about it* puts beside a question."""
    part = "" if transcript.whole else ", as far as it was transcribed"
    return f"Transcript of {transcript.file}{part}:\n\n{export(transcript, Form.TIMES)}"
