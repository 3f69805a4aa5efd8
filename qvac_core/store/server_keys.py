"""The keys of servers: those whose models this machine offers and those of tools, kept where others cannot read them.

In the keyring of the system, or in a file of its owner alone where there is none. A data folder that was chosen
(--data-dir) always has them in its file, as its identity: the keyring belongs to the user and not to the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from qvac_core.errors import LocalProtocolError, StoreError
from qvac_core.store.disk import PRIVATE_FILE, store_error, write_atomically
from qvac_core.store.folders import DataDir
from qvac_core.store.identity import KEYRING_SECONDS, KeyringUnavailable, SecretStore, SystemKeyring, ask_keyring

KEY_LIMIT: Final = 4096  # characters
_ON_KEYRING: Final = ""  # in the place of a key, which none is


def checked_key(text: str) -> str:
    """Raises LocalProtocolError for what cannot be sent as a key."""
    key = text.strip()
    if len(key) > KEY_LIMIT or not key.isascii() or not key.isprintable() or " " in key:
        raise LocalProtocolError("This is no key of a server: it has characters that none has, or is too long.")
    return key


class Secrets:
    """One text for each name. entry: before the name, in the keyring.

    All calls may block as long as the keyring does: not for an event loop. Raise StoreError.
    """

    def __init__(
        self,
        folder: DataDir,
        path: Path,
        entry: str,
        *,
        keyring: SecretStore | None = None,
        keyring_seconds: float = KEYRING_SECONDS,
    ) -> None:
        self._folder, self.path, self._prefix, self._seconds = folder, path, entry, keyring_seconds
        self._keyring = keyring if keyring is not None else SystemKeyring()

    def get(self, id: str) -> str:
        """ "" = it has none."""
        kept = self._kept().get(id)
        if kept is None or kept != _ON_KEYRING:
            return kept or ""
        try:
            return ask_keyring(lambda: self._keyring.get(f"{self._prefix}{id}"), self._seconds) or ""
        except KeyringUnavailable as error:
            raise StoreError(
                f"The key of this server is in the system's keyring, which does not answer ({error}). Unlock it, or "
                "give the key anew.",
                name="KEYRING_SILENT",
            ) from error

    def has(self, id: str) -> bool:
        """Asks no keyring."""
        return id in self._kept()

    def put(self, id: str, key: str) -> None:
        """ "" = forget it."""
        kept = self._kept()
        if not key:
            if kept.pop(id, None) == _ON_KEYRING:
                self._on_keyring(id, "")
        else:
            kept[id] = _ON_KEYRING if self._on_keyring(id, key) else key
        write_atomically(self.path, msgspec.json.encode(kept), action="keep the keys of servers")

    def _on_keyring(self, id: str, key: str) -> bool:
        if self._folder.explicit:
            return False
        try:
            ask_keyring(lambda: self._keyring.set(f"{self._prefix}{id}", key), self._seconds)
            return ask_keyring(lambda: self._keyring.get(f"{self._prefix}{id}"), self._seconds) == key
        except KeyringUnavailable:
            return False  # headless, locked: the file is the place then

    def _kept(self) -> dict[str, str]:
        try:
            content = self.path.read_bytes()
            self.path.chmod(PRIVATE_FILE)  # a copied or restored file may have become readable for others
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise store_error(error, "read the keys of servers") from error
        try:
            return msgspec.json.decode(content, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise StoreError(
                f"The keys of servers in {self.path} cannot be read: the file is damaged. Remove it, and give the "
                "keys anew."
            ) from error


class ServerKeys(Secrets):
    """Of servers whose models this machine offers, by id."""

    def __init__(
        self, folder: DataDir, *, keyring: SecretStore | None = None, keyring_seconds: float = KEYRING_SECONDS
    ) -> None:
        where = folder.server_keys_file
        super().__init__(folder, where, "server-key-", keyring=keyring, keyring_seconds=keyring_seconds)

    def put(self, id: str, key: str) -> None:
        """Raises LocalProtocolError too."""
        super().put(id, checked_key(key))
