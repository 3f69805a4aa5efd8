"""Conversations out to files and in from them: ours, ChatGPT's and LM Studio's. Each file comes in whole or not at all.

Export to Markdown and JSON.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import lzma
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from qvac_core.core.chat_archive import (
    FORMAT,
    Archived,
    Branched,
    from_json,
    parents_first,
    pictures_of,
    renewed,
    to_json,
    to_markdown,
)
from qvac_core.core.chat_foreign import from_chatgpt, from_lm_studio, is_chatgpt, is_lm_studio, with_possible_times
from qvac_core.core.state import Conversation
from qvac_core.core.tool_turns import settled
from qvac_core.engines.pictures import inspect
from qvac_core.errors import QvacError, StoreError
from qvac_core.store.conversations import Conversations
from qvac_core.store.database import Database
from qvac_core.store.disk import write_atomically
from qvac_core.store.folders import keep_from_own_files
from qvac_core.store.pictures import PictureFiles

Form = Literal["json", "markdown"]
FILE_MOST: Final = 1 << 29
"""Bytes of a file to be read, also of what is packed in one."""
FILES_MOST: Final = 10_000
# What Python's zipfile and what it unpacks with raise on packages that break their format's rules.
_DAMAGED_PACKAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, EOFError, NotImplementedError, OSError, ValueError),
)
_PACKED: Final = re.compile(r"(?:^|/)conversations[^/]*\.json$")


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of files. known: how many conversations were here already. refused: (file's name, why), per file."""

    conversations: tuple[Conversation, ...] = ()
    known: int = 0
    refused: tuple[tuple[str, str], ...] = ()


class ChatFilesRoom(Protocol):
    async def export(self, conversation_ids: Sequence[str], form: Form, path: Path) -> int:
        """Write these conversations, () = all of them, in the place of the file; how many. Raises StoreError."""

    async def import_files(self, paths: Sequence[Path]) -> Imported:
        """ConversationsChanged follows. What cannot be read is in the report, and keeps nothing else out."""


class ChatFiles:
    """changed: called once after an import that brought something."""

    def __init__(
        self,
        database: Database,
        conversations: Conversations,
        pictures: PictureFiles,
        changed: Callable[[], Any] = lambda: None,
    ) -> None:
        self._run = database.run
        self._folder = database.path.parent
        self._conversations = conversations
        self._pictures = pictures
        self._changed = changed

    async def export(self, conversation_ids: Sequence[str], form: Form, path: Path) -> int:
        await asyncio.to_thread(keep_from_own_files, self._folder, path)
        archived = await self._run(self._collect, tuple(conversation_ids))
        await asyncio.to_thread(_write, archived, form, path)
        return len(archived)

    async def import_files(self, paths: Sequence[Path]) -> Imported:
        total = Imported()
        for path in _files(paths):
            try:
                archived = await asyncio.to_thread(read_file, path)
                came, known = await self._run(self._take_in, archived)
            except (QvacError, OSError) as error:
                said = (
                    error.message if isinstance(error, QvacError) else f"It cannot be read: {error.strerror or error}."
                )
                total = replace(total, refused=(*total.refused, (path.name, said)))
                continue
            total = replace(total, conversations=(*total.conversations, *came), known=total.known + known)
        if total.conversations:
            done = self._changed()
            if asyncio.iscoroutine(done):
                await done
        return total

    def _collect(self, conversation_ids: Sequence[str]) -> list[Archived]:
        wanted = conversation_ids or [conversation.id for conversation in self._conversations.list()]
        return [self._archived(self._conversations.get(id)) for id in wanted]

    def _archived(self, conversation: Conversation) -> Archived:
        tree = self._conversations.tree(conversation.id)
        shown = tuple(message.id for message in self._conversations.messages(conversation.id))
        pictures: dict[str, str] = {}
        for message, _ in tree:
            for picture in message.pictures:
                if picture.sha256 not in pictures:
                    try:
                        data = self._pictures.read(picture.sha256)
                    except StoreError:
                        continue  # its name is in the message
                    pictures[picture.sha256] = base64.b64encode(data).decode()
        # A call of a tool that asked when the program was killed asks nobody any more.
        ended = [(settled(message) if message.status != "streaming" else message, parent) for message, parent in tree]
        messages = parents_first([Branched(message, parent) for message, parent in ended])
        return Archived(conversation, messages, shown, pictures)

    def _take_in(self, archived: Sequence[Archived]) -> tuple[list[Conversation], int]:
        new: list[Archived] = []
        seen = {conversation.id for conversation in self._conversations.list()}
        for each in archived:
            if each.conversation.id not in seen:
                seen.add(each.conversation.id)
                new.append(self._with_pictures(each))
        self._conversations.take_in(
            [
                (each.conversation, [(branched.message, branched.parent) for branched in each.messages], each.shown)
                for each in new
            ]
        )
        return [each.conversation for each in new], len(archived) - len(new)

    def _with_pictures(self, archived: Archived) -> Archived:
        """Kept; a picture that is not in the file, or is another one, is left out of its message."""
        here = set()
        for sha256, data in pictures_of(archived).items():
            if hashlib.sha256(data).hexdigest() == sha256 and inspect(data):
                here.add(self._pictures.keep(data))
        messages = tuple(
            replace(
                each,
                message=replace(each.message, pictures=tuple(p for p in each.message.pictures if p.sha256 in here)),
            )
            for each in archived.messages
        )
        return replace(archived, messages=messages)


def _write(archived: Sequence[Archived], form: Form, path: Path) -> None:
    data = to_json(archived) if form == "json" else to_markdown(archived).encode("utf-8", "replace")
    write_atomically(path, data, action=f"write {path.name}")


def read_file(path: Path) -> tuple[Archived, ...]:
    """Raises StoreError for what holds no conversation that is understood, OSError."""
    if path.exists() and not path.is_file():  # a pipe could keep us waiting for ever
        raise StoreError("It is no file.", name="NO_CONVERSATIONS")
    with path.open("rb") as file:
        data = file.read(FILE_MOST + 1)
    if len(data) > FILE_MOST:
        raise StoreError(f"It is larger than {FILE_MOST >> 20} MB.", name="TOO_LARGE")
    if data[:4] == b"PK\x03\x04":
        return tuple(archived for packed in _unpacked(data) for archived in _read(packed, path.name))
    return _read(data, path.name)


def _unpacked(data: bytes) -> list[bytes]:
    """The conversations of ChatGPT's export as it comes."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            wanted = [info for info in archive.infolist() if _PACKED.search(info.filename)]
            if sum(info.file_size for info in wanted) > FILE_MOST:
                raise StoreError(f"It is larger than {FILE_MOST >> 20} MB.", name="TOO_LARGE")
            unpacked = []
            for info in wanted:
                with archive.open(info) as packed:
                    unpacked.append(packed.read(info.file_size + 1)[: FILE_MOST + 1])
    except _DAMAGED_PACKAGE as error:
        raise StoreError("It is packed, and the package is damaged.", name="NOT_WHOLE") from error
    if not unpacked:
        raise StoreError("It has no conversations.json in it.", name="NO_CONVERSATIONS")
    return unpacked


def _read(data: bytes, name: str) -> tuple[Archived, ...]:
    try:
        tree = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise StoreError("It is no JSON file, or it was cut off.", name="NOT_WHOLE") from error
    if isinstance(tree, dict) and tree.get("format") == FORMAT:
        return from_json(data)
    if is_chatgpt(tree):
        archived = from_chatgpt(tree)
    elif is_lm_studio(tree):
        archived = from_lm_studio(tree, name)
    else:
        raise StoreError("It holds no conversations of QVAC Desktop, ChatGPT or LM Studio.", name="NO_CONVERSATIONS")
    if not archived:
        raise StoreError("There is no message in it.", name="NO_CONVERSATIONS")
    now = time.time()
    return tuple(renewed(with_possible_times(each, now)) for each in archived)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Of a folder, the conversation files in it."""
    files: list[Path] = []
    for path in paths:
        files.extend(sorted(path.rglob("*.json"))[:FILES_MOST] if path.is_dir() else [path])
    return files[:FILES_MOST]
