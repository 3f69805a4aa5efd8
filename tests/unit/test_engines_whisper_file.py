"""Whisper's model files: what they are, and that a damaged one is told before the library makes a model of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from qvac_core.engines.whisper_file import is_ggml, read_whisper
from qvac_core.errors import ModelError


def small_file(vocabulary: int = 51_864, ftype: int = 1, tensors: int = 3) -> bytes:
    head = struct.pack("<4s11i", b"lmgg", vocabulary, 1500, 384, 6, 4, 448, 384, 6, 4, 80, ftype)
    filters = struct.pack("<2i", 80, 201) + bytes(4 * 80 * 201)
    words = struct.pack("<i", 2) + struct.pack("<i2s", 2, b"ab") + struct.pack("<i1s", 1, b"c")
    tensor = struct.pack("<3i2i", 2, 4, 1, 32, 3) + b"name" + bytes(2 * 96)
    quantized = struct.pack("<3i2i", 2, 4, 8, 64, 2) + b"name" + bytes(34 * 4)
    return head + filters + words + tensor * tensors + quantized


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "ggml-model.bin"
    path.write_bytes(data)
    return path


def test_what_the_header_says(tmp_path: Path) -> None:
    path = written(tmp_path, small_file())
    assert is_ggml(path)
    model = read_whisper(path)
    assert (model.size, model.multilingual, model.quantization) == ("tiny", False, "f16")
    assert model.size_bytes == path.stat().st_size
    other = read_whisper(written(tmp_path, small_file(vocabulary=51_865, ftype=2007)))
    assert (other.multilingual, other.quantization) == (True, "q8_0")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = small_file()
    for length in [*range(4, 120, 7), *range(200, len(whole), 997), len(whole) - 1]:
        with pytest.raises(ModelError, match="not complete"):
            read_whisper(written(tmp_path, whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF" + bytes(100),
        b"lmgg" + bytes(100),
        struct.pack("<4s11i", b"lmgg", 51_864, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 99) + bytes(100),
        struct.pack("<4s11i", b"lmgg", 51_864, 1500, 384, 6, 4, 448, 384, 6, 4, -80, 1) + bytes(100),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelError, match="no Whisper model"):
        read_whisper(written(tmp_path, data))


def test_a_damaged_tensor_and_missing_files(tmp_path: Path) -> None:
    data = small_file() + struct.pack("<3i", 9, 4, 1) + bytes(64)
    with pytest.raises(ModelError, match="damaged"):
        read_whisper(written(tmp_path, data))
    with pytest.raises(ModelError, match="not there"):
        read_whisper(tmp_path / "none.bin")
    with pytest.raises(ModelError, match="cannot be read"):
        read_whisper(tmp_path)
    assert not is_ggml(tmp_path)
