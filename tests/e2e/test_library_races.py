"""The library of a real core where two things happen at once, or the disk is another one than the last run left."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from qvac_core.core.library_state import MoveState
from qvac_core.engines.move_models import Journal
from qvac_core.errors import QvacError, StoreError
from tests.e2e.library_core import opened
from tests.e2e.test_library_folder import _halt_at, contents, filled, scanned


async def test_two_switches_at_the_same_time_both_last(tmp_path: Path) -> None:
    filled(tmp_path / "data")

    async with opened(tmp_path / "data") as library:
        names = frozenset(await scanned(library))
        machine = library.core.machine
        for on in (True, False):
            await asyncio.gather(*(machine.set_shared(name, on) for name in names))
            assert machine.shared_names() == (names if on else frozenset())
            await asyncio.gather(*(machine.set_copyable(name, on) for name in names))
            assert machine.copyable_names() == (names if on else frozenset())


async def test_of_two_moves_at_the_same_time_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = filled(tmp_path / "data")
    halted = _halt_at(monkeypatch, "m1.gguf")

    async with opened(tmp_path / "data") as library:
        names = await scanned(library)
        asked = [library.room.change_folder(tmp_path / name) for name in ("one", "two")]
        said = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(StoreError, match="being moved"):
            await library.room.remove(names[0])
        halted.set()
        assert [type(each).__name__ for each in said] == ["NoneType", "StoreError"]
        moved = await library.moved(MoveState.DONE)
        assert moved.folder.path == tmp_path / "one"
        assert len(contents(tmp_path / "one")) == len(files)
        assert await scanned(library) == names
        assert not (tmp_path / "two").exists(), "the refused one left nothing behind"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
async def test_the_same_folder_by_another_name_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "data/models").mkdir(parents=True)
    elsewhere = filled(tmp_path / "other", 1)
    (tmp_path / "link").symlink_to(tmp_path / "data/models")

    async with opened(tmp_path / "data") as library:
        await library.core.machine.scanned()
        await library.room.use_found([tmp_path / "other/models/m0.gguf"])
        names = await scanned(library)
        assert len(names) == len(elsewhere)
        await library.room.change_folder(tmp_path / "link")
        while (await library.room.folder()).move is not None:
            await asyncio.sleep(0.01)
        assert await scanned(library) == names
    async with opened(tmp_path / "data") as library:
        assert await scanned(library) == names, "what it knows of models that lie elsewhere is in its folder"


def journal(data: Path, target: Path, *files: str, used: bool = False) -> None:
    """As a run that ended in the middle of a move within one disk leaves it."""
    kept = Journal(str(data / "models"), str(target), files, False)
    (data / "models-move.json").write_bytes(msgspec.json.encode(kept))
    if used:
        (data / "settings.toml").write_text(f"[library]\nfolder = '{target}'\n")


async def test_a_model_that_was_deleted_in_the_middle_of_a_move_keeps_nobody_from_starting(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    target = tmp_path / "disk"
    target.mkdir()
    (tmp_path / "data/models/m0.gguf").replace(target / "m0.gguf")
    (tmp_path / "data/models/m1.gguf").unlink()
    journal(tmp_path / "data", target, "m0.gguf", "m1.gguf", "m2.gguf")

    async with opened(tmp_path / "data") as library:
        assert len(await scanned(library)) == 2
        assert sorted(contents(target)) == ["m0.gguf", "m2.gguf"]
    assert not (tmp_path / "data/models-move.json").exists()


@pytest.mark.parametrize("away", ["both", "target"])
async def test_a_disk_that_went_away_in_the_middle_of_a_move_keeps_nobody_from_starting(
    tmp_path: Path, away: str
) -> None:
    filled(tmp_path / "data")
    journal(tmp_path / "data", tmp_path / "file/disk", "m0.gguf", "m1.gguf", "m2.gguf")
    (tmp_path / "file").write_text("in the place of a folder: nothing can be made here")
    if away == "both":
        (tmp_path / "data/models").rename(tmp_path / "gone")

    async with opened(tmp_path / "data") as library:
        assert len(await scanned(library)) == (0 if away == "both" else 3)


async def test_an_old_folder_that_is_none_any_more_keeps_nobody_from_starting(tmp_path: Path) -> None:
    filled(tmp_path / "data")
    target = tmp_path / "disk"
    (tmp_path / "data/models").rename(target)
    (tmp_path / "data/models").write_text("a file now")
    journal(tmp_path / "data", target, "m0.gguf", "m1.gguf", "m2.gguf", used=True)

    async with opened(tmp_path / "data") as library:
        assert len(await scanned(library)) == 3
        with pytest.raises(QvacError):
            await library.room.change_folder(tmp_path / "data/models")
