"""The model library of the core: implements `LibraryRoom`. (Its parts come one after the other.)"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
from qvac_core.errors import ModelError


class ModelsRoom:
    """Implements LibraryRoom."""

    async def memory(self) -> MachineMemory:
        raise _missing()

    async def search(self, query: Query) -> SearchResult:
        return SearchResult((), 0)

    async def search_hub(self, query: Query) -> SearchResult:
        raise _missing()

    async def look_up(self, model: str, context_tokens: int = DEFAULT_CONTEXT) -> CatalogEntry:
        raise _missing()

    async def fit(self, version: str, context_tokens: int) -> Fit:
        raise _missing()

    async def downloads(self) -> tuple[DownloadChanged, ...]:
        return ()

    async def download(self, version: str, *, source: str = "", share: bool = False) -> None:
        raise _missing()

    async def pause(self, model: str) -> None:
        raise _missing()

    async def resume(self, model: str, *, source: str | None = None) -> None:
        raise _missing()

    async def pause_all(self) -> None: ...

    async def resume_all(self) -> None: ...

    async def cancel(self, model: str) -> None:
        raise _missing()

    async def dismiss(self, model: str) -> None:
        raise _missing()

    async def models(self) -> tuple[ModelHere, ...]:
        return ()

    async def free_up(self) -> tuple[ModelHere, ...]:
        return ()

    async def removal(self, name: str) -> Removal:
        raise _missing()

    async def remove(self, name: str) -> None:
        raise _missing()

    async def found(self) -> tuple[FoundProgram, ...]:
        return ()

    async def look_around(self) -> tuple[FoundProgram, ...]:
        return ()

    async def use_found(self, paths: Sequence[Path]) -> None:
        raise _missing()

    async def folder(self) -> ModelsFolder:
        raise _missing()

    async def change_folder(self, path: Path) -> None:
        raise _missing()

    async def cancel_move(self) -> None:
        raise _missing()


def _missing() -> ModelError:
    return ModelError("The library is being built.")
