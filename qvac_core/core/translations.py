"""Texts of a screen that are translated: by id, told as events, stopped down to the GPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from qvac_core.core.answering import TranslationWish
from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.state import ErrorInfo, TranslationChanged
from qvac_core.core.translating import Anew, TranslationPart
from qvac_core.errors import QvacError
from qvac_core.tasks import TaskOwner

Translate = Callable[[TranslationWish], AsyncGenerator[TranslationPart, None]]
"""The translation in pieces; closing it cancels. Raises QvacError."""


class Events(Protocol):
    def emit(self, event: TranslationChanged) -> None: ...


@dataclass(slots=True)
class _Running:
    """before: what another machine made of it, which went away."""

    task: asyncio.Task[None] | None = None
    text: str = ""
    before: str = ""
    seam: str = ""

    @property
    def shown(self) -> str:
        """Nothing that was read goes before there is as much of it again."""
        return self.text if len(self.text) >= len(self.before) else self.before


class Translations:
    """Translations by an id of the caller's; text and end are events, what went wrong is in the last one."""

    def __init__(self, translate: Translate, events: Events) -> None:
        self._translate = translate
        self._events = events
        self._tasks = TaskOwner()
        self._running: dict[str, _Running] = {}

    async def close(self) -> None:
        await self._tasks.close()

    def start(self, wish: TranslationWish) -> None:
        """Its id is the caller's, who knows it before the first event."""
        running = self._running[wish.id] = _Running()
        work = self._run(wish.id, running, self._translate(wish))
        running.task = self._tasks.start(work, f"translation {wish.id}")

    async def stop(self, translation_id: str) -> None:
        running = self._running.get(translation_id)
        if running is not None and running.task is not None:
            await self._tasks.end(running.task)

    async def _run(
        self, translation_id: str, running: _Running, translation: AsyncGenerator[TranslationPart, None]
    ) -> None:
        error: ErrorInfo | None = None
        whole = False
        try:
            async with aclosing(translation) as parts:
                async for part in parts:
                    if isinstance(part, Anew):
                        running.before, running.seam = running.text, part.sentence
                        running.text = running.text[: part.keeps]
                    else:
                        running.text += part
                    self._tell(translation_id, running)
            whole = True
        except QvacError as failure:
            error = describe(failure)
        except Exception as failure:
            # A mistake of ours: without an end it would be translated for ever.
            error = mistaken(failure)
            raise
        finally:
            del self._running[translation_id]
            text = running.text if whole else running.shown
            self._events.emit(TranslationChanged(translation_id, text, False, error, running.seam))

    def _tell(self, translation_id: str, running: _Running) -> None:
        self._events.emit(TranslationChanged(translation_id, running.shown, seam=running.seam))
