"""What a dropped file is: by its content, within bounds, and with a sentence for what cannot be read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.given_files import MOST_TEXT, FileKind, TakenFile, as_message, take, titled
from qvac_core.core.state import ErrorInfo
from qvac_core.engines.pictures import PICTURE_BYTES
from tests.pictures import blue, declared

SOUNDS = {
    "a.mp3": b"ID3\x04" + bytes(40),
    "b.mp3": b"\xff\xfb\x90\x00" + bytes(40),
    "c.ogg": b"OggS" + bytes(40),
    "d.opus": b"OggS" + bytes(40),
    "e.m4a": b"\0\0\0\x20ftypM4A " + bytes(40),
    "f.mp4": b"\0\0\0\x20ftypisom" + bytes(40),
    "g.webm": b"\x1a\x45\xdf\xa3" + bytes(40),
    "h.wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "i.flac": b"fLaC" + bytes(40),
    "j.ts": b"G\x40\x00\x10\x00" + bytes(400),
    "voice message": b"OggS" + bytes(40),
}
TEXTS = {
    "a.csv": (b"x,y\n1,2\n", "x,y\n1,2\n"),
    "b.ts": (b"export const x = 1;\n", "export const x = 1;\n"),
    "c.txt": ("\ufeffGrüße\n".encode(), "Grüße\n"),
    "d.txt": ("Grüße\n".encode("utf-16"), "Grüße\n"),
    "Makefile": (b"all:\n\ttrue\n", "all:\n\ttrue\n"),
}


def given(tmp_path: Path, name: str, content: bytes) -> TakenFile | ErrorInfo:
    path = tmp_path / name
    path.write_bytes(content)
    return take(path)


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_and_video(tmp_path: Path, name: str) -> None:
    size = len(SOUNDS[name])
    assert given(tmp_path, name, SOUNDS[name]) == TakenFile(tmp_path / name, FileKind.SOUND, size_bytes=size)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_pictures(tmp_path: Path, kind: str) -> None:
    data = blue(kind)
    assert given(tmp_path, "shelf", data) == TakenFile(tmp_path / "shelf", FileKind.PICTURE, size_bytes=len(data))


def test_a_picture_that_would_unfold_to_gigabytes(tmp_path: Path) -> None:
    refused = given(tmp_path, "bomb.png", declared(60_000, 60_000))
    assert isinstance(refused, ErrorInfo)
    assert (refused.title, "megapixels" in refused.message) == ("bomb.png cannot be sent.", True)


def test_a_picture_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.write(blue())
        file.truncate(PICTURE_BYTES + 1)
    refused = take(path)
    assert isinstance(refused, ErrorInfo)
    assert "large.png is too large: 21 MB." in refused.title


@pytest.mark.parametrize("name", TEXTS)
def test_text(tmp_path: Path, name: str) -> None:
    content, text = TEXTS[name]
    taken = given(tmp_path, name, content)
    assert taken == TakenFile(tmp_path / name, FileKind.TEXT, text, len(content))
    assert isinstance(taken, TakenFile)
    assert titled(as_message(taken)) == name


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdf", b"%PDF-1.7\n" + bytes(40), "a.pdf is a PDF."),
        ("a.docx", b"PK\x03\x04" + bytes(40), "packed file"),
        ("a.bin", b"\x01\x02\0\x03" * 20, "a.bin is not text."),
        ("latin.txt", "Grüße".encode("latin-1"), "latin.txt is not text."),
        ("bell.txt", b"\x07\x1b\x01" * 20, "bell.txt is not text."),
        ("empty.txt", b"", "empty.txt is empty."),
        ("long.txt", b"a" * (MOST_TEXT + 1), "long.txt is too long: 1 MB."),
        ("model.gguf", b"GGUF" + bytes(40), "model.gguf is a model."),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    refused = given(tmp_path, name, content)
    assert isinstance(refused, ErrorInfo)
    assert says in refused.title


def test_the_longest_text_is_read_whole(tmp_path: Path) -> None:
    taken = given(tmp_path, "long.txt", b"a" * MOST_TEXT)
    assert isinstance(taken, TakenFile)
    assert len(taken.text) == MOST_TEXT


def test_a_folder_and_a_file_that_is_gone(tmp_path: Path) -> None:
    folder, gone = take(tmp_path), take(tmp_path / "gone.txt")
    assert isinstance(folder, ErrorInfo)
    assert "is a folder" in folder.title
    assert isinstance(gone, ErrorInfo)
    assert gone.title == "gone.txt cannot be read."


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are no files there")
def test_a_pipe_does_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(take(tmp_path / "pipe"), ErrorInfo)


def test_another_text_has_no_title() -> None:
    for text in (
        "",
        "File",
        "File x",
        "File x:",
        "File x:\nsame line",
        f"File {'x' * 300}:\n\ntext",
        "Hello\n\nFile x:",
    ):
        assert titled(text) in ("", "x"), text
    assert titled("File x:\n\ntext") == "x"
    assert titled("Transcript of x.m4a:\n\n0:00  a") == "Transcript of x.m4a"
