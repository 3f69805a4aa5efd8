"""The pictures of kept conversations: a file each, named by its hash, so that the same one lies here once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from qvac_core.errors import StoreError
from qvac_core.store.disk import make_folder, store_error, write_atomically


class PictureFiles:
    """Blocking. The folder is made with the first picture."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return self._folder / sha256

    def keep(self, data: bytes) -> str:
        """Its sha256 in hex. Raises StoreError."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.path(sha256).is_file():
            make_folder(self._folder)
            write_atomically(self.path(sha256), data, action="keep the picture")
        return sha256

    def read(self, sha256: str) -> bytes:
        """Raises StoreError PICTURE_GONE."""
        try:
            return self.path(sha256).read_bytes()
        except OSError:
            raise StoreError(
                "A picture of this conversation is not there any more. Begin a new conversation with it.",
                name="PICTURE_GONE",
            ) from None

    def forget_all_but(self, wanted: Collection[str]) -> None:
        """Those of conversations that were deleted. Raises StoreError."""
        try:
            for file in self._folder.iterdir() if self._folder.is_dir() else ():
                if file.name not in wanted and not file.name.startswith("."):
                    file.unlink()
        except OSError as error:
            raise store_error(error, "remove the pictures of a deleted conversation") from error
