"""`qvac-desktop identity`, and what the window does of it: a backup that only its owner reads, checked before use."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from qvac_core.core import Core, CoreConfig
from qvac_core.core.history_state import LogQuery
from qvac_core.core.identity_backup import read_backup, write_backup
from qvac_core.errors import IdentityError, StoreError
from qvac_core.store.folders import DataDir, InstanceLock
from tests.e2e.program import one_line, run

NOW = 1_795_532_000.0
NOWHERE = (("127.0.0.1", 9),)


def events(*arguments: str, folder: Path) -> list[dict[str, Any]]:
    result = run("identity", *arguments, "--json", "--data-dir", str(folder))
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def shown_key(folder: Path) -> str:
    return run("public-key", "--data-dir", str(folder)).stdout.strip()


def test_an_identity_is_backed_up_renewed_and_restored(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "backup.json"
    key = shown_key(here)
    (made,) = events("backup", str(file), folder=here)
    assert (made["action"], made["publicKey"]) == ("backup", key)
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (renewed,) = events("new", "--yes", folder=here)
    assert renewed["previousPublicKey"] == key
    assert shown_key(here) == renewed["publicKey"] != key
    # On this machine again, and on another one.
    assert events("restore", str(file), "--yes", folder=here)[0]["publicKey"] == key
    events("restore", str(file), "--yes", folder=there)
    assert shown_key(here) == shown_key(there) == key
    seed = json.loads(file.read_text())["seed"]
    assert seed not in run("identity", "restore", str(file), "--yes", "--data-dir", str(there)).stdout


def test_nothing_is_done_that_nobody_said_yes_to(tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "backup.json"
    key = shown_key(here)
    for arguments in (("new",), ("restore", str(file))):
        if arguments[0] == "restore":
            write_backup(file, bytes(32), "", NOW)
        result = run("identity", *arguments, "--data-dir", str(here))
        assert result.returncode == 1
        assert "Everybody loses access" in one_line(result) and "--yes" in result.stderr
    assert shown_key(here) == key
    result = run("identity", "backup", str(file), "--data-dir", str(here))
    assert result.returncode == 1 and "is there already" in one_line(result)
    with InstanceLock(DataDir(here).create().lock_file):
        result = run("identity", "new", "--yes", "--data-dir", str(here))
    assert result.returncode == 1 and "already running" in one_line(result)
    for arguments in (("new", str(file)), ("restore",), ("backup",)):
        result = run("identity", *arguments, "--data-dir", str(here))
        assert result.returncode == 1 and "FILE" in one_line(result)
    assert shown_key(here) == key


def test_an_identity_that_was_damaged_is_put_back(tmp_path: Path) -> None:
    here, file = tmp_path / "here", tmp_path / "backup.json"
    key = shown_key(here)
    events("backup", str(file), folder=here)
    (here / "identity").write_text("{ damaged")
    folder = ("--data-dir", str(here))
    refused = run("identity", "restore", str(file), *folder)
    assert refused.returncode == 1 and "is damaged" in one_line(refused) and "--yes" in refused.stderr
    assert run("identity", "new", "--yes", *folder).returncode == 1
    assert events("restore", str(file), "--yes", folder=here)[0]["publicKey"] == key
    assert shown_key(here) == key


def test_no_export_takes_the_place_of_our_own_files(tmp_path: Path) -> None:
    here = tmp_path / "here"
    key = shown_key(here)
    for verb in (("identity", "backup"), ("conversations", "export")):
        for name in ("identity", "qvac.db", "qvac.db-wal", "SETTINGS.toml"):
            refused = run(*verb, str(here / ".." / "here" / name), "--yes", "--data-dir", str(here))
            assert refused.returncode == 1 and "Choose another place" in one_line(refused), refused.stderr
    assert shown_key(here) == key

    async def main() -> None:
        core = Core(CoreConfig(here, bootstrap=NOWHERE, local_network=False))
        async with core:
            for write in (
                core.identity.backup(here / "identity"),
                core.chat_files.export((), "json", here / "qvac.db"),
                core.history.export(here / "settings.toml", LogQuery()),
            ):
                with pytest.raises(StoreError, match="Choose another place"):
                    await write

    asyncio.run(main())
    assert shown_key(here) == key


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for verb in (("identity", "backup"), ("identity", "restore"), ("conversations", "export")):
        refused = run(*verb, "x" * 300, "--yes", "--data-dir", str(tmp_path))
        assert refused.returncode in (1, 2) and "made a mistake" not in one_line(refused)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes that have a place in a folder")
def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IdentityError, match="no backup"):
        read_backup(tmp_path / "pipe")


def test_what_a_backup_says_of_itself_is_a_strangers_word(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    write_backup(file, bytes(32), "Studio", NOW)
    odd = "a\ud800\u202e\x1b" + "b" * 100
    file.write_text(json.dumps({**json.loads(file.read_text()), "name": odd, "made": odd}))
    found = read_backup(file)
    assert found.name == found.made_at == "a " + "b" * 58


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"not a seed",
        b"{",
        b"[" * 100_000,
        b'{"kind": "something else"}',
        b'{"kind": "QVAC Desktop identity", "version": 1, "seed": "00", "publicKey": "00"}',
    ],
)
def test_what_is_no_backup_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "backup.json"
    file.write_bytes(content)
    with pytest.raises(IdentityError, match=r"backup|damaged"):
        read_backup(file)


def test_a_damaged_backup_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    write_backup(file, bytes(32), "Studio \ud800", NOW)
    document = json.loads(file.read_text())
    assert read_backup(file).name == "Studio ?"
    file.write_text(json.dumps({**document, "seed": "01" + document["seed"][2:]}))
    with pytest.raises(IdentityError, match="do not belong together"):
        read_backup(file)
    file.write_text(json.dumps({**document, "version": 2}))
    with pytest.raises(IdentityError, match="newer"):
        read_backup(file)
    file.write_text("00" * 32 + "\n")  # the identity file of a data folder
    assert read_backup(file).seed == bytes(32)
    with pytest.raises(StoreError, match="read none"):
        read_backup(tmp_path / "none.json")
    with pytest.raises(IdentityError):
        read_backup(tmp_path)


async def test_the_core_changes_its_key_at_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "backup.json"
    config = CoreConfig(tmp_path / "data", bootstrap=NOWHERE)

    async with Core(config) as core:
        first = core.public_key
        await core.set_setting("machine_name", "Studio desktop")
        await core.identity.backup(file)
        renewed = await core.identity.renew()
        assert renewed.waits and core.public_key == first
    async with Core(config) as core:
        assert core.public_key == renewed.next_key != first
        found = await core.identity.look_into(file)
        assert (found.public_key, found.name, found.same) == (first, "Studio desktop", False)
        await core.identity.restore(file)
        assert (await core.identity.look_into(file)).same
    async with Core(config) as core:
        assert core.public_key == first
    async with Core(CoreConfig(tmp_path / "data", bootstrap=NOWHERE, seed=bytes(32))) as core:
        with pytest.raises(IdentityError, match="--seed"):
            await core.identity.renew()
        assert (await core.identity.own()).given == "--seed"
