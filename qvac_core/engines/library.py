"""The models on this machine: which files there are, what they are called, and how to get one that is missing.

An index beside the models folder's files keeps each file's sha256, so that a file is read through once. Files are found
by name, file name, source or checksum (docs/architecture.md, "Safe by default"); no path that a peer names is ever
opened.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from qvac_core.engines.bundle_copy import fetch_bundle
from qvac_core.engines.default_model import fetch_default_model
from qvac_core.engines.download import Copier, Fetched, Progress, Wanted
from qvac_core.engines.examine import examine, examine_projector, examine_type
from qvac_core.engines.interface import DownloadProgress, LibraryModel
from qvac_core.engines.library_index import INDEX, Record, read_index, write_index
from qvac_core.engines.marian_file import is_marian
from qvac_core.engines.model_files import part_names, part_prefix
from qvac_core.engines.model_kind import ModelKind, cannot_chat
from qvac_core.engines.packed_download import fetch_packed
from qvac_core.engines.projectors import file_name_beside, projectors_of
from qvac_core.engines.split_download import discard, fetch_model, known, left_of
from qvac_core.engines.whisper_file import is_ggml
from qvac_core.errors import ModelError
from qvac_core.models import (
    DEFAULT_SMALL_MODEL,
    ModelDescriptor,
    by_file,
    by_name,
    by_sha256,
    by_source,
    canonical_source,
    is_source,
    parse_source,
)

log = logging.getLogger("qvac.engines")


@dataclass(eq=False)
class _Ensure:
    """A download under way, and everybody who waits for it."""

    task: asyncio.Task[LibraryModel]
    listeners: list[Progress]
    waiters: int = 0


class Library:
    """The models folder and the files that were added by reference. Used from one asyncio loop; threads hash."""

    def __init__(self, folder: Path, *, make_folder: bool = True) -> None:
        """make_folder: False for one that may be away with its disk: nothing is made in its place."""
        self._folder = _absolute(folder)  # the index names files by their whole paths
        self._make_folder = make_folder
        self._records: list[Record] = read_index(folder / INDEX)
        self._left_out: dict[str, str] = {}
        self._ensuring: dict[str, _Ensure] = {}

    @property
    def folder(self) -> Path:
        """Where downloads go, and where files that were put there by hand are looked for."""
        return self._folder

    async def relocate(self, folder: Path) -> None:
        """The models lie in another folder now, and its index says so."""
        self._records = await asyncio.to_thread(read_index, folder / INDEX)
        self._folder = _absolute(folder)

    # --- Asking ---------------------------------------------------------------------------------------------------

    def models(self) -> Sequence[LibraryModel]:
        """Those whose file is there, in the order they were added."""
        return tuple(record.model for record in self._records if record.is_there)

    @property
    def left_out(self) -> Mapping[str, str]:
        """What the last scan met and could not take, and the sentence that says why."""
        return self._left_out

    def find(self, name_or_source: str) -> LibraryModel | None:
        wanted = name_or_source.strip()
        descriptor = by_name(wanted) or (by_source(wanted) if is_source(wanted) else None)
        source = canonical_source(wanted) if is_source(wanted) else ""
        tests: list[Callable[[Record], bool]] = [
            lambda record: record.name.lower() == wanted.lower(),
            lambda record: record.has_name(wanted),
            lambda record: record.has(wanted),
            lambda record: record.sha256 == wanted.lower(),
            lambda record: descriptor is not None and record.sha256 == descriptor.sha256,
            lambda record: bool(source) and source in map(canonical_source, record.sources),
        ]
        there = [record for record in self._records if record.is_there] if wanted else []
        for test in tests:
            for record in there:
                if test(record):
                    return record.model
        return None

    # --- Adding and removing --------------------------------------------------------------------------------------

    async def add_file(self, path: Path, *, name: str = "") -> LibraryModel:
        """name: for one that the catalog does not know; "" = by its header or file. Raises ModelError."""
        path = _absolute(path)
        _check_name(path)
        known = next((record for record in self._records if record.has(str(path)) and record.is_there), None)
        if known is not None:
            return (await self._with_projector(await self._judge(known))).model
        return (await self._add(path, sha256="", source="", name=name)).model

    async def scan(self) -> Sequence[LibraryModel]:
        """Take in model files that were put into the models folder by hand, or that changed; returns all models."""
        changed = [Path(record.path) for record in self._records if not record.is_there or not record.judged]
        left_out: dict[str, str] = {}
        for path in dict.fromkeys([*await asyncio.to_thread(_model_files, self._folder), *changed]):
            try:
                await self.add_file(path)
            except ModelError as error:
                log.info("a model file is left out: %s", error.message)
                if await asyncio.to_thread(path.exists):
                    left_out[part_prefix(_printable(path.name))] = error.message
        for record in list(self._records):
            if record.is_there:
                projector = Path((await self._with_projector(record)).projector)
                left_out.pop(part_prefix(projector.name), None)  # it is of use, with its model
        self._left_out = left_out
        return self.models()

    async def remove(self, name: str) -> None:
        """Forget a model, and delete its files where they lie in the models folder. Raises ModelError when unknown."""
        model = self.find(name)
        if model is None:
            raise ModelError("There is no such model in the library.", name="MODEL_NOT_FOUND", code=52002)
        removed = [record for record in self._records if record.path == str(model.path)]
        self._records = [record for record in self._records if record.path != str(model.path)]
        await self._save()
        paths = [Path(file.path) for record in removed for file in record.files]
        used = {record.projector for record in self._records}
        paths += [Path(record.projector) for record in removed if record.projector and record.projector not in used]
        await asyncio.to_thread(_delete, [path for path in paths if path.parent == self._folder])

    def files_of(self, name: str) -> tuple[Path, ...]:
        """What `remove` would delete of a model, or of a file that is of no use (`left_out`). Blocking."""
        model = self.find(name)
        if model is None:
            names = self._folder.glob("*") if name in self._left_out else ()
            return tuple(path for path in names if path.is_file() and part_prefix(_printable(path.name)) == name)
        records = [record for record in self._records if record.path == str(model.path)]
        used = {record.projector for record in self._records if record.path != str(model.path)}
        paths = [Path(file.path) for record in records for file in record.files]
        paths += [Path(record.projector) for record in records if record.projector and record.projector not in used]
        return tuple(path for path in paths if path.parent == self._folder)

    async def remove_left_out(self, name: str) -> None:
        """Delete a file of the models folder that is of no use."""
        await asyncio.to_thread(lambda: _delete(self.files_of(name)))
        self._left_out = {other: reason for other, reason in self._left_out.items() if other != name}

    async def ensure(
        self,
        name_or_source: str,
        on_progress: Callable[[DownloadProgress], None] | None = None,
        copier: Copier | None = None,
        expected: tuple[str, int] = ("", 0),
        *,
        projector: ModelDescriptor | None = None,
        called: str = "",
        files: Sequence[tuple[str, int]] = (),
    ) -> LibraryModel:
        """ "" means the default small model. Who asks for the same model at the same time shares the download.

        copier: who sends the file in place of its address. expected: sha256 and bytes of the file, where the caller
        knows what the catalog does not. projector: its vision part, in the same case. called:
        what its file is called there, of an unknown one. files: names and bytes, where it is sent as several in one.
        """
        wanted = name_or_source.strip() or DEFAULT_SMALL_MODEL.name
        found = self.find(wanted)
        if found is not None:
            return found
        descriptor = _descriptor(wanted)
        key = canonical_source(descriptor.src if descriptor else wanted)
        entry = self._ensuring.get(key)
        if entry is None:
            entry = self._start(key, wanted, copier, expected, projector, called, files)

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

    def left_of(self, name_or_source: str) -> int:
        """Bytes that are here of a download that is not whole. Blocking."""
        return sum(left_of(self._folder, source) for source in _sources(name_or_source))

    async def discard(self, name_or_source: str) -> None:
        """Remove what is here of a download that is not whole and does not run."""
        for source in _sources(name_or_source):
            await asyncio.to_thread(discard, self._folder, source)

    def _start(
        self,
        key: str,
        wanted: str,
        copier: Copier | None,
        expected: tuple[str, int],
        projector: ModelDescriptor | None,
        called: str,
        files: Sequence[tuple[str, int]],
    ) -> _Ensure:
        listeners: list[Progress] = []

        def progress(report: DownloadProgress) -> None:
            for listener in list(listeners):
                listener(report)

        async def obtain() -> LibraryModel:
            try:
                return await self._obtain(wanted, progress, copier, expected, projector, called, files)
            finally:
                del self._ensuring[key]

        entry = self._ensuring[key] = _Ensure(asyncio.get_running_loop().create_task(obtain()), listeners)
        return entry

    async def _obtain(
        self,
        wanted: str,
        progress: Progress,
        copier: Copier | None,
        expected: tuple[str, int],
        projector: ModelDescriptor | None,
        called: str,
        files: Sequence[tuple[str, int]],
    ) -> LibraryModel:
        descriptor = _descriptor(wanted)
        if descriptor is None and not is_source(wanted):
            raise ModelError(
                "There is no model of this name, neither in the library nor in the catalog. "
                "Check its spelling, or add the model file.",
                name="MODEL_NOT_FOUND",
                code=52002,
            )
        if descriptor is not None and descriptor.is_projector:
            raise cannot_chat(ModelKind.PROJECTOR)  # known before gigabytes were fetched
        if descriptor is not None and descriptor.is_voice_detector:
            raise ModelError("This file tells speech from silence; it cannot transcribe. Choose a Whisper model.")
        by_hand = await self._already_there(descriptor) if descriptor else None
        if by_hand is not None:
            return by_hand
        if descriptor is not None and descriptor.packed and copier is None:
            fetched = await fetch_packed(descriptor, self._folder, progress)
            return await self._take_in(fetched, descriptor.src)
        source = parse_source(descriptor.src if descriptor else wanted)
        if copier is not None and files:
            sent = Wanted(wanted, source, "", *expected, copier)
            fetched = await fetch_bundle(sent, files, self._folder, descriptor.sha256 if descriptor else "", progress)
            return await self._take_in(fetched, str(source))
        projectors = [projector] if projector is not None else []
        if descriptor is not None:
            projectors = projectors_of(descriptor)
        if descriptor is not None:
            file_name, sha256, size = descriptor.file, descriptor.sha256, descriptor.size_bytes
        else:
            file_name, (sha256, size) = _plain(called) or source.file_name, expected
        fetching = Wanted(wanted, source, file_name, sha256, size, copier)
        shown = _before(progress, projectors[0].size_bytes) if projectors else progress
        if descriptor is DEFAULT_SMALL_MODEL and copier is None:
            fetched = await fetch_default_model(wanted, self._folder, shown)
        else:
            fetched = await fetch_model(fetching, self._folder, shown)
        model = await self._take_in(fetched, str(source))
        if projectors and model.projector is None:
            model = await self._with_vision(model, projectors[0], _after(progress, model.size_bytes))
        return model

    async def _with_vision(self, model: LibraryModel, projector: ModelDescriptor, progress: Progress) -> LibraryModel:
        """The model with its vision part, which is fetched, too; without it where that fails: it can still chat."""
        try:
            await self.fetch_projector(model, projector, progress)
        except ModelError as error:
            log.warning("a model has come without its vision part: %s", error.message)
        return self.find(str(model.path)) or model

    async def fetch_projector(self, model: LibraryModel, projector: ModelDescriptor, progress: Progress) -> Path:
        """Put this vision part beside its model; where it lies. Raises ModelError."""
        name = file_name_beside(model.path.name, projector)
        wanted = Wanted(projector.name, parse_source(projector.src), name, projector.sha256, projector.size_bytes)
        fetched = await fetch_model(wanted, self._folder, progress)
        for record in self._records:
            if record.has(str(model.path)):
                await self._with_projector(record)
        await asyncio.to_thread(known, self._folder, str(wanted.source))
        return fetched.path

    async def _already_there(self, descriptor: ModelDescriptor) -> LibraryModel | None:
        """A file of that name and size that was put into the models folder by hand."""
        path = self._folder / descriptor.file
        if not path.is_file() or path.stat().st_size != descriptor.size_bytes:
            return None
        model = await self.add_file(path)
        return model if model.sha256 == descriptor.sha256 else None

    async def _take_in(self, fetched: Fetched, source: str) -> LibraryModel:
        try:
            record = await self._add(fetched.path, sha256=fetched.sha256, source=source)
        except ModelError:
            await asyncio.to_thread(_delete, [fetched.path, *fetched.parts])
            await asyncio.to_thread(known, self._folder, source)
            raise
        await asyncio.to_thread(known, self._folder, source)
        return record.model

    # --- The index ------------------------------------------------------------------------------------------------

    async def _add(self, path: Path, *, sha256: str, source: str, name: str = "") -> Record:
        stop = threading.Event()
        try:
            record = await asyncio.to_thread(examine, path, sha256, source, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        same = next((known for known in self._records if known.sha256 == record.sha256 and known.is_there), None)
        if same is not None and same.path != record.path:
            return same
        if source and source not in map(canonical_source, record.sources):
            record = msgspec.structs.replace(record, sources=(*record.sources, source))
        if name and by_sha256(record.sha256) is None:
            record = msgspec.structs.replace(record, name=name)
        others = [known for known in self._records if known.path != record.path and known.sha256 != record.sha256]
        record = msgspec.structs.replace(record, name=_free_name(record.name, others))
        self._records = [*others, record]
        await self._save()
        return record

    async def _judge(self, record: Record) -> Record:
        """The record with the type and parts that its header says. Raises ModelError, and forgets what is of no use."""
        if record.judged:
            return record
        others = [known for known in self._records if known is not record]
        try:
            model_type, files = await asyncio.to_thread(examine_type, record)
        except ModelError:
            self._records = others
            await self._save()
            raise
        if files is not None and len(files.paths) > 1:  # its size and checksum are those of one part
            first = next((known for known in self._records if known.path == str(files.paths[0])), record)
            self._records = others
            whole = await self._add(files.paths[0], sha256="", source="")
            judged = msgspec.structs.replace(whole, name=first.name)  # by which it is shared
            self._records = [judged if known is whole else known for known in self._records]
            await self._save()
            return judged
        judged = msgspec.structs.replace(record, model_type=model_type, judged=True)
        self._records = [judged if known is record else known for known in self._records]
        await self._save()
        return judged

    async def _with_projector(self, record: Record) -> Record:
        """The record with the vision part that lies beside it now, which may have come or gone."""
        try:
            projector = await asyncio.to_thread(examine_projector, record)
        except (ModelError, OSError):  # the model itself is not readable now: that is told where it is used
            return record
        if projector == record.projector:
            return record
        changed = msgspec.structs.replace(record, projector=projector)
        self._records = [changed if known is record else known for known in self._records]
        await self._save()
        return changed

    async def _save(self) -> None:
        if not self._make_folder and not await asyncio.to_thread(self._folder.is_dir):
            raise ModelError(
                f"The models folder {self._folder} is not there. Connect its disk, or choose another folder.",
                name="FOLDER_MISSING",
            )
        await asyncio.to_thread(write_index, self._folder / INDEX, list(self._records))


def _descriptor(wanted: str) -> ModelDescriptor | None:
    return by_name(wanted) or (by_source(wanted) if is_source(wanted) else by_file(wanted))


def _sources(name_or_source: str) -> list[str]:
    """Of everything that is fetched for it: the model, and its vision part. None for what cannot be fetched."""
    wanted = name_or_source.strip() or DEFAULT_SMALL_MODEL.name
    descriptor = _descriptor(wanted)
    if descriptor is not None:
        return [descriptor.src, *(projector.src for projector in projectors_of(descriptor)[:1])]
    return [wanted] if is_source(wanted) else []


def _before(progress: Progress, more: int) -> Progress:
    """The first of two files, with the second one's bytes counted in what is to come."""

    def report(first: DownloadProgress) -> None:
        progress(replace(first, total=first.total + more if first.total else 0))

    return report


def _after(progress: Progress, size_bytes: int) -> Progress:
    """The second of two files."""

    def report(second: DownloadProgress) -> None:
        total = second.total + size_bytes if second.total else 0
        progress(replace(second, downloaded=second.downloaded + size_bytes, total=total))

    return report


def _free_name(name: str, others: Sequence[Record]) -> str:
    taken = {record.name.lower() for record in others}
    number, free = 2, name
    while free.lower() in taken:
        free = f"{name} ({number})"
        number += 1
    return free


def _absolute(path: Path) -> Path:
    """Absolute, and links left alone: what is behind one may be named by its checksum (Hugging Face's cache)."""
    return path.absolute()


def _model_files(folder: Path) -> list[Path]:
    """GGUF, and whisper.cpp's and Marian's, whose ending says little."""
    if not folder.is_dir():
        return []
    whisper = (path for path in folder.glob("*.bin") if path.is_file() and (is_ggml(path) or is_marian(path)))
    return sorted([path for path in folder.glob("*.gguf") if path.is_file()] + list(whisper))


def _plain(called: str) -> str:
    """What somebody else calls a model file, if it is a name for one; what is odd in it goes where it is used."""
    usable = Path(called).suffix.lower() in (".gguf", ".bin") and len(part_names(called)) <= 1
    return called if usable else ""


def _check_name(path: Path) -> None:
    """The index, the database and every program that is told of a model take text. Raises ModelError."""
    if (shown := _printable(str(path))) != str(path):
        raise ModelError(
            f"The name of {shown} is not written in UTF-8, as older systems wrote theirs. Rename the file, or its "
            "folder, and add it again.",
            name="MODEL_FILE_NOT_FOUND",
            code=52201,
        )


def _printable(text: str) -> str:
    """Bytes of a name that are no UTF-8 as the sign for what cannot be read."""
    return text.encode("utf-8", "replace").decode()


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
