"""A vocabulary of the SentencePiece kind, small enough to be made by a test: llama.cpp loads it as any other.

It puts a space before each text that is tokenized alone, as Llama 2's does.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from llama_cpp import llama_cpp as llama

from qvac_core.engines.llama_vocabulary import LlamaVocabulary
from qvac_core.engines.vocabulary import Vocabulary

NORMAL, UNKNOWN, CONTROL, ADDED, BYTE = 1, 2, 3, 4, 6  # llama.h, enum llama_token_type
SPACE = "\u2581"
WORDS = ("th", "the", "he", "an", "and", "in", "ing", "er", "es", "st", "or", "on", "us", "im", "ss")


def tokens(controls: Sequence[str], added: Sequence[str]) -> list[tuple[str, float, int]]:
    """(text, score, type), as tokenizer.ggml.* has them."""
    letters = [chr(code) for code in range(33, 127)]
    words = [word for plain in WORDS for word in (plain, SPACE + plain)] + [SPACE + letter for letter in letters]
    return [
        ("<unk>", 0.0, UNKNOWN),
        ("<s>", 0.0, CONTROL),
        ("</s>", 0.0, CONTROL),
        *((f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)),
        *((text, 0.0, CONTROL) for text in controls),
        *((text, 0.0, ADDED) for text in added),
        *((word, -float(place), NORMAL) for place, word in enumerate([SPACE, SPACE * 2, *words, *letters])),
    ]


def write(path: Path, *, controls: Sequence[str] = (), added: Sequence[str] = ()) -> None:
    entries = tokens(controls, added)
    data = [
        _entry("general.architecture", 8, _string("llama")),
        _entry("tokenizer.ggml.model", 8, _string("llama")),
        _entry("tokenizer.ggml.tokens", 9, _array(8, [_string(text) for text, _, _ in entries])),
        _entry("tokenizer.ggml.scores", 9, _array(6, [struct.pack("<f", score) for _, score, _ in entries])),
        _entry("tokenizer.ggml.token_type", 9, _array(5, [struct.pack("<i", kind) for _, _, kind in entries])),
        _entry("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 1)),
        _entry("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 2)),
        _entry("tokenizer.ggml.unknown_token_id", 4, struct.pack("<I", 0)),
        _entry("tokenizer.ggml.add_space_prefix", 7, b"\1"),
    ]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(data)) + b"".join(data))


@contextmanager
def loaded(path: Path, template: str = "") -> Iterator[Vocabulary]:
    """The vocabulary of any GGUF file, without its weights."""
    callback = llama.llama_log_callback(lambda level, text, data: None)
    llama.llama_log_set(callback, ctypes.c_void_p(0))
    llama.llama_backend_init()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    assert model is not None
    try:
        yield Vocabulary(LlamaVocabulary(model), template)
    finally:
        llama.llama_model_free(model)
        llama.llama_log_set(llama.llama_log_callback(), ctypes.c_void_p(0))


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _entry(key: str, kind: int, value: bytes) -> bytes:
    return _string(key) + struct.pack("<I", kind) + value


def _array(kind: int, values: Sequence[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)
