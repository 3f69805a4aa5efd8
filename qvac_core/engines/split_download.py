"""Fetches a model, whole: all its parts where it comes in several ("NAME-00001-of-00003.gguf").

Parts that are done wait in a folder of their own until the last one is there, so that no half model is ever listed, and
a download that was broken off goes on with the part that it was at.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qvac_core.engines.download import Fetched, Progress, Wanted, content_lengths, fetch, part_path, safe_name
from qvac_core.engines.gguf import read_gguf
from qvac_core.engines.interface import DownloadProgress
from qvac_core.engines.model_files import part_names, part_prefix
from qvac_core.engines.part_file import DISK_RESERVE, disk_full

PART_LIMIT = 999  # files of one model; the largest of today have some dozens


async def fetch_model(wanted: Wanted, folder: Path, on_progress: Progress | None = None) -> Fetched:
    """As `fetch`; `Fetched.parts` are the other files. The sha256 of a model in parts is left to whoever reads them."""
    names = part_names(wanted.file_name)
    if not 1 < len(names) <= PART_LIMIT:
        return await fetch(wanted, folder, on_progress)
    # Without the catalog's checksum: it is not that of a part, and Hugging Face states one for each.
    parts = [Wanted(wanted.key, wanted.source.sibling(name), safe_name(name)) for name in names]
    waiting = part_path(folder, str(wanted.source)).with_suffix(".parts")
    await asyncio.to_thread(waiting.mkdir, parents=True, exist_ok=True)
    try:
        sizes = await content_lengths([part.source for part in parts])
        total = wanted.size_bytes if sizes is None else sum(sizes)
        await asyncio.to_thread(_check_room, waiting, total)
        return await _fetch_parts(parts, total, waiting, folder, on_progress)
    finally:
        await asyncio.to_thread(_remove_empty, waiting)


async def _fetch_parts(
    parts: Sequence[Wanted], total: int, waiting: Path, folder: Path, on_progress: Progress | None
) -> Fetched:
    done: list[Path] = []
    so_far = 0
    for part in parts:
        path = waiting / part.file_name
        if not await asyncio.to_thread(path.is_file):
            path = (await fetch(part, waiting, _shifted(on_progress, so_far, total))).path
        so_far += (await asyncio.to_thread(path.stat)).st_size
        done.append(path)
        if len(done) == 1 and not await asyncio.to_thread(_is_split, path):  # only its name looked like a part's
            break
    paths = await asyncio.to_thread(_move, done, folder)
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


def _move(done: Sequence[Path], folder: Path) -> list[Path]:
    """To names in `folder` that no file has, which still say that they belong together."""
    prefix, number = part_prefix(done[0].name), 2
    names = [path.name for path in done]
    while any((folder / name).exists() for name in names):
        names = [path.name.replace(prefix, f"{prefix}-{number}", 1) for path in done]
        number += 1
    return [path.replace(folder / name) for path, name in zip(done, names, strict=True)]


def _check_room(waiting: Path, total: int) -> None:
    left = total - sum(path.stat().st_size for path in waiting.iterdir())
    if left > 0 and left + DISK_RESERVE > shutil.disk_usage(waiting).free:
        raise disk_full(left)


def _remove_empty(waiting: Path) -> None:
    if not any(waiting.iterdir()):
        waiting.rmdir()
