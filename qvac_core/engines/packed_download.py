"""Fetches a model that comes in several files, each packed by gzip: Mozilla's translation models.

What came waits in a folder of its own, as parts of a split model do, and is moved to its place once all of it is there
and unpacked, the model file last: so that a model without its vocabulary is never met. An address is not believed: the
packed files are checked by the catalog's checksums, and what comes out of them is bounded and checked again.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

from qvac_core.engines.download import Fetched, Progress, Wanted, fetch
from qvac_core.engines.interface import DownloadProgress
from qvac_core.engines.part_file import DISK_RESERVE, READ_SIZE, disk_full
from qvac_core.engines.split_download import known, waiting_folder
from qvac_core.errors import ModelError
from qvac_core.models import ModelDescriptor, PackedFile, UrlSource

_LARGEST_OTHER = 64 * 1024 * 1024  # bytes of a vocabulary or a shortlist, unpacked; Mozilla's have up to ten


async def fetch_packed(model: ModelDescriptor, folder: Path, on_progress: Progress | None = None) -> Fetched:
    """As `fetch`, of a model with `packed` files. Raises ModelError."""
    waiting = waiting_folder(folder, model.src)
    await asyncio.to_thread(waiting.mkdir, parents=True, exist_ok=True)
    total = sum(file.size_bytes for file in model.packed)
    so_far = 0
    try:
        await asyncio.to_thread(_check_place, model, folder)
        for file in model.packed:
            packed = waiting / f"{file.name}.gz"
            if not await asyncio.to_thread(packed.is_file):
                await asyncio.to_thread(_check_room, folder, total - so_far + 2 * model.size_bytes)
                source = UrlSource(file.address)
                wanted = Wanted(model.name, source, packed.name, file.sha256, file.size_bytes)
                await fetch(wanted, waiting, _shifted(on_progress, so_far, total))
                await asyncio.to_thread(known, waiting, str(source))
            so_far += file.size_bytes
        paths = await asyncio.to_thread(_unpack, model, waiting, folder)
        if on_progress is not None:
            on_progress(DownloadProgress(model.name, total, total, 0.0))
        return Fetched(paths[0], model.sha256, sum(path.stat().st_size for path in paths), paths[1:])
    finally:
        await asyncio.to_thread(_remove_empty, waiting)


def _shifted(on_progress: Progress | None, before: int, total: int) -> Progress | None:
    if on_progress is None:
        return None

    def report(file: DownloadProgress) -> None:
        on_progress(replace(file, downloaded=before + file.downloaded, total=total))

    return report


def _check_place(model: ModelDescriptor, folder: Path) -> None:
    """Their names say their languages: they cannot be changed, and nothing is written over."""
    for file in model.packed:
        if (folder / file.name).exists():
            raise ModelError(
                f"In the models folder lies another {file.name}. Remove that model in the library, or move the file."
            )


def _check_room(folder: Path, needed: int) -> None:
    if needed + DISK_RESERVE > shutil.disk_usage(folder).free:
        raise disk_full(needed)


def _unpack(model: ModelDescriptor, waiting: Path, folder: Path) -> tuple[Path, ...]:
    own, *others = model.packed
    for file in (*others, own):
        most, sha256 = (model.size_bytes, model.sha256) if file is own else (_LARGEST_OTHER, "")
        _unpack_one(file, waiting, most, sha256)
    for file in (*others, own):
        (waiting / file.name).replace(folder / file.name)
    for file in model.packed:
        (waiting / f"{file.name}.gz").unlink(missing_ok=True)
    return tuple(folder / file.name for file in model.packed)


def _unpack_one(file: PackedFile, waiting: Path, most: int, sha256: str) -> None:
    packed, target = waiting / f"{file.name}.gz", waiting / file.name
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(packed) as source, target.open("wb") as out:
            while chunk := source.read(READ_SIZE):
                size += len(chunk)
                if size > most:
                    raise EOFError
                digest.update(chunk)
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        size = -1
    if size < 0 or (sha256 and digest.hexdigest() != sha256):
        for path in packed, target:
            path.unlink(missing_ok=True)
        raise ModelError(
            f"What came as {file.name} is not what the catalog says. Download the model again.",
            name="CHECKSUM_VALIDATION_FAILED",
            code=53002,
        )


def _remove_empty(waiting: Path) -> None:
    if waiting.is_dir() and not any(waiting.iterdir()):
        waiting.rmdir()
