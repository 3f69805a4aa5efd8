"""Recordings of this person as transcripts in a conversation: made, stopped, kept; what is done is never lost.

A transcript belongs to this object and not to a screen, as an answer does (`chats`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from qvac_core.core import transcript
from qvac_core.core.answer_keeper import AnswerKeeper
from qvac_core.core.error_text import describe, mistaken
from qvac_core.core.event_hub import EventHub
from qvac_core.core.state import (
    AnswerFinished,
    AnswerStarted,
    AnswerStats,
    AnswerTokens,
    ConversationsChanged,
    Message,
    Target,
    TranscriptProgress,
)
from qvac_core.core.tasks import TaskOwner
from qvac_core.engines.speech import Finished, Progress, Segment, SpeechEnd, TranscriptionEvent
from qvac_core.errors import ModelError, QvacError
from qvac_core.store.conversations import new_id
from qvac_core.store.store import Store

KEEP_EVERY = 1.0
"""Seconds between two writes of a growing transcript: a power cut costs at most so much of it."""
TITLE = "Transcript: {}"

Transcribe = Callable[[Path, Target, str], AsyncGenerator[TranscriptionEvent, None]]
"""(file, listener, language): closing the iterator cancels. Raises QvacError."""
Who = Callable[[Target], Awaitable[AnswerStats]]
"""Who listens, and by which path."""


@dataclass(slots=True)
class _Running:
    conversation_id: str
    message: Message
    task: asyncio.Task[None] | None = None
    kept_at: float = 0.0
    stopped: bool = False


class Transcripts:
    def __init__(self, store: Store, events: EventHub, transcribe: Transcribe, who: Who) -> None:
        self._store = store
        self._run = store.database.run
        self._events = events
        self._transcribe = transcribe
        self._who = who
        self._tasks = TaskOwner()
        self._running: dict[str, _Running] = {}
        self._keeper = AnswerKeeper(
            lambda message: self._run(store.conversations.update, message), lambda notice: events.emit(notice)
        )

    async def close(self) -> None:
        """Stop every transcript; what is done is kept as stopped."""
        await self._tasks.close()
        await self._keeper.close()

    async def start(self, conversation_id: str, path: Path, listener: Target, language: str) -> str:
        """Begin; returns the message's id at once. ModelError for what is no file; the rest fails the message."""
        size, place = await asyncio.to_thread(lambda: (_size(path), str(path.absolute())))
        conversation = await self._run(self._store.conversations.get, conversation_id)
        text = transcript.begin(path.name, size, place)
        stats = await self._who(listener)
        message = Message(new_id(), transcript.ROLE, text, time.time(), "streaming", stats=stats)
        await self._run(self._store.conversations.append, conversation_id, message, time.time())
        if not conversation.title:
            await self._run(self._store.conversations.rename, conversation_id, TITLE.format(path.stem))
        self._events.emit(ConversationsChanged(await self._run(self._store.conversations.list)))
        running = _Running(conversation_id, message, kept_at=time.monotonic())
        self._running[message.id] = running
        self._events.emit(AnswerStarted(conversation_id, message))
        running.task = self._tasks.start(self._listen(running, path, listener, language), f"transcript {message.id}")
        return message.id

    async def stop(self, message_id: str) -> None:
        """What is done stays. One that has ended already is fine."""
        running = self._running.get(message_id)
        if running is not None and running.task is not None:
            running.stopped = True
            await self._tasks.end(running.task)

    async def stop_all_of(self, conversation_id: str) -> None:
        for running in list(self._running.values()):
            if running.conversation_id == conversation_id:
                await self.stop(running.message.id)

    def newest(self, message: Message) -> Message:
        """A message as read from the disk, or what it has become since."""
        running = self._running.get(message.id)
        return running.message if running is not None else self._keeper.newest(message)

    async def _listen(self, running: _Running, path: Path, listener: Target, language: str) -> None:
        try:
            async with aclosing(self._transcribe(path, listener, language)) as events:
                async for event in events:
                    self._take(running, event)
            if running.message.status == "streaming":
                running.message = replace(running.message, status="done")
        except asyncio.CancelledError:
            running.message = replace(running.message, status="stopped")
            raise
        except QvacError as error:
            running.message = replace(running.message, status="failed", error=describe(error))
        except Exception as error:
            # A mistake of ours: without an end it would be transcribed for ever.
            running.message = replace(running.message, status="failed", error=mistaken(error))
            raise
        finally:
            self._running.pop(running.message.id, None)
            self._keeper.keep(running.message)
            self._events.emit(AnswerFinished(running.conversation_id, running.message))

    def _take(self, running: _Running, event: TranscriptionEvent) -> None:
        match event:
            case Segment():
                self._add(running, transcript.piece(event.start_ms, event.end_ms, event.text))
            case Progress():
                self._events.emit(
                    TranscriptProgress(running.message.id, event.done_ms, event.total_ms or 0, event.left_seconds)
                )
            case Finished(stop_reason=SpeechEnd.CANCELLED):
                running.message = replace(running.message, status="stopped")
            case Finished():
                self._add(running, transcript.end(event.language, event.audio_ms, event.notices))

    def _add(self, running: _Running, text: str) -> None:
        running.message = replace(running.message, text=running.message.text + text)
        self._events.emit(AnswerTokens(running.conversation_id, running.message.id, text))
        if time.monotonic() - running.kept_at >= KEEP_EVERY:
            running.kept_at = time.monotonic()
            self._keeper.keep(running.message)


def _size(path: Path) -> int:
    try:
        if path.is_file():
            return path.stat().st_size
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.", name="FILE_UNREADABLE") from error
    raise ModelError(f"There is no file {path.name} any more.", name="FILE_UNREADABLE")
