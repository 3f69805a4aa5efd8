"""The GGUF header: what is read, and every way in which a file can be broken."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from qvac_core.engines.gguf import read_gguf
from qvac_core.errors import ModelError


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


ENTRIES = [
    entry("general.architecture", 8, string("llama")),
    entry("general.name", 8, string("Tiny")),
    entry("general.file_type", 4, struct.pack("<I", 15)),
    entry("llama.context_length", 4, struct.pack("<I", 2048)),
    entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 3) + string("a") + string("bb") + string("")),
    entry("tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 2) + bytes(8)),
    entry("tokenizer.ggml.model", 8, string("gpt2")),
    entry("some.flag", 7, b"\x01"),
]
TENSOR = string("w") + struct.pack("<IQQIQ", 2, 32, 4, 8, 0)  # 128 weights as q8_0: 4 blocks of 34 bytes


def gguf(entries: list[bytes] = ENTRIES, tensors: bytes = TENSOR, version: int = 3, data: int = 136) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, 1 if tensors else 0, len(entries)) + b"".join(entries) + tensors
    return head + bytes(-len(head) % 32) + bytes(data)


def test_what_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf())
    info = read_gguf(path)
    assert (info.architecture, info.name, info.quantization, info.context_length) == ("llama", "Tiny", "q4_k_m", 2048)
    assert info.metadata["some.flag"] is True
    assert "tokenizer.ggml.tokens" not in info.metadata
    assert (info.tensors, info.groups) == (1, frozenset(("w",)))


def test_every_shorter_file_is_refused(tmp_path: Path) -> None:
    whole = gguf()
    path = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_gguf(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<html>", "not a GGUF"),
        (gguf(version=1), "version 1"),
        (gguf(data=135), "not complete"),
        (gguf([entry("k", 99, b"")]), "damaged"),
        (gguf([string("k") + struct.pack("<IIQ", 9, 9, 1)]), "damaged"),
        (gguf([entry("k", 8, struct.pack("<Q", 1 << 60))]), "not complete"),
        (gguf([entry("k", 9, struct.pack("<IQ", 8, 1 << 60))]), "not complete"),
        (gguf([entry("k", 9, struct.pack("<IQ", 4, 1 << 60))]), "not complete"),
        (gguf([entry("k", 9, struct.pack("<IQQQ", 8, 2, (1 << 64) - 9, 0))]), "not complete"),
        (gguf([entry("general.alignment", 4, bytes(4))]), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 50, 0) + bytes(64), "damaged"),
        (gguf(tensors=string("w") + struct.pack("<I", 99)), "damaged"),
    ],
)
def test_broken_headers(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=words) as raised:
        read_gguf(path)
    assert "tmp" not in raised.value.message


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as missing:
        read_gguf(tmp_path / "none.gguf")
    assert missing.value.code == 52201
    with pytest.raises(ModelError) as folder:
        read_gguf(tmp_path)
    assert folder.value.code == 52203
