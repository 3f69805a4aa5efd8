"""The database: migrations, corruption, full disks, power cuts.

qvac_core/store/database.py and schema.py.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from qvac_core.errors import StoreError
from qvac_core.store import Database, migration
from qvac_core.store.conversations import Conversations
from qvac_core.store.migration import COPY_SECONDS, copies
from qvac_core.store.records import Message
from qvac_core.store.schema import MIGRATIONS, Migration

NOW = 1_750_000_000.0
INTO = "INSERT INTO conversations (id, title, created_at, updated_at, pinned, provider_key, model) VALUES"
TEST_MIGRATIONS: tuple[Migration, ...] = (
    ("CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('first')"),
    ("ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 7",),
    ("CREATE TABLE u AS SELECT a || b AS ab FROM t", "DROP TABLE t"),
)


def schema(database: Database) -> list[str]:
    return [row["sql"] for row in database.rows("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")]


def version(database: Database) -> int:
    return int(database.rows("PRAGMA user_version")[0][0])


@pytest.mark.parametrize("old", range(len(MIGRATIONS) + 1))
def test_every_older_version_becomes_the_newest(tmp_path: Path, old: int) -> None:
    Database.open(tmp_path / "old.db", now=NOW, migrations=MIGRATIONS[:old]).close()
    migrated = Database.open(tmp_path / "old.db", now=NOW)
    fresh = Database.open(tmp_path / "fresh.db", now=NOW)
    assert version(migrated) == version(fresh) == len(MIGRATIONS)
    assert schema(migrated) == schema(fresh)
    assert migrated.set_aside_as is None
    migrated.close()
    fresh.close()


def test_messages_of_older_versions_have_no_thinking_and_no_model(tmp_path: Path) -> None:
    old = Database.open(tmp_path / "old.db", now=NOW, migrations=MIGRATIONS[:1])
    old.execute(f"{INTO} ('c', 'old', 0, 0, 0, '', '')")
    old.execute(
        "INSERT INTO messages (id, conversation_id, role, text, created_at, status) VALUES (?, ?, ?, ?, ?, ?)",
        ("m", "c", "assistant", "Forty-two.", 1.0, "done"),
    )
    old.close()
    migrated = Database.open(tmp_path / "old.db", now=NOW)
    assert Conversations(migrated).messages("c") == (Message("m", "assistant", "Forty-two.", 1.0),)
    migrated.close()


def test_a_conversation_of_an_older_version_is_one_path(tmp_path: Path) -> None:
    old = Database.open(tmp_path / "old.db", now=NOW, migrations=MIGRATIONS[:8])
    for conversation in "ab":
        old.execute(f"INSERT INTO conversations VALUES ('{conversation}', 'old', 0, 0, 0, '', '')")
    old.execute("INSERT INTO conversations VALUES ('empty', 'old', 0, 0, 0, '', '')")
    for number in range(3):
        for conversation in "ab":
            old.execute(
                "INSERT INTO messages (id, conversation_id, role, text, created_at, status) VALUES (?, ?, ?, ?, ?, ?)",
                (f"{conversation}{number}", conversation, "user", f"said {number}", 1.0, "done"),
            )
    old.close()
    migrated = Database.open(tmp_path / "old.db", now=NOW)
    conversations = Conversations(migrated)
    for conversation in "ab":
        assert [m.id for m in conversations.messages(conversation)] == [f"{conversation}{n}" for n in range(3)]
    assert conversations.messages("empty") == ()
    conversations.append("a", Message("a3", "user", "more", 1.0), NOW)
    assert [(m.id, parent) for m, parent in conversations.tree("a")] == [
        ("a0", ""),
        ("a1", "a0"),
        ("a2", "a1"),
        ("a3", "a2"),
    ]
    migrated.close()


@pytest.mark.parametrize("old", [0, 1, 2, 3])
def test_migrations_keep_the_data(tmp_path: Path, old: int) -> None:
    Database.open(tmp_path / "a.db", now=NOW, migrations=TEST_MIGRATIONS[:old]).close()
    database = Database.open(tmp_path / "a.db", now=NOW, migrations=TEST_MIGRATIONS)
    assert [row["ab"] for row in database.rows("SELECT ab FROM u")] == ["first7"]
    assert version(database) == 3
    database.close()


def test_failed_migration_leaves_the_old_version(tmp_path: Path) -> None:
    Database.open(tmp_path / "a.db", now=NOW, migrations=TEST_MIGRATIONS[:1]).close()
    broken = (TEST_MIGRATIONS[0], ("ALTER TABLE t ADD COLUMN b", "UPDATE t SET no_such_column = 1"))
    with pytest.raises(StoreError, match="no_such_column"):
        Database.open(tmp_path / "a.db", now=NOW, migrations=broken)
    database = Database.open(tmp_path / "a.db", now=NOW, migrations=TEST_MIGRATIONS[:1])
    assert [tuple(row) for row in database.rows("SELECT * FROM t")] == [("first",)]
    database.close()


def test_what_was_there_before_a_migration_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a [b].db"
    old = Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1])
    old.execute("INSERT INTO t VALUES ('second')")
    old.close()
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS).close()
    (copy,) = copies(path)
    assert copy.name.startswith("a [b].db.schema-1-20")
    if os.name != "nt":
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(f"{copy.name}-")] == [], "it stands alone"
    # As the page on installing says: rename it, and start the older version.
    path.unlink()
    copy.rename(path)
    back = Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1])
    assert [tuple(row) for row in back.rows("SELECT * FROM t")] == [("first",), ("second",)]
    back.close()


def test_a_new_database_and_a_current_one_leave_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, now=NOW).close()
    Database.open(path, now=NOW).close()
    assert copies(path) == []


def test_copies_go_after_two_weeks_and_when_something_is_erased(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1]).close()
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:2]).close()
    Database.open(path, now=NOW + COPY_SECONDS - 1, migrations=TEST_MIGRATIONS).close()
    assert [copy.name.split("-")[1] for copy in copies(path)] == ["1", "2"]
    database = Database.open(path, now=NOW + COPY_SECONDS + 1, migrations=TEST_MIGRATIONS)
    assert [copy.name.split("-")[1] for copy in copies(path)] == ["2"]
    database.erase("DELETE FROM u")
    assert copies(path) == []
    database.close()


def test_a_migration_that_fails_leaves_no_copy_for_each_try(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1]).close()
    for _try in range(2):
        with pytest.raises(StoreError):
            Database.open(path, now=NOW, migrations=(TEST_MIGRATIONS[0], ("UPDATE t SET no_such_column = 1",)))
    assert copies(path) == []
    with pytest.raises(StoreError):
        broken = (*TEST_MIGRATIONS[:2], ("UPDATE t SET no_such_column = 1",))
        Database.open(path, now=NOW, migrations=broken)
    assert len(copies(path)) == 1, "one step was made: the copy is the only one of before"


def test_no_room_for_the_copy_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1]).close()
    really = os.open

    def full(name: Path, *rest: int) -> int:
        if Path(name).name.endswith(".tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(name, *rest)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StoreError, match="keep a copy") as caught:
        Database.open(path, now=NOW, migrations=TEST_MIGRATIONS)
    assert caught.value.name == "DISK_FULL"
    monkeypatch.undo()
    database = Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1])
    assert [tuple(row) for row in database.rows("SELECT * FROM t")] == [("first",)]
    database.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_another_process_that_migrates_meanwhile_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window and a verb start at once, over data of an older version."""
    path = tmp_path / "a.db"
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:1]).close()
    really = migration._keep_copy

    def meanwhile(*given: Any) -> Path | None:
        monkeypatch.setattr(migration, "_keep_copy", really)
        Database.open(path, now=NOW, migrations=TEST_MIGRATIONS).close()
        return really(*given)

    monkeypatch.setattr(migration, "_keep_copy", meanwhile)
    database = Database.open(path, now=NOW, migrations=TEST_MIGRATIONS)
    assert [row["ab"] for row in database.rows("SELECT ab FROM u")] == ["first7"]
    assert version(database) == 3
    database.close()
    (copy,) = copies(path)
    kept = Database.open(copy, now=NOW, migrations=TEST_MIGRATIONS[:1])
    assert version(kept) == 1
    kept.close()


def test_file_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, now=NOW, migrations=TEST_MIGRATIONS).close()
    with pytest.raises(StoreError, match="newer") as caught:
        Database.open(path, now=NOW, migrations=TEST_MIGRATIONS[:2])
    assert caught.value.name == "NEWER_DATABASE"
    database = Database.open(path, now=NOW, migrations=TEST_MIGRATIONS)
    assert len(database.rows("SELECT * FROM u")) == 1
    database.close()


def test_durability_settings(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    assert database.rows("PRAGMA journal_mode")[0][0] == "wal"
    assert database.rows("PRAGMA synchronous")[0][0] == 2
    assert database.rows("PRAGMA foreign_keys")[0][0] == 1
    if os.name != "nt":
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    database.close()


def test_corrupt_file_is_set_aside_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database at all " * 100)
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is not None
    assert database.set_aside_as.name.startswith("a.db.corrupt-20")
    assert database.set_aside_as.read_bytes().startswith(b"this is no database")
    assert database.notice is not None
    assert database.set_aside_as.name in database.notice
    assert version(database) == len(MIGRATIONS)
    database.close()
    again = Database.open(path, now=NOW)
    assert again.notice is None
    again.close()


def test_companions_of_a_corrupt_file_do_not_spoil_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"a.db{suffix}").write_bytes(f"garbage{suffix}".encode() * 1000)
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is not None
    assert database.set_aside_as.read_bytes() == b"garbage" * 1000
    database.execute(f"{INTO} ('a', 'new', 0, 0, 0, '', '')")
    database.close()
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is None
    assert len(database.rows("SELECT * FROM conversations")) == 1
    database.close()


def test_read_only_database_is_a_sentence(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    database.rows("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="may not write") as caught:
        database.execute("DELETE FROM conversations")
    assert caught.value.name == "NOT_PERMITTED"
    database.close()


def test_damage_inside_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database.open(path, now=NOW)
    for number in range(200):
        database.execute(
            f"{INTO} (?, 'x', 0, 0, 0, '', '')",
            (f"{number}" * 30,),
        )
    database.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    path.write_bytes(content)
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is not None
    assert database.rows("SELECT * FROM conversations") == []
    database.close()


def test_two_corrupt_files_of_one_second_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    kept = set()
    for content in (b"first" * 1000, b"second" * 1000):
        path.write_bytes(content)
        database = Database.open(path, now=NOW)
        assert database.set_aside_as is not None
        kept.add(database.set_aside_as.read_bytes())
        database.close()
    assert kept == {b"first" * 1000, b"second" * 1000}


def test_damage_found_while_running_asks_for_a_check_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    # As if the file were too large to be checked at each start.
    monkeypatch.setattr("qvac_core.store.database.ALWAYS_CHECKED_BYTES", 0)
    database = Database.open(path, now=NOW)
    for number in range(200):
        database.execute(
            f"{INTO} (?, 'x', 0, 0, 0, '', '')",
            (f"{number}" * 900,),
        )
    database.close()
    content = bytearray(path.read_bytes())
    kept = len(content) // 8192 * 4096  # the schema is before the half, however many tables it has
    content[kept:] = bytes([0xAA]) * (len(content) - kept)
    path.write_bytes(content)
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is None
    with pytest.raises(StoreError, match="damaged"):
        database.rows("SELECT * FROM conversations, messages, requests, providers, access_keys")
        database.rows("SELECT title FROM conversations ORDER BY id")
        database.execute("DELETE FROM conversations")
    database.close()
    database = Database.open(path, now=NOW)
    assert database.set_aside_as is not None
    database.close()


def test_full_disk_is_a_sentence_and_changes_nothing(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    database.rows("PRAGMA max_page_count = 1")  # SQLite takes the present size: not one page more
    with pytest.raises(StoreError, match="disk is full") as caught, database.transaction() as connection:
        connection.execute(f"{INTO} ('a', 'small', 0, 0, 0, '', '')")
        connection.execute(
            f"{INTO} ('b', ?, 0, 0, 0, '', '')",
            ("x" * 100_000,),
        )
    assert caught.value.name == "DISK_FULL"
    assert database.rows("SELECT * FROM conversations") == []
    database.rows("PRAGMA max_page_count = 1000000")
    database.execute(f"{INTO} ('a', 'small', 0, 0, 0, '', '')")
    database.close()


def test_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute(f"{INTO} ('a', 'x', 0, 0, 0, '', '')")
        raise ZeroDivisionError
    assert database.rows("SELECT * FROM conversations") == []
    database.close()


def test_copy_taken_at_any_moment_is_a_whole_database(tmp_path: Path) -> None:
    """What the disk holds after a power cut: the files as they are, while the program still had them open."""
    database = Database.open(tmp_path / "a.db", now=NOW)
    database.execute(f"{INTO} ('a', 'kept', 0, 0, 0, '', '')")
    with database.transaction() as connection:
        connection.execute(f"{INTO} ('b', 'not yet', 0, 0, 0, '', '')")
        for name in ("a.db", "a.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / name.replace("a.db", "copy.db"))
    database.close()
    survivor = Database.open(tmp_path / "copy.db", now=NOW)
    assert survivor.set_aside_as is None
    assert [row["title"] for row in survivor.rows("SELECT title FROM conversations")] == ["kept"]
    survivor.close()


def test_busy_database_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvac_core.store.database.BUSY_SECONDS", 0.0)
    database = Database.open(tmp_path / "a.db", now=NOW)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="in use"):
        database.execute("DELETE FROM conversations")
    other.execute("ROLLBACK")
    other.close()
    database.execute("DELETE FROM conversations")
    database.close()


def test_impossible_places_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no" / "a.db", tmp_path, tmp_path / "file" / "a.db"):
        with pytest.raises(StoreError, match="open the database"):
            Database.open(path, now=NOW)


def test_run_keeps_the_order_and_leaves_the_loop_alone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)

    async def main() -> None:
        insert = f"{INTO} (?, 'x', 0, 0, 0, '', '')"
        await asyncio.gather(*(database.run(database.execute, insert, (f"{number:03}",)) for number in range(50)))
        rows = await database.run(database.rows, "SELECT id FROM conversations ORDER BY rowid")
        assert [row["id"] for row in rows] == [f"{number:03}" for number in range(50)]
        with pytest.raises(StoreError):
            await database.run(database.execute, "INSERT INTO nowhere VALUES (1)")

    asyncio.run(main())
    database.close()


def test_closing_finishes_what_is_queued_and_takes_nothing_more(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    gate = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        held = loop.create_task(database.run(gate.wait))
        insert = f"{INTO} ('a', 'queued', 0, 0, 0, '', '')"
        queued = loop.create_task(database.run(database.execute, insert))
        await asyncio.sleep(0)  # both stand in the queue now
        closing = loop.create_task(asyncio.to_thread(database.close))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(held, queued, closing)
        with pytest.raises(StoreError, match="closed"):
            await database.run(database.rows, "SELECT 1")

    asyncio.run(main())
    database = Database.open(tmp_path / "a.db", now=NOW)
    assert [row["title"] for row in database.rows("SELECT title FROM conversations")] == ["queued"]
    database.close()


def test_closed_database_says_so(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", now=NOW)
    database.close()
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.rows("SELECT 1")
    with pytest.raises(StoreError, match="closed"):
        database.execute("DELETE FROM conversations")
    with pytest.raises(StoreError, match="closed"):
        asyncio.run(database.run(database.rows, "SELECT 1"))
