"""A Whisper model file in whisper.cpp's format: its header, and whether all of it is there.

whisper.cpp 1.8.5 (whisper_model_load): u32 magic `ggml`, eleven i32 parameters, the mel filters, the vocabulary, then
tensor after tensor to the end. The library makes a model of any file without an error, so this looks first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qvac_core.engines.model_bytes import cut_off, opened, take
from qvac_core.errors import ModelError

MAGIC = b"lmgg"  # 0x67676D6C, "ggml", little-endian
_HEADER = struct.Struct("<11i")
_ENGLISH_VOCABULARY = 51_864  # whisper.cpp: a vocabulary of 51,865 or more knows languages
_FTYPES = {0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1"}  # ggml.h, enum ggml_ftype
_QUANTIZED_VERSIONS = 1000  # GGML_QNT_VERSION_FACTOR: the version of quantization stands above the type
# Values and bytes of a block, by ggml's number of the type.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
}
_SIZES = {4: "tiny", 6: "base", 12: "small", 24: "medium", 32: "large"}  # by layers of the encoder


@dataclass(frozen=True, slots=True)
class WhisperFile:
    """size: OpenAI's name for it (tiny, base, …). multilingual: it knows more than English."""

    size: str
    multilingual: bool
    quantization: str
    size_bytes: int


def is_ggml(path: Path) -> bool:
    """Whether it begins as files of whisper.cpp do. False for what cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_whisper(path: Path) -> WhisperFile:
    """Raises ModelError for what is no Whisper model, or not whole."""
    with opened(path) as (file, size):
        return _read(file, size)


def _read(file: BinaryIO, size: int) -> WhisperFile:
    if file.read(len(MAGIC)) != MAGIC:
        raise ModelError("This is no Whisper model (a ggml .bin file). Choose another file.")
    vocabulary, audio, width, heads, layers, text, _, _, decoder, mels, ftype = _HEADER.unpack(take(file, _HEADER.size))
    plausible = (
        0 < vocabulary < 1 << 20 and 0 < audio <= 1 << 16 and 0 < width <= 1 << 14 and 0 < heads <= 256,
        0 < layers <= 256 and 0 < decoder <= 256 and 0 < text <= 1 << 16 and 0 < mels <= 1024,
    )
    quantization = _FTYPES.get(ftype % _QUANTIZED_VERSIONS if ftype >= 0 else -1)
    if not all(plausible) or quantization is None:
        raise ModelError("This ggml file is no Whisper model. Choose another file.")
    rows, columns = struct.unpack("<2i", take(file, 8))
    if rows != mels or not 0 < columns <= 1 << 16:
        raise ModelError("This ggml file is no Whisper model. Choose another file.")
    _skip(file, 4 * rows * columns, size)
    (words,) = struct.unpack("<i", take(file, 4))
    if not 0 < words <= vocabulary:
        raise ModelError("This ggml file is no Whisper model. Choose another file.")
    for _ in range(words):
        _skip(file, struct.unpack("<I", take(file, 4))[0], size)
    while file.tell() < size:
        _skip_tensor(file, size)
    return WhisperFile(_SIZES.get(layers, ""), vocabulary > _ENGLISH_VOCABULARY, quantization, size)


def _skip_tensor(file: BinaryIO, size: int) -> None:
    rank, name, kind = struct.unpack("<3i", take(file, 12))
    if not 0 < rank <= 4 or not 0 < name <= 256 or kind not in _BLOCKS:
        raise ModelError("The model file is damaged. Download it again.")
    shape = struct.unpack(f"<{rank}i", take(file, 4 * rank))
    values = 1
    for length in shape:
        if length <= 0:
            raise ModelError("The model file is damaged. Download it again.")
        values *= length
    per_block, block_bytes = _BLOCKS[kind]
    _skip(file, name + values // per_block * block_bytes, size)


def _skip(file: BinaryIO, length: int, size: int) -> None:
    if file.tell() + length > size:
        raise cut_off()
    file.seek(length, 1)
