"""The models on this machine: which files there are, what they are called, and how to get one that is missing.

An index beside the models folder's files keeps each file's sha256, so that a file is read through once. Files are found
by name, file name, source or checksum (ARCHITECTURE.md, "Safe by default"); no path that a peer names is ever opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from qvac_core.engines.default_model import fetch_default_model
from qvac_core.engines.download import Fetched, Progress, Wanted, fetch
from qvac_core.engines.gguf import GgufInfo, read_gguf
from qvac_core.engines.interface import DownloadProgress, LibraryModel
from qvac_core.engines.model_kind import CHAT_TYPE, EMBEDDING_TYPE, ModelKind, cannot_chat, kind_of
from qvac_core.engines.part_file import READ_SIZE
from qvac_core.errors import ModelError
from qvac_core.models import (
    DEFAULT_SMALL_MODEL,
    ModelDescriptor,
    all_models,
    by_file,
    by_name,
    by_source,
    canonical_source,
    is_source,
    parse_source,
)

log = logging.getLogger("qvac.engines")

INDEX = "library.json"


class _Record(msgspec.Struct, frozen=True):
    """One file of the index. `mtime_ns` and `size_bytes` tell whether it is still the file that was hashed.

    judged: whether `model_type` is what the file's header says; indexes of the first release called all of them chat.
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


class _Index(msgspec.Struct, frozen=True):
    version: int
    files: list[_Record]


@dataclass(eq=False)
class _Ensure:
    """A download under way, and everybody who waits for it."""

    task: asyncio.Task[LibraryModel]
    listeners: list[Progress]
    waiters: int = 0


class Library:
    """The models folder and the files that were added by reference. Used from one asyncio loop; threads hash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: list[_Record] = _read_index(folder / INDEX)
        self._ensuring: dict[str, _Ensure] = {}

    # --- Asking ---------------------------------------------------------------------------------------------------

    def models(self) -> Sequence[LibraryModel]:
        """Those whose file is there, in the order they were added."""
        return tuple(_model(record) for record in self._records if _is_there(record))

    def find(self, name_or_source: str) -> LibraryModel | None:
        wanted = name_or_source.strip()
        descriptor = by_name(wanted) or (by_source(wanted) if is_source(wanted) else None)
        source = canonical_source(wanted) if is_source(wanted) else ""
        tests: list[Callable[[_Record], bool]] = [
            lambda record: record.name.lower() == wanted.lower(),
            lambda record: Path(record.path).name == wanted,
            lambda record: record.path == wanted,
            lambda record: record.sha256 == wanted.lower(),
            lambda record: descriptor is not None and record.sha256 == descriptor.sha256,
            lambda record: bool(source) and source in map(canonical_source, record.sources),
        ]
        there = [record for record in self._records if _is_there(record)] if wanted else []
        for test in tests:
            for record in there:
                if test(record):
                    return _model(record)
        return None

    # --- Adding and removing --------------------------------------------------------------------------------------

    async def add_file(self, path: Path) -> LibraryModel:
        path = _absolute(path)
        known = next((record for record in self._records if record.path == str(path) and _is_there(record)), None)
        if known is not None:
            return _model(await self._judge(known))
        return await self._add(path, sha256="", source="")

    async def scan(self) -> Sequence[LibraryModel]:
        """Take in GGUF files that were put into the models folder by hand, or that changed; returns all models."""
        changed = [Path(record.path) for record in self._records if not _is_there(record) or not record.judged]
        for path in dict.fromkeys([*await asyncio.to_thread(_gguf_files, self._folder), *changed]):
            try:
                await self.add_file(path)
            except ModelError as error:
                log.info("a file in the models folder is left out: %s", error.message)
        return self.models()

    async def remove(self, name: str) -> None:
        """Forget a model, and delete its file where it lies in the models folder. Raises ModelError when unknown."""
        model = self.find(name)
        if model is None:
            raise ModelError("There is no such model in the library.", name="MODEL_NOT_FOUND", code=52002)
        self._records = [record for record in self._records if record.path != str(model.path)]
        await self._save()
        if model.path.parent == self._folder:
            await asyncio.to_thread(model.path.unlink, missing_ok=True)

    async def ensure(
        self, name_or_source: str, on_progress: Callable[[DownloadProgress], None] | None = None
    ) -> LibraryModel:
        """ "" means the default small model. Who asks for the same model at the same time shares the download."""
        wanted = name_or_source.strip() or DEFAULT_SMALL_MODEL.name
        found = self.find(wanted)
        if found is not None:
            return found
        descriptor = _descriptor(wanted)
        key = canonical_source(descriptor.src if descriptor else wanted)
        entry = self._ensuring.get(key)
        if entry is None:
            entry = self._start(key, wanted)

        def listen(report: DownloadProgress) -> None:
            if on_progress is not None:
                on_progress(replace(report, key=name_or_source))

        entry.listeners.append(listen)
        entry.waiters += 1
        try:
            return await asyncio.shield(entry.task)
        except asyncio.CancelledError:
            if entry.waiters == 1 and not entry.task.done():
                entry.task.cancel()
                await asyncio.wait([entry.task])
            raise
        finally:
            entry.waiters -= 1
            entry.listeners.remove(listen)

    # --- Downloading ----------------------------------------------------------------------------------------------

    def _start(self, key: str, wanted: str) -> _Ensure:
        listeners: list[Progress] = []

        def progress(report: DownloadProgress) -> None:
            for listener in list(listeners):
                listener(report)

        async def obtain() -> LibraryModel:
            try:
                return await self._obtain(wanted, progress)
            finally:
                del self._ensuring[key]

        entry = self._ensuring[key] = _Ensure(asyncio.get_running_loop().create_task(obtain()), listeners)
        return entry

    async def _obtain(self, wanted: str, progress: Progress) -> LibraryModel:
        descriptor = _descriptor(wanted)
        if descriptor is None and not is_source(wanted):
            raise ModelError(
                "There is no model of this name, neither in the library nor in the catalog. "
                "Check its spelling, or add the GGUF file.",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        if descriptor is not None and descriptor.is_projector:
            raise cannot_chat(ModelKind.PROJECTOR)  # known before gigabytes were fetched
        source = parse_source(descriptor.src if descriptor else wanted)
        file_name = descriptor.file if descriptor else source.file_name
        if "-of-0" in file_name:
            raise ModelError(
                "This model comes in several files, which QVAC Desktop cannot download yet. "
                "Download all of them into one folder and add the first one.",
                name="REGISTRY_DOWNLOAD_FAILED",
                code=53015,
            )
        by_hand = await self._already_there(descriptor) if descriptor else None
        if by_hand is not None:
            return by_hand
        if descriptor is DEFAULT_SMALL_MODEL:
            fetched = await fetch_default_model(wanted, self._folder, progress)
        elif descriptor is not None:
            sha256, size = descriptor.sha256, descriptor.size_bytes
            fetched = await fetch(Wanted(wanted, source, file_name, sha256, size), self._folder, progress)
        else:
            fetched = await fetch(Wanted(wanted, source, file_name), self._folder, progress)
        return await self._take_in(fetched, str(source))

    async def _already_there(self, descriptor: ModelDescriptor) -> LibraryModel | None:
        """A file of that name and size that was put into the models folder by hand."""
        path = self._folder / descriptor.file
        if not path.is_file() or path.stat().st_size != descriptor.size_bytes:
            return None
        model = await self.add_file(path)
        return model if model.sha256 == descriptor.sha256 else None

    async def _take_in(self, fetched: Fetched, source: str) -> LibraryModel:
        try:
            return await self._add(fetched.path, sha256=fetched.sha256, source=source)
        except ModelError:
            await asyncio.to_thread(fetched.path.unlink, missing_ok=True)
            raise

    # --- The index ------------------------------------------------------------------------------------------------

    async def _add(self, path: Path, *, sha256: str, source: str) -> LibraryModel:
        stop = threading.Event()
        try:
            record = await asyncio.to_thread(_examine, path, sha256, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        same = next((known for known in self._records if known.sha256 == record.sha256 and _is_there(known)), None)
        if same is not None and same.path != record.path:
            return _model(same)
        if source and source not in map(canonical_source, record.sources):
            record = msgspec.structs.replace(record, sources=(*record.sources, source))
        others = [known for known in self._records if known.path != record.path and known.sha256 != record.sha256]
        record = msgspec.structs.replace(record, name=_free_name(record.name, others))
        self._records = [*others, record]
        await self._save()
        return _model(record)

    async def _judge(self, record: _Record) -> _Record:
        """The record with the type that its header says. Raises ModelError, and forgets it, when it is of no use."""
        if record.judged:
            return record
        others = [known for known in self._records if known is not record]
        try:
            model_type = await asyncio.to_thread(_model_type, record)
        except ModelError:
            self._records = others
            await self._save()
            raise
        judged = msgspec.structs.replace(record, model_type=model_type, judged=True)
        self._records = [judged if known is record else known for known in self._records]
        await self._save()
        return judged

    async def _save(self) -> None:
        await asyncio.to_thread(_write_index, self._folder / INDEX, _Index(1, self._records))


def _descriptor(wanted: str) -> ModelDescriptor | None:
    return by_name(wanted) or (by_source(wanted) if is_source(wanted) else by_file(wanted))


def _examine(path: Path, sha256: str, stop: threading.Event) -> _Record:
    """What a file is. Raises ModelError when it is not a model that we know or can read."""
    catalogued = [model for model in all_models() if model.sha256 == sha256] if sha256 else []
    # Whisper's files are no GGUF; for those the checksum says what they are.
    gguf = read_gguf(path) if not catalogued or catalogued[0].model_type.startswith("llamacpp") else None
    judged = _type_of(gguf) if gguf else ""
    status = path.stat()
    sha256 = sha256 or _sha256(path, stop)
    catalogued = [model for model in all_models() if model.sha256 == sha256]
    if catalogued:
        model = catalogued[0]
        facts = (model.name, model.model_type, model.quantization, model.params, model.licence)
    else:
        facts = (path.stem, "", "", "", "")
    name, model_type, quantization, parameters, licence = facts
    return _Record(
        name=name,
        path=str(path),
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=sha256,
        model_type=judged or model_type,
        quantization=quantization or (gguf.quantization if gguf else ""),
        parameters=parameters or (gguf.size_label if gguf else ""),
        sources=tuple(model.src for model in catalogued),
        licence=licence or (gguf.licence if gguf else ""),
        judged=True,
    )


def _model_type(record: _Record) -> str:
    return _type_of(read_gguf(Path(record.path))) if record.model_type.startswith("llamacpp") else record.model_type


def _type_of(gguf: GgufInfo) -> str:
    """Raises ModelError for what is neither a chat nor an embedding model."""
    kind = kind_of(gguf)
    if kind is ModelKind.CHAT:
        return CHAT_TYPE
    if kind is ModelKind.EMBEDDING:
        return EMBEDDING_TYPE
    raise cannot_chat(kind)


def _sha256(path: Path, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while (chunk := file.read(READ_SIZE)) and not stop.is_set():
                digest.update(chunk)
    except OSError as error:
        reason = error.strerror or "read error"
        raise ModelError(
            f"The model file cannot be read: {reason}.", name="MODEL_FILE_LOCATE_FAILED", code=52203
        ) from None
    return digest.hexdigest()


def _model(record: _Record) -> LibraryModel:
    return LibraryModel(
        name=record.name,
        path=Path(record.path),
        size_bytes=record.size_bytes,
        sha256=record.sha256,
        model_type=record.model_type,
        quantization=record.quantization,
        parameters=record.parameters,
        sources=record.sources,
        licence=record.licence,
    )


def _is_there(record: _Record) -> bool:
    """The file that was hashed, and not another one in its place."""
    try:
        status = Path(record.path).stat()
    except OSError:
        return False
    return status.st_size == record.size_bytes and status.st_mtime_ns == record.mtime_ns


def _free_name(name: str, others: Sequence[_Record]) -> str:
    taken = {record.name.lower() for record in others}
    number, free = 2, name
    while free.lower() in taken:
        free = f"{name} ({number})"
        number += 1
    return free


def _absolute(path: Path) -> Path:
    """Absolute, and links left alone: what is behind one may be named by its checksum (Hugging Face's cache)."""
    return path.absolute()


def _gguf_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.gguf") if path.is_file()) if folder.is_dir() else []


def _read_index(path: Path) -> list[_Record]:
    """The known files; a damaged index is set aside and the folder scanned anew."""
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


def _write_index(path: Path, index: _Index) -> None:
    """All or nothing, also when the power goes. Raises ModelError."""
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(index), indent=1))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ModelError(
            f"The list of models cannot be written to {path.parent}: {error.strerror}.", name="LIBRARY_NOT_SAVED"
        ) from error
