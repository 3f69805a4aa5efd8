"""The header of a GGUF file: what it says about the model, and whether the file is whole.

Layout: ggml-org/ggml/docs/gguf.md, versions 2 and 3. Read before llama.cpp sees the file, for errors that help.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from qvac_core.errors import ModelError

MAGIC = b"GGUF"
COUNT_LIMIT = 1_000_000  # entries or tensors; real files have thousands
KEPT_ARRAY = 4096  # integers: one per layer is what models keep in arrays
KEPT_STRING = 1 << 20  # bytes; longer strings (none known) are skipped
_ARRAY, _STRING = 9, 8
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_INTEGERS = frozenset((0, 1, 2, 3, 4, 5, 10, 11))
_SIZES = {kind: struct.calcsize("<" + code) for kind, code in _SCALARS.items()}

# ggml type -> (weights in a block, bytes of a block): ggml.h and ggml-common.h
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip

# llama.h, enum llama_ftype
_FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m",
    13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs",
    21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s",
    29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4",
}  # fmt: skip

Value = int | float | bool | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GgufInfo:
    """`metadata`: scalars, strings and short arrays of integers; other arrays (the vocabulary) are skipped.

    `tensors`: how many this file holds. `groups`: the first words of their names, "blk", "enc", "cls".
    """

    architecture: str
    name: str
    quantization: str
    size_label: str
    licence: str
    context_length: int
    chat_template: str
    metadata: dict[str, Value]
    tensors: int = 0
    groups: frozenset[str] = frozenset()


def read_gguf(path: Path) -> GgufInfo:
    """Read and check the header. Blocking (milliseconds; a large vocabulary some hundred).

    Raises ModelError: MODEL_FILE_NOT_FOUND (52201), or MODEL_LOAD_FAILED (52200) when it is no GGUF or not whole.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            if magic != MAGIC:
                raise _not_gguf(magic)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Header(data).read()
    except FileNotFoundError:
        raise ModelError("The model file is not there any more.", name="MODEL_FILE_NOT_FOUND", code=52201) from None
    except (IsADirectoryError, PermissionError, OSError) as error:
        reason = error.strerror or "it cannot be read"
        raise ModelError(
            f"The model file cannot be read: {reason}.", name="MODEL_FILE_LOCATE_FAILED", code=52203
        ) from None
    except (struct.error, IndexError):
        raise _truncated() from None


def read_beginning(data: bytes) -> GgufInfo | None:
    """What the first bytes of a file say, as far as they go: nothing is checked. None where it is no GGUF."""
    if not data.startswith(MAGIC):
        return None
    try:
        return _Header(data).read_beginning()
    except (ModelError, struct.error, IndexError):
        return None


_IN_BRACKETS = re.compile(rb"(\xe2\x96\x81|_)?(<.+>|\[.+\])", re.DOTALL)


def read_token_types(path: Path) -> list[tuple[int, str, int]]:
    """(token, text, type) of all tokens of a model's vocabulary that are not plain text or a byte. Blocking.

    Types as gguf.TokenType: 2 unknown, 3 control, 4 user defined; 1 plain text, of tokens in brackets alone: llama.cpp
    takes some of these for control tokens. Raises ModelError for a file that is damaged.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Header(data).token_types()
    except (struct.error, IndexError, ValueError, OSError):
        raise _damaged() from None


def _not_gguf(magic: bytes) -> ModelError:
    if not magic:
        return ModelError("The model file is empty. Download it again.")
    return ModelError("This is not a GGUF model file. Choose one that ends in .gguf, or a Whisper model (ggml-….bin).")


def _truncated() -> ModelError:
    return ModelError("The model file is not complete: its end is missing. Download it again.")


def _damaged() -> ModelError:
    return ModelError("The model file is damaged: its header makes no sense. Download it again.")


class _Header:
    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data
        self._size = len(data)
        self._at = 4

    def read(self) -> GgufInfo:
        version = self._number("I")
        if version not in (2, 3):
            raise ModelError(f"This GGUF file has version {version}; versions 2 and 3 can be read.")
        tensors, entries = self._number("Q"), self._number("Q")
        if tensors > COUNT_LIMIT or entries > COUNT_LIMIT:
            raise _damaged()
        metadata: dict[str, Value] = {}
        for _ in range(entries):
            key = self._string()
            value = self._value(self._number("I"))
            if value is not None:
                metadata[key] = value
        return _info(metadata, tensors, self._check_tensors(tensors, metadata))

    def read_beginning(self) -> GgufInfo:
        """As far as the data goes; nothing is checked."""
        if self._number("I") not in (2, 3):
            raise _damaged()
        tensors = self._number("Q")
        metadata: dict[str, Value] = {}
        try:
            for _ in range(min(self._number("Q"), COUNT_LIMIT)):
                key = self._string()
                if (value := self._value(self._number("I"))) is not None:
                    metadata[key] = value
        except (ModelError, struct.error, IndexError):  # the data ends here
            pass
        return _info(metadata, tensors, frozenset())

    def token_types(self) -> list[tuple[int, str, int]]:
        self._at = 16
        texts: dict[int, bytes] = {}
        types: tuple[int, ...] = ()
        for _ in range(self._number("Q")):
            key, kind = self._string(), self._number("I")
            if kind == _ARRAY and key == "tokenizer.ggml.tokens":
                element, count = self._number("I"), self._number("Q")
                if element != _STRING or count > self._size // 8:
                    raise _damaged()
                for token in range(count):
                    length = self._number("Q")
                    start = self._at
                    self._skip(length)
                    texts[token] = self._data[start : self._at]
            elif kind == _ARRAY and key == "tokenizer.ggml.token_type":
                element, count = self._number("I"), self._number("Q")
                start = self._at
                if element not in _INTEGERS:
                    raise _damaged()
                self._skip(_SIZES[element] * count)
                types = struct.unpack_from(f"<{count}{_SCALARS[element]}", self._data, start)
            else:
                self._value(kind)
        known = dict(enumerate(types))
        return [
            (token, text.decode("utf-8", "replace"), kind)
            for token, text in texts.items()
            if (kind := known.get(token, 1)) in (2, 3, 4) or (kind == 1 and _IN_BRACKETS.fullmatch(text))
        ]

    def _check_tensors(self, count: int, metadata: dict[str, Value]) -> frozenset[str]:
        end = 0
        groups: set[str] = set()
        for _ in range(count):
            groups.add(self._string().partition(".")[0])
            weights = 1
            for _ in range(self._dimensions()):
                weights *= self._number("Q")
            kind, offset = self._number("I"), self._number("Q")
            block = _BLOCKS.get(kind)
            size = weights // block[0] * block[1] if block else 0
            end = max(end, offset + size)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0:
            raise _damaged()
        start = -(-self._at // alignment) * alignment
        if count and start + end > self._size:
            raise _truncated()
        return frozenset(groups)

    def _dimensions(self) -> int:
        count = self._number("I")
        if count > 8:
            raise _damaged()
        return count

    def _number(self, code: str) -> int:
        size = struct.calcsize("<" + code)
        (value,) = struct.unpack_from("<" + code, self._data, self._at)
        self._at += size
        return int(value)

    def _skip(self, size: int) -> None:
        if size > self._size - self._at:
            raise _truncated()
        self._at += size

    def _string(self) -> str:
        length = self._number("Q")
        start = self._at
        self._skip(length)
        return "" if length > KEPT_STRING else self._data[start : self._at].decode("utf-8", "replace")

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._array()
        code = _SCALARS.get(kind)
        if code is None:
            raise _damaged()
        start = self._at
        self._skip(_SIZES[kind])
        value: int | float | bool = struct.unpack_from("<" + code, self._data, start)[0]
        return value

    def _array(self) -> tuple[int, ...] | None:
        kind, count = self._number("I"), self._number("Q")
        if kind in _SIZES:
            start = self._at
            self._skip(_SIZES[kind] * count)
            if kind in _INTEGERS and count <= KEPT_ARRAY:
                return struct.unpack_from(f"<{count}{_SCALARS[kind]}", self._data, start)
        elif kind == _STRING:
            if count > self._size // 8:
                raise _truncated()
            unpack, data, at = struct.Struct("<Q").unpack_from, self._data, self._at
            for _ in range(count):
                at += 8 + unpack(data, at)[0]
                if at > self._size:
                    raise _truncated()
            self._at = at
        else:
            raise _damaged()
        return None


def _info(metadata: dict[str, Value], tensors: int, groups: frozenset[str]) -> GgufInfo:
    architecture = str(metadata.get("general.architecture", ""))
    file_type = metadata.get("general.file_type")
    context = metadata.get(f"{architecture}.context_length", 0)
    return GgufInfo(
        architecture=architecture,
        name=str(metadata.get("general.name", "")),
        quantization=_FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
        size_label=str(metadata.get("general.size_label", "")),
        licence=str(metadata.get("general.license", "")),
        context_length=context if isinstance(context, int) else 0,
        chat_template=str(metadata.get("tokenizer.chat_template", "")),
        metadata=metadata,
        tensors=tensors,
        groups=groups,
    )
