"""People who talk, as one live transcript each: samples in by id, what was understood out as events.

The front door that holds the microphone may live in another thread and another process: it holds an id, no session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.state import DictationEnded, DictationHeard, ErrorInfo, Target
from qvac_core.engines.live_speech import Committed, LiveFinished, LiveSession, Tentative
from qvac_core.errors import QvacError
from qvac_core.tasks import TaskOwner

OpenSession = Callable[[Target, str], Awaitable[LiveSession]]
"""(listener, language): a session of whoever listens. Raises QvacError."""


class Events(Protocol):
    def emit(self, event: DictationHeard | DictationEnded) -> None: ...


@dataclass(slots=True)
class _Running:
    session: LiveSession
    task: asyncio.Task[None] | None = None
    settled: str = ""
    unsettled: str = ""


class Dictations:
    """Live transcripts by an id of the caller's. Samples: float32, mono, 16 kHz, as `LiveSession` takes them.

    Words come as events. An id that has ended is ignored: the last samples of a microphone come late.
    """

    def __init__(self, open_session: OpenSession, events: Events) -> None:
        self._open = open_session
        self._events = events
        self._tasks = TaskOwner()
        self._running: dict[str, _Running] = {}

    async def close(self) -> None:
        await self._tasks.close()

    async def start(self, dictation_id: str, listener: Target, language: str) -> None:
        """Returns once somebody listens. The id is the caller's, who knows it before any event. Raises QvacError."""
        running = _Running(await self._open(listener, language))
        self._running[dictation_id] = running
        running.task = self._tasks.start(self._listen(dictation_id, running), f"dictation {dictation_id}")

    async def write(self, dictation_id: str, samples: bytes) -> None:
        """One that has ended hears nothing more: its end says why."""
        running = self._running.get(dictation_id)
        if running is not None:
            await running.session.write(samples)

    async def end(self, dictation_id: str) -> None:
        running = self._running.get(dictation_id)
        if running is not None:
            await running.session.end()

    async def discard(self, dictation_id: str) -> None:
        running = self._running.pop(dictation_id, None)
        if running is not None and running.task is not None:
            await self._tasks.end(running.task)

    async def _listen(self, dictation_id: str, running: _Running) -> None:
        error: ErrorInfo | None = None
        try:
            async with running.session as session:
                async for event in session:
                    match event:
                        case Committed():
                            running.settled += event.text
                            running.unsettled = ""
                            self._tell(dictation_id, running)
                        case Tentative():
                            # The session's settled words bring their spaces; these are a text of their own.
                            running.unsettled = f" {event.text}" if running.settled and event.text else event.text
                            self._tell(dictation_id, running)
                        case LiveFinished():
                            running.settled, running.unsettled = event.text, ""
                        case _:
                            pass  # the level is the microphone's own matter, and a turn ends when the person says so
        except QvacError as failure:
            error = describe(failure)
        except Exception as failure:
            # A mistake of ours: without an end the person would wait for ever.
            error = mistaken(failure)
            raise
        finally:
            if self._running.pop(dictation_id, None) is not None:
                self._events.emit(DictationEnded(dictation_id, running.settled + running.unsettled, error))

    def _tell(self, dictation_id: str, running: _Running) -> None:
        if dictation_id in self._running:
            self._events.emit(DictationHeard(dictation_id, running.settled, running.unsettled))
