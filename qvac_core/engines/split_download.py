"""Fetches a model, whole: all its parts where it comes in several ("NAME-00001-of-00003.gguf").

Parts that are done wait in a folder of their own until the last one is there, so that no half model is ever listed, and
a download that was broken off goes on with the part that it was at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from qvac_core.engines.download import Fetched, Progress, Wanted, content_lengths, fetch, part_path, safe_name
from qvac_core.engines.gguf import read_gguf
from qvac_core.engines.interface import DownloadProgress
from qvac_core.engines.model_files import part_names, part_prefix
from qvac_core.engines.part_file import DISK_RESERVE, disk_full, forget_part, settle

# What the files of a whole model are called at their place: written before the first of them is moved there.
PLAN = "plan.json"
PART_LIMIT = 999  # files of one model; the largest of today have some dozens


async def fetch_model(wanted: Wanted, folder: Path, on_progress: Progress | None = None) -> Fetched:
    """As `fetch`; `Fetched.parts` are the other files. The sha256 of a model in parts is left to whoever reads them."""
    names = part_names(wanted.file_name)
    if not 1 < len(names) <= PART_LIMIT:
        return await fetch(wanted, folder, on_progress)
    # Without the catalog's checksum: it is not that of a part, and Hugging Face states one for each.
    parts = [Wanted(wanted.key, wanted.source.sibling(name), safe_name(name)) for name in names]
    waiting = waiting_folder(folder, str(wanted.source))
    await asyncio.to_thread(waiting.mkdir, parents=True, exist_ok=True)
    try:
        if (moved := await asyncio.to_thread(_carry_out, waiting, folder)) is not None:
            return await asyncio.to_thread(_whole, moved)
        sizes = await content_lengths([part.source for part in parts])
        total = wanted.size_bytes if sizes is None else sum(sizes)
        await asyncio.to_thread(_check_room, waiting, total)
        return await _fetch_parts(parts, total, waiting, folder, on_progress)
    finally:
        await asyncio.to_thread(_remove_empty, waiting)


def known(folder: Path, source: str) -> None:
    """The library knows what came from `source`: what was noted for the case of a crash goes. Blocking."""
    settle(part_path(folder, source))
    waiting = waiting_folder(folder, source)
    (waiting / PLAN).unlink(missing_ok=True)
    if waiting.is_dir():
        _remove_empty(waiting)


def left_of(folder: Path, source: str) -> int:
    """Bytes that are here of a download that is not whole. Blocking."""
    return sum(_size(path) for path in _leftovers(folder, source))


def discard(folder: Path, source: str) -> None:
    """Remove what is here of a download that is not whole. Blocking."""
    for path in _leftovers(folder, source):
        forget_part(path)
    forget_part(part_path(folder, source))
    waiting = waiting_folder(folder, source)
    (waiting / PLAN).unlink(missing_ok=True)
    if waiting.is_dir():
        _remove_empty(waiting)


def _leftovers(folder: Path, source: str) -> list[Path]:
    waiting = waiting_folder(folder, source)
    inside = (
        [path for path in waiting.iterdir() if path.suffix in (".gguf", ".gz", ".part")] if waiting.is_dir() else []
    )
    return [path for path in (part_path(folder, source), *inside) if path.is_file()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it was moved to its place meanwhile
        return 0


def waiting_folder(folder: Path, source: str) -> Path:
    """Where the files of a model wait for each other."""
    return part_path(folder, source).with_suffix(".parts")


def _whole(paths: Sequence[Path]) -> Fetched:
    return Fetched(paths[0], "", sum(path.stat().st_size for path in paths), tuple(paths[1:]))


async def _fetch_parts(
    parts: Sequence[Wanted], total: int, waiting: Path, folder: Path, on_progress: Progress | None
) -> Fetched:
    done: list[Path] = []
    so_far = 0
    for part in parts:
        path = waiting / part.file_name
        if not await asyncio.to_thread(path.is_file):
            path = (await fetch(part, waiting, _shifted(on_progress, so_far, total))).path
            await asyncio.to_thread(known, waiting, str(part.source))
        so_far += (await asyncio.to_thread(path.stat)).st_size
        done.append(path)
        if len(done) == 1 and not await asyncio.to_thread(_is_split, path):  # only its name looked like a part's
            break
    await asyncio.to_thread(_plan, done, waiting, folder)
    paths = await asyncio.to_thread(_carry_out, waiting, folder)
    assert paths is not None, "it was planned just now"
    if on_progress is not None:
        on_progress(DownloadProgress(parts[0].key, so_far, so_far, 0.0))
    return Fetched(paths[0], "", so_far, tuple(paths[1:]))


def _shifted(on_progress: Progress | None, before: int, total: int) -> Progress | None:
    """Reports of one part as reports of the whole."""
    if on_progress is None:
        return None

    def report(part: DownloadProgress) -> None:
        on_progress(replace(part, downloaded=before + part.downloaded, total=total))

    return report


def _is_split(path: Path) -> bool:
    count = read_gguf(path).metadata.get("split.count", 0)
    return isinstance(count, int) and count > 1


def _plan(done: Sequence[Path], waiting: Path, folder: Path) -> None:
    """Names in `folder` that no file has, which still say that they belong together."""
    prefix, number = part_prefix(done[0].name), 2
    names = [path.name for path in done]
    while any((folder / name).exists() for name in names):
        names = [path.name.replace(prefix, f"{prefix}-{number}", 1) for path in done]
        number += 1
    temporary = waiting / f"{PLAN}.tmp"
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode([(path.name, name) for path, name in zip(done, names, strict=True)]))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(waiting / PLAN)


def _carry_out(waiting: Path, folder: Path) -> list[Path] | None:
    """Move what is planned, and was not moved before a crash; None where nothing is planned."""
    try:
        planned = msgspec.json.decode((waiting / PLAN).read_bytes(), type=list[tuple[str, str]])
    except FileNotFoundError:
        return None
    for name, target in planned:
        if (waiting / name).exists():
            (waiting / name).replace(folder / target)
    paths = [folder / target for _, target in planned]
    if all(path.is_file() for path in paths):
        return paths
    (waiting / PLAN).unlink()  # somebody took one away meanwhile: it has to be fetched again
    return None


def _check_room(waiting: Path, total: int) -> None:
    left = total - sum(path.stat().st_size for path in waiting.iterdir())
    if left > 0 and left + DISK_RESERVE > shutil.disk_usage(waiting).free:
        raise disk_full(left)


def _remove_empty(waiting: Path) -> None:
    if not any(waiting.iterdir()):
        waiting.rmdir()
