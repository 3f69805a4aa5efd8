"""A model of several files that came from another machine in one stream, cut into its files.

The stream is fetched as any file is: it goes on where it broke off, and its checksum judges the whole. What came waits
in a folder of its own, and the files go to their places once all of them are there, the model itself last: so that a
model without its vocabulary is never met. Names and sizes are a stranger's, and bounded by what they may be.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qvac_core.engines.download import Fetched, Progress, Wanted, fetch, safe_name
from qvac_core.engines.part_file import DISK_RESERVE, READ_SIZE, disk_full
from qvac_core.engines.split_download import known, waiting_folder
from qvac_core.errors import ModelError

_ENDINGS = (".gguf", ".bin", ".spm")
_BUNDLE = "copy.bundle"


async def fetch_bundle(
    wanted: Wanted, files: Sequence[tuple[str, int]], folder: Path, sha256: str, on_progress: Progress | None = None
) -> Fetched:
    """files: names and bytes, the model itself first. sha256: of that one, "" = not known. Raises ModelError."""
    _check(files, wanted.size_bytes)
    await asyncio.to_thread(_check_place, files, folder)
    waiting = waiting_folder(folder, str(wanted.source))
    await asyncio.to_thread(waiting.mkdir, parents=True, exist_ok=True)
    try:
        await asyncio.to_thread(_check_room, folder, 2 * wanted.size_bytes)
        fetched = await fetch(replace(wanted, file_name=_BUNDLE), waiting, on_progress)
        paths = await asyncio.to_thread(_cut, fetched.path, files, waiting, folder, sha256)
        await asyncio.to_thread(known, waiting, str(wanted.source))
        return Fetched(paths[0], "", wanted.size_bytes, paths[1:])
    finally:
        await asyncio.to_thread(_remove_empty, waiting)


def _check(files: Sequence[tuple[str, int]], size_bytes: int) -> None:
    names = [name for name, _ in files]
    harmless = all(name == safe_name(name) and Path(name).suffix in _ENDINGS for name in names)
    if not harmless or len({name.casefold() for name in names}) != len(names):
        raise ModelError("That machine calls the files of this model what no file of a model may be called.")
    if any(size < 0 for _, size in files) or sum(size for _, size in files) != size_bytes:
        raise ModelError("That machine does not say rightly how large the files of this model are.")


def _check_place(files: Sequence[tuple[str, int]], folder: Path) -> None:
    """Their names say what they belong to: they cannot be changed, and nothing is written over."""
    for name, _ in files:
        if (folder / name).exists():
            raise ModelError(
                f"In the models folder lies another {name}. Remove that model in the library, or move the file."
            )


def _check_room(folder: Path, needed: int) -> None:
    if needed + DISK_RESERVE > shutil.disk_usage(folder).free:
        raise disk_full(needed)


def _cut(bundle: Path, files: Sequence[tuple[str, int]], waiting: Path, folder: Path, sha256: str) -> tuple[Path, ...]:
    own = ""
    with bundle.open("rb") as source:
        for name, size in files:
            digest, left = hashlib.sha256(), size
            with (waiting / name).open("wb") as out:
                while left > 0 and (chunk := source.read(min(READ_SIZE, left))):
                    digest.update(chunk)
                    out.write(chunk)
                    left -= len(chunk)
            own = own or digest.hexdigest()
    if sha256 and own != sha256:
        for name, _ in files:
            (waiting / name).unlink(missing_ok=True)
        bundle.unlink(missing_ok=True)
        raise ModelError(
            "What came is not the model that the catalog knows. Choose another source.",
            name="CHECKSUM_VALIDATION_FAILED",
            code=53002,
        )
    for name, _ in reversed(files):
        (waiting / name).replace(folder / name)
    bundle.unlink(missing_ok=True)
    return tuple(folder / name for name, _ in files)


def _remove_empty(waiting: Path) -> None:
    if waiting.is_dir() and not any(waiting.iterdir()):
        waiting.rmdir()
