"""The identity of this machine as others see it: which key holds now and next, what a backup holds, `core.identity`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """public_key: of this run. next_key: of the next start, the same one unless it was changed.

    given: how this run was given its identity ("--seed", or the name of a variable), "" where it is the kept one: only
    that can be changed.
    """

    public_key: str
    next_key: str
    given: str = ""

    @property
    def waits(self) -> bool:
        """Whether another key holds from the next start on."""
        return self.next_key != self.public_key


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    identity: OwnIdentity


@dataclass(frozen=True, slots=True)
class FoundBackup:
    """What a backup holds; never the seed. same: it is the key of this machine already."""

    public_key: str
    name: str
    made_at: str
    same: bool


class IdentityInterface(Protocol):
    """`core.identity`. Raises IdentityError, StoreError."""

    async def own(self) -> OwnIdentity: ...
    async def backup(self, path: Path) -> None:
        """Write the identity of this run into a file that only this user can read, in place of one that is there."""

    async def look_into(self, path: Path) -> FoundBackup:
        """What the backup holds; changes nothing."""

    async def restore(self, path: Path) -> OwnIdentity:
        """Take the backup's identity from the next start on; the present one is forgotten unless it was backed up."""

    async def renew(self) -> OwnIdentity:
        """Make a new identity, from the next start on: nobody who knows the present key finds this machine then."""
