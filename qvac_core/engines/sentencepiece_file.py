"""A SentencePiece vocabulary (.spm): the pieces that a model knows, and about how many of them a text takes.

A protobuf message (sentencepiece_model.proto): field 1 is one piece, of which field 1 is its text and 3 its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from qvac_core.errors import ModelError

_LARGEST = 64 * 1024 * 1024  # bytes; Mozilla's have one or two
_LONGEST_PIECE = 256  # bytes
_SPACE = "▁"  # how a space is written
_WRITTEN = (1, 4)  # kinds of pieces that text is made of: as learned, and given by hand


def read_pieces(path: Path) -> tuple[tuple[str, int], ...]:
    """Text and kind of each piece, in the order of their numbers. Raises ModelError."""
    try:
        status = path.stat()
        if status.st_size > _LARGEST:
            raise _damaged(path)
        return _cached(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ModelError(
            f"The vocabulary {path.name} cannot be read: {error.strerror or 'read error'}.",
            name="MODEL_FILE_LOCATE_FAILED",
            code=52203,
        ) from None


@lru_cache(maxsize=8)
def _cached(path: Path, size: int, mtime_ns: int) -> tuple[tuple[str, int], ...]:
    try:
        pieces = tuple(
            _piece(bytes(message)) for number, message in _fields(memoryview(path.read_bytes())) if number == 1
        )
    except (IndexError, ValueError):
        raise _damaged(path) from None
    if not any(text == "</s>" for text, _ in pieces):
        raise _damaged(path)
    return pieces


class Vocabulary:
    """Counts tokens without scores: never fewer than one for `longest` characters, seldom more than the engine's."""

    def __init__(self, pieces: tuple[tuple[str, int], ...]) -> None:
        self._pieces = frozenset(text for text, kind in pieces if kind in _WRITTEN)
        self._longest = max(map(len, self._pieces), default=1)

    def count(self, text: str) -> int:
        """Taking the longest piece at each place; what is in no piece costs its bytes."""
        written = _SPACE + _SPACE.join(text.split())
        at = tokens = 0
        while at < len(written):
            end = min(len(written), at + self._longest)
            while end > at + 1 and written[at:end] not in self._pieces:
                end -= 1
            known = written[at:end] in self._pieces
            tokens += 1 if known else len(written[at:end].encode("utf-8", "replace"))
            at = end
        return tokens


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of the fields that have a length; the others are passed over. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        kind = key & 7
        if kind == 2:
            length, at = _number(data, at)
            if at + length > len(data):
                raise ValueError("a field beyond the end")
            yield key >> 3, data[at : at + length]
            at += length
        elif kind == 0:
            _, at = _number(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("no field of this kind")


def _piece(message: bytes) -> tuple[str, int]:
    text, kind, at = "", 1, 0
    while at < len(message):
        key, at = _number(message, at)
        if key == 0x0A:
            length, at = _number(message, at)
            if length > _LONGEST_PIECE or at + length > len(message):
                raise ValueError("a piece beyond the end")
            text = message[at : at + length].decode("utf-8", "replace")
            at += length
        elif key == 0x15:
            at += 4
        elif key == 0x18:
            kind, at = _number(message, at)
        else:
            raise ValueError("no field of a piece")
    return text, kind


def _number(data: memoryview | bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        if (shift := shift + 7) > 63:
            raise ValueError("a number without end")


def _damaged(path: Path) -> ModelError:
    return ModelError(f"The vocabulary {path.name} is damaged, or no SentencePiece file. Download it again.")
