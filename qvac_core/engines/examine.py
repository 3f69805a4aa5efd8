"""What a model file is: its header, its checksum, and what the catalog knows about it. Blocking."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from qvac_core.engines.gguf import GgufInfo
from qvac_core.engines.library_index import Part, Record
from qvac_core.engines.marian_file import MarianFile, is_marian, read_marian
from qvac_core.engines.model_files import ModelFiles, read_model
from qvac_core.engines.model_kind import (
    CHAT_TYPE,
    EMBEDDING_TYPE,
    SPEECH_TYPE,
    TRANSLATION_TYPE,
    ModelKind,
    cannot_chat,
    kind_of,
)
from qvac_core.engines.ollama_store import projectors_of_blob
from qvac_core.engines.part_file import READ_SIZE
from qvac_core.engines.projectors import MARK, projector_beside
from qvac_core.engines.whisper_file import WhisperFile, is_ggml, read_whisper
from qvac_core.errors import ModelError
from qvac_core.models import ModelDescriptor, all_models, by_source


def examine(path: Path, sha256: str, source: str, stop: threading.Event) -> Record:
    """The record of the model at `path`; sha256 and source "" where nobody knows. Checksums take seconds a gigabyte.

    Raises ModelError when it is not a model that we know or can read, or not whole.
    """
    known = _catalogued((sha256,)) or by_source(source)
    speech = read_whisper(path) if is_ggml(path) else None
    marian = read_marian(path) if is_marian(path) else None
    files = read_model(path) if speech is None and marian is None else None
    judged = _type_of(files.gguf) if files is not None else SPEECH_TYPE if speech is not None else TRANSLATION_TYPE
    paths = files.paths if files is not None else marian.paths if marian is not None else (path,)
    status = [file.stat() for file in paths]
    whole = ""
    if not sha256 or marian is not None:
        first, whole = _checksums(paths, stop)
        known = _catalogued((whole, first)) or known
        sha256 = first if marian is not None else whole
    return Record(
        name=known.name if known is not None else files.name if files is not None else path.stem,
        path=str(paths[0]),
        size_bytes=sum(entry.st_size for entry in status),
        mtime_ns=status[0].st_mtime_ns,
        sha256=sha256,
        model_type=judged,
        quantization=_first(
            known and known.quantization,
            files and files.gguf.quantization,
            speech and speech.quantization,
            marian and marian.quantization,
        ),
        parameters=_first(known and known.params, files and files.gguf.size_label, speech and speech.size),
        sources=tuple(model.src for model in all_models() if known is not None and model.sha256 == known.sha256),
        licence=_first(known and known.licence, files and files.gguf.licence),
        judged=True,
        whole_sha256=whole if marian is not None else "",
        languages=(marian.source, marian.target) if marian is not None else (),
        english_only=speech is not None and not speech.multilingual,
        projector=str(projector_beside(paths[0], files.gguf) or "")
        if judged == CHAT_TYPE and files is not None
        else "",
        parts=tuple(
            Part(str(file), entry.st_size, entry.st_mtime_ns) for file, entry in zip(paths[1:], status[1:], strict=True)
        ),
    )


def examine_type(record: Record) -> tuple[str, ModelFiles | None]:
    """The type of a known model and its files (None: no GGUF). Raises ModelError for what is of no use."""
    if not record.model_type.startswith("llamacpp"):
        return record.model_type, None
    files = read_model(Path(record.path))
    return _type_of(files.gguf), files


def examine_projector(record: Record) -> str:
    """The file of its vision part as it is now, or ""."""
    path = Path(record.path)
    if record.model_type != CHAT_TYPE:
        return ""
    if not (any(MARK in file.name.lower() for file in path.parent.glob("*.gguf")) or projectors_of_blob(path)):
        return ""
    return str(projector_beside(path, read_model(path).gguf) or "")


def _type_of(gguf: GgufInfo) -> str:
    """Raises ModelError for what is neither a chat nor an embedding model."""
    kind = kind_of(gguf)
    if kind is ModelKind.CHAT:
        return CHAT_TYPE
    if kind is ModelKind.EMBEDDING:
        return EMBEDDING_TYPE
    raise cannot_chat(kind)


def _catalogued(checksums: Sequence[str]) -> ModelDescriptor | None:
    return next((model for model in all_models() if model.sha256 in checksums), None)


def _first(*texts: str | ModelDescriptor | ModelFiles | WhisperFile | MarianFile | None) -> str:
    return next((text for text in texts if isinstance(text, str) and text), "")


def _checksums(paths: Sequence[Path], stop: threading.Event) -> tuple[str, str]:
    """sha256 of the first file and of all, one after the other."""
    digest = hashlib.sha256()
    first = ""
    try:
        for path in paths:
            with path.open("rb") as file:
                while (chunk := file.read(READ_SIZE)) and not stop.is_set():
                    digest.update(chunk)
            first = first or digest.hexdigest()
    except OSError as error:
        reason = error.strerror or "read error"
        raise ModelError(
            f"The model file cannot be read: {reason}.", name="MODEL_FILE_LOCATE_FAILED", code=52203
        ) from None
    return first, digest.hexdigest()
