"""The secrets of servers of tools: in the keyring or in a file of their owner, and no more in the database."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qvac_core.core.event_hub import EventHub
from qvac_core.core.tools import ToolsRoom
from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.records import ToolServer
from qvac_core.store.store import Store
from qvac_core.store.tool_secrets import ToolSecrets
from qvac_core.tools.connection import ToolServerError
from tests.unit.test_model_servers import Ring

SECRET = "s3cret-of-the-weather"
WEATHER = ToolServer("Weather", "false", env=(("API_KEY", SECRET), ("REGION", "")))
NOTES = ToolServer("Notes", url="http://127.0.0.1:9/mcp", headers=(("Authorization", "Bearer s3cret-of-notes"),))


def use(folder: DataDir, ring: Ring, act: Callable[[ToolsRoom, Store], Awaitable[None]]) -> None:
    """As one start of the program."""

    async def main() -> None:
        store = Store.open(folder, now=1000.0)
        room = ToolsRoom(store, EventHub(), secrets=ToolSecrets(folder, keyring=ring))
        try:
            await room.open()
            await act(room, store)
        finally:
            await room.close()
            store.close()

    asyncio.run(main())


@pytest.fixture
def ring() -> Ring:
    return Ring()


@pytest.fixture(params=[False, True], ids=["keyring", "file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> DataDir:
    folder = replace(DataDir.locate(tmp_path), explicit=request.param)
    folder.create()
    return folder


def everywhere(folder: DataDir) -> bytes:
    """All that lies in the folder."""
    return b"".join(file.read_bytes() for file in folder.root.rglob("*") if file.is_file())


def test_they_come_back_after_a_restart_and_go_with_their_server(folder: DataDir, ring: Ring) -> None:
    async def keep(room: ToolsRoom, store: Store) -> None:
        await room.keep(WEATHER)
        await room.keep(NOTES)
        assert [each.server for each in await room.servers()] == [NOTES, WEATHER]

    use(folder, ring, keep)
    assert SECRET.encode() not in folder.database_file.read_bytes()
    if folder.explicit:
        assert not ring.kept
        assert sys.platform == "win32" or stat.S_IMODE(folder.tool_secrets_file.stat().st_mode) == 0o600
    else:
        assert SECRET.encode() not in everywhere(folder)

    async def rename(room: ToolsRoom, store: Store) -> None:
        assert [each.server for each in await room.servers()] == [NOTES, WEATHER]
        await room.keep(replace(WEATHER, name="Sky"), "Weather")
        with pytest.raises(StoreError, match="already"):
            await room.keep(replace(WEATHER, name="Notes", env=(("API_KEY", "other"),)), "Sky")

    use(folder, ring, rename)

    async def remove(room: ToolsRoom, store: Store) -> None:
        assert [each.server for each in await room.servers()] == [NOTES, replace(WEATHER, name="Sky")]
        await room.remove("Sky")
        await room.remove("Notes")

    use(folder, ring, remove)
    assert b"s3cret" not in everywhere(folder)
    assert not any("s3cret" in kept for kept in ring.kept.values())


def test_what_an_older_version_kept_in_the_database_moves(folder: DataDir, ring: Ring) -> None:
    store = Store.open(folder, now=1000.0)
    store.tool_servers.keep(WEATHER)
    store.tool_servers.keep(NOTES)
    store.close()
    assert SECRET.encode() in folder.database_file.read_bytes()

    async def look(room: ToolsRoom, store: Store) -> None:
        assert [each.server for each in await room.servers()] == [NOTES, WEATHER]

    use(folder, ring, look)
    assert b"s3cret" not in folder.database_file.read_bytes()
    use(folder, ring, look)


def test_a_keyring_that_does_not_answer_loses_nothing(tmp_path: Path, ring: Ring) -> None:
    folder = replace(DataDir.locate(tmp_path), explicit=False)
    folder.create()

    async def keep(room: ToolsRoom, store: Store) -> None:
        await room.keep(WEATHER)

    async def change(room: ToolsRoom, store: Store) -> None:
        (entry,) = await room.servers()
        assert entry.server.env == (("API_KEY", ""), ("REGION", ""))
        with pytest.raises(ToolServerError, match="keyring"):  # it does not start without its key
            await room.test("Weather")
        with pytest.raises(StoreError, match="keyring"):
            await room.keep(replace(entry.server, trusted=True), "Weather")
        ring.locked = False
        await room.keep(replace(entry.server, trusted=True), "Weather")
        (entry,) = await room.servers()
        assert entry.server == replace(WEATHER, trusted=True)

    use(folder, ring, keep)
    ring.locked = True
    use(folder, ring, change)


def test_a_disk_that_is_full_keeps_what_was(folder: DataDir, ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(room: ToolsRoom, store: Store) -> None:
        await room.keep(WEATHER)

        def full(server: ToolServer, old: str = "") -> None:
            raise StoreError("The disk is full.")

        monkeypatch.setattr(store.tool_servers, "keep", full)
        with pytest.raises(StoreError, match="full"):
            await room.keep(replace(WEATHER, env=(("API_KEY", "new"), ("REGION", ""))), "Weather")

    async def look(room: ToolsRoom, store: Store) -> None:
        assert [each.server for each in await room.servers()] == [WEATHER]

    use(folder, ring, act)
    monkeypatch.undo()
    use(folder, ring, look)
