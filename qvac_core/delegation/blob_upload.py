"""Putting a file at a provider of ours before the request that names it: by hash, in chunks, from where it broke off.

The other end, and the messages, are described in `blobs.py`. One chunk is on its way at a time: what else the
connection carries (heartbeats, a cancel, the next question) waits behind no more than that, and its size follows what
the line bears.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from qvac_core.delegation.blobs import CHUNK_BYTES_LEAST, CHUNK_BYTES_MOST
from qvac_core.delegation.failures import Code
from qvac_core.delegation.messages import BlobStatus, BlobStatusReply, Message, PutBlob, PutBlobReply
from qvac_core.errors import DelegationError, LocalProtocolError, RemoteProtocolError

FIRST_CHUNK_BYTES = 32 * 1024
# A chunk that was answered sooner lets the next one be twice as long, one that took longer half as long.
QUICK_SECONDS = 0.15
SLOW_SECONDS = 0.4
# For the answer to one chunk, from when it has gone out.
CHUNK_SECONDS = 30.0
_READ_BYTES = 1024 * 1024

Progress = Callable[[int, int], None]
"""Bytes that are there, and bytes in all."""


ReplyT = TypeVar("ReplyT", bound=Message)


class BlobPeer(Protocol):
    """What an upload needs of the connection."""

    async def ask(self, message: Message, expect: type[ReplyT], seconds: float, payload: bytes = b"") -> ReplyT: ...


class Source(Protocol):
    """Bytes that do not change while they are sent."""

    size: int
    sha256: str

    async def read(self, offset: int, size: int) -> bytes: ...

    def close(self) -> None: ...


class BytesSource:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()

    async def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def close(self) -> None:
        pass


class FileSource:
    """A file, read in parts: a long recording is never in memory as a whole. Opened by `open_source`."""

    def __init__(self, file: BinaryIO, size: int, sha256: str) -> None:
        self._file = file
        self.size = size
        self.sha256 = sha256

    async def read(self, offset: int, size: int) -> bytes:
        return await asyncio.to_thread(self._read, offset, size)

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise LocalProtocolError("The file became shorter while it was sent. Send it again.")
        return data

    def close(self) -> None:
        self._file.close()


def open_file(path: Path) -> FileSource:
    """Blocking: reads all of it once, for its hash. Raises LocalProtocolError, with what helps."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe might never end
            raise LocalProtocolError(f"{path.name} is no regular file. Give a file.")
        file = path.open("rb")
    except ValueError:  # a null character
        raise LocalProtocolError("The file cannot be read: no file has such a name.") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        digest, size = hashlib.sha256(), 0
        while data := file.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
    except OSError as error:
        file.close()
        raise _unreadable(path, error) from None
    return FileSource(file, size, digest.hexdigest())


async def upload(peer: BlobPeer, source: Source, on_progress: Progress | None = None) -> None:
    """Until the provider has all of it.

    Raises ProviderError with the provider's reason, and what a lost connection raises: what is there by then stays for
    a minute, and another call goes on with it.
    """
    if not source.size:
        raise LocalProtocolError("An empty file cannot be sent.")
    clock = asyncio.get_running_loop().time
    status = await peer.ask(BlobStatus(source.sha256, source.size), BlobStatusReply, CHUNK_SECONDS)
    received = _checked(status.received, source.size)
    length = FIRST_CHUNK_BYTES
    while received < source.size:
        if on_progress is not None:
            on_progress(received, source.size)
        payload = await source.read(received, min(length, source.size - received))
        asked_at = clock()
        message = PutBlob(source.sha256, source.size, received)
        reply = await peer.ask(message, PutBlobReply, CHUNK_SECONDS, payload)
        if reply.received <= received:
            raise RemoteProtocolError("the provider took a part of a file and says that it has no more than before")
        received = _checked(reply.received, source.size)
        length = _next_length(length, clock() - asked_at)
    if on_progress is not None:
        on_progress(received, source.size)


def _unreadable(path: Path, error: OSError) -> LocalProtocolError:
    return LocalProtocolError(f"{path.name} cannot be read: {error.strerror or 'the system gives no reason'}.")


def _next_length(length: int, seconds: float) -> int:
    if seconds < QUICK_SECONDS:
        return min(length * 2, CHUNK_BYTES_MOST)
    return max(length // 2, CHUNK_BYTES_LEAST) if seconds > SLOW_SECONDS else length


def _checked(received: int, size: int) -> int:
    if received > size:
        raise RemoteProtocolError("the provider says that it has more of a file than there is")
    return received


def not_taken(what: str = "files") -> DelegationError:
    """The provider speaks plain 0.16, as the SDK's own do: no message of that carries bytes."""
    code = Code.MODEL_OPERATION_NOT_SUPPORTED
    return DelegationError(
        f"This provider cannot take {what}: it does not run QVAC Desktop, or an older one. "
        "Ask one that does, or a model on this machine.",
        name=code.name,
        code=code.value,
    )
