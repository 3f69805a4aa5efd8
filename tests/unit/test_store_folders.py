"""The data folder, the one-instance lock, and the store opened as a whole.

qvac_core/store/folders.py and store.py.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from qvac_core.errors import StoreError
from qvac_core.store import DataDir, InstanceLock, Message, Settings, Store, Target, new_id

NOW = 1_750_000_000.0


def test_option_before_environment_before_platform(tmp_path: Path) -> None:
    environ = {"QVAC_DESKTOP_HOME": str(tmp_path / "env")}
    assert DataDir.locate(tmp_path / "option", environ) == DataDir(tmp_path / "option", explicit=True)
    assert DataDir.locate(None, environ) == DataDir(tmp_path / "env", explicit=True)
    default = DataDir.locate(None, {"QVAC_DESKTOP_HOME": ""})
    assert not default.explicit
    assert default.root.name == "qvac-desktop"


def test_relative_and_home_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert DataDir.locate(Path("here"), {}).root == tmp_path / "here"
    assert DataDir.locate(Path("~/there"), {}).root == Path.home() / "there"


def test_made_with_parents_for_its_owner_only(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "a" / "b").create().create()
    assert folder.root.is_dir()
    if os.name != "nt":
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700


def test_everything_lies_inside(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    inside = {
        folder.identity_file,
        folder.settings_file,
        folder.database_file,
        folder.known_nodes_file,
        folder.models_folder,
        folder.lock_file,
    }
    assert len(inside) == 6
    assert {path.parent for path in inside} == {tmp_path}


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError):
            DataDir(root).create()


def test_one_instance_at_a_time(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path / "lock"), InstanceLock(tmp_path / "lock")
    first.acquire()
    first.acquire()
    with pytest.raises(StoreError, match="already running") as caught:
        second.acquire()
    assert caught.value.name == "ALREADY_RUNNING"
    assert "--data-dir" in caught.value.message
    if os.name != "nt":
        assert f"process {os.getpid()}" in caught.value.message
    assert not second.held
    first.release()
    first.release()
    with second, pytest.raises(StoreError):
        first.acquire()
    first.acquire()
    first.release()


def test_locks_of_two_folders_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with InstanceLock(tmp_path / "a" / "lock") as a, InstanceLock(tmp_path / "b" / "lock") as b:
        assert a.held
        assert b.held


def test_lock_where_nothing_can_be(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="lock the data folder"):
        InstanceLock(tmp_path / "no" / "lock").acquire()


def test_store_opens_whole_and_ends_what_a_crash_left(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "data")
    store = Store.open(folder, now=NOW)
    assert store.notices == ()
    conversation = store.conversations.create(Target(), NOW)
    store.conversations.append(conversation.id, Message(new_id(), "assistant", "half", NOW, "streaming"), NOW)
    store.request_log.start("r1", "a1" * 32, "completionStream", "Llama", NOW)
    store.close()

    store = Store.open(folder, now=NOW)
    assert [message.status for message in store.conversations.messages(conversation.id)] == ["stopped"]
    assert [entry.outcome for entry in store.request_log.entries()] == ["error"]
    store.close()


def test_broken_files_are_told_and_we_start(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    folder.settings_file.write_text("[[[")
    folder.database_file.write_bytes(b"garbage" * 1000)
    store = Store.open(folder, now=NOW)
    assert len(store.notices) == 2
    assert store.settings.settings == Settings()
    assert store.access_list.records() == ()
    assert store.providers.records() == ()
    store.close()


def test_log_is_pruned_by_the_setting(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    folder.settings_file.write_text("[sharing]\nlog_days = 1\n")
    for later, left in ((0.0, 1), (2 * 86_400.0, 0)):
        store = Store.open(folder, now=NOW + later)
        if not later:
            store.request_log.start("r1", "a1" * 32, "completionStream", "Llama", NOW)
            store.request_log.finish("r1", "eos")
        assert len(store.request_log.entries()) == left
        store.close()


def test_litter_of_a_power_cut_is_swept_but_not_a_write_in_progress(tmp_path: Path) -> None:
    for name, age in ((".settings.toml.0123abcd.tmp", 61), (".identity.0123abcd.tmp", 59), ("notes.tmp", 9999)):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (NOW - age, NOW - age))
    Store.open(DataDir(tmp_path), now=NOW).close()
    assert {path.name for path in tmp_path.glob("*.tmp")} | {path.name for path in tmp_path.glob(".*.tmp")} == {
        ".identity.0123abcd.tmp",
        "notes.tmp",
    }
