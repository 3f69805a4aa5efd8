"""Moves model files to another folder, so that at every moment each of them is whole in one of the two.

A journal says what is being moved, before the first file is. On one disk files are renamed; to another one they are
copied under a name of their own, which becomes theirs once they are whole there. The old ones go last, when the new
folder is the one in use: until then a move can be given up, by whoever asked for it or by the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qvac_core.engines.library_index import INDEX, Record, read_index, write_index
from qvac_core.engines.marian_file import is_marian
from qvac_core.engines.part_file import DISK_RESERVE, READ_SIZE
from qvac_core.engines.whisper_file import is_ggml
from qvac_core.errors import ModelError

HALF = ".moving"  # at the end of the name of a copy that is not whole
_OURS = (".part", ".version", ".arrived")
_PARTS = ".parts"  # a folder of a model that comes in several files


class Journal(msgspec.Struct, frozen=True):
    """files: below both folders. by_copy: the folders lie on two disks."""

    source: str
    target: str
    files: tuple[str, ...]
    by_copy: bool


@dataclass(frozen=True, slots=True)
class MoveProgress:
    done_bytes: int
    total_bytes: int
    file: str


class MoveStopped(Exception):
    """Somebody asked for the end of it."""


def files_of_library(folder: Path) -> list[str]:
    """What belongs to a library in this folder, below it: models, and downloads that are not whole. Blocking."""
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if (path.suffix in (".gguf", *_OURS) and path.is_file()) or (
            path.is_file() and (_is_bin(path) or path.suffix == ".spm")
        ):
            found.append(path.name)
        elif path.suffix == _PARTS and path.is_dir():
            found += [f"{path.name}/{inner.name}" for inner in sorted(path.iterdir()) if inner.is_file()]
    return found


def _is_bin(path: Path) -> bool:
    """Whisper's, and a translation model's with its shortlist ("lex.50.50.deen.s2t.bin")."""
    return path.suffix == ".bin" and (is_ggml(path) or is_marian(path) or path.name.endswith(".s2t.bin"))


def size_of(folder: Path, files: Sequence[str]) -> int:
    return sum((folder / name).lstat().st_size for name in files)


def plan(source: Path, target: Path) -> Journal:
    """What would have to be moved. Blocking. Raises ModelError where it cannot be."""
    files = files_of_library(source) if source.is_dir() else []
    for name in files:
        if os.path.lexists(target / name):
            raise ModelError(
                f"There is a {name} in {target} already. Choose another folder, or take that file away first.",
                name="FOLDER_IN_USE",
            )
    by_copy = source.is_dir() and source.stat().st_dev != target.stat().st_dev
    if by_copy:
        missing = size_of(source, files) + DISK_RESERVE - shutil.disk_usage(target).free
        if missing > 0:
            raise ModelError(
                f"There is not enough room in {target}: {missing / 1e9:.1f} GB more are needed. "
                "Free some space there, or choose another folder; nothing was moved.",
                name="DISK_FULL",
                typed_fields={"neededBytes": missing},
            )
    return Journal(str(source), str(target), tuple(files), by_copy)


def carry_out(
    journal: Journal,
    checksums: Mapping[str, str],
    stop: threading.Event,
    report: Callable[[MoveProgress], None],
) -> None:
    """Bring all files to the new folder; those that are there from an earlier try stay. Blocking.

    checksums: sha256 of files by their names, where they are known. Raises MoveStopped, or ModelError; then `give_up`.
    """
    source, target = Path(journal.source), Path(journal.target)
    sizes = {name: _size(source, target, name) for name in journal.files}
    total, done = sum(sizes.values()), 0
    for name in journal.files:
        if stop.is_set():
            raise MoveStopped
        report(MoveProgress(done, total, name))
        before = done

        def copied(bytes_of_file: int, before: int = before, name: str = name) -> None:
            report(MoveProgress(before + bytes_of_file, total, name))

        try:
            _bring(source / name, target / name, journal.by_copy, checksums.get(name, ""), stop, copied)
        except OSError as error:
            reason = error.strerror or "the disk refuses"
            raise ModelError(
                f"{name} could not be moved to {target}: {reason}. Everything stays where it was."
            ) from error
        done += sizes[name]
    report(MoveProgress(total, total, ""))


def give_up(journal: Journal) -> None:
    """Everything is where it was before. Blocking."""
    source, target = Path(journal.source), Path(journal.target)
    for name in journal.files:
        old, new = source / name, target / name
        _half(new).unlink(missing_ok=True)
        if not os.path.lexists(new):
            continue
        if os.path.lexists(old):
            new.unlink()
        else:  # a rename, or somebody took the old one away meanwhile: then the copy is all there is
            old.parent.mkdir(parents=True, exist_ok=True)
            _move_back(new, old)
    _remove_emptied(target, journal.files)


def settle_move(journal: Journal) -> None:
    """The new folder is in use: the old files go, where the new ones are whole. Blocking."""
    source, target = Path(journal.source), Path(journal.target)
    for name in journal.files:
        old, new = source / name, target / name
        with contextlib.suppress(OSError):  # in use (Windows), or gone: the next start tries again
            if os.path.lexists(old) and os.path.lexists(new) and old.lstat().st_size == new.lstat().st_size:
                old.unlink()
    with contextlib.suppress(OSError):
        (source / INDEX).unlink()
    _remove_emptied(source, journal.files)


def is_settled(journal: Journal) -> bool:
    return not any(os.path.lexists(Path(journal.source) / name) for name in journal.files)


def rebased_index(journal: Journal) -> None:
    """Write the new folder's index: of what was moved, and of what was in it from an earlier time. Blocking."""
    source, target = Path(journal.source), Path(journal.target)
    moved = [rebased(record, source, target) for record in read_index(source / INDEX)]
    paths = {record.path for record in moved}
    checksums = {record.sha256 for record in moved}
    others = [
        record
        for record in read_index(target / INDEX)
        if record.path not in paths and record.sha256 not in checksums and record.is_there
    ]
    write_index(target / INDEX, [*moved, *others])


def rebased(record: Record, source: Path, target: Path) -> Record:
    """The record of files that lie in `target` now; one of files elsewhere stays as it is."""
    path = target / Path(record.path).name
    if Path(record.path).parent != source or not os.path.lexists(path):  # the latter came while the others were moved
        return record
    parts = tuple(
        msgspec.structs.replace(
            part, path=str(target / Path(part.path).name), mtime_ns=_mtime(target / Path(part.path).name)
        )
        for part in record.parts
    )
    projector = str(target / Path(record.projector).name) if Path(record.projector).parent == source else ""
    return msgspec.structs.replace(
        record,
        path=str(path),
        mtime_ns=_mtime(path) or record.mtime_ns,
        parts=parts,
        projector=projector or record.projector,
    )


def _mtime(path: Path) -> int:
    """As the new disk keeps it: some round it."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _bring(
    old: Path, new: Path, by_copy: bool, sha256: str, stop: threading.Event, report: Callable[[int], None]
) -> None:
    if os.path.lexists(new):  # from an earlier try; what is whole only gets this name
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    if not by_copy:
        old.rename(new)
        return
    if old.is_symlink():
        new.symlink_to(old.resolve())
        return
    half = _half(new)
    try:
        found = _copy(old, half, stop, report)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    if sha256 and found != sha256:
        half.unlink()
        raise ModelError(
            f"{old.name} is damaged on the disk that it lies on: its checksum is another one now. Everything stays "
            "where it was. Remove that model, and get it again.",
            name="CHECKSUM_VALIDATION_FAILED",
        )
    half.rename(new)


def _copy(old: Path, half: Path, stop: threading.Event, report: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    done, told = 0, 0.0
    with old.open("rb") as source, half.open("wb") as target:
        while chunk := source.read(READ_SIZE):
            if stop.is_set():
                raise MoveStopped
            target.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if time.monotonic() - told >= 0.1:
                told = time.monotonic()
                report(done)
        target.flush()
        os.fsync(target.fileno())
    status = old.stat()
    os.utime(half, ns=(status.st_atime_ns, status.st_mtime_ns))
    with contextlib.suppress(OSError):  # some disks know no permissions
        half.chmod(stat.S_IMODE(status.st_mode))
    return digest.hexdigest()


def _size(source: Path, target: Path, name: str) -> int:
    for folder in (source, target):
        with contextlib.suppress(OSError):
            return (folder / name).lstat().st_size
    return 0


def _half(path: Path) -> Path:
    return path.with_name(path.name + HALF)


def _move_back(new: Path, old: Path) -> None:
    try:
        new.rename(old)
    except OSError:  # another disk
        shutil.copy2(new, _half(old))
        _half(old).rename(old)
        new.unlink()


def _remove_emptied(folder: Path, files: Sequence[str]) -> None:
    for name in {name.partition("/")[0] for name in files if "/" in name}:
        with contextlib.suppress(OSError):  # not there, or something else lies in it
            (folder / name).rmdir()
