"""Files that survive a power cut: either the old content or the new, never half of one.

POSIX rename(2) and fsync(2); on Windows MoveFileEx through os.replace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from qvac_core.errors import StoreError

# Only the owner may read what we write: chats, keys, names of other people's keys.
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
# How long a write may take; older temporary files are nobody's.
FRESH_SECONDS = 60.0


def store_error(error: OSError, action: str) -> StoreError:
    """The sentence for a failed operation on a file, e.g. action "write the settings"."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"Cannot {action}: the disk is full. Free some space and try again.", name="DISK_FULL")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        where = f" ({error.filename})" if error.filename else ""
        return StoreError(f"Cannot {action}: this user may not write there{where}.", name="NOT_PERMITTED")
    return StoreError(f"Cannot {action}: {error.strerror or error}.")


def write_atomically(path: Path, content: bytes, *, action: str) -> None:
    """Replace `path` by `content`, readable by its owner only. Raises StoreError; then the old content is intact."""
    try:
        temporary = _write_temporary(path, content)
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise store_error(error, action) from error


@contextmanager
def replaced_text(path: Path) -> Iterator[IO[str]]:
    """A text file for this user alone, in the place of `path` once it is whole."""
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        try:
            with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:  # noqa: PTH123
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise store_error(error, f"write {path.name}") from error


def create_once(path: Path, content: bytes, *, action: str) -> bool:
    """Write `path` completely unless it exists; False if somebody else made it first. Raises StoreError."""
    try:
        temporary = _write_temporary(path, content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links (exFAT, some network shares): a race there is bearable
            if path.exists():
                return False
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise store_error(error, action) from error
    return True


def set_aside(path: Path, now: float) -> Path:
    """Rename a broken file to `NAME.corrupt-DATE` beside it, so that nothing is lost; the new path."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    target = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    try:
        path.replace(target)
    except OSError as error:
        raise store_error(error, f"set the broken file {path.name} aside") from error
    return target


def sweep_temporaries(folder: Path, now: float) -> None:
    """Remove half-written files that a kill or a power cut left behind; fresh ones may be another process's."""
    for leftover in folder.glob(".*.tmp"):
        try:
            if leftover.stat().st_mtime < now - FRESH_SECONDS:
                leftover.unlink()
        except OSError:  # gone meanwhile, or held by a virus scanner: the next start tries again
            continue


def make_folder(path: Path) -> None:
    """Make the folder and its parents, for its owner only; one that is there stays as it is. Raises StoreError."""
    try:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise store_error(error, f"make the folder {path}") from error


def _write_temporary(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE_FILE)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Windows has no such call, some file systems refuse it: then the rename must do."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
