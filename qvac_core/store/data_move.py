"""The data folder to another place: copied, verified, switched in one step, and only then cleared where it was.

The switch is one small file, `moved.json`, in the folder of the platform: until it is replaced the old folder is in
use and whole, from then on the new one. A copy that was cut off has the mark `.moving` in it: the next start of the
old folder, where a note names it, takes it away; what was left to clear of a move that was made is cleared likewise. A
folder that somebody named (--data-dir) is not moved: who names it
moves it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qvac_core.errors import StoreError
from qvac_core.store.disk import PRIVATE_FOLDER, store_error, write_atomically
from qvac_core.store.folders import MOVED_FILE, DataDir, default_root

ACTION: Final = "move the data folder"
MARK: Final = ".moving"
LEFT: Final = "left-behind.json"  # in the new folder: what is still to be cleared where it was
BEGUN: Final = "moving-to.json"  # in the old folder, until the switch: where the copy is made
RESERVE: Final = 200_000_000  # bytes that shall stay free there
PIECE: Final = 1 << 20  # bytes copied at once
# Of a run, not of the folder.
NOT_MOVED: Final = frozenset({"lock", "instance", MOVED_FILE, MARK, LEFT, BEGUN})


class MoveCancelled(Exception):
    """It was asked to stop before the switch."""


@dataclass(frozen=True, slots=True)
class DataMove:
    """What is to be done. size: bytes of all files as it was planned: which they are is looked at when it is done."""

    source: Path
    target: Path
    size: int


def plan_move(folder: DataDir, target: Path, models: str = "") -> DataMove:
    """Makes the target folder. Blocking. Raises StoreError where it cannot be done.

    models: the models folder as the settings name it, "" for the one in the data folder.
    """
    if folder.explicit:
        raise StoreError("The data folder was named for this run. Move it yourself, and name its new place.")
    target = _resolved(target)
    source = _resolved(folder.root)
    if target == source or target in source.parents or source in target.parents:
        raise StoreError(f"{target} and the data folder lie in each other. Choose a folder elsewhere.")
    if default_root() in target.parents:
        raise StoreError(f"{target} lies in a folder of QVAC Desktop itself. Choose a folder elsewhere.")
    if models and _is_below(Path(models), source):
        raise StoreError("The models lie in the data folder under a name of their own. Move them in the Library first.")
    try:
        if target.exists() and not target.is_dir():
            raise StoreError(f"{target} is a file. Choose a folder.")
        target.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        _check_empty(target)
        size = sum((source / name).lstat().st_size for name in _files(source))
        missing = size + RESERVE - shutil.disk_usage(target).free
    except OSError as error:
        raise store_error(error, ACTION) from error
    if missing > 0:
        raise StoreError(
            f"There is not enough room in {target}: {missing / 1e9:.1f} GB more are needed. Free some space there, or "
            "choose another folder; nothing was moved.",
            name="DISK_FULL",
        )
    return DataMove(source, target, size)


def carry_out(move: DataMove, report: Callable[[int], None], stop: threading.Event) -> None:
    """Copy, verify, switch. The caller holds the lock of the folder, and nobody else has a file of it open. Blocking.

    report: bytes so far. Raises StoreError or MoveCancelled: then the old folder is in use and whole.
    """
    source, target = move.source, move.target
    try:
        mark = target / MARK
        _check_empty(target)
        if mark.exists():  # an earlier try was cut off: what it brought is ours
            _clear(target, keep=NOT_MOVED)
        write_atomically(source / BEGUN, json.dumps({"folder": str(target)}).encode(), action=ACTION)
        mark.touch(0o600)
        done, files = 0, tuple(_files(source))  # a database that was closed has fewer than an open one
        for name in files:
            before = done

            def copied(bytes_of_file: int, before: int = before) -> None:
                report(before + bytes_of_file)

            done += _copy(source / name, target / name, copied, stop)
        if tuple(_files(source)) != files:
            raise StoreError("The data folder changed while it was copied. Nothing was moved; try again.")
        left = json.dumps({"folder": str(source), "files": files}).encode()
        write_atomically(target / LEFT, left, action=ACTION)
        _sync(target)
        if stop.is_set():
            raise MoveCancelled
        _switch(target)
        mark.unlink(missing_ok=True)
        (source / BEGUN).unlink(missing_ok=True)
    except OSError as error:
        raise store_error(error, ACTION) from error


def give_up(move: DataMove) -> None:
    """Take away what a try brought that did not come to the switch. Raises nothing."""
    with contextlib.suppress(OSError):
        if (move.target / MARK).exists():
            _clear(move.target, keep=frozenset({MOVED_FILE, "lock", "instance"}))
        (move.source / BEGUN).unlink(missing_ok=True)


def clear_left(folder: DataDir) -> None:
    """Take away what a move left where it was, or what one brought that was cut off before its switch.

    What somebody else put there stays. Blocking. Raises nothing. The caller holds the lock of the folder.
    """
    _clear_begun(folder)
    note = folder.root / LEFT
    with contextlib.suppress(OSError):
        (folder.root / MARK).unlink(missing_ok=True)  # this folder is in use: its move has come to the switch
    try:
        found = json.loads(note.read_bytes())
        source, files = Path(found["folder"]), [str(name) for name in found["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing was left, or who knows what
    if _resolved(source) != _resolved(folder.root):
        for name in files:
            path = source / name
            if not _is_below(path, source):
                continue
            with contextlib.suppress(OSError):  # the disk may be gone: it is asked again at the next start
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (source / BEGUN).unlink(missing_ok=True)
        for inner in sorted({parent for name in files for parent in Path(name).parents}, reverse=True):
            if inner != Path():
                with contextlib.suppress(OSError):  # not empty, or gone
                    (source / inner).rmdir()
        if any(os.path.lexists(source / name) for name in files):
            return
    with contextlib.suppress(OSError):
        note.unlink(missing_ok=True)


def _clear_begun(folder: DataDir) -> None:
    note = folder.root / BEGUN
    try:
        target = Path(json.loads(note.read_bytes())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    with contextlib.suppress(OSError, StoreError):  # the disk may be away: it is asked again at the next start
        if _resolved(target) in (_resolved(folder.root), _resolved(DataDir.locate().root)):
            return  # its switch came, and it is in use
        if target.is_dir() or target.parent.is_dir():
            give_up(DataMove(folder.root, target, 0))


# --- Files


def _check_empty(target: Path) -> None:
    """But for what an earlier try brought, and what the folder of the platform always has."""
    there = {entry.name for entry in target.iterdir()}
    ours = NOT_MOVED if target == _resolved(default_root()) else frozenset[str]()
    if there - ours and MARK not in there:
        raise StoreError(f"{target} is not empty. Choose an empty folder, or the name of a new one.")


def _files(folder: Path) -> Iterator[str]:
    """All that is to be moved, in one order."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        below = Path(root).relative_to(folder)
        linked = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(root) / name
            mode = path.lstat().st_mode
            if (below == Path() and name in NOT_MOVED) or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                continue
            yield (below / name).as_posix()


def _copy(source: Path, target: Path, report: Callable[[int], None], stop: threading.Event) -> int:
    """Bytes of it, which are read back. Raises OSError, StoreError, MoveCancelled."""
    target.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return 0
    done, sum_of_source = 0, hashlib.blake2b()
    with source.open("rb") as reader, target.open("xb") as writer:
        while piece := reader.read(PIECE):
            if stop.is_set():
                raise MoveCancelled
            writer.write(piece)
            sum_of_source.update(piece)
            done += len(piece)
            report(done)
        writer.flush()
        os.fsync(writer.fileno())
    shutil.copystat(source, target)
    sum_of_target = hashlib.blake2b()
    with target.open("rb") as reader:
        while piece := reader.read(PIECE):
            if stop.is_set():
                raise MoveCancelled
            sum_of_target.update(piece)
    if sum_of_source.digest() != sum_of_target.digest():
        raise StoreError(f"{target} reads otherwise than it was written. Nothing was moved; choose another disk.")
    return done


def _switch(target: Path) -> None:
    home = default_root()
    if target == _resolved(home):
        (home / MOVED_FILE).unlink(missing_ok=True)
        _sync(home)
        return
    home.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    write_atomically(home / MOVED_FILE, json.dumps({"folder": str(target)}).encode(), action=ACTION)


def _clear(folder: Path, keep: frozenset[str]) -> None:
    for entry in folder.iterdir():
        if entry.name in keep and entry.name != MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()
    (folder / MARK).unlink(missing_ok=True)  # the last: until then a cut-off clearing is still ours


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, "~name" of nobody
        raise StoreError(f"There is no folder {path}.") from error


def _is_below(path: Path, folder: Path) -> bool:
    return folder in Path(os.path.normpath(path)).parents
