"""What a front door may ask of the model library, as one Protocol: `core.library` implements it, GUI tests fake it.

All coroutines run on the core's loop and may raise a QvacError whose message is a sentence for the user. Events come
with the core's others (`CoreInterface.subscribe`): DownloadChanged, LibraryChanged, FoundChanged, ModelsFolderChanged,
SourcesChanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from qvac_core.core.library_state import (
    DEFAULT_CONTEXT,
    CatalogEntry,
    DownloadChanged,
    Fit,
    FoundProgram,
    MachineMemory,
    ModelHere,
    ModelsFolder,
    Query,
    Removal,
    SearchResult,
)


class LibraryRoom(Protocol):
    # What can be had
    async def memory(self) -> MachineMemory:
        """Asks the engine for its devices at the first call, which takes a second or two."""

    async def search(self, query: Query) -> SearchResult:
        """In the catalog, which needs no network. Models that fit come as they lie there, by size."""

    async def search_hub(self, query: Query) -> SearchResult:
        """On Hugging Face: its most downloaded models with GGUF files. Without a network what was seen last, with its
        date and the error; ModelError where there is nothing to show."""

    async def look_up(self, model: str, context_tokens: int = DEFAULT_CONTEXT) -> CatalogEntry:
        """One model with exact facts, asked of its source: an id of an entry or version, any address of a model file,
        OWNER/REPOSITORY or the address of its page. ModelError for what is no such thing, or cannot be reached."""

    async def fit(self, version: str, context_tokens: int) -> Fit:
        """Of a version that `search`, `search_hub` or `look_up` gave, by its id. Quick: nothing is asked."""

    # Downloads
    async def downloads(self) -> tuple[DownloadChanged, ...]:
        """In the order in which they were asked for. Those of an earlier start too; done ones until `dismiss`."""

    async def download(self, version: str, *, source: str = "", share: bool = False) -> None:
        """Queue it, or go on with it; returns at once. source: `Source.id`. share: it is shared once it is here.

        ModelError for what is neither in the catalog nor an address.
        """

    async def pause(self, model: str) -> None:
        """What came is kept. By `DownloadChanged.model`, as the others."""

    async def resume(self, model: str, *, source: str | None = None) -> None:
        """A paused or a failed one goes on, from another source if one is named; it may have to wait for its turn."""

    async def pause_all(self) -> None: ...
    async def resume_all(self) -> None: ...
    async def cancel(self, model: str) -> None:
        """Take it off the list, and what came of it off the disk."""

    async def dismiss(self, model: str) -> None:
        """Take one that is done off the list. Others stay."""

    # Models here
    async def models(self) -> tuple[ModelHere, ...]:
        """Chat models first, in the order of `shared_models`."""

    async def free_up(self) -> tuple[ModelHere, ...]:
        """Those whose removal frees something, the longest unused first."""

    async def removal(self, name: str) -> Removal:
        """What `remove` would do. ModelError where there is no such model."""

    async def remove(self, name: str) -> None:
        """Delete its files if they are ours, else stop using it. A loaded one is unloaded first, its answers end."""

    # Models of other programs
    async def found(self) -> tuple[FoundProgram, ...]:
        """What the last look found; programs without a model that could be used are left out."""

    async def look_around(self) -> tuple[FoundProgram, ...]:
        """Look again, read only and bounded; FoundChanged follows if it is another."""

    async def use_found(self, paths: Sequence[Path]) -> None:
        """Use these where they lie. They are read through once, for their checksums; LibraryChanged for each.

        ModelError for the first that cannot be used; the others are taken all the same.
        """

    # The folder
    async def folder(self) -> ModelsFolder: ...
    async def change_folder(self, path: Path) -> None:
        """Keep models there from now on, and move what is there. Returns once the move has begun, or with a sentence
        why it cannot (StoreError): no such disk, not enough room, a folder in the way, downloads go on meanwhile.

        ModelsFolderChanged tells how far it is. A model is removed at the old place only when it is whole at the new.
        """

    async def cancel_move(self) -> None:
        """Everything stays where it was."""
