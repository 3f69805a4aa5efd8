"""The speech models of this machine: which there are, and the one that listens, loaded when it is first asked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from qvac_core.core.state import SpeechChoice
from qvac_core.engines.interface import LibraryModel
from qvac_core.engines.library import Library
from qvac_core.engines.model_kind import SPEECH_TYPE
from qvac_core.engines.speech import (
    AudioFile,
    SpeechConfig,
    SpeechEngine,
    SpeechModel,
    TranscriptionEvent,
    TranscriptionRequest,
)
from qvac_core.engines.speech_engine import speech_missing
from qvac_core.errors import ModelError

NO_MODEL = "NO_SPEECH_MODEL"
OWNER = ""
"""Whose requests these are, where several take turns."""


class SpeechHere:
    def __init__(self, library: Library, engine: SpeechEngine) -> None:
        self._library = library
        self._engine = engine
        self._loading = asyncio.Lock()
        self._name = ""
        self._model: SpeechModel | None = None

    async def close(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            await model.unload()
        await self._engine.close()

    def choices(self) -> tuple[SpeechChoice, ...]:
        reason = speech_missing()
        return tuple(
            SpeechChoice(
                model.name,
                loaded=self._is_loaded(model.name),
                usable=not reason,
                reason=reason,
                languages=self._languages(model.name),
            )
            for model in self._models()
        )

    async def model(self, name: str = "") -> SpeechModel:
        """Load it if it is not; "" = the one in use, else any. Raises ModelError."""
        async with self._loading:
            found = self._find(name)
            if self._model is not None and self._is_loaded(found.name):
                return self._model
            before, self._model = self._model, None
            if before is not None:
                await before.unload()
            self._model = await self._engine.load(found.path, SpeechConfig())
            self._name = found.name
            return self._model

    async def transcribe(self, path: Path, name: str, language: str) -> AsyncGenerator[TranscriptionEvent, None]:
        model = await self.model(name)
        request = TranscriptionRequest(uuid.uuid4().hex, AudioFile(path), language=language, owner=OWNER)
        async with aclosing(model.transcribe(request)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event

    def _models(self) -> list[LibraryModel]:
        return [model for model in self._library.models() if model.model_type == SPEECH_TYPE]

    def _find(self, name: str) -> LibraryModel:
        reason = speech_missing()
        if reason:
            raise ModelError(reason, name=NO_MODEL)
        models = self._models()
        wanted = name or self._name
        found = next((model for model in models if model.name == wanted), None)
        if found is None and not name:
            found = next(iter(models), None)
        if found is None:
            raise ModelError("No model that understands speech is on this machine.", name=NO_MODEL)
        return found

    def _is_loaded(self, name: str) -> bool:
        return self._model is not None and self._model.alive and self._name == name

    def _languages(self, name: str) -> tuple[str, ...]:
        return self._model.info.languages if self._model is not None and self._is_loaded(name) else ()
