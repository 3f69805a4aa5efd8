"""Ollama's store as its files are: which blobs a name stands for, and the vision part that belongs to a model's blob.

Layout as of Ollama 0.12: manifests/HOST/OWNER/NAME/TAG in the form of an OCI manifest, layers as blobs/sha256-HEX.
Blocking, read only, bounded; a manifest is a stranger's: only hex digits of it become a path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from qvac_core.engines.gguf import MAGIC

MANIFEST_LIMIT = 1 << 20  # bytes
MOST_MANIFESTS = 2000
MODEL_LAYER = "application/vnd.ollama.image.model"
PROJECTOR_LAYER = "application/vnd.ollama.image.projector"
_BLOB = "sha256-"


class _Layer(msgspec.Struct):
    mediaType: str = ""
    digest: str = ""
    size: int = 0


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


@dataclass(frozen=True, slots=True)
class Named:
    """What a name of Ollama's stands for, of what is there and whole. name: OWNER/NAME:TAG, without "library/"."""

    name: str
    tag: str
    models: tuple[tuple[Path, int], ...]
    projectors: tuple[tuple[Path, int], ...]


def names_of(folder: Path, spent: Callable[[], bool] = lambda: False) -> Iterator[Named]:
    """Those of the store at `folder`. spent: whether enough was looked at."""
    manifests = folder / "manifests"
    for path in _all_files(manifests, 3, spent):
        parts = path.relative_to(manifests).parts
        if len(parts) != 4:
            continue
        try:
            layers = msgspec.json.decode(_bytes(path), type=_Manifest).layers
        except msgspec.MsgspecError:
            continue
        *_, owner, name, tag = parts
        yield Named(
            f"{name}:{tag}" if owner == "library" else f"{owner}/{name}:{tag}",
            tag,
            tuple(_blobs(folder, layers, MODEL_LAYER)),
            tuple(_blobs(folder, layers, PROJECTOR_LAYER)),
        )


def projectors_of_blob(path: Path) -> tuple[Path, ...]:
    """The vision parts that some name of the store has together with this blob; none for a file of anything else."""
    folder = path.parent.parent
    if path.parent.name != "blobs" or not path.name.startswith(_BLOB) or not (folder / "manifests").is_dir():
        return ()
    left = iter(range(MOST_MANIFESTS))
    found: dict[Path, None] = {}
    for named in names_of(folder, lambda: next(left, None) is None):
        if any(blob == path for blob, _size in named.models):
            found |= dict.fromkeys(blob for blob, _size in named.projectors)
    return tuple(found)


def _blobs(folder: Path, layers: list[_Layer], kind: str) -> Iterator[tuple[Path, int]]:
    for layer in layers:
        algorithm, _, digest = layer.digest.partition(":")
        if layer.mediaType == kind and algorithm == "sha256" and _is_hex(digest):
            blob = folder / "blobs" / f"{_BLOB}{digest}"
            if _is_whole(blob, layer.size):
                yield blob, layer.size


def _all_files(folder: Path, depth: int, spent: Callable[[], bool]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if spent():
            return
        if entry.is_dir(follow_symlinks=False):
            if depth:
                yield from _all_files(Path(entry.path), depth - 1, spent)
        elif entry.is_file() and not entry.name.startswith("."):
            yield Path(entry.path)


def _is_whole(blob: Path, size: int) -> bool:
    try:
        with blob.open("rb") as file:
            return blob.stat().st_size == size and file.read(len(MAGIC)) == MAGIC
    except OSError:  # it is being fetched, or somebody else's
        return False


def _is_hex(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MANIFEST_LIMIT)
    except OSError:
        return b""
