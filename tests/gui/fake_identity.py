"""An identity in memory, with the backups that a test puts there: the fake of `core.identity`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from qvac_core.core.identity_state import FoundBackup, OwnIdentity
from qvac_core.errors import IdentityError, QvacError

NEW_KEY = "ee" * 32


@dataclass
class FakeIdentity:
    now: OwnIdentity = field(default_factory=lambda: OwnIdentity("", ""))
    backups: dict[Path, FoundBackup] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    fail: QvacError | None = None

    async def own(self) -> OwnIdentity:
        return self.now

    async def backup(self, path: Path) -> None:
        if self.fail is not None:
            raise self.fail
        self.written.append(path)

    async def look_into(self, path: Path) -> FoundBackup:
        if path not in self.backups:
            raise IdentityError(f"{path.name} is no backup of an identity. Choose the file that Back up made.")
        return self.backups[path]

    async def restore(self, path: Path) -> OwnIdentity:
        self.now = replace(self.now, next_key=self.backups[path].public_key)
        return self.now

    async def renew(self) -> OwnIdentity:
        self.now = replace(self.now, next_key=NEW_KEY)
        return self.now
