"""Chats that outlive their process: what `state_cache` keeps of them, in files that only this identity can read.

A file holds one chat of one model: libsodium's secretstream (XChaCha20-Poly1305) in pieces, the first of which says
whose chat it is and which tokens it holds. A file that was cut short, changed, or written with another key is no chat,
and is removed. It is a cache: whatever is missing is read again from the text.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError

from qvac_core.engines.checkpoints import Checkpoint, State
from qvac_core.engines.interface import EVERYBODY, LOCAL_OWNER, KeptChats
from qvac_core.engines.slots import common_prefix
from qvac_core.engines.state_cache import SavedChat

MAGIC = b"QVACCHAT1"
OWN, GUESTS = ".own.chat", ".guest.chat"  # endings of files: a guest's never takes the place of one of the owner's
GUESTS_SHARE = 0.5  # of the budget, all of theirs together
PIECE = 1024 * 1024  # bytes
HEADER_LIMIT = 16 * 1024 * 1024  # bytes: of a million tokens
OLDEST = 30 * 86400.0  # seconds since it was written
LEFT_FREE = 2 * 1024**3  # bytes of the disk
WORTH_KEEPING = 128  # tokens: fewer are read again as fast as a file
SAMPLES = 64  # of a model's file, for its fingerprint
SAMPLE = 64 * 1024  # bytes

_ADDED = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_OPENING = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_LAST = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MORE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """tokens: int32, little-endian. state: bytes of it. checkpoints: tokens and bytes of each."""

    owner: str
    tokens: bytes
    state: int
    checkpoints: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class KeptChat:
    """What is known of a file. size: bytes that the chat takes once it is read."""

    path: Path
    owner: str
    tokens: list[int]
    size: int


class Shelf:
    """The kept chats of one loaded model. Used from one thread."""

    def __init__(self, kept: KeptChats, fingerprint: bytes, *, now: Callable[[], float] = time.time) -> None:
        """Reads what is there. fingerprint: of all that a chat's state depends on; a chat of another is not seen."""
        self._kept = kept
        self._now = now
        self._folder = Path(kept.folder)
        self._key = hashlib.blake2b(fingerprint, digest_size=32, key=kept.key, person=b"qvac chats").digest()
        self._mark = hashlib.blake2b(fingerprint, digest_size=8, key=kept.key).hexdigest()
        self._chats: list[KeptChat] = []
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_old()
        self._chats = list(self._look())

    def __len__(self) -> int:
        return len(self._chats)

    def wants(self, owner: str, tokens: list[int]) -> bool:
        """Whether a chat is to be kept, and no file has all of it already."""
        if len(tokens) < WORTH_KEEPING or not (self._kept.guests or owner == LOCAL_OWNER):
            return False
        return not any(chat.owner == owner and chat.tokens[: len(tokens)] == tokens for chat in self._chats)

    def find(self, owner: str, prompt: Sequence[int], more_than: int, most_bytes: int) -> KeptChat | None:
        """The chat of this owner with most tokens in common with the prompt's beginning, if it is worth a look.

        more_than: tokens of it that are there without one. most_bytes: that may be read now.
        """
        best, shared = None, max(more_than, WORTH_KEEPING - 1)
        for chat in self._chats:
            if chat.owner == owner and chat.size <= most_bytes:
                common = common_prefix(chat.tokens, prompt)
                if common > shared:
                    best, shared = chat, common
        return best

    def read(self, chat: KeptChat) -> SavedChat | None:
        """The chat as it was. None: the file is not what it was, or gone; it is not there any more."""
        try:
            with chat.path.open("rb") as file:
                pieces = _decrypted(file, self._key)
                header = msgspec.msgpack.decode(next(pieces), type=_Header)
                sizes = [header.state, *(size for _tokens, size in header.checkpoints)]
                states = _filled(sizes, pieces)
        except (OSError, CryptoError, msgspec.MsgspecError, StopIteration, ValueError, MemoryError):
            self.remove(chat)
            return None
        checkpoints = zip(header.checkpoints, states[1:], strict=True)
        return SavedChat(
            header.owner, chat.tokens, states[0], tuple(Checkpoint(tokens, state) for (tokens, _), state in checkpoints)
        )

    def write(self, chat: SavedChat) -> bool:
        """Keep it, in the place of its own beginnings. False: not wanted, no room, or the disk refuses."""
        if not self.wants(chat.owner, chat.tokens):
            return False
        shorter = [
            known
            for known in self._chats
            if known.owner == chat.owner and chat.tokens[: len(known.tokens)] == known.tokens
        ]
        try:
            if not self._make_room(chat, spared=shorter):
                return False
            kept = self._written(chat)
        except OSError:
            return False  # a full disk, a folder that was taken away: it is read again from its text
        for known in shorter:
            self.remove(known)
        self._chats.append(kept)
        return True

    def remove(self, chat: KeptChat) -> None:
        with contextlib.suppress(ValueError):
            self._chats.remove(chat)
        with contextlib.suppress(OSError):
            chat.path.unlink(missing_ok=True)

    def forget(self, owner: str) -> None:
        """Remove all that is kept for this owner; EVERYBODY: for all of them."""
        for chat in [chat for chat in self._chats if owner in (chat.owner, EVERYBODY)]:
            self.remove(chat)

    # --- Files ------------------------------------------------------------------------------------------------------

    def _written(self, chat: SavedChat) -> KeptChat:
        states = [chat.state, *(checkpoint.state for checkpoint in chat.checkpoints)]
        header = _Header(
            chat.owner,
            b"".join(token.to_bytes(4, "little", signed=True) for token in chat.tokens),
            len(chat.state),
            tuple((checkpoint.tokens, len(checkpoint.state)) for checkpoint in chat.checkpoints),
        )
        path = self._folder / f"{self._mark}-{secrets.token_hex(8)}{OWN if chat.owner == LOCAL_OWNER else GUESTS}"
        beside = path.with_suffix(".part")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123
                _encrypt(file, self._key, chain([msgspec.msgpack.encode(header)], _cut(states)))
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return KeptChat(path, chat.owner, chat.tokens, chat.size)

    def _look(self) -> Iterator[KeptChat]:
        for path in sorted(self._folder.glob(f"{self._mark}-*.chat")):
            try:
                with path.open("rb") as file:
                    header = msgspec.msgpack.decode(next(_decrypted(file, self._key)), type=_Header)
            except (CryptoError, msgspec.MsgspecError, StopIteration, ValueError):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                continue
            except OSError:
                continue
            raw = header.tokens
            tokens = [int.from_bytes(raw[at : at + 4], "little", signed=True) for at in range(0, len(raw), 4)]
            size = header.state + sum(size for _tokens, size in header.checkpoints)
            yield KeptChat(path, header.owner, tokens, size)

    def _files(self, ending: str = ".chat") -> list[tuple[float, int, Path]]:
        """When each was written, its bytes and its place; of all models, oldest first."""
        found = []
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{ending}"):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _remove_old(self) -> None:
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.part"):
                # Another model's process may be writing it.
                if self._now() - path.stat().st_mtime > 3600:
                    path.unlink(missing_ok=True)
        for written_at, _size, path in self._files():
            if self._now() - written_at > OLDEST:
                self._drop(path)

    def _make_room(self, chat: SavedChat, spared: Sequence[KeptChat]) -> bool:
        """Oldest first, of whichever model. spared: goes when the new one stands."""
        guests = chat.owner != LOCAL_OWNER
        budget = self._kept.budget_bytes
        if guests:  # they take what the owner's own leave of it, and never more than their share
            own = sum(size for _at, size, _path in self._files(OWN))
            budget = min(int(budget * GUESTS_SHARE), budget - own)
        if chat.size > min(budget, shutil.disk_usage(self._folder).free - LEFT_FREE):
            return False
        going = {known.path for known in spared}
        # The owner's own take the place of guests' before they take each other's.
        files = [*self._files(GUESTS), *([] if guests else self._files(OWN))]
        used = sum(size for _at, size, path in files if path not in going)
        for _at, size, path in files:
            if used + chat.size <= budget:
                break
            if path not in going:
                self._drop(path)
                used -= size
        return True

    def _drop(self, path: Path) -> None:
        self._chats = [chat for chat in self._chats if chat.path != path]
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def remove_all(folder: Path) -> None:
    """Every kept chat of every model and owner. Raises OSError for what cannot be removed."""
    for path in [*folder.glob("*.chat"), *folder.glob("*.part")]:
        path.unlink(missing_ok=True)


def fingerprint_of(files: Sequence[Path], *conditions: object) -> bytes:
    """What a chat's state depends on: the model, by samples from all over its files, and how it is run.

    Not the name or the time of a file: a model that was moved is the same.
    """
    hashed = hashlib.blake2b(digest_size=32)
    for condition in conditions:
        hashed.update(repr(condition).encode() + b"\0")
    for path in files:
        size = path.stat().st_size
        hashed.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            for number in range(SAMPLES):
                file.seek(max(0, size - SAMPLE) * number // (SAMPLES - 1))
                hashed.update(file.read(SAMPLE))
    return hashed.digest()


def _cut(states: Sequence[State]) -> Iterator[bytes]:
    for state in states:
        for at in range(0, len(state), PIECE):
            yield bytes(state[at : at + PIECE])


def _filled(sizes: Sequence[int], pieces: Iterator[bytes]) -> list[State]:
    """The states of these sizes out of the pieces. ValueError where they do not come out even."""
    states: list[State] = []
    for size in sizes:
        state = bytearray(size)
        at = 0
        while at < size:
            piece = next(pieces)
            if at + len(piece) > size:
                raise ValueError("a piece is longer than what it is of")
            state[at : at + len(piece)] = piece
            at += len(piece)
        states.append(state)
    if next(pieces, None) is not None:
        raise ValueError("more pieces than the header told of")
    return states


def _encrypt(file: BinaryIO, key: bytes, pieces: Iterator[bytes]) -> None:
    stream = bindings.crypto_secretstream_xchacha20poly1305_state()
    file.write(MAGIC + bindings.crypto_secretstream_xchacha20poly1305_init_push(stream, key))
    piece: bytes | None = next(pieces)
    while piece is not None:
        following = next(pieces, None)
        tag = _LAST if following is None else _MORE
        sealed = bindings.crypto_secretstream_xchacha20poly1305_push(stream, piece, MAGIC, tag)
        file.write(len(sealed).to_bytes(4, "little") + sealed)
        piece = following


def _decrypted(file: BinaryIO, key: bytes) -> Iterator[bytes]:
    """The pieces, one at a time. CryptoError or ValueError where the file is not whole or not ours."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("no kept chat")
    opening = file.read(_OPENING)
    if len(opening) != _OPENING:
        raise ValueError("cut short")
    stream = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(stream, opening, key)
    tag = _MORE
    while tag != _LAST:
        length = int.from_bytes(file.read(4), "little")
        sealed = file.read(length) if _ADDED <= length <= HEADER_LIMIT else b""
        if len(sealed) != length or not sealed:
            raise ValueError("cut short")
        piece, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(stream, sealed, MAGIC)
        yield piece
