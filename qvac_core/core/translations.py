"""Texts of a screen that are translated: by id, told as events, stopped down to the GPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.state import ErrorInfo, Target, TranslationChanged
from qvac_core.core.tasks import TaskOwner
from qvac_core.errors import QvacError

Translate = Callable[[str, str, Target, str], AsyncGenerator[str, None]]
"""(text, to, target, source): the translation in pieces; closing it cancels. Raises QvacError."""


class Events(Protocol):
    def emit(self, event: TranslationChanged) -> None: ...


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None] | None = None
    text: str = ""


class Translations:
    def __init__(self, translate: Translate, events: Events) -> None:
        self._translate = translate
        self._events = events
        self._tasks = TaskOwner()
        self._running: dict[str, _Running] = {}

    async def close(self) -> None:
        await self._tasks.close()

    def start(self, translation_id: str, text: str, to: str, target: Target, source: str = "") -> None:
        """The id is the caller's, who knows it before the first event."""
        running = self._running[translation_id] = _Running()
        work = self._run(translation_id, running, self._translate(text, to, target, source))
        running.task = self._tasks.start(work, f"translation {translation_id}")

    async def stop(self, translation_id: str) -> None:
        running = self._running.get(translation_id)
        if running is not None and running.task is not None:
            await self._tasks.end(running.task)

    async def _run(self, translation_id: str, running: _Running, translation: AsyncGenerator[str, None]) -> None:
        error: ErrorInfo | None = None
        try:
            async with aclosing(translation) as pieces:
                async for piece in pieces:
                    running.text += piece
                    self._events.emit(TranslationChanged(translation_id, running.text))
        except QvacError as failure:
            error = describe(failure)
        except Exception as failure:
            # A mistake of ours: without an end it would be translated for ever.
            error = mistaken(failure)
            raise
        finally:
            del self._running[translation_id]
            self._events.emit(TranslationChanged(translation_id, running.text, False, error))
