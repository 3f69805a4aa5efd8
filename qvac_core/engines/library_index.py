"""The index beside the models folder's files: what was found out about each model, so that it is read through once."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path

import msgspec

from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.model_kind import CHAT_TYPE
from qvac_core.errors import ModelError

log = logging.getLogger("qvac.engines")

INDEX = "library.json"  # beside the models


class Part(msgspec.Struct, frozen=True):
    """A further file of a model that comes in several."""

    path: str
    size_bytes: int
    mtime_ns: int


class Record(msgspec.Struct, frozen=True):
    """One model. Sizes and `mtime_ns` tell whether the files are still those that were hashed.

    size_bytes: of all files. sha256: of all files, one after the other; of a translation model that of the model file
    alone, by which the SDK knows it, and `whole_sha256` of all of it. path, mtime_ns: of the first, and `parts` the
    others. projector: the file of its vision part, or "". judged: whether type and parts are what the headers say; the
    first release called each file a chat model.
    """

    name: str
    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    model_type: str = CHAT_TYPE
    quantization: str = ""
    parameters: str = ""
    sources: tuple[str, ...] = ()
    licence: str = ""
    judged: bool = False
    parts: tuple[Part, ...] = ()
    english_only: bool = False
    projector: str = ""
    languages: tuple[str, ...] = ()
    whole_sha256: str = ""

    @property
    def files(self) -> tuple[Part, ...]:
        """All of them, the first one too."""
        first = self.size_bytes - sum(part.size_bytes for part in self.parts)
        return (Part(self.path, first, self.mtime_ns), *self.parts)

    @property
    def is_there(self) -> bool:
        """All the files that were hashed, and no other ones in their places."""
        return all(_is_unchanged(file) for file in self.files)

    def has(self, path: str) -> bool:
        return any(file.path == path for file in self.files)

    def has_name(self, file_name: str) -> bool:
        return any(Path(file.path).name == file_name for file in self.files)

    @property
    def model(self) -> LibraryModel:
        return LibraryModel(
            name=self.name,
            path=Path(self.path),
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            model_type=self.model_type,
            quantization=self.quantization,
            parameters=self.parameters,
            sources=self.sources,
            licence=self.licence,
            english_only=self.english_only,
            languages=self.languages,
            parts=tuple((Path(part.path), part.size_bytes) for part in self.parts),
            whole_sha256=self.whole_sha256 or (self.sha256 if not self.languages else ""),
            projector=Path(self.projector) if self.projector and Path(self.projector).is_file() else None,
        )


class _Index(msgspec.Struct, frozen=True):
    version: int
    files: list[Record]


def read_index(path: Path) -> list[Record]:
    """The known models; a damaged index is set aside and the folder scanned anew."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return msgspec.json.decode(data, type=_Index).files
    except msgspec.DecodeError:
        log.warning("the model library's index is damaged and was set aside")
        path.replace(path.with_suffix(".damaged"))
        return []


def write_index(path: Path, records: list[Record]) -> None:
    """All or nothing, also when the power goes. Raises ModelError."""
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(_Index(1, records)), indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ModelError(
            f"The list of models cannot be written to {path.parent}: {error.strerror}.", name="LIBRARY_NOT_SAVED"
        ) from error


def _is_unchanged(file: Part) -> bool:
    try:
        status = Path(file.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
