"""A transcript as it is kept: the text of a message of the role TRANSCRIPT, one JSON object a line.

The first line names the file, each further one holds a piece of the transcript with its times (milliseconds within the
audio), and the last one of a whole transcript what was found out about it. It grows at its end, as an answer does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import field

import msgspec
from msgspec.structs import replace

from qvac_core.late_dataclass import dataclass


class _Head(msgspec.Struct, tag="file", omit_defaults=True):
    name: str
    bytes: int
    path: str = ""
    asked: str = ""


class _Piece(msgspec.Struct, tag="piece"):
    at: tuple[int, int]
    text: str


class _Tail(msgspec.Struct, tag="end", rename="camel"):
    language: str
    audio_ms: int
    notices: tuple[str, ...] = ()


class _Handed(msgspec.Struct, tag="by"):
    at: int
    left: str
    by: str


_decoder = msgspec.json.Decoder(_Head | _Piece | _Tail | _Handed)


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """From this millisecond on, `by` listened, since `left` had gone away. By name; "" = this machine."""

    at_ms: int
    left: str
    by: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """whole: it came to its end. audio_ms: length of the recording, 0 = not known. language: "" = not known.

    path: where the recording lay on this machine, "" = not known. asked: the language that its person named.
    """

    file: str = ""
    size_bytes: int = 0
    lines: tuple[TranscriptLine, ...] = ()
    whole: bool = False
    language: str = ""
    audio_ms: int = 0
    notices: tuple[str, ...] = field(default=())
    path: str = ""
    asked: str = ""
    handed_over: tuple[HandedOver, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def heard_ms(self) -> int:
        """How far it has come."""
        return self.audio_ms if self.whole else max((line.end_ms for line in self.lines), default=0)


def begin(file: str, size_bytes: int, path: str = "", asked: str = "") -> str:
    return _line(_Head(file, size_bytes, path, asked))


def piece(start_ms: int, end_ms: int, text: str) -> str:
    return _line(_Piece((start_ms, end_ms), text))


def handed_over(at_ms: int, left: str, by: str) -> str:
    return _line(_Handed(at_ms, left, by))


def end(language: str, audio_ms: int, notices: tuple[str, ...] = ()) -> str:
    return _line(_Tail(language, audio_ms, notices))


def read(text: str) -> Transcript:
    """Lines that are none of ours are passed over: a message of another version is better read in part than not."""
    head = _Head("", 0)
    lines: list[TranscriptLine] = []
    handed: list[HandedOver] = []
    tail: _Tail | None = None
    for part in _parts(text):
        match part:
            case _Head():
                head = part
            case _Piece():
                lines.append(TranscriptLine(*part.at, part.text))
            case _Tail():
                tail = part
            case _Handed():
                handed.append(HandedOver(part.at, part.left, part.by))
    known = Transcript(head.name, head.bytes, tuple(lines), path=head.path, asked=head.asked, handed_over=tuple(handed))
    if tail is None:
        return known
    return dataclasses.replace(known, whole=True, language=tail.language, audio_ms=tail.audio_ms, notices=tail.notices)


def without_path(text: str) -> str:
    """As it may leave this machine, or come from another one: nothing says where a file lies."""
    parts = (replace(part, path="") if isinstance(part, _Head) else part for part in _parts(text))
    return "".join(map(_line, parts))


def _parts(text: str) -> Iterator[_Head | _Piece | _Tail | _Handed]:
    for line in text.split("\n"):  # JSON leaves other separators of lines as they are, within a text too
        try:
            yield _decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _line(part: msgspec.Struct) -> str:
    return msgspec.json.encode(part).decode() + "\n"
