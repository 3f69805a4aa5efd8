"""A file that is being downloaded: what is there of it, its running checksum, and a lock against a second downloader.

Blocking; the downloader calls it in threads. A part file outlives a cancel, a crash and a restart.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
from pathlib import Path

from qvac_core.errors import ModelError

READ_SIZE = 1 << 20  # bytes
DISK_RESERVE = 256 << 20  # bytes that a download leaves free


class PartFile:
    """`open` hashes what is there already; `write` appends; `finish` checks and moves it to its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
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

    def resume(self) -> int:
        """Read what an earlier download left; returns its size in bytes."""
        with self._lock:
            self._file.seek(0)
            while chunk := self._file.read(READ_SIZE):
                self._hash.update(chunk)
                self.size += len(chunk)
        return self.size

    def restart(self) -> None:
        """Forget what is there."""
        with self._lock:
            self._file.truncate(0)
            self._hash = hashlib.sha256()
            self.size = 0

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

    def finish(self, target: Path, sha256: str) -> str:
        """Check the whole and move it to `target`; returns its sha256. Raises 53002 and removes it when it is wrong."""
        with self._lock:
            found = self._hash.hexdigest()
            if sha256 and found != sha256.lower():
                self._file.truncate(0)
                self._close()
                self.path.unlink(missing_ok=True)
                raise ModelError(
                    "The downloaded model is not the one that was asked for (its checksum differs); it was removed. "
                    "Try again later, or choose another source.",
                    name="CHECKSUM_VALIDATION_FAILED",
                    code=53002,
                )
            os.fsync(self._file.fileno())
            self._close()
            self.path.replace(target)
            return found

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._file.close()  # and with it the lock
        if self.size == 0 and self.path.exists():
            self.path.unlink()


def disk_full(needed: int) -> ModelError:
    return ModelError(
        f"The disk is full: {needed / 1e9:.1f} GB more are needed for this model. Free some space and try again; "
        "what was downloaded is kept.",
        name="DISK_FULL",
    )


def _lock_file(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 1 << 40, os.SEEK_SET)  # beyond the content: Windows forbids reading a locked range
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
