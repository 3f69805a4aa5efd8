"""A model of this machine without a core: for one answer beside a window or provider that has the data folder.

Nothing is written: whoever has the folder keeps the library's index. So only models that are in it already are found,
and files that are named.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from qvac_core.core.config import CoreConfig
from qvac_core.core.library_folder import open_library
from qvac_core.core.machine import load_config
from qvac_core.delegation.admission import Limits
from qvac_core.engines.interface import LibraryModel, RunningModel
from qvac_core.engines.library import Library
from qvac_core.engines.llama_engine import LlamaEngine
from qvac_core.engines.model_kind import EMBEDDING_TYPE, RUNNABLE_TYPES, TRANSLATION_TYPE, require_runnable_type
from qvac_core.engines.translation_engine import TranslationEngine
from qvac_core.errors import ModelError
from qvac_core.store.folders import DataDir
from qvac_core.store.settings_file import SettingsFile


class Beside:
    def __init__(self, library: Library, stack: AsyncExitStack) -> None:
        self._library = library
        self._stack = stack

    def models(self) -> Sequence[LibraryModel]:
        return [model for model in self._library.models() if model.model_type in RUNNABLE_TYPES]

    def name_of(self, name_or_path: str) -> str:
        found = self._library.find(name_or_path)
        return found.name if found is not None else name_or_path

    async def load(self, name: str, model_type: str, pivot: str = "") -> RunningModel:
        """Raises ModelError; for what is not here with what to do."""
        require_runnable_type(model_type)
        path = await self._path(name)
        config = load_config(Limits())
        if model_type == TRANSLATION_TYPE:
            translation = TranslationEngine()
            self._stack.push_async_callback(translation.close)
            second = str(await self._path(pivot)) if pivot else ""
            return await translation.load(path, replace(config, pivot=second))
        engine = LlamaEngine()
        self._stack.push_async_callback(engine.close)
        one_text = replace(config, slots=1)
        if model_type == EMBEDDING_TYPE:
            return await engine.load_embedding(path, one_text)
        return await engine.load(path, one_text)

    async def _path(self, name: str) -> Path:
        if (found := self._library.find(name)) is not None:
            return found.path
        if (path := await asyncio.to_thread(_file, name)) is not None:
            return path
        raise ModelError(
            f"The model {name[:128]} is not on this machine. QVAC Desktop runs here and keeps its library: get the "
            "model there, or close it and try again.",
            name="MODEL_NOT_FOUND_HERE",
        )


def _file(name: str) -> Path | None:
    path = Path(name).expanduser()
    return path.absolute() if path.is_file() else None


@asynccontextmanager
async def beside(config: CoreConfig) -> AsyncIterator[Beside]:
    async with AsyncExitStack() as stack:
        folder = await asyncio.to_thread(DataDir.locate(config.data_dir).create)
        settings = await asyncio.to_thread(lambda: SettingsFile(folder.settings_file, now=time.time()))
        yield Beside(await asyncio.to_thread(open_library, folder, settings, config.models_folder), stack)
