"""A transcript as it is kept: the text of a message of the role "transcript", one JSON object a line.

The first line names the file, each further one holds a piece of the transcript with its times (milliseconds within the
audio), and the last one of a whole transcript what was found out about it. It grows at its end, as an answer does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

ROLE = "transcript"


class _Head(msgspec.Struct, tag="file"):
    name: str
    bytes: int


class _Piece(msgspec.Struct, tag="piece"):
    at: tuple[int, int]
    text: str


class _Tail(msgspec.Struct, tag="end", rename="camel"):
    language: str
    audio_ms: int
    notices: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(_Head | _Piece | _Tail)


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """whole: it came to its end. audio_ms: length of the recording, 0 = not known. language: "" = not known."""

    file: str = ""
    size_bytes: int = 0
    lines: tuple[TranscriptLine, ...] = ()
    whole: bool = False
    language: str = ""
    audio_ms: int = 0
    notices: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def heard_ms(self) -> int:
        """How far it has come."""
        return self.audio_ms if self.whole else max((line.end_ms for line in self.lines), default=0)


def begin(file: str, size_bytes: int) -> str:
    return _line(_Head(file, size_bytes))


def piece(start_ms: int, end_ms: int, text: str) -> str:
    return _line(_Piece((start_ms, end_ms), text))


def end(language: str, audio_ms: int, notices: tuple[str, ...] = ()) -> str:
    return _line(_Tail(language, audio_ms, notices))


def read(text: str) -> Transcript:
    """Lines that are none of ours are passed over: a message of another version is better read in part than not."""
    file, size_bytes = "", 0
    lines: list[TranscriptLine] = []
    tail: _Tail | None = None
    for part in _parts(text):
        match part:
            case _Head():
                file, size_bytes = part.name, part.bytes
            case _Piece():
                lines.append(TranscriptLine(*part.at, part.text))
            case _Tail():
                tail = part
    if tail is None:
        return Transcript(file, size_bytes, tuple(lines))
    return Transcript(file, size_bytes, tuple(lines), True, tail.language, tail.audio_ms, tail.notices)


def _parts(text: str) -> Iterator[_Head | _Piece | _Tail]:
    for line in text.splitlines():
        try:
            yield _decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _line(part: msgspec.Struct) -> str:
    return msgspec.json.encode(part).decode() + "\n"
