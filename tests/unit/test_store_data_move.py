"""The data folder moved: whole before and after, also where somebody pulls the plug; odd places are refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qvac_core.core.library_folder import models_folder
from qvac_core.errors import StoreError
from qvac_core.store import data_move
from qvac_core.store.data_move import BEGUN, MARK, MoveCancelled, carry_out, clear_left, give_up, plan_move
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile

NAMES = {"identity": b"seed", "qvac.db": b"d" * 3_000_000, "models/a.gguf": b"m" * 2_500_000, "pictures/1/b.png": b"p"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the platform, with data in it."""
    home = tmp_path / "home"
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_args, **_more: home)
    monkeypatch.delenv("QVAC_DESKTOP_HOME", raising=False)
    for name, content in NAMES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    (home / "identity").chmod(0o600)
    (home / "lock").touch()
    return home


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES if (folder / name).exists()}


def move(target: Path, stop: threading.Event | None = None) -> list[int]:
    told: list[int] = []
    carry_out(plan_move(DataDir.locate(), target), told.append, stop or threading.Event())
    return told


def test_it_is_there_and_gone_from_where_it_was(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk" / "qvac"
    told = move(target)
    assert told[-1] == sum(map(len, NAMES.values()))
    here = DataDir.locate()
    assert (here.root, here.moved, here.explicit) == (target, True, False)
    assert contents(target) == NAMES
    assert not (target / MARK).exists()
    if os.name != "nt":
        assert (target / "identity").stat().st_mode & 0o777 == 0o600
    (home / "mine.txt").write_text("of somebody else")
    clear_left(here)
    assert {path.name for path in home.iterdir()} == {"lock", "moved.json", "mine.txt"}
    clear_left(here)  # nothing is left to do


def test_what_an_open_database_had_beside_it_is_not_missed(home: Path, tmp_path: Path) -> None:
    (home / "qvac.db-wal").write_bytes(b"not yet in the database")
    plan = plan_move(DataDir.locate(), tmp_path / "disk")
    (home / "qvac.db-wal").unlink()  # it was closed
    carry_out(plan, lambda _done: None, threading.Event())
    assert contents(DataDir.locate().root) == NAMES


def test_back_home_again(home: Path, tmp_path: Path) -> None:
    move(tmp_path / "disk")
    clear_left(DataDir.locate())
    move(home)
    here = DataDir.locate()
    assert (here.root, here.moved) == (home, False)
    clear_left(here)
    assert contents(home) == NAMES and contents(tmp_path / "disk") == {}


def test_a_cancel_leaves_it_where_it_was(home: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    plan = plan_move(DataDir.locate(), tmp_path / "disk")
    with pytest.raises(MoveCancelled):
        carry_out(plan, lambda done: stop.set() if done > 3_000_000 else None, stop)
    give_up(plan)
    assert DataDir.locate().root == home and contents(home) == NAMES
    assert list((tmp_path / "disk").iterdir()) == []
    move(tmp_path / "disk")
    assert contents(tmp_path / "disk") == NAMES


def test_a_disk_that_reads_otherwise_is_not_trusted(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copystat = shutil.copystat

    def spoil(source: Path, target: Path) -> None:
        target.write_bytes(b"x" + target.read_bytes()[1:])
        copystat(source, target)

    monkeypatch.setattr(shutil, "copystat", spoil)
    with pytest.raises(StoreError, match="reads otherwise"):
        move(tmp_path / "disk")
    assert DataDir.locate().root == home and contents(home) == NAMES


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (lambda home: home, "lie in each other"),
        (lambda home: home / "inner", "lie in each other"),
        (lambda home: home.parent, "lie in each other"),
        (lambda home: home.parent / "full", "not empty"),
        (lambda home: home.parent / "file", "is a file"),
        (lambda home: Path("~nobody-of-this-name/x"), "There is no folder"),
    ],
)
def test_odd_places_are_refused(home: Path, place: Callable[[Path], Path], said: str) -> None:
    (home.parent / "full").mkdir()
    (home.parent / "full" / "x").touch()
    (home.parent / "file").touch()
    with pytest.raises(StoreError, match=said):
        plan_move(DataDir.locate(), place(home))
    assert contents(home) == NAMES


def test_what_has_another_owner_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="named for this run"):
        plan_move(DataDir(home, explicit=True), tmp_path / "disk")
    with pytest.raises(StoreError, match="Library first"):
        plan_move(DataDir.locate(), tmp_path / "disk", models=str(home / "models"))


def test_room_is_looked_for_first(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_move, "RESERVE", 1 << 60)
    with pytest.raises(StoreError, match="not enough room") as refused:
        plan_move(DataDir.locate(), tmp_path / "disk")
    assert refused.value.name == "DISK_FULL"


def test_a_moved_folder_whose_disk_is_away_is_not_begun_anew(home: Path, tmp_path: Path) -> None:
    (home / "moved.json").write_text(json.dumps({"folder": str(tmp_path / "away")}))
    with pytest.raises(StoreError, match="Connect its disk"):
        DataDir.locate().create()
    assert not (tmp_path / "away").exists()
    (home / "moved.json").write_text("{")
    with pytest.raises(StoreError, match="says where the data folder is"):
        DataDir.locate()


KILLED = """
import os, signal, sys, threading
from pathlib import Path
import platformdirs
home, target, at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
platformdirs.user_data_path = lambda *_a, **_k: home
from qvac_core.store import data_move, disk
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile
calls = 0
def count(frame, event, argument):
    global calls
    if event == "call" and frame.f_code.co_filename in (data_move.__file__, disk.__file__):
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
plan = data_move.plan_move(DataDir.locate(), target)
sys.setprofile(count)
data_move.carry_out(plan, lambda done: None, threading.Event())
data_move.clear_left(DataDir.locate())
sys.setprofile(None)
print(calls)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills by a signal of POSIX")
def test_a_kill_anywhere_leaves_one_whole_folder(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk"

    def run(at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(home), str(target), str(at)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for at in (2, 7, 14, 19, 23, 27, 31, 35):
        killed = run(at)
        here = DataDir.locate()
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
        assert contents(here.root) == NAMES, at
        if here.moved:
            clear_left(here)
            assert contents(home) == {} and contents(target) == NAMES
            break
        clear_left(here)  # the next start takes the partial copy away
        assert (list(target.iterdir()), contents(home)) == ([], NAMES)
        assert not (home / BEGUN).exists()
    else:
        assert run(0).returncode == 0  # and it still can be moved
    assert DataDir.locate().root == target


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", "data/models"),
        ("~/models", "me/models"),
        ("other", "data/other"),
        ("~nobody-of-this-name", "data/~nobody-of-this-name"),
    ],
)
def test_a_models_folder_that_was_written_by_hand(
    written: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    data = DataDir(tmp_path / "data").create()
    data.settings_file.write_text(f'[library]\nfolder = "{written}"\n')
    assert models_folder(data, SettingsFile(data.settings_file, now=0.0)) == tmp_path / meant
