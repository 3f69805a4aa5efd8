"""Where everything of one installation lies, and the lock that keeps a second one out of it.

docs/architecture.md "Contracts that others rely on": `--data-dir`, `QVAC_DESKTOP_HOME`, else the place of the platform.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import platformdirs

from qvac_core.errors import StoreError
from qvac_core.late_dataclass import dataclass
from qvac_core.store.disk import PRIVATE_FILE, make_folder, store_error

APP_NAME: Final = "qvac-desktop"
HOME_VARIABLE: Final = "QVAC_DESKTOP_HOME"


MOVED_FILE: Final = "moved.json"
_OWN_FILES: Final = frozenset(
    (
        *("identity", "settings.toml", "known-nodes.json", "models-known.json", "models-move.json"),
        *("lock", "instance", "updates.json", MOVED_FILE, "left-behind.json"),
        "program-token",
    )
)


def default_root() -> Path:
    """The place of the platform."""
    return platformdirs.user_data_path(APP_NAME, appauthor=False, roaming=False)


def _moved_to(home: Path) -> Path | None:
    """Where the owner moved the data folder to (data_move.py); None where it is at home."""
    try:
        found = json.loads((home / MOVED_FILE).read_bytes())["folder"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{home / MOVED_FILE} says where the data folder is, and cannot be read ({error}). Write "
            '{"folder": "PATH"} into it, or name the folder with --data-dir.'
        ) from error
    if not isinstance(found, str) or not Path(found).is_absolute():
        raise StoreError(
            f"{home / MOVED_FILE} names no folder. Write "
            '{"folder": "PATH"} into it, or name the folder with --data-dir.'
        )
    return Path(found)


@dataclass(frozen=True, slots=True)
class DataDir:
    """The data folder. `explicit`: chosen by option or environment, so that several can live on one machine."""

    root: Path
    explicit: bool = False
    moved: bool = False  # from the folder of the platform, by its owner

    @classmethod
    def locate(cls, data_dir: Path | None = None, environ: Mapping[str, str] = os.environ) -> DataDir:
        """The folder that applies; touches nothing on disk."""
        chosen = data_dir or environ.get(HOME_VARIABLE)
        if chosen:
            return cls(Path(chosen).expanduser().absolute(), explicit=True)
        home = default_root()
        moved = _moved_to(home)
        return cls(moved or home, moved=moved is not None)

    def create(self) -> DataDir:
        """Make the folder if need be. Raises StoreError."""
        if (shown := str(self.root).encode("utf-8", "replace").decode()) != str(self.root):
            raise StoreError(f"The name of the data folder {shown} is not written in UTF-8. Name another one.")
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"The data folder {self.root} is a file. Name another one with --data-dir.")
        if self.moved and not self.root.is_dir():
            # A new one in its place would look as if everything were lost.
            raise StoreError(
                f"The data folder {self.root} is not there. Connect its disk, then start again.", name="FOLDER_MISSING"
            )
        make_folder(self.root)
        return self

    @property
    def identity_file(self) -> Path:
        return self.root / "identity"

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.toml"

    @property
    def database_file(self) -> Path:
        return self.root / "qvac.db"

    @property
    def known_nodes_file(self) -> Path:
        return self.root / "known-nodes.json"

    @property
    def models_folder(self) -> Path:
        return self.root / "models"

    @property
    def pictures_folder(self) -> Path:
        return self.root / "pictures"

    @property
    def program_token_file(self) -> Path:
        """Of the endpoint for programs."""
        return self.root / "program-token"

    @property
    def server_keys_file(self) -> Path:
        """Of servers whose models this machine offers."""
        return self.root / "server-keys"

    @property
    def tool_secrets_file(self) -> Path:
        """Of servers of tools: what is in their environments and headers."""
        return self.root / "tool-secrets"

    @property
    def kept_states_folder(self) -> Path:
        """What models remember of chats, where the owner lets it outlive them."""
        return self.root / "kept-states"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def sleepers_file(self) -> Path:
        """By which network cards machines of one's own are woken."""
        return self.root / "sleepers.json"

    @property
    def updates_file(self) -> Path:
        """When newer versions were asked for last."""
        return self.root / "updates.json"

    @property
    def instance_file(self) -> Path:
        """Where the window that holds the lock takes calls of a second start."""
        return self.root / "instance"


def keep_from_own_files(root: Path, path: Path) -> None:
    """Raises StoreError where writing `path` would take the place of a file of the data folder `root`."""
    name = path.name.lower()
    if (name in _OWN_FILES or name.startswith("qvac.db")) and _is_in(root, path):
        raise StoreError(f"{path} is a file that QVAC Desktop itself needs. Choose another place.", name="OWN_FILE")


def _is_in(folder: Path, path: Path) -> bool:
    try:
        return path.parent.samefile(folder)
    except OSError:  # whoever writes there says what is wrong
        return False


class InstanceLock:
    """Held by the one running instance of a data folder; the system lets go of it when the process dies.

    The file stays behind on purpose: removing it would let two processes hold two different files of one name.
    """

    # Beyond the process id, because Windows lets nobody read a locked range.
    _LOCKED_BYTE: Final = 1024

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock at once. Raises StoreError ALREADY_RUNNING if another process has it."""
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise store_error(error, "lock the data folder") from error
        try:
            self._lock(descriptor)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() if os.name != "nt" else ""
            os.close(descriptor)
            who = f" (process {holder})" if holder.isdigit() else ""
            raise StoreError(
                f"QVAC Desktop is already running with the data folder {self.path.parent}{who}. "
                "Use that one, or name another folder with --data-dir.",
                name="ALREADY_RUNNING",
            ) from error
        self._descriptor = descriptor
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        except OSError as error:
            self.release()
            raise store_error(error, "lock the data folder") from error

    def release(self) -> None:
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        self._unlock(descriptor)
        os.close(descriptor)

    def __enter__(self) -> InstanceLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    if sys.platform == "win32":

        def _lock(self, descriptor: int) -> None:
            import msvcrt

            os.lseek(descriptor, self._LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)

        def _unlock(self, descriptor: int) -> None:
            import msvcrt

            os.lseek(descriptor, self._LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    else:

        def _lock(self, descriptor: int) -> None:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

        def _unlock(self, descriptor: int) -> None:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_UN)
