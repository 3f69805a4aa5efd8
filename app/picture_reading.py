"""Keys in pictures: each picture is read by a process of its own (`app.code_reader`), off the window's thread.

A picture that is not told of in `SECONDS` is given up, and its process ended; so it is when nobody waits any more.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.core_words import told
from app.i18n import later, tr
from app.words import size
from qvac_core.codec.key_links import link_of
from qvac_core.codec.key_text import KeyCheck, KeyText, read_key
from qvac_core.engines.pictures import PICTURE_BYTES
from qvac_core.errors import QvacError
from qvac_core.frozen import COMMAND, executable, is_frozen
from qvac_core.late_dataclass import dataclass
from qvac_core.lazy import Lazy

if TYPE_CHECKING:
    from app import code_reader
else:
    code_reader = Lazy("app.code_reader")

SECONDS = 20.0
LONGEST_ANSWER = 1_000_000  # bytes

NO_CODE = later("No QR code was found in this picture. Take it again, closer and straight on.")
NO_KEY = later("This QR code holds no key of a provider.")
TROUBLE = later("This picture cannot be read. Save it as PNG or JPEG.")
TOO_LONG = later("This picture takes too long to read. Cut out the part with the code.")
TOO_LARGE_FILE = later("{name} is too large: {size}. Take a smaller picture of the code.")
TOO_LARGE = later("This picture is too large. Cut out the part with the code.")


class UnreadPictureError(QvacError):
    """Nothing came out of a picture; the message says why and what helps, in the user's language."""


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key and what its link calls the machine ("" = nothing). invite: the letters of the grant in it."""

    key: str
    name: str = ""
    invite: str = ""

    @property
    def text(self) -> str:
        """The key, or the link where it carries an invite."""
        return link_of(bytes.fromhex(self.key), self.name, self.invite) if self.invite else self.key


async def keys_in_file(path: Path) -> list[FoundKey]:
    """Those of all QR codes in it. Raises UnreadPictureError where there is none."""
    return await keys_in_picture(await asyncio.to_thread(_content, path))


async def keys_in_picture(data: bytes) -> list[FoundKey]:
    """As `keys_in_file`, for a picture file's content."""
    return await keys_in_pictures([data])


async def keys_in_pictures(pictures: Sequence[bytes], none: str = NO_CODE) -> list[FoundKey]:
    """Those of several, each once. `none`: the sentence when they show no code (marked by `later`)."""
    texts = [text for data in pictures for text in await codes_in(data)]
    if not texts:
        raise _unread(tr(none))
    found = [read_key(text) for text in texts]
    keys = {key.key: FoundKey(key.key.hex(), key.name, key.invite) for key in found if key.check is KeyCheck.KEY}
    if not keys:
        raise _unread(_why_no_key(found))
    return list(keys.values())


async def codes_in(data: bytes) -> list[str]:
    """The texts of the QR codes in a picture; [] where there is none. Raises UnreadPictureError for what is none."""
    reader = _Reader()
    try:
        answer = await asyncio.to_thread(reader.ask, data)
    except asyncio.CancelledError:
        reader.leave()
        raise
    try:
        said = json.loads(answer)
        if (error := said.get("error")) is not None:
            raise _unread(tr(TOO_LARGE) if error == code_reader.TOO_LARGE else tr(TROUBLE))
        return [str(text) for text in said["texts"]]
    except (ValueError, AttributeError, KeyError, TypeError):
        raise _unread(tr(TROUBLE)) from None  # it ended in the middle


def _why_no_key(found: Sequence[KeyText]) -> str:
    """A code that was nearly one of ours says what is wrong with it."""
    sentence = next((key.sentence for key in found if key.check is KeyCheck.PARTIAL), "")
    return f"{tr(NO_KEY)} {told(sentence)}".strip()


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe could keep us waiting for ever
            what = tr("{name} is a folder.", name=path.name) if path.is_dir() else ""
            raise _unread(what or tr("There is no file {name}.", name=path.name))
        length = path.stat().st_size
        if length > PICTURE_BYTES:
            raise _unread(
                tr(
                    "{name} is too large: {size}. Take a smaller picture of the code.",
                    name=path.name,
                    size=size(length),
                )
            )
        with path.open("rb") as file:
            return file.read(PICTURE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).rstrip(".")
        raise _unread(tr("{name} cannot be read: {reason}.", name=path.name, reason=reason)) from error


def _command() -> list[str]:
    if is_frozen():
        return [executable(COMMAND), code_reader.OPTION]
    # As a process of a model is started (engines/worker_process.py): nothing of the current folder is imported.
    return [sys.executable, "-P", "-X", "utf8", "-m", "app.code_reader"]


class _Reader:
    """One process for one picture. `ask` runs in a thread, `leave` in the window's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._left = False

    def ask(self, data: bytes) -> bytes:
        """What it says. Raises UnreadPictureError when it cannot be asked, or takes too long."""
        with self._lock:
            if self._left:
                return b""
            try:
                process = self._process = subprocess.Popen(
                    _command(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as error:
                raise _unread(tr(TROUBLE)) from error
        try:
            answer, _ = process.communicate(data, SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise _unread(tr(TOO_LONG)) from None
        except OSError:  # it ended before it had read the picture
            process.communicate()
            return b""
        return answer[:LONGEST_ANSWER]

    def leave(self) -> None:
        with self._lock:
            self._left = True
            if self._process is not None:
                self._process.kill()


def _unread(sentence: str) -> UnreadPictureError:
    return UnreadPictureError(sentence, name="PICTURE_UNREAD")
