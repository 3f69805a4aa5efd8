"""The token that programs show to the endpoint of this machine: made once, kept where others cannot read it.

In the keyring of the system, or in a file of its owner alone where there is none. A data folder that was chosen
(--data-dir) always has it in its file, as its identity: the keyring belongs to the user and not to the folder.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from qvac_core.errors import StoreError
from qvac_core.store.disk import PRIVATE_FILE, store_error, write_atomically
from qvac_core.store.folders import DataDir
from qvac_core.store.identity import KEYRING_SECONDS, KeyringUnavailable, SecretStore, SystemKeyring, ask_keyring

PREFIX: Final = "qvac-"
_ENTRY: Final = "program-token"
_TOKEN: Final = re.compile(r"qvac-[0-9a-f]{48}", re.ASCII)
_ON_KEYRING: Final = b"keyring\n"


class ProgramToken:
    """All calls may block as long as the keyring does: not for an event loop. Raise StoreError."""

    def __init__(
        self, folder: DataDir, *, keyring: SecretStore | None = None, keyring_seconds: float = KEYRING_SECONDS
    ) -> None:
        self._folder, self._seconds = folder, keyring_seconds
        self._keyring = keyring if keyring is not None else SystemKeyring()

    def load(self) -> str:
        """The token; made now where there is none, or what is kept is none."""
        return self._kept() or self.renew()

    def renew(self) -> str:
        """Another one. The old one is forgotten."""
        token = PREFIX + secrets.token_hex(24)
        write_atomically(self._path, self._keep(token), action="keep the token of programs")
        return token

    @property
    def _path(self) -> Path:
        return self._folder.program_token_file

    def _kept(self) -> str | None:
        try:
            content = self._path.read_bytes()
            self._path.chmod(PRIVATE_FILE)  # a copied or restored file may have become readable for others
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise store_error(error, "read the token of programs") from error
        if content != _ON_KEYRING:
            return _token(content.decode("ascii", "replace").strip())
        try:
            return _token(ask_keyring(lambda: self._keyring.get(_ENTRY), self._seconds) or "")
        except KeyringUnavailable as error:
            raise StoreError(
                f"The token of programs is in the system's keyring, which does not answer ({error}). Unlock it and try "
                "again, or make a new token.",
                name="KEYRING_SILENT",
            ) from error

    def _keep(self, token: str) -> bytes:
        """What the file shall say, once the token is kept."""
        if not self._folder.explicit:
            try:
                ask_keyring(lambda: self._keyring.set(_ENTRY, token), self._seconds)
                if ask_keyring(lambda: self._keyring.get(_ENTRY), self._seconds) == token:
                    return _ON_KEYRING
            except KeyringUnavailable:
                pass  # headless, locked: the file is the place then
        return f"{token}\n".encode("ascii")


def _token(text: str) -> str | None:
    return text if _TOKEN.fullmatch(text) else None
