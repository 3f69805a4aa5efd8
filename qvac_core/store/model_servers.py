"""Servers whose models this machine offers, each change on the disk before the call returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from qvac_core.errors import StoreError
from qvac_core.store.database import Database
from qvac_core.store.records import ModelServer

SERVERS_MOST = 50


class ModelServers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> tuple[ModelServer, ...]:
        """By name."""
        return _read(self._database.rows("SELECT kept FROM model_servers"))

    def keep(self, server: ModelServer) -> None:
        """New, or in the place of the one of that id. Raises StoreError for a name that another one has."""
        with self._database.transaction() as connection:
            others = [other for other in _kept(connection) if other.id != server.id]
            if any(other.name.casefold() == server.name.casefold() for other in others):
                raise StoreError(f"There is a server called {server.name} already. Give this one another name.")
            if len(others) >= SERVERS_MOST:
                raise StoreError(f"There are {SERVERS_MOST} servers already. Remove one first.")
            _put(connection, server)

    def seen(self, server: ModelServer) -> None:
        """Keep what was seen of it (kind, parallel, models); what else was changed meanwhile stays, also its going."""
        with self._database.transaction() as connection:
            now = next((kept for kept in _kept(connection) if kept.id == server.id), None)
            if now is not None:
                _put(connection, replace(now, kind=server.kind, parallel=server.parallel, models=server.models))

    def remove(self, id: str) -> None:
        """One that is gone already is fine."""
        self._database.execute("DELETE FROM model_servers WHERE id = ?", (id,))


def _kept(connection: sqlite3.Connection) -> tuple[ModelServer, ...]:
    return _read(connection.execute("SELECT kept FROM model_servers").fetchall())


def _read(rows: Iterable[Any]) -> tuple[ModelServer, ...]:
    servers = (msgspec.json.decode(kept, type=ModelServer) for (kept,) in rows)
    return tuple(sorted(servers, key=lambda server: (server.name.casefold(), server.name)))


def _put(connection: sqlite3.Connection, server: ModelServer) -> None:
    connection.execute(
        "INSERT INTO model_servers VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET kept = excluded.kept",
        (server.id, msgspec.json.encode(server).decode()),
    )
