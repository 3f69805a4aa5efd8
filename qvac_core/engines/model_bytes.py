"""Reading the binary header of a model file: never past its end, and with a sentence for what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qvac_core.errors import ModelError


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The file at its beginning, and its bytes. Raises ModelError for what the system says in the block, too."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            yield file, size
    except FileNotFoundError:
        raise ModelError("The model file is not there.", name="MODEL_FILE_NOT_FOUND", code=52201) from None
    except OSError as error:
        raise ModelError(
            f"The model file cannot be read: {error.strerror or 'read error'}.",
            name="MODEL_FILE_LOCATE_FAILED",
            code=52203,
        ) from None


def take(file: BinaryIO, length: int) -> bytes:
    """Raises ModelError where the file ends before."""
    data = file.read(length)
    if len(data) < length:
        raise cut_off()
    return data


def cut_off() -> ModelError:
    return ModelError("The model file is not complete: it was cut off. Download it again, or copy it again.")
