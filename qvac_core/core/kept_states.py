"""Whether the models' memory of chats outlives their process, as the owner chooses; and that nothing stays of what was
deleted. What is kept and how: `engines/kept_chats.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from qvac_core.engines.interface import EVERYBODY, LOCAL_OWNER, KeptChats
from qvac_core.engines.kept_chats import remove_all
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.store.disk import store_error
from qvac_core.store.settings import KeepStates

BUDGET = 4 * 1024**3  # bytes of the disk, all models together


class KeptStates:
    """`choice`: the setting as it is now. seed: of the identity; without it the files are noise."""

    def __init__(self, folder: Path, seed: bytes, choice: Callable[[], KeepStates]) -> None:
        self._folder = folder
        self._key = hashlib.blake2b(seed, digest_size=32, person=b"qvac kept states").digest()
        self._choice = choice
        self._engine: LlamaEngine | None = None

    def serve(self, engine: LlamaEngine) -> None:
        """The engine whose models it is about; it asks `for_load`."""
        self._engine = engine

    def for_load(self) -> KeptChats | None:
        """For a model that is loaded now."""
        choice = self._choice()
        if choice is KeepStates.NOTHING:
            return None
        return KeptChats(str(self._folder), self._key, BUDGET, guests=choice is KeepStates.EVERYBODY)

    async def choice_changed(self) -> None:
        """Acts at once where less is kept, and at the next load of a model where more is. Raises StoreError."""
        if self._choice() is not KeepStates.EVERYBODY:
            await self._remove(EVERYBODY)

    async def chat_deleted(self) -> None:
        """A chat of this machine's person is to be gone, also from what models remember. Raises StoreError."""
        if self._choice() is not KeepStates.NOTHING or self._folder.exists():
            await self._remove(LOCAL_OWNER)

    async def _remove(self, owner: str) -> None:
        """All files: which chat one of them holds only the process of its own model can tell."""
        if self._engine is not None:
            self._engine.forget(owner)
        try:
            await asyncio.to_thread(remove_all, self._folder)
        except OSError as error:
            raise store_error(error, "remove what models remember of chats") from error
