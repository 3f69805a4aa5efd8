"""What stands in the environments and headers of servers of tools: keys, mostly. The database has their names alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec

from qvac_core.errors import StoreError
from qvac_core.store.folders import DataDir
from qvac_core.store.identity import KEYRING_SECONDS, SecretStore
from qvac_core.store.records import ToolServer
from qvac_core.store.server_keys import Secrets

_Pairs = tuple[tuple[str, str], ...]


def without_values(server: ToolServer) -> ToolServer:
    return replace(server, env=_bare(server.env), headers=_bare(server.headers))


class ToolSecrets:
    """By the server's name. Calls may block as long as the keyring does: not for an event loop. Raise StoreError."""

    def __init__(
        self, folder: DataDir, *, keyring: SecretStore | None = None, keyring_seconds: float = KEYRING_SECONDS
    ) -> None:
        path = folder.tool_secrets_file
        self._kept = Secrets(folder, path, "tool-server-", keyring=keyring, keyring_seconds=keyring_seconds)

    def keep(self, server: ToolServer) -> None:
        whole = msgspec.json.encode((server.env, server.headers)).decode()
        self._put(server.name, whole if without_values(server) != server else "")

    def filled(self, server: ToolServer, name: str = "") -> ToolServer:
        """With its values; one that it has already stays. name: under which they are kept, where that is another."""
        kept = self._kept.get(_id(name or server.name))
        if not kept:
            return server
        try:
            env, headers = msgspec.json.decode(kept, type=tuple[_Pairs, _Pairs])
        except msgspec.DecodeError as error:
            raise StoreError(
                f"The keys of servers in {self._kept.path} cannot be read: the file is damaged. Remove it, and give "
                "the keys anew."
            ) from error
        return replace(server, env=_with(server.env, dict(env)), headers=_with(server.headers, dict(headers)))

    def forget(self, name: str) -> None:
        self._put(name, "")

    def _put(self, name: str, text: str) -> None:
        id = _id(name)
        if text or self._kept.has(id):
            self._kept.put(id, text)


def _id(name: str) -> str:
    """A name is the person's own, of any letters."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _bare(pairs: _Pairs) -> _Pairs:
    return tuple((name, "") for name, _ in pairs)


def _with(pairs: _Pairs, values: dict[str, str]) -> _Pairs:
    return tuple((name, value or values.get(name, "")) for name, value in pairs)
