"""QR codes in pictures as people take them, and what is no such picture; the process that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app import code_reader, picture_reading
from app.code_reader import PictureError, read_codes
from app.picture_reading import FoundKey, UnreadPictureError, keys_in_file, keys_in_picture, keys_in_pictures
from qvac_core.codec.key_links import link_of, qr_text
from qvac_core.engines.pictures import PICTURE_BYTES
from tests.key_pictures import (
    HEX,
    KEY,
    OTHER,
    blurred,
    noisy,
    on_a_screen,
    photographed,
    qr,
    qr_file,
    slanted,
    turned,
)
from tests.pictures import chessboard, declared, encoded

TEXT = qr_text(KEY)


def see_through() -> Image.Image:
    """White modules on nothing, as some programs copy them."""
    code = qr(dark=255, light=0)
    return Image.merge("RGBA", (*[Image.new("L", code.size, 255)] * 3, code))


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "one pixel a module": lambda: qr(module=1),
    "no margin": lambda: qr(module=3, border=0),
    "large": lambda: qr(module=40),
    "white on black": lambda: qr(dark=255, light=0),
    "white on black, small, no margin": lambda: qr(module=2, border=0, dark=255, light=0),
    "white on black, turned": lambda: turned(qr(dark=230, light=20), 30, around=20),
    "see-through": see_through,
    "pale": lambda: qr(dark=120, light=150),
    "a little turned": lambda: turned(qr(), 3),
    "turned": lambda: turned(qr(module=3), 45),
    "upside down": lambda: turned(qr(), 180),
    "mirrored": lambda: qr().transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "blurred": lambda: blurred(qr(), 4),
    "blurred and small": lambda: blurred(qr(module=4), 2),
    "from the side": lambda: slanted(qr(module=10), 0.25),
    "noisy": lambda: noisy(qr(), 100),
    "photographed": lambda: photographed(qr(module=12)),
    "on a screen": lambda: on_a_screen(qr(module=2)),
}


# JPEG knows no transparency.
@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in PICTURES for kind in ("PNG", "JPEG", "WEBP") if (name, kind) != ("see-through", "JPEG")],
)
def test_a_code_is_read_as_it_comes(name: str, kind: str) -> None:
    picture = PICTURES[name]()
    how = {"quality": 60} if kind != "PNG" else {}
    assert read_codes(encoded(picture, kind, **how)) == [TEXT]


def test_all_codes_of_a_picture_are_read() -> None:
    wide = Image.new("L", (900, 400), 255)
    wide.paste(qr(), (10, 10))
    wide.paste(qr(qr_text(OTHER)), (500, 10))
    wide.paste(qr(module=3), (10, 330 - 60))
    assert sorted(read_codes(encoded(wide))) == sorted([TEXT, qr_text(OTHER)])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", code_reader.UNREADABLE),
        (b"%PDF-1.7", code_reader.UNREADABLE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", code_reader.UNREADABLE),
        (declared(30_000, 30_000), code_reader.TOO_LARGE),
        (declared(2**31 - 1, 2**31 - 1), code_reader.TOO_LARGE),
        (declared(5000, 5000), code_reader.UNREADABLE),  # says so, and holds nothing
        (bytes(PICTURE_BYTES + 1), code_reader.TOO_LARGE),
        (qr_file()[:200], code_reader.UNREADABLE),
    ],
    ids=["nothing", "pdf", "svg", "bomb", "largest", "hollow", "bytes", "cut"],
)
def test_what_is_no_picture_is_refused_before_it_unfolds(data: bytes, kind: str) -> None:
    with pytest.raises(PictureError) as refused:
        read_codes(data)
    assert refused.value.kind == kind


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_pictures_are_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(qr_file(kind=data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]))))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PictureError):
        read_codes(bytes(whole))


def test_the_process_answers_in_json() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "app.code_reader"], input=qr_file(), capture_output=True, check=True, timeout=60
    )
    assert json.loads(answer.stdout) == {"texts": [TEXT]}


def test_the_program_is_its_own_reader_where_it_is_frozen() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "import sys; from app.cli import main; sys.exit(main())", code_reader.OPTION],
        input=b"no picture",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(answer.stdout) == {"error": code_reader.UNREADABLE}


# --- Keys


def found(data: bytes) -> list[FoundKey]:
    return asyncio.run(keys_in_picture(data))


def refusal(data: bytes) -> str:
    with pytest.raises(UnreadPictureError) as refused:
        found(data)
    return refused.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [(TEXT, ""), (HEX, ""), (HEX.upper(), ""), (link_of(KEY, "Büro 2"), "Büro 2"), (f"My key: {HEX}!", "")],
)
def test_a_key_in_a_picture_by_another_process(text: str, name: str) -> None:
    assert found(qr_file(text)) == [FoundKey(HEX, name)]


def test_sentences_say_what_to_do() -> None:
    assert refusal(chessboard()).startswith("No QR code was found in this picture.")
    assert refusal(qr_file("https://example.org")).startswith("This QR code holds no key of a provider.")
    assert "61 of 64" in refusal(qr_file(f"qvac://{HEX[:-3]}"))
    assert refusal(b"nothing").startswith("This picture cannot be read.")
    assert refusal(declared(30_000, 30_000)).startswith("This picture is too large.")


def test_a_decoder_that_crashes_ends_its_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_reading, "_command", lambda: [sys.executable, "-c", "import os; os.abort()"])
    assert refusal(qr_file()).startswith("This picture cannot be read.")


def test_a_decoder_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_reading, "SECONDS", 0.2)
    monkeypatch.setattr(picture_reading, "_command", lambda: [sys.executable, "-c", "while True: pass"])
    assert refusal(qr_file()).startswith("This picture takes too long to read.")


def test_nobody_waits_for_a_reader_that_is_not_wanted_any_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    slow = f"import os, pathlib\npathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\nwhile True: pass"
    monkeypatch.setattr(picture_reading, "_command", lambda: [sys.executable, "-c", slow])

    async def leave() -> None:
        task = asyncio.ensure_future(keys_in_picture(qr_file()))
        while not begun.exists() or not begun.read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())  # which waits for its threads, and so for the process
    assert not psutil.pid_exists(int(begun.read_text()))


def test_files_are_looked_at_before_they_are_read(tmp_path: Path) -> None:
    def trouble(path: Path) -> str:
        with pytest.raises(UnreadPictureError) as refused:
            asyncio.run(keys_in_file(path))
        return refused.value.message

    assert trouble(tmp_path / "none.png") == "There is no file none.png."
    assert trouble(tmp_path) == f"{tmp_path.name} is a folder."
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(PICTURE_BYTES + 1)
    assert trouble(tmp_path / "huge.png").startswith("huge.png is too large")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert trouble(tmp_path / "pipe.png") == "There is no file pipe.png."
    (tmp_path / "key.png").write_bytes(qr_file())
    assert asyncio.run(keys_in_file(tmp_path / "key.png")) == [FoundKey(HEX)]


def test_the_same_key_in_two_pictures_is_one() -> None:
    both = asyncio.run(keys_in_pictures([qr_file(), qr_file(), chessboard()]))
    assert both == [FoundKey(HEX)]
