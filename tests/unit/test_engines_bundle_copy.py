"""A model of several files out of one stream: cut where it is said, whole or not at all, and nothing written over."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from qvac_core.engines.bundle_copy import fetch_bundle
from qvac_core.engines.download import Fetched, Wanted
from qvac_core.errors import ModelError
from qvac_core.models import parse_source

MODEL, VOCABULARY = b"m" * 1000, b"v" * 300
FILES = (("model.deen.bin", 1000), ("vocab.deen.spm", 300))
SHA256 = hashlib.sha256(MODEL + VOCABULARY).hexdigest()
OWN = hashlib.sha256(MODEL).hexdigest()


def fetched(
    folder: Path, files: Sequence[tuple[str, int]] = FILES, *, own: str = OWN, most: int = 10_000, data: bytes = b""
) -> Fetched:
    """most: so many bytes come, then it breaks off."""

    async def copier(offset: int) -> AsyncGenerator[bytes, None]:
        yield (data or MODEL + VOCABULARY)[offset : offset + most]

    wanted = Wanted("copy", parse_source(f"copy://{OWN}"), "", SHA256, 1300, copier)
    return asyncio.run(fetch_bundle(wanted, files, folder, own))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_it_is_cut_into_its_files(tmp_path: Path) -> None:
    found = fetched(tmp_path)
    assert (found.path, found.parts) == (tmp_path / "model.deen.bin", (tmp_path / "vocab.deen.spm",))
    assert (found.path.read_bytes(), found.parts[0].read_bytes()) == (MODEL, VOCABULARY)
    assert left(tmp_path) == ["model.deen.bin", "vocab.deen.spm"]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_what_broke_off_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        fetched(tmp_path, most=1100)
    assert not (tmp_path / "model.deen.bin").exists()
    assert fetched(tmp_path, most=200).path.read_bytes() == MODEL


@pytest.mark.parametrize(
    ("files", "own", "data", "words"),
    [
        ((("../model.deen.bin", 1000), FILES[1]), OWN, b"", "no file of a model may be called"),
        ((("model.deen.bin", 1000), ("library.json", 300)), OWN, b"", "no file of a model may be called"),
        ((("model.deen.bin", 1000), ("MODEL.deen.bin", 300)), OWN, b"", "no file of a model may be called"),
        ((("model.deen.bin", 1000), ("vocab.deen.spm", 301)), OWN, b"", "how large"),
        ((("model.deen.bin", 1600), ("vocab.deen.spm", -300)), OWN, b"", "how large"),
        (FILES, "0" * 64, b"", "not the model that the catalog knows"),
        (FILES, OWN, MODEL + b"x" * 300, "."),
    ],
)
def test_what_cannot_be_leaves_nothing(
    files: Sequence[tuple[str, int]], own: str, data: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=words):
        fetched(tmp_path, files, own=own, data=data)
    assert not any(name.startswith(("model", "vocab", "library")) for name in left(tmp_path))


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "vocab.deen.spm").write_bytes(b"mine")
    with pytest.raises(ModelError, match=r"lies another vocab\.deen\.spm"):
        fetched(tmp_path)
    assert (tmp_path / "vocab.deen.spm").read_bytes() == b"mine"
