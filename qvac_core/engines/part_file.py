"""A file that is being downloaded: what is there of it, its running checksum, and a lock against a second downloader.

Blocking; the downloader calls it in threads. A part file outlives a cancel, a crash and a restart. Beside it lies what
the server said of the file that it is a part of, so that parts of two versions are never put together.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import threading
from pathlib import Path

import msgspec

from qvac_core.errors import ModelError

READ_SIZE = 1 << 20  # bytes
DISK_RESERVE = 256 << 20  # bytes that a download leaves free


class Version(msgspec.Struct, frozen=True):
    """Which version of a file a server sends (RFC 9110 section 8.8). "" and 0: it did not say.

    `etag` and `last_modified` are those of the answer with the bytes, `linked_sha256` is what Hugging Face says.
    """

    etag: str = ""
    last_modified: str = ""
    linked_sha256: str = ""
    size_bytes: int = 0

    @property
    def condition(self) -> str:
        """What If-Range may hold; a weak ETag says nothing of bytes."""
        return self.etag if self.etag.startswith('"') else self.last_modified

    def contradicts(self, other: Version) -> bool:
        """Whether both name a version and not the same one."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return any(mine and theirs and mine != theirs for mine, theirs in pairs)


class Arrived(msgspec.Struct, frozen=True):
    """A file that was moved to its place, and of which the library may not know yet: a crash may come between."""

    name: str
    sha256: str
    size_bytes: int


def arrived(part: Path) -> Arrived | None:
    """What lies beside the place of this part file, if it is still there as it came."""
    try:
        told = msgspec.json.decode(_arrived_path(part).read_bytes(), type=Arrived)
        there = (part.parent / told.name).stat().st_size == told.size_bytes
    except (OSError, msgspec.MsgspecError):  # none, a torn one, or its file went away
        return None
    return told if there and not part.exists() else None


def forget_part(part: Path) -> None:
    """Remove what is there of a download, and what was noted of it."""
    for path in (part, part.with_suffix(".version"), _arrived_path(part)):
        path.unlink(missing_ok=True)


def settle(part: Path) -> None:
    """The library knows the file that arrived."""
    _arrived_path(part).unlink(missing_ok=True)


def _arrived_path(part: Path) -> Path:
    return part.with_suffix(".arrived")


class PartFile:
    """`open` hashes what is there already; `write` appends; `finish` checks and moves it to its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.version = Version()  # of the file that this is a part of
        self.continued = False  # whether its bytes came in several answers
        self._version_path = path.with_suffix(".version")
        self._hash = hashlib.sha256()
        self._closing = threading.Event()
        self._lock = threading.Lock()  # a cancelled download may close it while a thread still writes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ModelError(f"No model can be written to {path.parent}: {error.strerror}.") from None
        try:
            _lock_file(self._file.fileno())
        except OSError:
            self._file.close()
            raise ModelError("Another program is downloading this model already. Wait for it to finish.") from None

    @property
    def found(self) -> int:
        """Bytes that an earlier download left."""
        return os.fstat(self._file.fileno()).st_size

    def resume(self) -> int:
        """Read what an earlier download left; returns its size in bytes. `close` ends it."""
        with self._lock:
            self._file.seek(0)
            while not self._closing.is_set() and (chunk := self._file.read(READ_SIZE)):
                self._hash.update(chunk)
                self.size += len(chunk)
            if self.size:
                self.continued = True
                with contextlib.suppress(OSError, msgspec.MsgspecError):  # not there or torn: a version unknown
                    self.version = msgspec.json.decode(self._version_path.read_bytes(), type=Version)
        return self.size

    def restart(self) -> None:
        """Forget what is there."""
        with self._lock:
            self._file.truncate(0)
            self._hash = hashlib.sha256()
            self.size = 0
            self.version = Version()
            self.continued = False

    def begin(self, version: Version) -> None:
        """Say what the bytes to come are of. Kept before the first of them is: a power cut leaves no part unnamed."""
        with self._lock:
            self.version = version
            try:
                self._version_path.write_bytes(msgspec.json.encode(version))
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise disk_full(0) from None
                raise ModelError(f"The model cannot be written to disk: {error.strerror}.") from None

    def write(self, chunk: bytes) -> None:
        """Raises ModelError when the disk is full; what was written stays."""
        with self._lock:
            if self._file.closed:
                return
            try:
                self._file.write(chunk)
                self._file.flush()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise disk_full(len(chunk)) from None
                raise ModelError(f"The model cannot be written to disk: {error.strerror}.") from None
            self._hash.update(chunk)
            self.size += len(chunk)

    def check_room(self, total: int) -> None:
        """Raises ModelError when the rest will not fit."""
        missing = total - self.size + DISK_RESERVE
        if missing > shutil.disk_usage(self.path.parent).free:
            raise disk_full(total - self.size)

    def differs(self, sha256: str) -> bool:
        """Whether what is there is known not to have this checksum; "" is any."""
        with self._lock:
            return bool(sha256) and self._hash.hexdigest() != sha256.lower()

    def finish(self, target: Path, sha256: str) -> str:
        """Check the whole and move it to `target`; returns its sha256. Raises 53002 and removes it when it is wrong."""
        with self._lock:
            found = self._hash.hexdigest()
            if sha256 and found != sha256.lower():
                self._file.truncate(0)
                self.size = 0
                self._close()
                raise ModelError(
                    "The downloaded model is not the one that was asked for (its checksum differs); it was removed. "
                    "Try again later, or choose another source.",
                    name="CHECKSUM_VALIDATION_FAILED",
                    code=53002,
                )
            os.fsync(self._file.fileno())
            self._close()
            _arrived_path(self.path).write_bytes(msgspec.json.encode(Arrived(target.name, found, self.size)))
            self.path.replace(target)
            self._version_path.unlink(missing_ok=True)
            return found

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._file.close()  # and with it the lock
        if self.size == 0:
            self.path.unlink(missing_ok=True)
            self._version_path.unlink(missing_ok=True)


def disk_full(needed: int) -> ModelError:
    return ModelError(
        f"The disk is full: {needed / 1e9:.1f} GB more are needed for this model. Free some space and try again; "
        "what was downloaded is kept.",
        name="DISK_FULL",
        typed_fields={"neededBytes": needed},
    )


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 40, os.SEEK_SET)  # beyond the content: Windows forbids reading a locked range
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
