"""A database of an older version becomes one of this version, and a copy of it as it was is kept for two weeks.

The copy lies beside it: `qvac.db.schema-8-20261201-093000` is the file as version 8 left it. To go back, install the
version that wrote it and rename the copy to `qvac.db`. https://sqlite.org/backup.html.
"""

from __future__ import annotations

import glob
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from qvac_core.errors import StoreError
from qvac_core.store.disk import PRIVATE_FILE, store_error
from qvac_core.store.schema import Migration

COPY_SECONDS: Final = 14 * 86_400.0
_log = logging.getLogger("qvac.store")


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], path: Path, now: float) -> None:
    """Each step happens as a whole or not at all. path: of the file; now: seconds.

    Raises StoreError (NEWER_DATABASE where a newer program wrote it, and nothing is changed) and sqlite3.Error.
    """
    before = _version(connection)
    if before > len(migrations):
        raise StoreError(
            f"The database {path} was made by a newer QVAC Desktop (schema {before}, this one knows "
            f"{len(migrations)}). Update QVAC Desktop, or name another folder with --data-dir.",
            name="NEWER_DATABASE",
        )
    if before == len(migrations):
        return
    copy = _keep_copy(connection, path, before, now) if before else None
    try:
        for number in range(before, len(migrations)):
            _step(connection, migrations[number], number)
    except sqlite3.Error:
        if copy is not None and _version(connection) == before:
            copy.unlink(missing_ok=True)  # the file itself is as it was: each try would leave one more
        raise
    if copy is not None:
        _log.info("The data of an older version was brought up to date. As it was before, it is kept as %s.", copy)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _step(connection: sqlite3.Connection, migration: Migration, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == number:  # else another process of ours was here meanwhile
            for statement in migration:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


# --- Copies -----------------------------------------------------------------------------------------------------------


def copies(path: Path) -> list[Path]:
    """Those of the file that are there, oldest first."""
    return sorted(
        (Path(name) for name in glob.glob(f"{glob.escape(str(path))}.schema-*")),  # noqa: PTH207 - any folder's name
        key=lambda copy: (_made_at(copy), copy.name),
    )


def forget_copies(path: Path, older_than: float = float("inf")) -> None:
    """Remove those made before that time (seconds)."""
    for copy in copies(path):
        if _made_at(copy) < older_than:
            with suppress(OSError):  # the next start tries again
                copy.unlink()


def _made_at(copy: Path) -> float:
    try:
        return copy.stat().st_mtime
    except OSError:
        return 0.0


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int, now: float) -> Path | None:
    """None where another process of ours has migrated the file meanwhile, and kept one."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    copy = path.with_name(f"{path.name}.schema-{version}-{stamp}")
    number = 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.schema-{version}-{stamp}-{number}")
    temporary = path.with_name(f".{copy.name}.{os.getpid()}.tmp")  # swept with the others where a kill leaves it
    try:
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
            with closing(sqlite3.connect(temporary, isolation_level=None)) as target:
                target.execute("PRAGMA synchronous = FULL")
                connection.backup(target)
                # One file that stands alone; its source has a log beside it.
                target.execute("PRAGMA journal_mode = DELETE")
                held = _version(target)
            if held != version:
                temporary.unlink()
                return None
            temporary.replace(copy)
            os.utime(copy, (now, now))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise store_error(error, "keep a copy of the data before it is brought up to date") from error
    return copy
