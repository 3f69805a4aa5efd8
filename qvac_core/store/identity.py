"""The one secret of an installation: the 32-byte seed of its key, made once and kept where others cannot read it.

docs/architecture.md "Safe by default" and "Who I am, who you are"; QVAC_HYPERSWARM_SEED as in @qvac/sdk 0.16.

Where the seed comes from, first match:

    --seed, then QVAC_HYPERSWARM_SEED       for this run; nothing is kept
    the identity file holds a seed          that one
    the identity file points to the keyring the keyring's; if it does not answer, an error and never a new key:
                                            a new key would lock us out of every list that knows the old one
    nothing there yet                       a new seed: into the keyring if there is one, else into the file (0600)

A data folder that was chosen (--data-dir, QVAC_DESKTOP_HOME) always keeps its seed in its file. The keyring belongs to
the user, not to the folder: two of us side by side would get one key, and a folder moved to another machine would
lose its own.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from qvac_core.codec.key_text import parse_seed
from qvac_core.errors import IdentityError
from qvac_core.late_dataclass import dataclass
from qvac_core.store.disk import create_once, store_error, write_atomically
from qvac_core.store.folders import APP_NAME, DataDir

SEED_VARIABLE: Final = "QVAC_HYPERSWARM_SEED"
SEED_BYTES: Final = 32
KEYRING_ENTRY: Final = "identity"
# Long enough to type the password of a locked keyring, short enough to start without one that hangs.
KEYRING_SECONDS: Final = 15.0
# What the identity file says in place of a seed.
_ON_KEYRING: Final = "keyring"
_KEYRING_CONTENT: Final = f"{_ON_KEYRING}\n".encode("ascii")
_ACTION: Final = "write the identity"


class SeedSource(Enum):
    OPTION = "option"
    ENVIRONMENT = "environment"
    KEYRING = "keyring"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Identity:
    """`created`: made just now, so that nobody can know it yet."""

    seed: bytes = field(repr=False)
    source: SeedSource
    created: bool = False


class SecretStore(Protocol):
    """A keyring. Both may fail in any way or never return."""

    def get(self, name: str) -> str | None: ...
    def set(self, name: str, secret: str) -> None: ...


class SystemKeyring:
    """The operating system's: Keychain, Credential Locker, Secret Service, KWallet."""

    def get(self, name: str) -> str | None:
        import keyring  # slow to import: it looks at every installed package

        return keyring.get_password(APP_NAME, name)

    def set(self, name: str, secret: str) -> None:
        import keyring

        keyring.set_password(APP_NAME, name, secret)


class KeyringUnavailable(Exception):
    """No back end, locked, refused, or no answer in time."""


class IdentityStore:
    """Loads and keeps the identity of one data folder."""

    def __init__(
        self,
        folder: DataDir,
        *,
        keyring: SecretStore | None = None,
        environ: Mapping[str, str] = os.environ,
        keyring_seconds: float = KEYRING_SECONDS,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.folder = self._folder = folder
        self._keyring = keyring if keyring is not None else SystemKeyring()
        self._environ = environ
        self._keyring_seconds = keyring_seconds
        self._random_bytes = random_bytes

    def load(self, seed_text: str | None = None) -> Identity:
        """The identity of this run, made now if there is none. Raises IdentityError or StoreError with what helps.

        May block as long as the keyring does (KEYRING_SECONDS): call it outside of the event loop.
        """
        if seed_text is not None:
            return Identity(parse_seed(seed_text), SeedSource.OPTION)
        if from_environment := self._environ.get(SEED_VARIABLE):
            try:
                return Identity(parse_seed(from_environment), SeedSource.ENVIRONMENT)
            except IdentityError as error:
                raise IdentityError(f"{SEED_VARIABLE}: {error.message}") from error
        return self._kept() or self._create(self._random_bytes(SEED_BYTES))

    def replace(self, seed: bytes) -> Identity:
        """Make this seed the identity from now on (a restored backup, a new identity). The old one is forgotten."""
        if len(seed) != SEED_BYTES:
            raise IdentityError(f"A seed has {SEED_BYTES} bytes, this one has {len(seed)}.")
        source, content = self._keep_secret(seed)
        self._folder.create()
        write_atomically(self._folder.identity_file, content, action=_ACTION)
        return Identity(seed, source)

    def _kept(self) -> Identity | None:
        path = self._folder.identity_file
        try:
            content = path.read_text("ascii").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None  # whoever makes one says what is wrong with the folder
        except OSError as error:
            raise store_error(error, "read the identity") from error
        except UnicodeDecodeError:
            content = ""
        _make_private(path)
        if content == _ON_KEYRING:
            return Identity(self._seed_on_keyring(), SeedSource.KEYRING)
        try:
            return Identity(parse_seed(content), SeedSource.FILE)
        except IdentityError as error:
            raise IdentityError(
                f"The identity file {path} is damaged. Put a backup in its place (qvac-desktop identity restore "
                "FILE), or remove it to get a new key (people who know the old one will not find you)."
            ) from error

    def _create(self, seed: bytes) -> Identity:
        self._folder.create()
        # A keyring that outlived its folder (reinstalled, cleaned up) still holds the key that others know.
        survivor = self._survivor()
        source, content = (SeedSource.KEYRING, _KEYRING_CONTENT) if survivor else self._keep_secret(seed)
        if create_once(self._folder.identity_file, content, action=_ACTION):
            return Identity(survivor or seed, source, created=survivor is None)
        kept = self._kept()  # another process was faster; what it made counts
        if kept is None:
            raise IdentityError("The identity file came and went. Start QVAC Desktop again.")
        return kept

    def _survivor(self) -> bytes | None:
        if self._folder.explicit:
            return None
        try:
            text = self._ask_keyring(lambda: self._keyring.get(KEYRING_ENTRY))
            return None if text is None else parse_seed(text)
        except (KeyringUnavailable, IdentityError):  # none there: a new one will be made
            return None

    def _keep_secret(self, seed: bytes) -> tuple[SeedSource, bytes]:
        """Put the seed on the keyring where that applies and works; where it is now, and what the file shall say."""
        if not self._folder.explicit:
            try:
                self._ask_keyring(lambda: self._keyring.set(KEYRING_ENTRY, seed.hex()))
                # Some back ends take a secret and drop it.
                if self._ask_keyring(lambda: self._keyring.get(KEYRING_ENTRY)) == seed.hex():
                    return SeedSource.KEYRING, _KEYRING_CONTENT
            except KeyringUnavailable:  # headless, no session bus, locked: the file is the place then
                pass
        return SeedSource.FILE, f"{seed.hex()}\n".encode("ascii")

    def _seed_on_keyring(self) -> bytes:
        try:
            text = self._ask_keyring(lambda: self._keyring.get(KEYRING_ENTRY))
        except KeyringUnavailable as error:
            raise IdentityError(
                f"Your identity is in the system's keyring, which does not answer ({error}). Unlock it, or start "
                "with --seed, or with another folder (--data-dir)."
            ) from error
        try:
            return parse_seed(text or "")
        except IdentityError as error:
            raise IdentityError(
                "The system's keyring does not hold your identity any more. Restore it, start with --seed, or remove "
                f"{self._folder.identity_file} to get a new key (people who know the old one will not find you)."
            ) from error

    def _ask_keyring(self, question: Callable[[], str | None]) -> str | None:
        return ask_keyring(question, self._keyring_seconds)


def ask_keyring(question: Callable[[], str | None], seconds: float = KEYRING_SECONDS) -> str | None:
    """Its answer, in a thread of its own, because a keyring without a screen may wait for ever.

    Raises KeyringUnavailable.
    """
    answers: list[str | None] = []
    failures: list[str] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception as error:  # noqa: BLE001 - back ends raise whatever D-Bus, pywin32 or ctypes raise
            failures.append(type(error).__name__)

    thread = threading.Thread(target=ask, name="keyring", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise KeyringUnavailable(failures[0] if failures else "no answer")
    return answers[0]


def _make_private(path: Path) -> None:
    """A copied or restored file may have become readable for others."""
    try:
        if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise IdentityError(f"Other users can read the identity file {path}. Make it private: chmod 600.") from error
