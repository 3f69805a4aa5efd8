"""The models folder: where it is, what room its disk has, and the way of everything in it to another one.

Which folder is in use is said by the settings alone (`library.folder`), which change in one step. A move's journal lies
in the data folder from before its first file is touched until the last old file is gone: the next start finishes a move
that went far enough, and goes on with one that did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from qvac_core.core.error_text import describe
from qvac_core.core.event_hub import EventHub
from qvac_core.core.library_state import ModelsFolder, ModelsFolderChanged, Move, MoveState
from qvac_core.engines.library import Library
from qvac_core.engines.move_models import (
    Journal,
    MoveProgress,
    MoveStopped,
    carry_out,
    files_of_library,
    give_up,
    is_settled,
    plan,
    rebased_index,
    settle_move,
    size_of,
)
from qvac_core.errors import ModelError, QvacError, StoreError
from qvac_core.store.disk import make_folder, store_error, write_atomically
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile
from qvac_core.store.store import Store
from qvac_core.tasks import TaskOwner

logger = logging.getLogger(__name__)

PROGRESS_EVERY = 0.2  # seconds
RATE_WINDOW = 5.0  # seconds


def models_folder(data: DataDir, settings: SettingsFile, given: Path | None = None) -> Path:
    """The folder in use. given: by whoever started us, for this run."""
    chosen = settings.settings.library.folder
    if given is not None or not chosen:
        return given or data.models_folder
    # By hand it may be written from home, or from the data folder on.
    with contextlib.suppress(RuntimeError):  # "~name" of nobody: no such folder will be there
        return data.root / Path(chosen).expanduser()
    return data.root / chosen


def open_library(data: DataDir, settings: SettingsFile, given: Path | None = None) -> Library:
    """The library of the folder in use. Blocking."""
    folder = models_folder(data, settings, given)
    return Library(folder, make_folder=given is not None or folder == data.models_folder)


def is_missing(folder: Path, data: DataDir) -> bool:
    """Whether a folder that somebody chose is not there now. Our own is made when it is needed."""
    return folder != data.models_folder and not folder.is_dir()


def finish_rename(data: DataDir, settings: SettingsFile) -> None:
    """Bring a move within one disk to its end that the last run began. Blocking, quick. Before the library is opened.

    One that cannot be finished is given up; a disk that is away now may be back at the next start.
    """
    journal = _read(data)
    if journal is None or _in_use(journal, data, settings) or journal.by_copy:
        return
    source, target = Path(journal.source), Path(journal.target)
    # One that is in neither was deleted meanwhile; all of them were hardly.
    there = tuple(name for name in journal.files if os.path.lexists(source / name) or os.path.lexists(target / name))
    if not (source.is_dir() and target.is_dir()) or (journal.files and not there):
        logger.warning("a move of the models waits for its folders: %s, %s", source, target)
        return
    journal = msgspec.structs.replace(journal, files=there)
    try:
        carry_out(journal, {}, threading.Event(), lambda progress: None)
        rebased_index(journal)
        _use(journal, settings)
    except (QvacError, OSError) as error:
        logger.warning("a move of the models is given up: %s", error)
        with contextlib.suppress(OSError):
            give_up(journal)
            _journal_file(data).unlink(missing_ok=True)


class Folder:
    """Used on the core's loop."""

    def __init__(
        self,
        store: Store,
        events: EventHub,
        library: Library,
        given: bool,
        hold: Callable[[], Awaitable[None]],
        let_go: Callable[[], None],
        on_other: Callable[[], None],
    ) -> None:
        """given: the folder is that of this run alone. hold, let_go: around a move, for downloads. on_other: the models
        lie elsewhere, or are there again."""
        self._on_other = on_other
        self._was_missing = False
        self._store = store
        self._events = events
        self._library = library
        self._given = given
        self._hold = hold
        self._let_go = let_go
        self._tasks = TaskOwner()
        self._stop = threading.Event()
        self._move: Move | None = None
        self._moving: asyncio.Task[None] | None = None
        self._changing = False  # from the wish for another folder until the move runs, or is refused
        self._closing = False

    async def open(self, *, go_on: bool) -> None:
        """Take up a move that the last run did not finish."""
        self._was_missing = await asyncio.to_thread(lambda: self.missing)
        journal = await asyncio.to_thread(_read, self._store.folder)
        if journal is None or self._given:
            return
        if _in_use(journal, self._store.folder, self._store.settings):
            await self._settle(journal)
        elif go_on and await asyncio.to_thread(Path(journal.target).is_dir):
            await self._begin(journal)

    async def close(self) -> None:
        """A move that runs is interrupted, and goes on with the next start."""
        self._closing = True
        self._stop.set()
        await self._tasks.close()

    @property
    def missing(self) -> bool:
        return not self._given and is_missing(self._library.folder, self._store.folder)

    async def ready(self) -> None:
        """Raises ModelError where no model can be kept now."""
        if await asyncio.to_thread(lambda: self.missing):
            raise ModelError(
                f"The models folder {self._library.folder} is not there. Connect its disk, or choose another folder.",
                name="FOLDER_MISSING",
            )

    async def state(self) -> ModelsFolder:
        now = await asyncio.to_thread(self._state)
        if self._was_missing and not now.missing:  # its disk was connected
            await self._library.relocate(self._library.folder)
            self._on_other()
        self._was_missing = now.missing
        return now

    def _state(self) -> ModelsFolder:
        folder = self._library.folder
        there = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
        if there is None or self.missing:
            return ModelsFolder(folder, 0, 0, 0, 0, self._move, self._given, missing=True)
        disk = shutil.disk_usage(there)
        models = parts = 0
        with contextlib.suppress(OSError):  # a file went away while they were counted: counted anew at the next event
            names = files_of_library(folder) if folder.is_dir() else []
            whole = [name for name in names if "/" not in name and name.endswith((".gguf", ".bin"))]
            models = size_of(folder, whole)
            parts = size_of(folder, names) - models
        other = max(0, disk.used - models - parts)
        return ModelsFolder(folder, models, parts, other, disk.free, self._move, self._given)

    async def announce(self) -> None:
        self._events.emit(ModelsFolderChanged(await self.state()))

    # --- Another folder -------------------------------------------------------------------------------------------

    async def change(self, path: Path) -> None:
        """Raises StoreError or ModelError, with everything as it was."""
        if self._given:
            raise StoreError("The models folder was named for this run, so it cannot be changed now.")
        self.check_rest()
        self._changing = True
        try:
            await self._change(path)
        finally:
            self._changing = False

    def check_rest(self) -> None:
        """Raises StoreError while the models are being moved."""
        if self._moving is not None or self._changing:
            raise StoreError("The models are being moved already. Wait for it, or cancel it first.")

    async def _change(self, path: Path) -> None:
        target = await asyncio.to_thread(_absolute, path)
        if await asyncio.to_thread(_are_one, target, self._library.folder):
            return
        await asyncio.to_thread(_check_target, target)
        if await asyncio.to_thread(lambda: self.missing):  # nothing can be moved: only the choice is another one
            journal = Journal(str(self._library.folder), str(target), (), False)
            await self._store.database.run(_use, journal, self._store.settings)
            await self._library.relocate(target)
            self._was_missing = False
            self._on_other()
            await self.announce()
            return
        journal = await asyncio.to_thread(plan, self._library.folder, target)
        await asyncio.to_thread(_write, self._store.folder, journal)
        await self._begin(journal)

    async def cancel(self) -> None:
        if self._moving is not None:
            self._stop.set()
            await asyncio.wait({self._moving})

    async def _begin(self, journal: Journal) -> None:
        self._stop.clear()
        total = await asyncio.to_thread(_total, journal)
        self._move = Move(Path(journal.target), 0, total)
        await self._hold()
        self._moving = self._tasks.start(self._run(journal), "move the models")
        await self.announce()

    async def _run(self, journal: Journal) -> None:
        used = False  # the new folder: then there is no way back
        try:
            checksums = {model.path.name: model.sha256 for model in self._library.models() if model.sha256}
            loop = asyncio.get_running_loop()

            def tell(progress: _Progress) -> None:
                loop.call_soon_threadsafe(self._progress, progress)

            meter = _Meter(tell)
            work = asyncio.create_task(
                asyncio.to_thread(carry_out, journal, _whole_alone(journal, checksums), self._stop, meter.report)
            )
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:  # we are closing: the thread ends first
                await asyncio.wait({work})
                raise
            await asyncio.to_thread(rebased_index, journal)
            await self._store.database.run(_use, journal, self._store.settings)
            used = True
            await self._library.relocate(Path(journal.target))
            await self._settle(journal)
            self._ended(MoveState.DONE, None)
            self._on_other()
        except MoveStopped:
            if not self._closing:
                await self._give_up(journal)
                self._ended(MoveState.CANCELLED, None)
        except (QvacError, OSError) as error:
            if not used:
                await self._give_up(journal)
            self._ended(MoveState.FAILED, error if isinstance(error, QvacError) else store_error(error, "move models"))
        finally:
            self._moving = None
            self._let_go()
        if not self._closing:
            await self.announce()
            self._move = None

    async def _give_up(self, journal: Journal) -> None:
        try:
            await asyncio.to_thread(give_up, journal)
            await asyncio.to_thread(_journal_file(self._store.folder).unlink, missing_ok=True)
        except OSError as error:
            logger.warning("a move of the models could not be taken back: %s", error)  # at the next start

    async def _settle(self, journal: Journal) -> None:
        await asyncio.to_thread(settle_move, journal)
        if await asyncio.to_thread(is_settled, journal):
            await asyncio.to_thread(_journal_file(self._store.folder).unlink, missing_ok=True)

    def _progress(self, move: _Progress) -> None:
        if self._move is not None and self._move.state is MoveState.RUNNING and not self._closing:
            self._move = replace(
                self._move,
                done_bytes=move.progress.done_bytes,
                total_bytes=move.progress.total_bytes,
                file=move.progress.file,
                rate=move.rate,
                left_seconds=(move.progress.total_bytes - move.progress.done_bytes) / move.rate if move.rate else None,
            )
            self._tasks.start(self.announce(), "tell how far the move is")

    def _ended(self, state: MoveState, error: QvacError | None) -> None:
        assert self._move is not None
        done = self._move.total_bytes if state is MoveState.DONE else self._move.done_bytes
        words = None if error is None else describe(error)
        self._move = replace(
            self._move, state=state, error=words, done_bytes=done, rate=0.0, left_seconds=None, file=""
        )


class _Progress:
    def __init__(self, progress: MoveProgress, rate: float) -> None:
        self.progress = progress
        self.rate = rate


class _Meter:
    """Called in the thread that moves: tells now and then, with the rate of the last seconds."""

    def __init__(self, tell: Callable[[_Progress], None]) -> None:
        self._tell = tell
        self._told = 0.0
        self._samples: list[tuple[float, int]] = []

    def report(self, progress: MoveProgress) -> None:
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY and progress.done_bytes < progress.total_bytes:
            return
        self._told = now
        self._samples = [one for one in self._samples if now - one[0] <= RATE_WINDOW] + [(now, progress.done_bytes)]
        start, first = self._samples[0]
        self._tell(_Progress(progress, (progress.done_bytes - first) / (now - start) if now > start else 0.0))


def _whole_alone(journal: Journal, checksums: dict[str, str]) -> dict[str, str]:
    """Checksums of models that are one file: that of several is of all of them together."""
    return {name: sha256 for name, sha256 in checksums.items() if name in journal.files and "-of-" not in name}


def _are_one(target: Path, folder: Path) -> bool:
    """Also by a link, or in other letters where a disk takes them for the same."""
    with contextlib.suppress(OSError):
        return target == folder or target.samefile(folder)
    return False


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # "~name" of nobody
        raise StoreError(f"There is no folder {path}.") from None


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise StoreError(f"{target} is a file. Choose a folder.")
    make_folder(target)
    try:
        with tempfile.TemporaryFile(dir=target):
            pass
    except OSError as error:
        raise StoreError(
            f"Nothing can be written to {target}: {error.strerror or error}. Choose another folder.",
            name="NOT_PERMITTED",
        ) from error


def _total(journal: Journal) -> int:
    for folder in (Path(journal.source), Path(journal.target)):
        with contextlib.suppress(OSError):
            return size_of(folder, journal.files)
    return 0


def _use(journal: Journal, settings: SettingsFile) -> None:
    settings.change(lambda now: replace(now, library=replace(now.library, folder=journal.target)))


def _in_use(journal: Journal, data: DataDir, settings: SettingsFile) -> bool:
    return str(models_folder(data, settings)) == journal.target


def _journal_file(data: DataDir) -> Path:
    return data.root / "models-move.json"


def _write(data: DataDir, journal: Journal) -> None:
    write_atomically(_journal_file(data), msgspec.json.encode(journal), action="move the models")


def _read(data: DataDir) -> Journal | None:
    try:
        return msgspec.json.decode(_journal_file(data).read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        logger.warning("the note about a move of the models cannot be read; it is left alone")
        return None
