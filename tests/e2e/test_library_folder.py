"""The models folder through a real core: what lies in it, moving it, and what a kill in the middle of that leaves.

A second disk is a second device number: `by_copy` is forced where a test is about copies.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from qvac_core.core.library_folder import finish_rename
from qvac_core.core.library_state import LibraryChanged, ModelsFolderChanged, MoveState
from qvac_core.engines import move_models
from qvac_core.engines.library_index import read_index
from qvac_core.engines.move_models import HALF, Journal, carry_out, give_up, plan, rebased_index, settle_move
from qvac_core.errors import QvacError
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile
from tests.e2e.library_core import Library, model_file, opened

M = MoveState


def filled(folder: Path, count: int = 3) -> list[bytes]:
    """A data folder with models that were put into it by hand."""
    (folder / "models").mkdir(parents=True)
    files = [model_file(number) for number in range(count)]
    for number, data in enumerate(files):
        (folder / f"models/m{number}.gguf").write_bytes(data)
    return files


async def scanned(library: Library) -> list[str]:
    await library.core.machine.scanned()
    return sorted(model.name for model in await library.room.models())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".gguf"}


@pytest.fixture(params=[False, True], ids=["one disk", "two disks"])
def by_copy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    copy = bool(request.param)
    real = move_models.plan

    def planned(source: Path, target: Path) -> Journal:
        return msgspec.structs.replace(real(source, target), by_copy=copy)

    monkeypatch.setattr("qvac_core.core.library_folder.plan", planned)
    return copy


async def test_the_models_move_and_are_used_there(tmp_path: Path, by_copy: bool) -> None:
    files = filled(tmp_path / "data")
    (tmp_path / "data/models/notes.txt").write_text("mine")
    (tmp_path / "data/models/0123.part").write_bytes(b"half a model")
    target = tmp_path / "disk" / "Models"

    async with opened(tmp_path / "data") as library:
        names = await scanned(library)
        before = await library.room.folder()
        assert before.models_bytes == sum(map(len, files)) and before.part_bytes == 12 and not before.missing
        assert before.other_bytes > 0 and before.free_bytes > 0
        await library.room.change_folder(target)
        moved = await library.moved(M.DONE)
        assert moved.folder.path == target and moved.folder.move is not None
        assert moved.folder.move.done_bytes == moved.folder.move.total_bytes == before.models_bytes + 12
        assert (await library.room.folder()).move is None
        assert contents(target) == {f"m{number}.gguf": data for number, data in enumerate(files)}
        assert {path.name for path in (tmp_path / "data/models").iterdir()} == {"notes.txt"}, "that is not ours"
        assert (target / "0123.part").read_bytes() == b"half a model"
        assert {model.path.parent for model in await library.room.models()} == {target}
        assert await scanned(library) == names
        await library.until(
            LibraryChanged, lambda e: {m.path.parent for m in e.models} == {target} and len(e.models) == len(files)
        )
    async with opened(tmp_path / "data") as library:
        assert await scanned(library) == names
        assert all(model.ours for model in await library.room.models())
        await library.room.change_folder(tmp_path / "data/models")  # and back
        await library.moved(M.DONE)
        assert await scanned(library) == names
    assert not (tmp_path / "data/models-move.json").exists()


async def test_a_move_that_is_cancelled_leaves_everything_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_copy: bool
) -> None:
    files = filled(tmp_path / "data")
    target = tmp_path / "disk"
    halted = _halt_at(monkeypatch, "m1.gguf")

    async with opened(tmp_path / "data") as library:
        names = await scanned(library)
        await library.room.change_folder(target)
        await library.until(
            ModelsFolderChanged, lambda e: e.folder.move is not None and e.folder.move.state is M.RUNNING
        )
        cancel = asyncio.create_task(library.room.cancel_move())
        await asyncio.sleep(0)
        halted.set()
        await cancel
        await library.moved(M.CANCELLED)
        assert contents(tmp_path / "data/models") == {f"m{n}.gguf": data for n, data in enumerate(files)}
        assert list(target.iterdir()) == []
        assert await scanned(library) == names
        with pytest.raises(QvacError):
            await library.room.change_folder(tmp_path / "data/qvac.db")


def _halt_at(monkeypatch: pytest.MonkeyPatch, name: str) -> asyncio.Event:
    """The move waits before this file until it is let go or stopped. Returns what lets it go."""
    import threading

    gate = threading.Event()
    real = move_models._bring

    def bring(old: Path, *rest: object) -> None:
        if old.name == name:
            gate.wait(30)
            if rest[3].is_set():  # type: ignore[attr-defined]
                raise move_models.MoveStopped
        real(old, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(move_models, "_bring", bring)
    return gate  # type: ignore[return-value]


@pytest.mark.parametrize("copied", [0, 1, 3])
async def test_a_crash_while_copying_loses_nothing_and_the_next_start_goes_on(tmp_path: Path, copied: int) -> None:
    """As the disk is after the process ended when so many files were copied, and one more half."""
    files = filled(tmp_path / "data")
    source, target = tmp_path / "data/models", tmp_path / "disk"
    target.mkdir()
    for number in range(copied):
        shutil.copy2(source / f"m{number}.gguf", target)
    if copied < 3:
        (target / f"m{copied}.gguf{HALF}").write_bytes(b"half")
    journal = Journal(str(source), str(target), tuple(f"m{n}.gguf" for n in range(3)), True)
    (tmp_path / "data/models-move.json").write_bytes(msgspec.json.encode(journal))

    async with opened(tmp_path / "data", go_on=False) as library:
        assert await scanned(library) == ["m0", "m1", "m2"], "nothing is lost, whoever starts"
    async with opened(tmp_path / "data") as library:
        await library.moved(M.DONE)
        assert contents(target) == {f"m{n}.gguf": data for n, data in enumerate(files)}
        assert list(source.iterdir()) == [] and await scanned(library) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("renamed", [0, 1, 3])
async def test_a_crash_while_renaming_is_made_good_before_anything_is_read(tmp_path: Path, renamed: int) -> None:
    filled(tmp_path / "data")
    source, target = tmp_path / "data/models", tmp_path / "disk"
    target.mkdir()

    async with opened(tmp_path / "data") as library:
        await scanned(library)
    journal = Journal(str(source), str(target), tuple(f"m{n}.gguf" for n in range(3)), False)
    (tmp_path / "data/models-move.json").write_bytes(msgspec.json.encode(journal))
    for number in range(renamed):
        (source / f"m{number}.gguf").rename(target / f"m{number}.gguf")
    hashed = {record.sha256 for record in read_index(source / "library.json")}
    async with opened(tmp_path / "data", go_on=False) as library:
        models = await library.room.models()
        assert {model.sha256 for model in models} == hashed, "known at once, without being read through again"
        assert {model.path.parent for model in models} == {target}
        assert not (tmp_path / "data/models-move.json").exists()


async def test_a_crash_after_the_folder_changed_removes_the_old_files(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    source, target = tmp_path / "data/models", tmp_path / "disk"
    shutil.copytree(source, target)
    (target / "m2.gguf").write_bytes(b"another one by now")
    journal = Journal(str(source), str(target), tuple(f"m{n}.gguf" for n in range(3)), True)
    (tmp_path / "data/models-move.json").write_bytes(msgspec.json.encode(journal))
    (tmp_path / "data/settings.toml").write_text(f'[library]\nfolder = "{target.as_posix()}"\n')

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        assert set(contents(source)) == {"m2.gguf"}, "the only whole one"


MOVING = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from qvac_core.engines import move_models
    from qvac_core.core.library_state import ModelsFolderChanged
    from tests.e2e.library_core import opened
    import msgspec, time

    real_plan, real_bring = move_models.plan, move_models._bring
    import qvac_core.core.library_folder as folder
    folder.plan = lambda *paths: msgspec.structs.replace(real_plan(*paths), by_copy=sys.argv[3] == "copy")

    def bring(old, *rest):
        if old.name == "m1.gguf":
            print("one is there", flush=True)
            time.sleep(60)
        real_bring(old, *rest)

    move_models._bring = bring

    async def main():
        async with opened(Path(sys.argv[1])) as library:
            await library.core.machine.scanned()
            await library.room.change_folder(Path(sys.argv[2]))
            await asyncio.Event().wait()

    asyncio.run(main())
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
@pytest.mark.parametrize("way", ["copy", "rename"])
async def test_a_real_process_killed_in_the_middle_of_a_move(tmp_path: Path, way: str) -> None:
    files = filled(tmp_path / "data")
    target = tmp_path / "disk"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", MOVING, str(tmp_path / "data"), str(target), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == b"one is there\n"
        process.kill()

    async with opened(tmp_path / "data") as library:
        if way == "copy":
            await library.moved(M.DONE)
        assert await scanned(library) == ["m0", "m1", "m2"]
        assert contents(target) == {f"m{n}.gguf": data for n, data in enumerate(files)}
        assert not contents(tmp_path / "data/models")


async def test_a_name_that_is_taken_there_stops_it_before_it_begins(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/m1.gguf").write_bytes(b"somebody's")

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        with pytest.raises(QvacError, match=r"There is a m1\.gguf"):
            await library.room.change_folder(tmp_path / "disk")
        with pytest.raises(QvacError, match="in the library"):
            await library.core.set_setting("library.folder", str(tmp_path / "disk"))
        assert (await library.room.folder()).path == tmp_path / "data/models"
    assert (tmp_path / "disk/m1.gguf").read_bytes() == b"somebody's"


def test_a_disk_with_too_little_room_stops_it_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/m.gguf").write_bytes(model_file())
    status = (tmp_path / "b").stat()
    other = SimpleNamespace(st_dev=status.st_dev + 1)
    real = Path.stat
    monkeypatch.setattr(
        Path, "stat", lambda path, **options: other if path == tmp_path / "b" else real(path, **options)
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=1000))
    with pytest.raises(QvacError, match="not enough room"):
        plan(tmp_path / "a", tmp_path / "b")


async def test_a_file_that_went_bad_on_the_old_disk_stops_it(tmp_path: Path) -> None:
    filled(tmp_path / "data", 1)
    async with opened(tmp_path / "data") as library:
        await scanned(library)
        journal = Journal(str(tmp_path / "data/models"), str(tmp_path / "disk"), ("m0.gguf",), True)
        (tmp_path / "disk").mkdir()
        import threading

        with pytest.raises(QvacError, match="damaged on the disk"):
            carry_out(journal, {"m0.gguf": "0" * 64}, threading.Event(), lambda progress: None)
        give_up(journal)
        assert list((tmp_path / "disk").iterdir()) == [] and contents(tmp_path / "data/models")


async def test_a_disk_that_was_taken_out_is_said_and_nothing_is_made_in_its_place(tmp_path: Path) -> None:
    gone = tmp_path / "usb" / "Models"
    (tmp_path / "data").mkdir()
    (tmp_path / "data/settings.toml").write_text(f'[library]\nfolder = "{gone.as_posix()}"\n')

    async with opened(tmp_path / "data") as library:
        await scanned(library)
        folder = await library.room.folder()
        assert folder.missing and folder.path == gone
        with pytest.raises(QvacError, match="Connect its disk"):
            await library.room.download("SMOLLM2_135M_INST_Q4_1")
        (tmp_path / "by-hand.gguf").write_bytes(model_file())
        with pytest.raises(QvacError, match="Connect its disk"):
            await library.core.add_model_file(tmp_path / "by-hand.gguf")
        assert not gone.parent.exists()
        gone.mkdir(parents=True)  # the disk is connected
        (gone / "m.gguf").write_bytes(model_file(1))
        assert not (await library.room.folder()).missing
        assert await scanned(library) == ["m"]
        shutil.rmtree(gone.parent)
        assert (await library.room.folder()).missing
        await library.room.change_folder(tmp_path / "here")
        assert not (await library.room.folder()).missing


def test_finishing_needs_no_library(tmp_path: Path) -> None:
    """What a start does first, by itself: nothing where nothing was moved."""
    data = DataDir(tmp_path).create()
    finish_rename(data, SettingsFile(data.settings_file, now=0.0))
    rebased_index(Journal(str(tmp_path / "a"), str(tmp_path / "b"), (), False))
    settle_move(Journal(str(tmp_path / "a"), str(tmp_path / "b"), (), False))
