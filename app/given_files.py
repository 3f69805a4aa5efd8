"""What a file is that somebody drops on Chat, by its content and its name, and why it cannot be taken. Knows no Qt."""

from __future__ import annotations

import stat
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from app.i18n import later, tr, trn
from app.words import size
from qvac_core.core.state import ErrorInfo
from qvac_core.engines.pictures import PICTURE_BYTES, inspect
from qvac_core.errors import ModelError
from qvac_core.late_dataclass import dataclass

MOST_TEXT = 1_000_000
"""Bytes of a text file: some 300,000 tokens, more than any model of the catalog takes in."""
HEAD = 4096
NAME_LETTERS = 255
SOUND_NAMES = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "aac", "aif", "aiff", "amr", "au", "avi", "caf", "flac", "m2ts", "m4a", "m4b", "m4v", "mka", "mkv"),
        *("mov", "mp2", "mp3", "mp4", "mpeg", "mpg", "mts", "oga", "ogg", "ogv", "opus", "ts", "vob", "wav", "weba"),
        *("webm", "wma", "wmv"),
    )
)
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")
_SOUNDS = (b"ID3", b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"FORM", b"#!AMR", b"caff", b"\x30\x26\xb2\x75")
_NAMED = (
    (b"%PDF", later("a PDF")),
    (b"PK\x03\x04", later("a packed file (a ZIP archive, or a document of an office program)")),
    (b"\xd0\xcf\x11\xe0", later("a document of an office program")),
    (b"\x1f\x8b", later("a packed file")),
    (b"7z\xbc\xaf", later("a packed file")),
    (b"\x7fELF", later("a program")),
    (b"MZ", later("a program")),
    (b"GGUF", later("a model")),
)
READS = later("Chat reads plain text, pictures, sound and video.")


class FileKind(Enum):
    SOUND = "sound"  # or video: its sound
    PICTURE = "picture"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class TakenFile:
    path: Path
    kind: FileKind
    text: str = ""
    size_bytes: int = 0


def take(path: Path) -> TakenFile | ErrorInfo:
    """Look into a file, and read it if it is text. Waits for the disk."""
    try:
        return _take(path)
    except OSError as error:
        return _refusal(
            tr("{name} cannot be read.", name=path.name),
            f"{(error.strerror or str(error)).rstrip('.')}.",
        )


def _take(path: Path) -> TakenFile | ErrorInfo:
    facts = path.stat()
    if stat.S_ISDIR(facts.st_mode):
        return _refusal(tr("{name} is a folder.", name=path.name), tr("Drop the files in it."))
    if not stat.S_ISREG(facts.st_mode):
        return _refusal(tr("{name} is no ordinary file.", name=path.name), "")  # a pipe could keep us waiting for ever
    if not facts.st_size:
        return _refusal(tr("{name} is empty.", name=path.name), "")
    with path.open("rb") as file:
        head = file.read(HEAD)
        kind = _kind(path, head)
        if kind is FileKind.PICTURE:
            if facts.st_size > PICTURE_BYTES:
                most = tr("A picture may have {size} at most. Make it smaller.", size=size(PICTURE_BYTES))
                return _refusal(tr("{name} is too large: {size}.", name=path.name, size=size(facts.st_size)), most)
            return _picture(path, head + file.read(PICTURE_BYTES))
        if kind is not None:
            return TakenFile(path, kind, size_bytes=facts.st_size)
        for mark, what in _NAMED:
            if head.startswith(mark):
                return _refusal(
                    tr("{name} is {what}.", name=path.name, what=tr(what)),
                    tr("{reads} Save it as text, or copy from it.", reads=tr(READS)),
                )
        if not _is_text(head):
            return _refusal(tr("{name} is not text.", name=path.name), tr(READS))
        if facts.st_size > MOST_TEXT:
            most = tr("No model takes in more than {size}. Drop a part of it.", size=size(MOST_TEXT))
            return _refusal(tr("{name} is too long: {size}.", name=path.name, size=size(facts.st_size)), most)
        text = _decoded(head + file.read(MOST_TEXT))
    if text is None:
        return _refusal(
            tr("{name} is not text.", name=path.name), tr("{reads} Text has to be UTF-8 or UTF-16.", reads=tr(READS))
        )
    return TakenFile(path, FileKind.TEXT, text, facts.st_size)


def _picture(path: Path, data: bytes) -> TakenFile | ErrorInfo:
    try:
        inspect(data)
    except ModelError as error:
        return _refusal(tr("{name} cannot be sent.", name=path.name), error.message)
    return TakenFile(path, FileKind.PICTURE, size_bytes=len(data))


def _kind(path: Path, head: bytes) -> FileKind | None:
    if head.startswith(_PICTURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return FileKind.PICTURE
    known = (
        head.startswith(_SOUNDS) or head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] in (b"WAVE", b"AVI "))
    )
    if known:
        return FileKind.SOUND
    # MP3 and AAC without a header, and the rest: by name, if it is no text (".ts" is also a program's source).
    if path.suffix.lower() in SOUND_NAMES and not _is_text(head):
        return FileKind.SOUND
    return None


def _is_text(head: bytes) -> bool:
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" not in head


def _decoded(content: bytes) -> str | None:
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter.isspace() or letter > "\x7f" for letter in text[:HEAD]) else None


def too_many_pictures(most: int) -> ErrorInfo:
    return _refusal(
        trn("A message may have %n picture at most.", "A message may have %n pictures at most.", most),
        tr("Send some of them with the next one."),
    )


class CopiedPictures:
    """Pictures copied out of other programs, as files while the window runs; once sent, the core keeps them."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._count = 0

    def keep(self, data: bytes) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="qvac-pictures-")
        self._count += 1
        path = Path(self._folder.name) / f"Picture {self._count}.png"
        path.write_bytes(data)
        return path

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def as_message(file: TakenFile) -> str:
    """A text file as it stands beside a question."""
    return f"File {file.path.name}:\n\n{file.text}"


def titled(text: str) -> str:
    """What a text beside a message is called by its first line, as `as_message` and transcripts write it; else ""."""
    first, _, rest = text[: NAME_LETTERS * 2].partition("\n")
    for opening in ("File ", "Transcript of "):
        name = first.removeprefix(opening).removesuffix(":")
        if first == f"{opening}{name}:" and rest.startswith("\n") and 0 < len(name) <= NAME_LETTERS:
            return name if opening == "File " else tr("Transcript of {file}", file=name)
    return ""


def _refusal(title: str, message: str) -> ErrorInfo:
    return ErrorInfo("FILE_REFUSED", 0, title, message)
