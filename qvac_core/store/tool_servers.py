"""The servers of tools that somebody configured, each change on the disk before the call returns."""

from __future__ import annotations

import sqlite3

import msgspec

from qvac_core.errors import StoreError
from qvac_core.store.database import Database
from qvac_core.store.records import ConversationTools, ToolServer


class ToolServers:
    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> tuple[ToolServer, ...]:
        """By name."""
        rows = self._database.rows("SELECT kept FROM tool_servers ORDER BY casefolded(name), name")
        return tuple(msgspec.json.decode(kept, type=ToolServer) for (kept,) in rows)

    def keep(self, server: ToolServer, old: str = "") -> None:
        """In the place of the one of that name, and of `old`, whose name it had. Raises StoreError."""
        with self._database.transaction() as connection:
            if (
                old != server.name
                and connection.execute("SELECT 1 FROM tool_servers WHERE name = ?", (server.name,)).fetchone()
            ):
                raise StoreError(f"There is a server called {server.name} already. Give this one another name.")
            connection.execute("DELETE FROM tool_servers WHERE name = ?", (old,))
            if old and old != server.name:
                _rename_in_conversations(connection, old, server.name)
            kept = msgspec.json.encode(server).decode()
            connection.execute("INSERT INTO tool_servers VALUES (?, ?)", (server.name, kept))

    def forget_values(self, server: ToolServer) -> None:
        """What was written with them is overwritten in the file too."""
        kept = msgspec.json.encode(server).decode()
        self._database.erase("UPDATE tool_servers SET kept = ? WHERE name = ?", (kept, server.name))

    def remove(self, name: str) -> None:
        """One that is gone already is fine."""
        self._database.execute("DELETE FROM tool_servers WHERE name = ?", (name,))


def _rename_in_conversations(connection: sqlite3.Connection, old: str, new: str) -> None:
    for id, kept in connection.execute("SELECT id, tools FROM conversations WHERE tools != '{}'").fetchall():
        tools = msgspec.json.decode(kept, type=ConversationTools)
        renamed = ConversationTools(
            tuple(new if name == old else name for name in tools.servers),
            tuple(
                f"{new}/{key.removeprefix(f'{old}/')}" if key.startswith(f"{old}/") else key for key in tools.allowed
            ),
        )
        changed = (msgspec.json.encode(renamed).decode(), id)
        connection.execute("UPDATE conversations SET tools = ? WHERE id = ?", changed)
