"""The identity of this machine: its backup, another one in its place, and which key holds from the next start on.

The key of a run never changes: connections, announcements and what others show hang on it. What is restored or made
anew is kept at once, and holds from the next start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from qvac_core.core.identity_backup import Backup, read_backup, write_backup
from qvac_core.core.identity_state import FoundBackup, IdentityChanged, OwnIdentity
from qvac_core.errors import IdentityError
from qvac_core.hyperdht import KeyPair
from qvac_core.store.folders import keep_from_own_files
from qvac_core.store.identity import SEED_BYTES, SEED_VARIABLE, IdentityStore, SeedSource


class IdentityRoom:
    """What may be done with the identity; `core.identity`. Keys are 64 hexadecimal digits.

    IdentityError for a backup that is none or damaged, and wherever the seed was given with this run.
    """

    def __init__(
        self,
        store: IdentityStore,
        seed: bytes,
        source: SeedSource,
        name: Callable[[], str],
        emit: Callable[[IdentityChanged], None],
    ) -> None:
        """seed, source: of this run. name: of this machine, "" = it has none."""
        self._store = store
        self._seed = seed
        self._name = name
        self._emit = emit
        key = KeyPair.from_seed(seed).public_key.hex()
        given = {SeedSource.OPTION: "--seed", SeedSource.ENVIRONMENT: SEED_VARIABLE}.get(source, "")
        self._own = OwnIdentity(key, key, given)

    async def own(self) -> OwnIdentity:
        return self._own

    async def backup(self, path: Path) -> None:
        await asyncio.to_thread(keep_from_own_files, self._store.folder.root, path)
        await asyncio.to_thread(write_backup, path, self._seed, self._name(), time.time())

    async def look_into(self, path: Path) -> FoundBackup:
        found = await asyncio.to_thread(read_backup, path)
        return self._found(found)

    async def restore(self, path: Path) -> OwnIdentity:
        found = await asyncio.to_thread(read_backup, path)
        return await self._replace(found.seed)

    async def renew(self) -> OwnIdentity:
        return await self._replace(secrets.token_bytes(SEED_BYTES))

    async def _replace(self, seed: bytes) -> OwnIdentity:
        if self._own.given:
            raise IdentityError(
                f"The identity of this run comes from {self._own.given}, so that nothing of it is kept here. Start "
                "without it to change the identity of this machine."
            )
        await asyncio.to_thread(self._store.replace, seed)
        next_key = KeyPair.from_seed(seed).public_key.hex()
        self._own = OwnIdentity(self._own.public_key, next_key)
        self._emit(IdentityChanged(self._own))
        return self._own

    def _found(self, backup: Backup) -> FoundBackup:
        same = backup.public_key == self._own.next_key
        return FoundBackup(backup.public_key, backup.name, backup.made_at, same)
