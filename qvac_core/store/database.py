"""The one SQLite file: opened, checked, migrated, and its errors turned into sentences.

https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous.

Everything in the store is synchronous and short (a commit is one fsync). The core's loop must not wait for a disk, so
its callers use `await database.run(function, …)`: one thread, in the order of the calls.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from qvac_core.errors import StoreError
from qvac_core.store.disk import PRIVATE_FILE, set_aside, store_error
from qvac_core.store.migration import COPY_SECONDS, forget_copies, migrate
from qvac_core.store.schema import MIGRATIONS, Migration

Value = str | int | float | bytes | None
P = ParamSpec("P")
T = TypeVar("T")

# A second process of ours (`public-key`, a backup tool) may hold the file for a moment.
BUSY_SECONDS: Final = 5.0
# A complete check reads the whole file; beyond this size only after a crash or an error (about 0.1 s for so much).
ALWAYS_CHECKED_BYTES: Final = 1 << 26

_BROKEN: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _Corrupt(Exception):
    """The file is no database, or a damaged one."""


def casefolded(text: str | None) -> str | None:
    return None if text is None else text.casefold()


class _Connection(sqlite3.Connection):
    """Half a character (a cut emoji, a byte of another encoding on the command line) is kept as "?".

    SQLite holds UTF-8 alone: one such text would otherwise keep all that waits behind it from being written.
    """

    def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(statement, [_encodable(value) for value in parameters])


def _encodable(value: Value) -> Value:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


class Database:
    """One open file. `set_aside_as` names the broken file that had to make room, None when all was well."""

    def __init__(self, path: Path, connection: sqlite3.Connection, set_aside_as: Path | None) -> None:
        self.path = path
        self.set_aside_as = set_aside_as
        self._connection = connection
        self._lock = threading.RLock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._closing = False
        self._closed = False
        self._version = int(connection.execute("PRAGMA data_version").fetchone()[0])

    @classmethod
    def open(cls, path: Path, *, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> Database:
        """Open or make the file and bring it to the newest version; as it was before, it is kept for a while.

        A corrupt file is renamed to `NAME.corrupt-DATE` and a fresh one is made. A file of a newer program, a full
        disk and a folder that refuses raise StoreError and leave everything as it was.
        """
        try:
            return cls(path, _open_checked(path, migrations, now), None)
        except _Corrupt:
            kept = set_aside(path, now)
            for suffix in ("-wal", "-shm"):  # they belong to the broken file; beside a new one they would break it too
                companion = path.with_name(path.name + suffix)
                if companion.exists():
                    companion.replace(kept.with_name(kept.name + suffix))
            _suspicion(path).unlink(missing_ok=True)
        try:
            return cls(path, _open_checked(path, migrations, now), kept)
        except _Corrupt as error:
            raise StoreError(f"A new database cannot be made in {path.parent}: the disk returns wrong data.") from error

    @property
    def notice(self) -> str | None:
        """What the user must be told after opening."""
        if self.set_aside_as is None:
            return None
        return (
            "The database was damaged. It is kept as "
            f"{self.set_aside_as.name} in {self.path.parent}, and a new, empty one is in use."
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All statements inside happen, and are on the disk, or none. Raises StoreError."""
        with self._lock:
            self._require_open()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    # SQLite has already rolled back by itself after some errors (disk full).
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise self._sentence(error) from error

    def execute(self, statement: str, parameters: Sequence[Value] = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed. Raises StoreError."""
        with self.transaction() as connection:
            return connection.execute(statement, parameters).rowcount

    def erase(self, statement: str, parameters: Sequence[Value] = ()) -> int:
        """As `execute`, and what it deletes is overwritten, in the file and in its log. Raises StoreError.

        Copies of before an update go with it: they hold it, too.
        """
        with self._lock:
            self._require_open()
            try:
                self._connection.execute("PRAGMA secure_delete = ON")
                count = self.execute(statement, parameters)
                # A reader that keeps the log from being emptied is another process: the next checkpoint does it then.
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._connection.execute("PRAGMA secure_delete = OFF")
                forget_copies(self.path)
            except sqlite3.Error as error:
                raise self._sentence(error) from error
        return count

    def rows(self, query: str, parameters: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of a query. Raises StoreError."""
        with self._lock:
            self._require_open()
            try:
                return self._connection.execute(query, parameters).fetchall()
            except sqlite3.Error as error:
                raise self._sentence(error) from error

    def changed_by_others(self) -> bool:
        """Whether another process wrote to the file since this was asked last, or it was opened. Raises StoreError."""
        version = int(self.rows("PRAGMA data_version")[0][0])
        changed, self._version = self._version != version, version
        return changed

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a synchronous function of the store in the store's thread, after all earlier calls.

        A caller that is cancelled before its turn has changed nothing; one cancelled later has changed everything.
        """
        if self._closing:
            raise _closed()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Finish what is queued and close the file. May be called again."""
        self._closing = True
        self._executor.shutdown(wait=True)
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()

    def _sentence(self, error: sqlite3.Error) -> StoreError:
        code = _primary_code(error)
        if code in _BROKEN:
            _suspicion(self.path).touch()
            return StoreError("The database is damaged. Start QVAC Desktop again: it will be set aside.")
        return _refusal(error, self.path)


def _open_checked(path: Path, migrations: Sequence[Migration], now: float) -> sqlite3.Connection:
    unclean = path.with_name(path.name + "-wal").exists() or _suspicion(path).exists()
    try:
        # Made by us before SQLite does, because its own files are readable by everybody.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
        thorough = unclean or path.stat().st_size <= ALWAYS_CHECKED_BYTES
    except OSError as error:
        raise store_error(error, "open the database") from error
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.row_factory = sqlite3.Row
        connection.create_function("casefolded", 1, casefolded, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if thorough and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _Corrupt
        _suspicion(path).unlink(missing_ok=True)
        forget_copies(path, older_than=now - COPY_SECONDS)
        migrate(connection, migrations, path, now)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            if _primary_code(error) in _BROKEN:
                raise _Corrupt from error
            raise _refusal(error, path) from error
        raise
    return connection


def _closed() -> StoreError:
    return StoreError("The database is closed.", name="CLOSED")


def _suspicion(path: Path) -> Path:
    """Its presence asks the next start for a complete check."""
    return path.with_name(path.name + ".check")


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; the upper bytes only tell where it happened."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _refusal(error: sqlite3.Error, path: Path) -> StoreError:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreError("Cannot write the database: the disk is full. Free some space.", name="DISK_FULL")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"The database {path} is in use by another program.", name="DATABASE_BUSY")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"This user may not write the database {path}.", name="NOT_PERMITTED")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(f"The disk refused to read or write the database {path}.", name="DISK_ERROR")
    return StoreError(f"The database refused: {error}.")
